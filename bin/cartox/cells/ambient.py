"""Ambient RNA of one library, estimated from its empty droplets and taken out of its counts (SoupX).

SoupX (Young & Behjati 2020) reads the share of ambient counts off genes that mark some clusters, in the
clusters that do not express them. Where all cells are alike, as in an infusion product, no gene does that and
the estimate drifts upwards; such libraries keep their counts.
"""

from __future__ import annotations

import warnings
from typing import Any, TypedDict

import numpy as np
from scipy import sparse

from cartox.cells.quality import EmptyDroplets
from cartox.matrices.matrix import CountMatrix, lognormalise

# Fewer cells give no clusters, fewer empty droplets no profile.
MIN_CELLS = 100
MIN_EMPTY = 100
# Clusters serve the estimate alone: coarse, and more than there are lineages of blood.
CLUSTERS, STARTS, PCS, GENES = 12, 5, 20, 2000
# SoupX's defaults (1.0 and 0.9) leave 8 to 50 genes in blood of a few thousand counts per cell, these 100.
MIN_TFIDF = SOUP_QUANTILE = 0.5
# SoupX searches from 1 % up, and says up to 1.2 % where there is none; so little is not worth a correction.
LOWEST = 0.02
# More is told as a failure of the estimate, as SoupX does (it warns from 0.3 on).
HIGHEST = 0.3
# Where the estimate's interval (SoupX's full width at half maximum) reaches higher, the cells are too alike.
HIGHEST_BOUND = 0.6


class Account(TypedDict):
    """What became of one sample; contamination and its interval are shares of a cell's counts."""

    sample: str
    corrected: bool
    note: str
    n_empty: int
    contamination: float | None
    interval: list[float] | None
    removed: float


def untouched(sample: str, note: str, n_empty: int = 0) -> Account:
    """The account of a sample that keeps its counts, and why."""
    return {
        "sample": sample,
        "corrected": False,
        "note": note,
        "n_empty": n_empty,
        "contamination": None,
        "interval": None,
        "removed": 0.0,
    }


def clusters(counts: sparse.csr_matrix, seed: int) -> np.ndarray:
    """Coarse clusters of cells: k-means on principal components of the most variable log counts."""
    from scipy.cluster.vq import kmeans2
    from scipy.sparse.linalg import svds

    rng = np.random.default_rng(seed)
    logs: Any = lognormalise(counts)
    mean = np.asarray(logs.mean(axis=0)).ravel()
    spread = np.asarray(logs.multiply(logs).mean(axis=0)).ravel() - mean**2
    chosen = np.sort(np.argsort(-spread, kind="stable")[:GENES])
    block = logs[:, chosen].astype(np.float64)
    least = min(block.shape)
    left, size, _ = svds(block, k=min(PCS, least - 1), v0=rng.normal(size=least))
    space = left * size
    space -= space.mean(axis=0)
    k = min(CLUSTERS, len(space) // 25)
    tries = [kmeans2(space, k, minit="++", rng=rng) for _ in range(STARTS)]
    best = min(tries, key=lambda found: float(((space - found[0][found[1]]) ** 2).sum()))
    return np.unique(best[1], return_inverse=True)[1]


def corrected(
    sample: str, cells: CountMatrix, empty: EmptyDroplets, seed: int
) -> tuple[CountMatrix, Account]:
    """The cells without their ambient counts, whole numbers still, and the account.

    Counts are returned as they were where the estimate cannot be made or believed.
    """
    import pysoupx

    n, n_empty = len(cells.barcodes), empty.n
    found = dict(zip(empty.genes.tolist(), empty.counts.tolist(), strict=True))
    profile = sparse.csr_matrix([found.get(gene, 0) for gene in cells.genes.tolist()])
    if n < MIN_CELLS:
        return cells, untouched(sample, f"{n} cells are too few (at least {MIN_CELLS})", n_empty)
    if n_empty < MIN_EMPTY or not profile.sum():
        note = (
            f"{n_empty} empty droplets are too few (at least {MIN_EMPTY}); is raw_path the unfiltered matrix?"
        )
        return cells, untouched(sample, note, n_empty)
    # one column that holds all empty droplets: SoupX takes their sum alone
    soup = pysoupx.SoupChannel(
        sparse.csr_matrix(profile).T,
        cells.counts.T,
        cells.genes.tolist(),
        cells.barcodes.tolist(),
        calc_soup_profile=False,
    )
    pysoupx.estimate_soup(soup, soup_range=(0, np.inf))
    pysoupx.set_clusters(soup, clusters(cells.counts, seed).astype(str).tolist())
    try:
        # its warnings are told in the note, by the bounds below
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pysoupx.auto_est_cont(soup, None, MIN_TFIDF, SOUP_QUANTILE, force_accept=True, verbose=False)
    except ValueError as error:
        return cells, untouched(sample, f"SoupX could not estimate it ({error})", n_empty)
    fit: Any = soup.fit
    account = untouched(sample, "", n_empty)
    share, interval = round(float(fit["rhoEst"]), 3), [round(float(bound), 3) for bound in fit["rhoFWHM"]]
    account.update(contamination=share, interval=interval, note=doubted(share, interval[1]))
    if account["note"]:
        return cells, account
    counts = sparse.csr_matrix(
        pysoupx.adjust_counts(soup, round_to_int=True, seed=seed, verbose=0).T, dtype=np.int32
    )
    counts.eliminate_zeros()
    counts.sort_indices()
    account["corrected"] = True
    account["removed"] = round(1 - float(counts.sum()) / float(cells.counts.sum()), 4)
    return CountMatrix(counts, cells.barcodes, cells.genes, cells.gene_ids), account


def doubted(contamination: float, high: float) -> str:
    """Why counts are not corrected by this estimate with this upper bound; empty where they are."""
    if contamination < LOWEST:
        return f"hardly any ambient RNA (less than {100 * LOWEST:.0f} %)"
    if contamination > HIGHEST or high > HIGHEST_BOUND:
        return "the estimate is not sure: the cells are too alike, or too unlike the empty droplets"
    return ""
