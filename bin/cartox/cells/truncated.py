"""Counts of a gene in the cells that show it: a negative binomial of which the low counts are not seen."""

from __future__ import annotations

import numpy as np
from scipy import optimize, special


def fit(counts: np.ndarray, totals: np.ndarray, limit: np.ndarray | int = 1) -> tuple[float, float]:
    """Counts of the gene per count of the cell, and the size of their negative binomial distribution.

    Maximum likelihood given that each cell reached its `limit` (1: zero-truncated; Grogger & Carson 1991,
    doi:10.1002/jae.3950060302). counts, totals: of these cells; the mean of a cell is rate × its total.
    """
    scale = float(np.median(totals))
    relative = totals / scale
    start = np.log([max(counts.mean() / relative.mean() / 2, 0.05), 1.0])

    def loss(theta: np.ndarray) -> float:
        mean, size = np.exp(theta[0]) * relative, np.exp(theta[1])
        share = mean / (mean + size)
        logp = special.gammaln(counts + size) - special.gammaln(size) - special.gammaln(counts + 1.0)
        logp += special.xlogy(counts, share) + size * np.log1p(-share)
        return -float((logp - np.log(np.maximum(special.betainc(limit, size, share), 1e-300))).mean())

    best = optimize.minimize(loss, start, method="L-BFGS-B", bounds=[(-8, 12), (-3, 5)])
    return float(np.exp(best.x[0])) / scale, float(np.exp(best.x[1]))


def reached(fitted: tuple[float, float], totals: np.ndarray, limit: np.ndarray | int = 1) -> np.ndarray:
    """Probability that a cell which expresses the gene, with these total counts, reaches its limit."""
    mean = fitted[0] * totals
    return special.betainc(limit, fitted[1], mean / (mean + fitted[1]))
