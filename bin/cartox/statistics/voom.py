"""Precision weights of log counts, by limma's voom. Agreement with R is tested."""

from __future__ import annotations

import numpy as np

from cartox.statistics.moderated import fit


def voom(counts: np.ndarray, factors: np.ndarray, design: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """log2-CPM and their precision weights, both samples × genes.

    Law et al. 2014 (doi:10.1186/gb-2014-15-2-r29): the square root of each gene's residual standard
    deviation is smoothed (lowess, span 0.5) against its mean log count, and the curve read at each fitted
    count; the weight is its fourth power inverted. design: of full rank,
    with residual degrees of freedom.
    """
    from statsmodels.nonparametric.smoothers_lowess import lowess

    counts = np.asarray(counts, dtype=float)
    library = counts.sum(axis=1) * np.asarray(factors)
    values = np.log2((counts + 0.5) / (library + 1)[:, None] * 1e6)
    model = fit(values, design)
    depth = np.log2(library + 1) - np.log2(1e6)
    level = values.mean(axis=0) + depth.mean()
    spread = np.sqrt(np.sqrt(model.variance))
    seen = counts.any(axis=0)
    curve = lowess(
        spread[seen], level[seen], frac=0.5, it=3, delta=0.01 * np.ptp(level[seen]), return_sorted=True
    )
    knots, first = np.unique(curve[:, 0], return_index=True)
    expected = design @ model.coefficients + depth[:, None]
    return values, np.interp(expected, knots, curve[first, 1]) ** -4
