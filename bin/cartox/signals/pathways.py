"""Pathway scores of samples: decoupler's univariate linear model on standardised pseudobulk.

Each sample gets a score and patients are tested on it, because enrichment p-values on a differential
expression table are not calibrated for patients (genes of a set are correlated).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from cartox.genes import out_of_bounds
from cartox.labels import UNNAMED
from cartox.matrices.matrix import CountMatrix
from cartox.signals.edger import log_cpm, tmm_factors

# Sets with fewer targets among the genes in use say little; decoupler's default.
MIN_TARGETS = 5
# Two samples have no spread to standardise by that is not their difference.
MIN_SAMPLES = 3
# edgeR's filterByExpr (Chen, Lun & Smyth 2016) asks for 10 counts in as many samples as the smallest group
# has; the groups must not be known here, so a third of the samples stands for the smallest group.
MIN_COUNT = 10
SHARE_EXPRESSED = 1 / 3


@dataclass
class Pseudobulks:
    """All samples' sums by cell type.

    counts: csr_matrix, rows × genes. rows: sample, cell_type, n_cells. genes: str. present: samples × genes,
    bool, rows in the order of `samples`: which sample's matrix has which gene.
    """

    counts: sparse.csr_matrix
    rows: pd.DataFrame
    genes: np.ndarray
    samples: list[str]
    present: np.ndarray


def gather(parts: Mapping[str, tuple[CountMatrix, np.ndarray]]) -> Pseudobulks:
    """Join samples' pseudobulks, sorted by sample, over the union of their genes (sorted)."""
    samples = sorted(parts)
    genes = np.unique(np.concatenate([parts[sample][0].genes for sample in samples]))
    blocks, rows = [], []
    present = np.zeros((len(samples), len(genes)), dtype=bool)
    for i, sample in enumerate(samples):
        sums, n_cells = parts[sample]
        column = np.searchsorted(genes, sums.genes)
        present[i, column] = True
        placed = sparse.coo_matrix(sums.counts)
        shape = (len(n_cells), len(genes))
        blocks.append(sparse.csr_matrix((placed.data, (placed.row, column[placed.col])), shape=shape))
        rows.append(pd.DataFrame({"sample": sample, "cell_type": sums.barcodes, "n_cells": n_cells}))
    counts = sparse.csr_matrix(sparse.vstack(blocks, format="csr"))
    return Pseudobulks(counts, pd.concat(rows, ignore_index=True), genes, samples, present)


def joined(bulks: Sequence[Pseudobulks]) -> Pseudobulks:
    """Pseudobulks of other samples over the same genes as one."""
    return Pseudobulks(
        sparse.csr_matrix(sparse.vstack([bulk.counts for bulk in bulks], format="csr")),
        pd.concat([bulk.rows for bulk in bulks], ignore_index=True),
        bulks[0].genes,
        [sample for bulk in bulks for sample in bulk.samples],
        np.vstack([bulk.present for bulk in bulks]),
    )


