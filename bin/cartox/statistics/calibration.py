"""What the p-values of a contrast are when nothing is there: the term permuted over its own patients.

Permutations serve twice. The share of p < 0.05 among them says whether p can be taken at its word, and their
pooled distribution says what a p is worth in the tail, where no single feature has permutations enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cartox.columns import BAND, BAND_SHOWN, CALIBRATION
from cartox.statistics.association import Engine, Tested, limit, together
from cartox.statistics.moderated import fit, moderated_p

GENES = 500  # of each cell type, evenly over intensity: enough for the distribution of p
# Pooling needs features enough for a tail, and permutations enough that the pool is not a few draws.
POOLED_FEATURES, POOLED_PERMUTATIONS = 20, 50


@dataclass
class Null:
    """p under permutation of one kind of feature.

    p: permutations × features, one array for each prior. sizes: features that each stands for. distinct:
    the most rearrangements that any of its features has.
    """

    p: list[np.ndarray]
    sizes: list[int]
    distinct: int

    @property
    def n_tests(self) -> int:
        """Features of the kind."""
        return sum(self.sizes)

    @property
    def poolable(self) -> bool:
        """Whether there is enough to pool."""
        return self.n_tests >= POOLED_FEATURES and min(self.distinct, len(self.p[0])) >= POOLED_PERMUTATIONS

    def shares(self) -> np.ndarray:
        """Share of p < 0.05 in each permutation."""
        each = [size * np.mean(p < 0.05, axis=1) for p, size in zip(self.p, self.sizes, strict=True)]
        return np.sum(each, axis=0) / self.n_tests

    def pooled(self, p: np.ndarray) -> np.ndarray:
        """Share of all null p, over features and permutations, that are at most p; never 0.

        As the false calls expected at a threshold in SAM (Tusher 2001, doi:10.1073/pnas.091062498; Storey &
        Tibshirani 2003, doi:10.1073/pnas.1530509100): (1 + null p ≤ p) / (1 + null p).
        """
        values = np.concatenate([part.ravel() for part in self.p])
        each = [np.full(x.size, size / x.size) for x, size in zip(self.p, self.sizes, strict=True)]
        order = np.argsort(values, kind="stable")
        below = np.append(0.0, np.cumsum(np.concatenate(each)[order])) / self.n_tests
        found = np.searchsorted(values[order], np.asarray(p) * (1 + 1e-9), side="right")
        pooled = (1 + below[found] * len(values)) / (1 + len(values))
        return np.where(np.isnan(p), np.nan, np.minimum(pooled, 1))


def nulls(engine: Engine, tested: Sequence[Tested], n_permutations: int) -> dict[str, Null]:
    """p of every kind under permuted patients: the test that is reported, moderation and weights included.

    Nuisance residuals, with their weights, are refitted to permuted rows.
    """
    found: dict[str, Null] = {}
    for group in together(tested) if n_permutations > 0 else []:
        p = _null_p(engine, group, n_permutations)
        if p is not None:
            null = found.setdefault(group[0].block.kind, Null([], [], 0))
            null.p.append(p)
            null.sizes.append(sum(len(one.estimate) for one in group))
            null.distinct = max(null.distinct, *(len(one.plan.orders) for one in group if one.plan))
    return found


def table(found: dict[str, Null], contrast: str) -> pd.DataFrame:
    """Rows of calibration.csv: share of p < 0.05 by kind when the term is permuted over patients.

    The interval is that of a mean over permutations; features of one permutation are correlated.
    """
    rows = []
    for kind, null in sorted(found.items()):
        share = null.shares()
        half = 1.96 * share.std(ddof=1) / np.sqrt(len(share)) if len(share) > 1 else np.nan
        low, high = max(0.0, share.mean() - half), min(1.0, share.mean() + half)
        note = _judged(share.mean(), null.n_tests, null.distinct)
        rows.append((contrast, kind, null.n_tests, len(share), share.mean(), low, high, note))
    return pd.DataFrame(rows, columns=CALIBRATION)


def pool(rows: pd.DataFrame, found: dict[str, Null]) -> pd.DataFrame:
    """Add p_pooled to rows with kind and p; missing where a kind has too little to pool."""
    rows = rows.assign(p_pooled=np.nan)
    for kind, null in found.items():
        own = (rows["kind"] == kind).to_numpy()
        if null.poolable:
            rows.loc[own, "p_pooled"] = null.pooled(rows.loc[own, "p"].to_numpy(float))
    return rows


def _judged(share: float, size: int, distinct: int) -> str:
    """What to make of a family's share of p < 0.05 under permutation."""
    if distinct < 50:
        return f"not judged: {distinct} rearrangements"
    if size < 20:
        return f"not judged: {size} feature{'s' * (size > 1)}"
    return "" if BAND[0] <= share <= BAND[1] else f"outside {BAND_SHOWN}"


def _null_p(engine: Engine, group: Sequence[Tested], n_permutations: int) -> np.ndarray | None:
    """Permutations × features of blocks that share a prior; None where one has no rearrangement."""
    draws = []
    for one in group:
        orders = one.plan.orders if one.plan else np.zeros((0, 0), dtype=int)
        if not len(orders):
            return None
        # blocks of the same patients share their draws; a design with few rearrangements repeats them, so
        # that all have the same number
        order = np.random.default_rng([engine.seed, len(orders)]).permutation(len(orders))
        draws.append(orders[np.resize(order, n_permutations)])
    picks = [_spread(one) for one in group]
    levels = [one.block.level[p] for one, p in zip(group, picks, strict=True) if one.block.level is not None]
    level = np.concatenate(levels) if len(levels) == len(group) else None
    df = np.concatenate([np.full(len(p), one.df) for one, p in zip(group, picks, strict=True)])
    columns = [_refitted(engine, one, p, d) for one, p, d in zip(group, picks, draws, strict=True)]
    statistic = np.concatenate([c[0] for c in columns], axis=1)
    variance = np.concatenate([c[1] for c in columns], axis=1)
    most = limit(group)
    return np.array([moderated_p(t, v, df, level, most) for t, v in zip(statistic, variance, strict=True)])


def _spread(one: Tested) -> np.ndarray:
    """Features to permute: all, or for many weighted ones an even choice over intensity."""
    size = len(one.estimate)
    if one.block.weights is None or size <= GENES:
        return np.arange(size)
    order = np.argsort(one.block.data.mean(axis=0), kind="stable")
    return np.sort(order[np.linspace(0, size - 1, GENES).astype(int)])


def _refitted(
    engine: Engine, one: Tested, pick: np.ndarray, orders: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Coefficient over its unscaled error, and residual variance: permutations × features."""
    if one.block.weights is None:
        along, rest = engine.permuter(one).refit(orders)
        return np.sqrt(along), rest / one.df
    values, weights, matrix = one.block.data[:, pick], one.block.weights[:, pick], one.design.matrix
    nuisance = np.delete(matrix, one.design.tested, axis=1)
    residual = values - nuisance @ fit(values, nuisance, weights).coefficients
    models = [fit(residual, matrix[order], weights) for order in orders]
    scaled = [m.coefficients[one.design.tested] / m.unscaled[one.design.tested] for m in models]
    return np.array(scaled), np.array([m.variance for m in models])
