"""Permutation of patients: Freedman–Lane residuals, exact where the design allows few rearrangements.

The nuisance model is fitted, its residuals are permuted, the full model is refitted (Freedman & Lane 1983,
doi:10.2307/1391660; Winkler et al. 2014, doi:10.1016/j.neuroimage.2014.01.060). What a permutation changes is
who carries which value of the tested term; there are C(12, 6) = 924 ways to name six of twelve patients, and
it is these that are counted, enumerated when there are at most `LIMIT`, and that set the floor. Without
covariates permutations that name the same patients give the same statistic, so the enumeration is the exact
test. With covariates they differ (residuals move within the groups too), so each naming is represented by one
of its permutations, drawn at random: a sample of all row permutations, stratified by naming. Its level is
measured in the tests.

Rows are patients (or patient × condition means with `blocks` = patient, permuted within patients: sign flips
for two conditions). Matrices are rows × features.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cartox.statistics.moderated import posterior, prior

LIMIT = 20_000
CHUNK = 2**18  # numbers in a working block of permutations × features: stays in cache


@dataclass
class Plan:
    """Rearrangements of rows, without the observed one.

    orders: permutations × rows, int; row i of the design takes the place of row orders[b, i].
    exact: all distinct rearrangements are there. floor: the smallest two-sided p they can give.
    """

    orders: np.ndarray
    exact: bool
    floor: float


def plan(term: np.ndarray, blocks: np.ndarray | None, n_random: int, seed: int) -> Plan:
    """Rearrangements of the values of the tested column.

    term: rows. blocks: rows, exchanged only within equal values; None for all rows. All distinct ones when
    they are at most `LIMIT`, else `n_random` drawn with replacement.
    """
    codes = np.unique(np.round(term, 10), return_inverse=True)[1]
    blocks = np.zeros(len(codes), dtype=int) if blocks is None else np.unique(blocks, return_inverse=True)[1]
    members = [np.flatnonzero(blocks == b) for b in np.unique(blocks)]
    count = math.prod(_count(codes[rows]) for rows in members)
    rng = np.random.default_rng(seed)
    if count > LIMIT:
        orders = np.tile(np.arange(len(codes)), (n_random, 1))
        for rows in members:
            orders[:, rows] = rows[np.argsort(rng.random((n_random, len(rows))), axis=1)]
        return Plan(orders, False, 1 / (n_random + 1))
    named = np.zeros((1, len(codes)), dtype=int)
    for rows in members:
        ways = np.array(list(_arrangements(codes[rows])))
        many = np.repeat(named, len(ways), axis=0)
        many[:, rows] = np.tile(ways, (len(named), 1))
        named = many
    orders = np.empty_like(named)
    for rows in members:
        # the carriers of each value after are the carriers before, in random order
        places = np.argsort(named[:, rows] + rng.random((len(named), len(rows))), axis=1)
        carriers = rows[np.argsort(codes[rows], kind="stable")]
        orders[:, rows] = carriers[np.argsort(places, axis=1)]
    observed = (named == codes).all(axis=1)
    return Plan(orders[~observed], True, (1 + _has_mirror(term, named, members)) / count)


def _count(codes: np.ndarray) -> int:
    """Distinct sequences of these values."""
    return math.factorial(len(codes)) // math.prod(math.factorial(c) for c in np.bincount(codes))


def _arrangements(codes: np.ndarray) -> Iterator[list[int]]:
    """All distinct sequences of these values, in lexicographic order."""
    now = sorted(codes.tolist())
    while True:
        yield list(now)
        i = next((k for k in range(len(now) - 2, -1, -1) if now[k] < now[k + 1]), -1)
        if i < 0:
            return
        j = next(k for k in range(len(now) - 1, i, -1) if now[k] > now[i])
        now[i], now[j] = now[j], now[i]
        now[i + 1 :] = now[:i:-1]


def _has_mirror(term: np.ndarray, named: np.ndarray, members: list[np.ndarray]) -> bool:
    """Whether some rearrangement is the observed one mirrored, which gives the same |t|."""
    values = np.unique(np.round(term, 10)).astype(float)[named]
    centred, target = values.copy(), np.asarray(term, dtype=float).copy()
    for rows in members:
        centred[:, rows] -= values[:, rows].mean(axis=1, keepdims=True)
        target[rows] -= target[rows].mean()
    return bool((np.abs(centred + target) < 1e-8).all(axis=1).any())


@dataclass
class Permuter:
    """Refits of one design to permuted nuisance residuals, for all features at once.

    values: rows × features. design: rows × columns of full rank; column `tested` is the term. Squared
    statistics are along² / (moderated residual variance); the prior is that of the nuisance model's residual
    variances, which unlike those of the full model are the same under every rearrangement. Permuted residuals
    leave the space that the nuisance model spans, where the observed ones cannot be, so along the term they
    vary less than the observed ones: they are scaled up to the same expected variance. An ordinary t would
    not notice; a moderated one, whose denominator is partly fixed, is liberal without it (8 % at a nominal
    5 % with 12 patients and two covariates). limit: most degrees of freedom of the prior, 0 for an
    ordinary t.
    """

    values: np.ndarray
    design: np.ndarray
    tested: int
    blocks: np.ndarray | None = None
    limit: float = np.inf

    def __post_init__(self) -> None:
        """Project once what every rearrangement needs."""
        nuisance = np.delete(self.design, self.tested, axis=1)
        self.basis = np.linalg.qr(nuisance)[0]
        self.residual = self.values - self.basis @ (self.basis.T @ self.values)
        column = self.design[:, self.tested]
        column = column - self.basis @ (self.basis.T @ column)
        self.length = float(np.linalg.norm(column))
        self.column = column / self.length
        self.squares = np.einsum("ij,ij->j", self.residual, self.residual)
        self.df = self.design.shape[0] - self.design.shape[1]
        self.before, self.weight = prior(self.squares / (self.df + 1), self.df + 1)
        self.weight = min(self.weight, self.limit)
        self.inflation = self._inflation()

    def _inflation(self) -> float:
        """Variance along the term of the observed residuals over that of permuted ones, for equal errors."""
        blocks = np.zeros(len(self.values)) if self.blocks is None else self.blocks
        free = 1 - np.sum(self.basis**2, axis=1)  # share of each row's error that is in its residual
        permuted = sum(
            np.sum(self.column[rows] ** 2) * free[rows].sum() / max(np.count_nonzero(rows) - 1, 1)
            for rows in (blocks == b for b in np.unique(blocks))
        )
        return float(1 / permuted)

    def refit(self, orders: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Squared coefficient over unscaled error, and residual sum of squares, permutations × features."""
        along = self.column[orders] @ self.residual
        along *= along
        rest = self.squares - along
        for j in range(self.basis.shape[1]):
            rest -= (self.basis[orders, j] @ self.residual) ** 2
        np.maximum(rest, 1e-12 * self.squares, out=rest)
        return along * self.inflation, rest * self.inflation

    def squared(self, orders: np.ndarray) -> np.ndarray:
        """Squared moderated t, permutations × features."""
        return self._moderated(*self.refit(orders))

    def observed(self) -> np.ndarray:
        """Squared moderated t of the data as they are, by feature."""
        along = (self.column @ self.residual) ** 2
        return self._moderated(along, np.maximum(self.squares - along, 1e-12 * self.squares))

    def _moderated(self, along: np.ndarray, rest: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            return along / posterior(rest / self.df, self.df, self.before, self.weight)

    def p(self, plan: Plan) -> np.ndarray:
        """Permutation p by feature: (b + 1) / (B + 1), never below the plan's floor; NaN without variation.

        Phipson & Smyth 2010 (doi:10.2202/1544-6115.1585).
        """
        bar = self.observed() * (1 - 1e-9)
        exceed = np.zeros(self.values.shape[1])
        step = max(1, CHUNK // max(1, self.values.shape[1]))
        for start in range(0, len(plan.orders), step):
            exceed += np.count_nonzero(self.squared(plan.orders[start : start + step]) >= bar, axis=0)
        p = np.maximum((exceed + 1) / (len(plan.orders) + 1), plan.floor)
        return np.where(self.squares > 0, p, np.nan)

    def max_t(self, plan: Plan) -> np.ndarray:
        """Family-wise p by feature: how often the largest |t| of it and all weaker ones reaches its own.

        Westfall & Young 1993, step-down: unlike Holm it does not multiply the floor. All features must be of
        the same rows.
        """
        observed = self.observed()
        order = np.argsort(-observed, kind="stable")
        squared = self.squared(plan.orders)[:, order]
        largest = np.maximum.accumulate(squared[:, ::-1], axis=1)[:, ::-1]
        exceed = np.count_nonzero(largest >= observed[order] * (1 - 1e-9), axis=0)
        p = np.empty(len(order))
        p[order] = np.maximum.accumulate((exceed + 1) / (len(plan.orders) + 1))
        return np.maximum(p, plan.floor)
