"""Test every feature of a contrast: moderated t, permutation of patients, and what the design cannot say."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from cartox.design import Coefficient, Design, Subset, subset
from cartox.moderated import fit, moderate
from cartox.permutation import Permuter, Plan, plan

CALIBRATION = [
    "contrast",
    "family",
    "n_tests",
    "n_permutations",
    "share_below_0.05",
    "ci_low",
    "ci_high",
    "note",
]
CALIBRATION_GENES = 500  # of each cell type, evenly over intensity: enough for a share of p


@dataclass
class Block:
    """Features measured in the same units, tested with one design.

    units: indices into the design's rows. data: units × features. weights: the same, None for equal ones.
    family: features whose variances share a prior (with an intensity trend along `level` where given).
    """

    kind: str
    family: str
    cell_type: np.ndarray
    feature: np.ndarray
    units: np.ndarray
    data: np.ndarray
    weights: np.ndarray | None = None
    level: np.ndarray | None = None


@dataclass
class Tested:
    """A block with the design cut to its units and, where it is tested, its rearrangements."""

    block: Block
    coefficient: Coefficient
    design: Subset
    plan: Plan | None = None
    estimate: np.ndarray = field(default_factory=lambda: np.zeros(0))
    unscaled: np.ndarray = field(default_factory=lambda: np.zeros(0))
    variance: np.ndarray = field(default_factory=lambda: np.zeros(0))
    df: int = 0

    @property
    def testable(self) -> bool:
        """Whether a p can be given."""
        return not self.design.reason


class Engine:
    """Tests blocks of one contrast; equal subsets of units share their rearrangements."""

    def __init__(self, design: Design, n_permutations: int, seed: int):
        """design: of all units of the contrast."""
        self.design, self.n_permutations, self.seed = design, n_permutations, seed
        self._plans: dict[tuple, Plan] = {}

    def plan(self, made: Subset, units: np.ndarray, coefficient: Coefficient) -> Plan:
        """Rearrangements of the tested column among these units; their draw depends on nothing else."""
        key = (coefficient.column, units.tobytes())
        if key not in self._plans:
            blocks = None if self.design.blocks is None else self.design.blocks[units]
            text = f"{self.seed}|{coefficient.meaning}|{len(units)}"
            seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
            self._plans[key] = plan(made.matrix[:, made.tested], blocks, self.n_permutations, seed)
        return self._plans[key]

    def examine(self, block: Block, coefficient: Coefficient, planned: bool = True) -> Tested:
        """Fit a block and, if `planned`, find its rearrangements. Not estimable: no numbers."""
        made = subset(self.design, block.units, coefficient)
        tested = Tested(block, coefficient, made)
        if not made.reason or made.descriptive:
            model = fit(block.data, made.matrix, block.weights)
            tested.estimate = model.coefficients[made.tested]
            tested.unscaled = model.unscaled[made.tested]
            tested.variance, tested.df = model.variance, model.df
            tested.plan = self.plan(made, block.units, coefficient) if planned else None
        return tested

    def permuter(self, tested: Tested, data: np.ndarray | None = None) -> Permuter:
        """Refits of a block's features (unweighted: a permutation needs rows that are exchangeable).

        data: other values of the same units instead, which are on no common scale: an ordinary t.
        """
        blocks = None if self.design.blocks is None else self.design.blocks[tested.block.units]
        values = tested.block.data if data is None else data
        return Permuter(values, tested.design.matrix, tested.design.tested, blocks, data is None)


def together(tested: Sequence[Tested]) -> list[list[Tested]]:
    """Testable blocks by coefficient and family of shared prior."""
    groups: dict[tuple[int, str], list[Tested]] = {}
    for one in tested:
        if one.testable and len(one.estimate):
            groups.setdefault((one.coefficient.column, one.block.family), []).append(one)
    return list(groups.values())


def _joined(group: Sequence[Tested]) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Variances, degrees of freedom and intensities of a group's features."""
    variance = np.concatenate([t.variance for t in group])
    df = np.concatenate([np.full(len(t.variance), t.df) for t in group])
    levels = [t.block.level for t in group if t.block.level is not None]
    return variance, df, np.concatenate(levels) if len(levels) == len(group) else None


def table(engine: Engine, tested: Sequence[Tested], contrast: str) -> pd.DataFrame:
    """Rows of associations.csv, without family and q."""
    parts = [_rows(one, contrast) for one in tested]
    results = {id(one): part for one, part in zip(tested, parts, strict=True)}
    for group in together(tested):
        variance, df, level = _joined(group)
        test = moderate(
            np.concatenate([t.estimate for t in group]),
            np.concatenate([t.unscaled for t in group]),
            variance,
            df,
            level,
        )
        start = 0
        for one in group:
            here = slice(start, start + len(one.estimate))
            start += len(one.estimate)
            part = results[id(one)]
            p = engine.permuter(one).p(one.plan) if one.plan else np.full(len(part), np.nan)
            constant = one.variance <= 1e-20
            for column, values in (
                ("ci_low", test.low[here]),
                ("ci_high", test.high[here]),
                ("statistic", test.statistic[here]),
                ("p", test.p[here]),
                ("p_permutation", p),
            ):
                part[column] = np.where(constant, np.nan, values)
            part.loc[constant, "note"] = _also(part.loc[constant, "note"], "not testable: no variation")
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _also(notes: pd.Series, sentence: str) -> pd.Series:
    return notes.where(notes == "", notes + "; ") + sentence


