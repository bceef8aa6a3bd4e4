"""Genes that mark each cluster, by effect sizes over pairs of clusters within each sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cartox.draw import evenly

if TYPE_CHECKING:
    import pandas as pd
    from scipy import sparse

COLUMNS = ["cluster", "rank", "gene", "auc", "auc_least", "difference", "detected", "detected_elsewhere"]
CELLS = 500  # of a cluster: the standard error of an AUC of 500 against 500 cells is below 0.02
ALL_CELLS = 20_000
GENES = 25  # of a cluster


def drawn(cluster: np.ndarray, sample: np.ndarray, seed: int) -> np.ndarray:
    """Rows of at most CELLS cells of each cluster and ALL_CELLS in all, in order, evenly over the samples."""
    names = np.unique(cluster)
    most = min(CELLS, ALL_CELLS // max(1, len(names)))
    rng = np.random.default_rng(seed)
    rows = [np.flatnonzero(cluster == name) for name in names]
    return np.sort(np.concatenate([own[evenly(sample[own], most, rng)] for own in rows]))


def score(
    values: sparse.csr_matrix, genes: np.ndarray, cluster: np.ndarray, sample: np.ndarray
) -> pd.DataFrame:
    """The GENES highest genes of each cluster, by their mean AUC against every other cluster.

    The AUC is the chance that a cell of the cluster has more of the gene than a cell of the other, ties
    counted half: Mann–Whitney's U over the number of pairs. It is taken within each sample and averaged over
    them (scran's scoreMarkers: Lun 2016), so differences between patients do not look like markers.

    Args:
        values: cells × genes, log1p CP10k. genes: names. cluster, sample: of each cell.

    Returns:
        COLUMNS, clusters in the order of their numbers: auc_least is that against the nearest cluster,
        difference the mean log1p CP10k less that of the other clusters, detected the share of cells with a
        count. No row for a cluster that no other is met in a sample.
    """
    import pandas as pd
    import scranpy

    if len(np.unique(cluster)) < 2:
        return pd.DataFrame(columns=COLUMNS)
    found = scranpy.score_markers(
        values.T,
        cluster.tolist(),
        block=sample.tolist(),
        compute_cohens_d=False,
        compute_summary_median=False,
        compute_summary_max=False,
        compute_summary_min_rank=False,
    )
    names = [str(name) for name in found["group_ids"]]
    detected = np.asarray(found["detected"])
    tables = []
    for place, name in enumerate(names):
        auc = np.asarray(found["auc"][place]["mean"])
        order = np.lexsort((genes, -np.nan_to_num(auc)))[:GENES]
        order = order[auc[order] > 0.5]
        tables.append(
            pd.DataFrame(
                {
                    "cluster": name,
                    "rank": np.arange(1, len(order) + 1),
                    "gene": genes[order],
                    "auc": auc[order],
                    "auc_least": np.asarray(found["auc"][place]["min"])[order],
                    "difference": np.asarray(found["delta_mean"][place]["mean"])[order],
                    "detected": detected[order, place],
                    "detected_elsewhere": np.delete(detected, place, axis=1)[order].mean(axis=1),
                }
            )
        )
    order = sorted(range(len(names)), key=lambda i: (len(names[i]), names[i]))
    return pd.concat([tables[i] for i in order], ignore_index=True)[COLUMNS]
