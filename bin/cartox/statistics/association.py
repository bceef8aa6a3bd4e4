"""Test every feature of a contrast: moderated t, permutation of patients, and what the design cannot say."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from cartox.statistics.design import Coefficient, Design, Subset, subset
from cartox.statistics.moderated import fit, moderate
from cartox.statistics.permutation import Permuter, Plan, plan

NO_VARIANCE = 1e-20  # a residual variance up to this is rounding
SCORE_PRIOR = 4  # prior of scores: at most this many times the degrees of freedom of the data


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
        most = limit([tested]) if data is None else 0.0
        return Permuter(values, tested.design.matrix, tested.design.tested, blocks, most)


def together(tested: Sequence[Tested]) -> list[list[Tested]]:
    """Testable blocks by coefficient and family of shared prior."""
    groups: dict[tuple[int, str], list[Tested]] = {}
    for one in tested:
        if one.testable and len(one.estimate):
            groups.setdefault((one.coefficient.column, one.block.family), []).append(one)
    return list(groups.values())


def limit(group: Sequence[Tested]) -> float:
    """Most degrees of freedom that the prior variance of these features may count for.

    Its estimate takes features as independent. Thousands of genes nearly are; a hundred gene sets share
    genes and a dozen patients, look more alike than they are, and would claim a prior without end.
    """
    return np.inf if group[0].block.kind == "expression" else SCORE_PRIOR * max(one.df for one in group)


def joined(group: Sequence[Tested]) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
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
        variance, df, level = joined(group)
        test = moderate(
            np.concatenate([t.estimate for t in group]),
            np.concatenate([t.unscaled for t in group]),
            variance,
            df,
            level,
            limit(group),
        )
        start = 0
        for one in group:
            here = slice(start, start + len(one.estimate))
            start += len(one.estimate)
            part = results[id(one)]
            p = engine.permuter(one).p(one.plan) if one.plan else np.full(len(part), np.nan)
            constant = one.variance <= NO_VARIANCE
            for column, values in (
                ("ci_low", test.low[here]),
                ("ci_high", test.high[here]),
                ("statistic", test.statistic[here]),
                ("p", test.p[here]),
                ("p_permutation", p),
            ):
                part[column] = np.where(constant, np.nan, values)
            part.loc[constant, "note"] = _also(part.loc[constant, "note"], "not testable: no variation")
            differs = constant & (np.abs(one.estimate) > np.sqrt(NO_VARIANCE))
            part.loc[differs, "note"] += " beside the term's"
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
