"""From a contrast's formula to a design matrix, and what that design cannot tell."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

MIN_GROUP = 3  # patients a group needs before it is tested


@dataclass
class Coefficient:
    """One tested column of a design: its place, and in words what it estimates."""

    column: int
    meaning: str
    levels: tuple[str, ...] = ()


@dataclass
class Design:
    """Rows (units) × columns, with the tested coefficients.

    units: the rows' table. groups: the level of the tested term each row has; None when the term is numeric
    with three values or more.
    blocks: the patient of each row where the term is tested within patients, else None. notes: sentences.
    """

    matrix: np.ndarray
    units: pd.DataFrame
    names: list[str]
    coefficients: list[Coefficient]
    groups: np.ndarray | None
    blocks: np.ndarray | None
    notes: list[str] = field(default_factory=list)


def build(units: pd.DataFrame, formula: str, term: str, within: bool) -> Design:
    """Design of `units` (rows: patients, or patient × condition).

    Units that lack a value of the formula's columns are left out, with a note. Formulas are formulaic's
    (treatment coding, levels sorted, the first is the reference). A term of several columns gives one
    coefficient for each. Raises ValueError when the formula has no such term or the term has one level.
    """
    from formulaic import model_matrix

    needed = sorted(variables(formula) & set(units.columns))
    complete = units[needed].notna().all(axis=1).to_numpy()
    notes = []
    lacking = ", ".join(c for c in needed if units[c].isna().any())
    if not complete.any():
        said = f"a single value of {lacking}" if lacking else "the samples that this question needs"
        raise ValueError(f"no patient has {said}.")
    if not complete.all():
        notes += _left_out(units[~complete], f"no single value of {lacking}")
    used = units.loc[complete].reset_index(drop=True)
    finite = _finite(formula, used)
    if not finite.all():
        notes += _left_out(used[~finite], "the formula gives them no finite number")
        used = used.loc[finite].reset_index(drop=True)
    if not len(used):
        raise ValueError(f"the formula {formula} gives no patient a finite number.")
    wanted = {factor.replace(" ", "") for factor in term.split(":")}
    varying = variables(f"~ 0 + {term}") & set(used.columns)
    if any(used[c].nunique() < 2 for c in varying):
        raise ValueError(
            f"{term} has one level among the patients of this stratum, so nothing can be compared."
        )
    frame = model_matrix(formula, used, na_action="raise")
    spec: Any = frame.model_spec
    found = [t for t in spec.term_indices if {str(f).replace(" ", "") for f in t.factors} == wanted]
    if not found:
        raise ValueError(f"the formula {formula} has no term {term}.")
    parts = [{str(f).replace(" ", "") for f in t.factors} for t in spec.term_indices]
    if crossed := sorted(set().union(*(part - wanted for part in parts if wanted < part))):
        notes.append(
            f"The formula lets the effect of {term} differ by {', '.join(crossed)}: "
            "what is tested is its effect at the reference of that (a number: at 0), not over all patients."
        )
    levels = {str(factor): list(state.levels) for factor, state in spec.factor_contrasts.items()}
    factors = [str(factor) for factor in found[0].factors]
    sources = {factor: _column_of(factor, used) for factor in factors}
    # an outcome written 0 and 1 has groups as one written no and yes
    grouped = [f for f in factors if f in levels or used[sources[f]].nunique() == 2]
    groups = None
    if grouped:
        labels = used[[sources[f] for f in grouped]].map(_label)
        groups = labels.agg("/".join, axis=1).to_numpy(dtype=str)
    columns = [(column, str(frame.columns[column])) for column in spec.term_indices[found[0]]]
    if len(factors) > 1:
        coefficients = [Coefficient(column, name) for column, name in columns]
    elif factors[0] in levels:
        coefficients = _compared(factors[0], levels[factors[0]], columns)
    else:
        values = sorted(used[sources[factors[0]]].unique()) if grouped else []
        two = tuple(map(_label, values))
        plain = factors[0] == sources[factors[0]] and grouped and values[1] - values[0] == 1
        whole = f"{two[1]} − {two[0]}" if plain else f"per unit of {term}"
        coefficients = [Coefficient(c, name if len(columns) > 1 else whole, two) for c, name in columns]
    blocks = used["patient"].to_numpy(dtype=str) if within else None
    names = list(map(str, frame.columns))
    return Design(frame.to_numpy(float), used, names, coefficients, groups, blocks, notes)


def _finite(formula: str, units: pd.DataFrame) -> np.ndarray:
    """Mask of the units whose row of the design is all numbers: no logarithm of 0, no infinite value."""
    from formulaic import model_matrix

    given = units[sorted(variables(formula) & set(units.columns))].select_dtypes("number").to_numpy(float)
    finite = np.asarray(np.isfinite(given).all(axis=1))
    if finite.any():
        with np.errstate(all="ignore"):
            rows = model_matrix(formula, units.loc[finite], na_action="ignore").to_numpy(float)
        finite[finite] = np.isfinite(rows).all(axis=1)
    return finite


def _compared(factor: str, levels: list, columns: list[tuple[int, str]]) -> list[Coefficient]:
    """The coefficients of a category: each level against the reference, or (contr.sum) against the mean.

    levels: all of them. columns: (place, name). Raises ValueError where they are means and compare nothing.
    """
    ends = {column: name.removeprefix(factor) for column, name in columns}
    against = {f"[T.{level}]": _label(level) for level in levels}
    summed = {f"[S.{level}]": _label(level) for level in levels}
    if all(end in against for end in ends.values()):
        first = next(name for end, name in against.items() if end not in ends.values())
        named = {column: against[end] for column, end in ends.items()}
        return [Coefficient(column, f"{name} − {first}", (first, name)) for column, name in named.items()]
    if all(end in summed for end in ends.values()):
        return [Coefficient(column, f"{summed[end]} − mean of all levels") for column, end in ends.items()]
    raise ValueError(f"without an intercept the levels of {factor} are not compared; take 0 or - 1 out.")


def _label(value: object) -> str:
    """A level as the sheet has it: 1 and not 1.0."""
    return f"{value:g}" if isinstance(value, float | np.floating) else str(value)


def _column_of(factor: str, frame: pd.DataFrame) -> str:
    """The table's column that a factor such as `toxicity` or `C(grade)` is made of."""
    return sorted(variables(f"~ 0 + {factor}") & set(frame.columns))[0]


