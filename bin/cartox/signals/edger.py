"""Normalisation and filtering of pseudobulk counts, by edgeR's published rules.

Written here because the one library that has them (PyPI edgepython) is under the GPL, needs numba and
matplotlib, and costs seconds to import in steps that start often. Agreement with R is tested.
All matrices are samples × genes.
"""

from __future__ import annotations

import numpy as np

LOG_RATIO_TRIM, SUM_TRIM = 0.3, 0.05


def tmm_factors(counts: np.ndarray) -> np.ndarray:
    """Trimmed mean of M-values: one scaling factor per sample, their geometric mean 1.

    counts: raw counts, samples × genes; every sample needs a count. Robinson & Oshlack 2010
    (doi:10.1186/gb-2010-11-3-r25) with edgeR's defaults: 30 % of log ratios and 5 % of mean
    intensities are trimmed from each end, and the reference is the sample whose upper quartile is
    nearest to the mean one. Raises ValueError when a sample is empty.
    """
    counts = np.asarray(counts, dtype=float)
    counts = counts[:, counts.any(axis=0)]
    totals = counts.sum(axis=1)
    if (totals == 0).any():
        raise ValueError("a sample without counts has no TMM factor")
    quartile = np.quantile(counts, 0.75, axis=1) / totals
    if np.median(quartile) < 1e-20:  # very sparse: upper quartiles are zero and tell nothing
        reference = int(np.argmax(np.sqrt(counts).sum(axis=1)))
    else:
        reference = int(np.argmin(np.abs(quartile - quartile.mean())))
    ratios = [
        _log_ratio(row, total, counts[reference], totals[reference])
        for row, total in zip(counts, totals, strict=True)
    ]
    return np.exp2(np.array(ratios) - np.mean(ratios))


def _log_ratio(observed: np.ndarray, n_obs: float, reference: np.ndarray, n_ref: float) -> float:
    """Weighted trimmed mean of log2 ratios of one sample against the reference."""
    both = (observed > 0) & (reference > 0)
    if not both.any():
        return 0.0
    obs, ref = observed[both], reference[both]
    # one division before the log, as edgeR does: the trim counts ranks, and rounding would break its ties
    ratio = np.log2((obs / n_obs) / (ref / n_ref))
    mean = (np.log2(obs / n_obs) + np.log2(ref / n_ref)) / 2
    if np.abs(ratio).max() < 1e-6:
        return 0.0
    # delta-method variance of a log ratio of two binomial shares
    variance = (n_obs - obs) / n_obs / obs + (n_ref - ref) / n_ref / ref
    kept = _untrimmed(ratio, LOG_RATIO_TRIM) & _untrimmed(mean, SUM_TRIM)
    if not kept.any():
        return 0.0
    return float(np.sum(ratio[kept] / variance[kept]) / np.sum(1 / variance[kept]))


def _untrimmed(values: np.ndarray, share: float) -> np.ndarray:
    """Mask of the values whose rank (ties share the mean rank) is within the central part."""
    _, inverse, ties = np.unique(values, return_inverse=True, return_counts=True)
    rank = (np.cumsum(ties) - (ties - 1) / 2)[inverse]
    low = np.floor(len(values) * share) + 1
    return (rank >= low) & (rank <= len(values) + 1 - low)


def log_cpm(counts: np.ndarray, factors: np.ndarray | None = None, prior: float = 2.0) -> np.ndarray:
    """log2 counts per million, samples × genes, with a prior count in proportion to library size.

    factors: of `tmm_factors`, None for plain library sizes. edgeR's `cpm(log=TRUE, prior.count=2)`.
    """
    counts = np.asarray(counts, dtype=float)
    library = counts.sum(axis=1) * (1.0 if factors is None else np.asarray(factors))
    added = prior * library / library.mean()
    return np.log2((counts + added[:, None]) / (library + 2 * added)[:, None] * 1e6)


def filter_by_expr(
    counts: np.ndarray, design: np.ndarray, min_count: float = 10, min_total: float = 15, large_n: int = 10
) -> np.ndarray:
    """Mask of the genes with enough counts for this design (samples × columns).

    edgeR's filterByExpr (Chen, Lun & Smyth 2016, doi:10.12688/f1000research.8987.2): at least `min_count`
    counts, at the median library size, in as many samples as the smallest group has (70 % of what is
    beyond `large_n`), and `min_total` counts in all. The smallest group is 1 / the largest leverage.
    """
    counts = np.asarray(counts, dtype=float)
    basis, _, _ = np.linalg.svd(design, full_matrices=False)
    basis = basis[:, : np.linalg.matrix_rank(design)]
    smallest = 1 / np.max(np.sum(basis**2, axis=1))
    if smallest > large_n:
        smallest = large_n + (smallest - large_n) * 0.7
    library = counts.sum(axis=1)
    cutoff = min_count / np.median(library)
    often = np.sum(counts / library[:, None] >= cutoff, axis=0) >= smallest - 1e-14
    return often & (counts.sum(axis=0) >= min_total - 1e-14)