def _rows(one: Tested, contrast: str) -> pd.DataFrame:
    """Rows of a block with what is known before any test."""
    size = len(one.block.feature)
    blank = np.full(size, np.nan)
    floor = one.plan.floor if one.plan else np.nan
    several = one.coefficient.meaning if one.coefficient.levels else ""
    return pd.DataFrame(
        {
            "contrast": contrast,
            "kind": one.block.kind,
            "cell_type": one.block.cell_type,
            "feature": one.block.feature,
            "estimate": one.estimate if len(one.estimate) else blank,
            "ci_low": blank,
            "ci_high": blank,
            "statistic": blank,
            "p": blank,
            "p_permutation": blank,
            "p_floor": floor,
            "n": one.design.n,
            "n_per_group": one.design.per_group,
            "note": one.design.reason,
            "coefficient": several or one.coefficient.meaning,
        }
    )


def calibrate(engine: Engine, tested: Sequence[Tested], contrast: str, n_permutations: int) -> pd.DataFrame:
    """Share of p < 0.05 by kind when the term is permuted over patients: columns of calibration.csv.

    The parametric p, moderation included, of nuisance residuals (with their weights) refitted to permuted
    rows. The interval is that of a mean over permutations; features of one permutation are correlated.
    """
    rng = np.random.default_rng(engine.seed)
    parts: dict[str, list[tuple[np.ndarray, int, int]]] = {}
    for group in together(tested):
        calls = _null_calls(engine, group, n_permutations, rng)
        if calls is not None:
            distinct = max(len(one.plan.orders) for one in group if one.plan)
            size = sum(len(one.estimate) for one in group)
            parts.setdefault(group[0].block.kind, []).append((calls, size, distinct))
    rows = []
    for kind, members in sorted(parts.items()):
        both = np.sum([calls for calls, _, _ in members], axis=0)
        share, size = both[:, 0] / both[:, 1], sum(n for _, n, _ in members)
        half = 1.96 * share.std(ddof=1) / np.sqrt(len(share)) if len(share) > 1 else np.nan
        low, high = max(0.0, share.mean() - half), min(1.0, share.mean() + half)
        note = _judged(share.mean(), size, max(distinct for _, _, distinct in members))
        rows.append((contrast, kind, size, len(share), share.mean(), low, high, note))
    return pd.DataFrame(rows, columns=CALIBRATION)


def _judged(share: float, size: int, distinct: int) -> str:
    """What to make of a family's share of p < 0.05 under permutation."""
    if distinct < 50:
        return f"not judged: {distinct} rearrangements"
    if size < 20:
        return f"not judged: {size} feature{'s' * (size > 1)}"
    return "" if 0.03 <= share <= 0.07 else "outside 0.03–0.07"


def _null_calls(
    engine: Engine, group: Sequence[Tested], n_permutations: int, rng: np.random.Generator
) -> np.ndarray | None:
    """Permutations × (features with p < 0.05, features) of blocks that share a prior."""
    draws = []
    for one in group:
        orders = one.plan.orders if one.plan else np.zeros((0, 0), dtype=int)
        if not len(orders):
            return None
        # a design with fewer rearrangements repeats them, so that all groups have the same number
        draws.append(orders[np.resize(rng.permutation(len(orders)), n_permutations)])
    picks = [_spread(one) for one in group]
    levels = [one.block.level[p] for one, p in zip(group, picks, strict=True) if one.block.level is not None]
    level = np.concatenate(levels) if len(levels) == len(group) else None
    df = np.concatenate([np.full(len(p), one.df) for one, p in zip(group, picks, strict=True)])
    columns = [_refitted(engine, one, p, d) for one, p, d in zip(group, picks, draws, strict=True)]
    statistic = np.concatenate([c[0] for c in columns], axis=1)
    variance = np.concatenate([c[1] for c in columns], axis=1)
    calls = np.empty((n_permutations, 2))
    for i in range(n_permutations):
        test = moderate(statistic[i], np.ones(len(df)), variance[i], df, level)
        calls[i] = np.count_nonzero(test.p < 0.05), len(df)
    return calls


def _spread(one: Tested) -> np.ndarray:
    """Features to calibrate on: all, or for many weighted ones an even choice over intensity."""
    size = len(one.estimate)
    if one.block.weights is None or size <= CALIBRATION_GENES:
        return np.arange(size)
    order = np.argsort(one.block.data.mean(axis=0), kind="stable")
    return np.sort(order[np.linspace(0, size - 1, CALIBRATION_GENES).astype(int)])


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