def variables(formula: str) -> set[str]:
    """The columns that a formula needs, within transforms as well (formulaic tells none of `center(age)`)."""
    from formulaic import Formula

    named: set[str] = set()
    for factor in (factor for term in Formula.from_spec(formula) for factor in term.factors):
        if factor.eval_method.value == "lookup":
            named.add(factor.expr)
        elif factor.eval_method.value == "python":
            nodes = list(ast.walk(ast.parse(factor.expr, mode="eval")))
            called = [node.func for node in nodes if isinstance(node, ast.Call)]
            called += [node.value for node in nodes if isinstance(node, ast.Attribute)]
            named |= {node.id for node in nodes if isinstance(node, ast.Name) and node not in called}
    return named


@dataclass
class Subset:
    """A design cut to some of its rows: full rank, or `reason` says why the coefficient cannot be tested.

    matrix: rows × independent columns. tested: place of the coefficient. descriptive: an estimate can be
    given but no p, for `reason`. n: patients. counts: patients by group.
    """

    matrix: np.ndarray
    tested: int
    reason: str
    descriptive: bool
    n: int
    counts: dict[str, int]

    @property
    def per_group(self) -> str:
        """Patients by group, such as `no:6 yes:6`."""
        return " ".join(f"{group}:{count}" for group, count in self.counts.items())


