"""Rank correlation of many features with some analytes across patients, plain or partial on covariates.

Partial: features, analytes and numeric covariates become ranks, categories 0/1 columns; features and analytes
are replaced by their least-squares residuals from the covariates, and these are correlated (Kim 2015,
doi:10.5351/CSAM.2015.22.6.665). Without covariates the same steps give Spearman's rho.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

ORDERS = 1000  # rearrangements in a working block
NUMBERS = 4_000_000  # numbers in a working block of bootstrap samples × patients × features
NOTHING = 1e-8  # a residual of ranks shorter than this is none


@dataclass
class Correlation:
    """Analytes (rows) with features (columns): rho, its 95 % interval and permutation p; NaN if constant."""

    rho: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray


@dataclass
class Covariates:
    """What is held fixed. groups: patients × 0/1 columns. numbers: patients × columns, taken as ranks."""

    groups: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    numbers: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))

    @property
    def size(self) -> int:
        """Columns beside the intercept."""
        return self.groups.shape[1] + self.numbers.shape[1]

    def matrix(self) -> np.ndarray:
        """Intercept, groups and ranked numbers: patients × columns."""
        return np.column_stack([np.ones(len(self.groups)), self.groups, ranks(self.numbers)])


def ranks(values: np.ndarray) -> np.ndarray:
    """Ranks of each column, ties sharing the mean rank, centred."""
    import pandas as pd

    # as scipy.stats.rankdata, whose import would take longer than all the ranks
    return pd.DataFrame(values).rank().to_numpy() - (len(values) + 1) / 2


def correlate(
    features: np.ndarray,
    analytes: np.ndarray,
    orders: np.ndarray,
    draws: np.ndarray,
    covariates: Covariates | None = None,
) -> Correlation:
    """Rank correlation across patients; features and analytes are patients × columns without missing values.

    orders: rearrangements of patients, without the observed one; p = (b + 1) / (B + 1). With covariates the
    analyte's residuals are rearranged and fitted to the covariates again (Freedman & Lane 1983,
    doi:10.2307/1391660); |rho| then orders the rearrangements as an ordinary |t| does.
    draws: bootstrap samples of patients (indices); the interval is the central 95 % of their rho, ranks and
    residuals taken anew in each (Efron & Tibshirani 1993).
    """
    given = covariates or Covariates(np.zeros((len(features), 0)), np.zeros((len(features), 0)))
    basis = np.linalg.qr(given.matrix())[0]
    ranked, target = (_without(basis, ranks(values).T) for values in (features, analytes))
    rows = _unit(ranked).T
    rho = _unit(target) @ rows
    exceed = np.zeros_like(rho)
    for i, residual in enumerate(target):
        for start in range(0, len(orders), ORDERS):
            permuted = _unit(_without(basis, residual[orders[start : start + ORDERS]]))
            exceed[i] += np.count_nonzero(np.abs(permuted @ rows) >= np.abs(rho[i]) - 1e-9, axis=0)
    low, high = _interval(features, analytes, draws, given)
    varying = np.outer(_unit(target).any(axis=1), rows.any(axis=0))
    parts = (rho, low, high, (exceed + 1) / (len(orders) + 1))
    return Correlation(*(np.where(varying, part, np.nan) for part in parts))


def _without(basis: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Each row less its projection on the columns of an orthonormal basis."""
    return rows - (rows @ basis) @ basis.T


def _unit(rows: np.ndarray) -> np.ndarray:
    """Each row scaled to length 1; 0 where nothing is left of it."""
    length = np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
    return rows / np.where(length > NOTHING, length, np.inf)


def _interval(
    features: np.ndarray, analytes: np.ndarray, draws: np.ndarray, covariates: Covariates
) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper bound, analytes × features."""
    step = max(1, NUMBERS // draws.size)
    parts = []
    for start in range(0, features.shape[1], step):
        rho = bootstrapped(features[:, start : start + step], analytes, draws, covariates)
        parts.append(np.quantile(rho, [0.025, 0.975], axis=0))
    low, high = np.concatenate(parts, axis=2)
    return low, high


def bootstrapped(
    features: np.ndarray, analytes: np.ndarray, draws: np.ndarray, covariates: Covariates
) -> np.ndarray:
    """rho of each bootstrap sample, draws × analytes × features; 0 where a sample has no variation.

    How often each patient was drawn gives all ranks of a sample by one matrix product, and by its root as a
    weight the residuals.
    """
    n = len(features)
    counts = np.array([np.bincount(rows, minlength=n) for rows in draws], dtype=float)
    root = np.sqrt(counts)[:, :, None]

    def resampled(values: np.ndarray) -> np.ndarray:
        below = (values[None] < values[:, None]) + 0.5 * (values[None] == values[:, None])
        return (np.tensordot(counts, below, axes=(1, 1)) - n / 2) * root

    basis = None
    if covariates.size:
        fixed = np.column_stack([np.ones(n), covariates.groups])[None] * root
        fixed = np.concatenate([fixed, resampled(covariates.numbers)], axis=2)
        # in some samples a group is missing or all have one value: only what they can tell is held fixed
        left, size, _ = np.linalg.svd(fixed, full_matrices=False)
        basis = left * (size > NOTHING * size[:, :1])[:, None, :]

    def standing(values: np.ndarray) -> np.ndarray:
        ranked = resampled(values)
        if basis is not None:
            ranked -= basis @ (basis.transpose(0, 2, 1) @ ranked)
        length = np.sqrt(np.einsum("bik,bik->bk", ranked, ranked))[:, None, :]
        return ranked / np.where(length > NOTHING, length, np.inf)

    return standing(analytes).transpose(0, 2, 1) @ standing(features)