def ulm(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Univariate linear model of each sample on each set: t of the slope, samples × sets.

    values: samples × genes. weights: genes × sets, 0 for genes outside. With r the correlation over genes,
    t = r·sqrt((n − 2)/((1 − r)(1 + r))): decoupler's `mt.ulm` (Badia-i-Mompel 2022), without its import and
    compilation, which would take longer than all the scores.
    """
    centred = values - values.mean(axis=1, keepdims=True)
    signature = weights - weights.mean(axis=0)
    norm = np.linalg.norm(centred, axis=1)[:, None] * np.linalg.norm(signature, axis=0)
    r = np.clip(centred @ signature / norm, -1, 1)
    tiny = np.finfo(float).tiny
    return r * np.sqrt((values.shape[1] - 2) / np.maximum((1 - r) * (1 + r), tiny))


def standardised(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """TMM log-CPM of one cell type, each gene with mean 0 and SD 1 over these samples.

    counts: samples × genes, ≥ MIN_SAMPLES samples. Returns (values, mask of the genes in use): genes with at
    least MIN_COUNT counts per median library in SHARE_EXPRESSED of the samples, and any variation.
    """
    library = counts.sum(axis=1)
    cutoff = MIN_COUNT / np.median(library)
    needed = max(2, int(np.ceil(SHARE_EXPRESSED * len(counts) - 1e-9)))
    kept = np.count_nonzero(counts / library[:, None] >= cutoff, axis=0) >= needed
    values = log_cpm(counts, tmm_factors(counts))[:, kept]
    spread = values.std(axis=0, ddof=1)
    varies = spread > 1e-12
    kept[np.flatnonzero(kept)[~varies]] = False
    return (values[:, varies] - values[:, varies].mean(axis=0)) / spread[varies], kept


def score_stratum(
    bulk: Pseudobulks, samples: Sequence[str], net: pd.DataFrame, car_features: Sequence[str], min_cells: int
) -> tuple[pd.DataFrame, list[dict]]:
    """Scores of every cell type but `Unassigned` and `Mixed` over these samples, and how each was made.

    net: collection, source, target, weight. Genes: those that all the samples scored have in their matrices,
    without CAR, sex and V(D)J genes. Returns columns sample, cell_type, collection, feature, value, n_cells;
    and per cell type {cell_type, n_samples, n_genes, skipped: [sets], note}.
    """
    usable = ~out_of_bounds(bulk.genes, car_features)
    of = {sample: i for i, sample in enumerate(bulk.samples)}
    rows = bulk.rows[bulk.rows["sample"].isin(set(samples)) & ~bulk.rows["cell_type"].isin(UNNAMED)]
    depth = np.asarray(bulk.counts.sum(axis=1)).ravel()
    collection = net.drop_duplicates("source").set_index("source")["collection"]
    sets = net.pivot_table(index="target", columns="source", values="weight", aggfunc="first")
    tables, notes = [], []
    for cell_type, group in rows.groupby("cell_type", sort=True):
        group = group[(group["n_cells"] >= min_cells) & (depth[group.index] > 0)].sort_values("sample")
        note = {"cell_type": cell_type, "n_samples": len(group), "n_genes": 0, "skipped": [], "note": ""}
        notes.append(note)
        if len(group) < MIN_SAMPLES:
            note["note"] = (
                f"not scored: {len(group)} samples have {min_cells} cells or more, {MIN_SAMPLES} are needed"
            )
            continue
        shared = usable & bulk.present[[of[sample] for sample in group["sample"]]].all(axis=0)
        counts = bulk.counts[group.index][:, shared].toarray().astype(float)
        values, kept = standardised(counts)
        genes = bulk.genes[shared][kept]
        note["n_genes"] = len(genes)
        weights = _weights(sets, genes)
        note["skipped"] = sorted(set(collection.index) - set(weights.columns))
        if weights.empty:
            note["note"] = f"not scored: no set has {MIN_TARGETS} genes among the {len(genes)} in use"
            continue
        scores = pd.DataFrame(ulm(values, weights.to_numpy()), columns=weights.columns)
        table = scores.assign(sample=group["sample"].to_numpy(), n_cells=group["n_cells"].to_numpy()).melt(
            ["sample", "n_cells"], var_name="feature", value_name="value"
        )
        tables.append(
            table.assign(cell_type=cell_type, collection=table["feature"].map(collection).astype(str))
        )
    columns = ["sample", "cell_type", "collection", "feature", "value", "n_cells"]
    if not tables:
        return pd.DataFrame({name: pd.Series(dtype=object) for name in columns}), notes
    return pd.concat(tables, ignore_index=True)[columns], notes


def _weights(sets: pd.DataFrame, genes: np.ndarray) -> pd.DataFrame:
    """Genes × sets, 0 for genes outside, for the sets with MIN_TARGETS of these genes.

    sets: targets × sets, missing where a set has no such target.
    """
    table = sets.reindex(genes)
    table = table.loc[:, table.notna().sum() >= MIN_TARGETS].fillna(0.0)
    # a set with every gene in it, all of one weight, has no contrast to be scored by
    return table.loc[:, table.min() < table.max()]