def subset(design: Design, rows: np.ndarray, coefficient: Coefficient) -> Subset:
    """The design of only these rows (indices), guarded.

    Nuisance columns that repeat earlier ones are dropped. Not estimable: the tested column is a combination
    of the others, which are named. Descriptive only: a compared group has fewer than three patients, or all
    have, where the term is numeric.
    """
    full = design.matrix[rows]
    others = _independent(full, [j for j in range(full.shape[1]) if j != coefficient.column])
    tested = full[:, coefficient.column]
    matrix = np.column_stack([full[:, others], tested])
    counts = _group_counts(design, rows)
    n = len(rows) if design.blocks is None else len(np.unique(design.blocks[rows]))
    made = Subset(matrix, len(others), "", False, n, counts)
    basis = np.linalg.qr(full[:, others])[0]
    left = tested - basis @ (basis.T @ tested)
    if np.linalg.norm(left) < 1e-8 * max(1.0, np.linalg.norm(tested)):
        weights = np.linalg.lstsq(full[:, others], tested, rcond=None)[0]
        alias = [design.names[j] for j, w in zip(others, weights, strict=True) if abs(w) > 1e-8]
        alias = [name for name in alias if name != "Intercept"]
        made.reason = (
            f"not testable: {design.names[coefficient.column]} cannot be told from {', '.join(alias)}"
            if alias
            else f"not testable: one level of {_plain(design.names[coefficient.column])} among these patients"
        )
    elif len(rows) <= matrix.shape[1]:
        made.reason = (
            "not testable: the formula has as many coefficients as there are patients here, so no spread is "
            "left to judge by; name fewer columns in it"
        )
    elif small := _too_small(design, rows, coefficient, counts):
        made.reason, made.descriptive = f"descriptive only: {small}", True
    return made


def _plain(name: str) -> str:
    return re.sub(r"\[T\.[^]]*\]", "", name)


def _group_counts(design: Design, rows: np.ndarray) -> dict[str, int]:
    if design.groups is None:
        return {}
    levels, counts = np.unique(design.groups[rows], return_counts=True)
    return dict(zip(levels.tolist(), counts.tolist(), strict=True))


def _too_small(design: Design, rows: np.ndarray, coefficient: Coefficient, counts: dict[str, int]) -> str:
    """Which compared groups have too few patients, or that all are too few, in words; empty when none."""
    if design.groups is None:
        n = len(rows) if design.blocks is None else len(np.unique(design.blocks[rows]))
        return f"fewer than {MIN_GROUP} patients" if n < MIN_GROUP else ""
    levels = coefficient.levels or tuple(np.unique(design.groups))
    if design.blocks is not None and coefficient.levels:
        has = [set(design.blocks[rows][design.groups[rows] == level]) for level in levels]
        both = len(set.intersection(*has))
        return f"{_patients(both)} with both {levels[0]} and {levels[1]}" if both < MIN_GROUP else ""
    few = [f"{level} ({counts.get(level, 0)})" for level in levels if counts.get(level, 0) < MIN_GROUP]
    return f"fewer than {MIN_GROUP} patients in {', '.join(few)}" if few else ""


def _independent(matrix: np.ndarray, columns: list[int]) -> list[int]:
    """The columns, in order, that are no combination of earlier ones."""
    kept: list[int] = []
    basis = np.zeros((len(matrix), 0))
    for j in columns:
        left = matrix[:, j] - basis @ (basis.T @ matrix[:, j])
        left -= basis @ (basis.T @ left)
        size = np.linalg.norm(left)
        if size > 1e-8 * max(1.0, np.linalg.norm(matrix[:, j])):
            kept.append(j)
            basis = np.column_stack([basis, left / size])
    return kept


def _left_out(units: pd.DataFrame, why: str) -> list[str]:
    """How many patients these are and why they are left out, and who they are."""
    names = sorted(units["patient"].unique())
    return [f"{_patients(len(names))} left out: {why}.", f"Left out, as {why}: {', '.join(names)}."]


def _patients(count: int) -> str:
    return f"{count} patient" if count == 1 else f"{count} patients"
