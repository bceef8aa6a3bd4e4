"""Contrasts as users declare them: formulas that name columns and nothing else, strata, focus features."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from cartox.sheets import Entries, Faults, nearest, shown

# Formulas are Python expressions to formulaic, so only these calls are let through
TRANSFORMS = frozenset(
    ("C", "center", "scale", "log", "log2", "log10", "poly", "bs", "contr.treatment", "contr.sum")
)
HIGHEST_POWER = 3
MOST_TERMS = 200
MOST_DEGREE = 10  # each is a column
CAR = "car"  # no column of a sheet: CAR+ against CAR- cells of each sample
SPLINES = frozenset(("poly", "bs"))


@dataclass
class View:
    """The samples with their patients' clinical columns: what contrasts are about."""

    rows: list[dict[str, str]]
    columns: list[str]
    dropped: list[str] = field(default_factory=list)  # columns left out, for hints at misspellings alone
    car: bool = False  # CAR+ cells are called

    def hint(self, column: str) -> str:
        """What a name that is no column may have been meant for."""
        return nearest(column, [*self.columns, *self.dropped], few=0) or nearest(column, self.columns)

    def where(self, strata: dict[str, list[str]]) -> list[dict[str, str]]:
        """The samples whose columns have one of the values named."""
        return [row for row in self.rows if all(row.get(c) in values for c, values in strata.items())]


def formula_terms(formula: str) -> dict[str, set[str]]:
    """Terms of a right-sided formula, each with the columns it names; the intercept is left out.

    Raises ValueError, in words for people, where it holds more than columns, operators and TRANSFORMS.
    """
    powers = re.findall(r"(?:\*\*|\^)\s*(\S+)", formula)
    if any(not re.match(rf"[1-{HIGHEST_POWER}]\b", power) for power in powers):
        raise ValueError(f"powers go up to {HIGHEST_POWER}")
    if re.search(r"[`{}\[\]|;\\]", formula):
        raise ValueError("it may hold columns, + - * : ^ ( ) and transforms such as C() or log()")
    if re.search(r"__|\blambda\b", formula):
        raise ValueError("a name with __ or a lambda is neither a column nor one of the transforms")
    if (size := _size(formula)) > MOST_TERMS:
        raise ValueError(f"it stands for {size:,.0f} terms and at most {MOST_TERMS} are read; name fewer")
    from formulaic import Formula
    from formulaic.errors import FormulaInvalidError, FormulaParsingError

    try:
        parsed: Any = Formula.from_spec(formula)
    except (
        FormulaParsingError,
        FormulaInvalidError,
        AttributeError,
        KeyError,
        SyntaxError,
        ValueError,
        TypeError,
        RecursionError,
    ) as error:
        said = re.sub(r"[^ -~]|\[[0-9;]*m", "", str(error).strip().splitlines()[0])
        raise ValueError(f"it cannot be parsed: {said[:120]}") from None
    terms = {}
    if not isinstance(parsed, Iterable):
        raise ValueError("it has several parts; give one, such as '~ anakinra + toxicity'")
    for term in parsed:
        columns: set[str] = set()
        for factor in term.factors:
            if factor.eval_method.value != "literal":
                columns |= _columns(factor.expr)
        if columns:
            terms[plain(str(term))] = columns
    return terms


def _size(formula: str) -> float:
    """How many terms a formula stands for, at most: formulaic would write them all out.

    Raises ValueError where it is no arithmetic of names.
    """
    # `:` binds as tightly as `*` or tighter, and makes a product as it does; the start is no operator
    text = formula.strip().removeprefix("~").strip().replace(":", "@").replace("^", "**")
    try:
        return _terms(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        raise ValueError("it cannot be parsed: look at its operators and brackets") from None


def _terms(node: ast.AST) -> float:
    if isinstance(node, ast.UnaryOp):
        return _terms(node.operand)
    if not isinstance(node, ast.BinOp):
        return 1
    left, right = _terms(node.left), _terms(node.right)
    if isinstance(node.op, ast.Add | ast.Sub):
        return left + right
    if isinstance(node.op, ast.Pow):
        power = node.right.value if isinstance(node.right, ast.Constant) else HIGHEST_POWER
        return (left + 1.0) ** min(HIGHEST_POWER, power if isinstance(power, int) else HIGHEST_POWER)
    return left * right + left + right


def plain(term: str) -> str:
    """A term without spaces and with the parts of an interaction in order."""
    return ":".join(sorted(re.sub(r"\s+", "", term).split(":")))


def _columns(expression: str) -> set[str]:
    try:
        tree = ast.parse(expression, mode="eval").body
    except (SyntaxError, ValueError, RecursionError):
        raise ValueError(f"{shown(expression)} is no column and no transform") from None
    return _named(tree, expression)


def _named(node: ast.AST, expression: str) -> set[str]:
    if isinstance(node, ast.Name):
        return {node.id}
    if isinstance(node, ast.Constant):
        return set()
    if isinstance(node, ast.Call):
        called = ast.unparse(node.func)
        parts = [*node.args, *(keyword.value for keyword in node.keywords)]
        numbers = [part.value for part in parts if isinstance(part, ast.Constant)]
        if any(isinstance(n, int | float) and n > MOST_DEGREE for n in numbers) and called in SPLINES:
            raise ValueError(f"{shown(expression)}: a degree goes up to {MOST_DEGREE}")
        if called in TRANSFORMS:
            return set().union(*(_named(part, expression) for part in parts))
    allowed = ", ".join(sorted(TRANSFORMS))
    raise ValueError(f"{shown(expression)} is neither a column nor one of the transforms {allowed}")


def check_contrasts(
    entries: Entries, schema: dict[str, Any], view: View, timepoints: list[str], faults: Faults
) -> list[dict[str, Any]]:
    """Contrasts in the form the later steps read; faults are collected."""
    out, seen = [], set()
    for i, item in enumerate(entries.items):
        before = len(faults.lines)
        _check_form(entries, i, item, schema, faults)
        if isinstance(item, dict) and isinstance(item.get("id"), str) and item["id"] in seen:
            what = f"{shown(item['id'])} is used twice; rename one"
            faults.add(entries.name, what, entries.line(i, "id"), "id")
        if not isinstance(item, dict) or len(faults.lines) > before:
            continue
        seen.add(item["id"])
        out.append(_check_meaning(entries, i, item, view, timepoints, faults))
    return sorted(out, key=lambda contrast: contrast["id"])


def _check_form(entries: Entries, i: int, item: Any, schema: dict[str, Any], faults: Faults) -> None:
    from jsonschema import Draft202012Validator

    for error in sorted(
        Draft202012Validator(schema["items"]).iter_errors(item), key=lambda e: str(list(e.path))
    ):
        at: list[Any] = list(error.absolute_path)
        line, rule = entries.line(i, *at), error.schema
        keys = [part for part in at if isinstance(part, str)]
        key = keys[-1] if keys else None
        if error.validator == "required":
            name = str(error.message).split("'")[1]
            faults.add(entries.name, "the key is missing; add it", line, name)
        elif error.validator == "additionalProperties":
            for name in sorted(set(error.instance) - set(rule["properties"])):
                hint = nearest(name, rule["properties"])
                faults.add(entries.name, f"no such key{hint}", entries.line(i, *at, name), name)
        elif not isinstance(item, dict):
            faults.add(
                entries.name, "an entry is not a mapping; write 'id:', 'formula:' and 'term:' in it", line
            )
        else:
            said = rule.get("errorMessage", error.message)
            value = f"{shown(error.instance)}: " if isinstance(error.instance, str) else ""
            faults.add(entries.name, f"{value}{said}", line, key)


def _check_meaning(
    entries: Entries, i: int, item: dict[str, Any], view: View, timepoints: list[str], faults: Faults
) -> dict[str, Any]:
    def fault(key: str, what: str) -> None:
        faults.add(entries.name, f"contrast {shown(item['id'])}: {what}", entries.line(i, key), key)

    where = {c: [v] if isinstance(v, str) else v for c, v in item.get("where", {}).items()}
    for column, values in list(where.items()):
        there = {row[column] for row in view.rows if row.get(column)} if column in view.columns else set()
        if column not in view.columns:
            fault("where", f"no column {shown(column)} in the sheets{view.hint(column)}")
            del where[column]
        for value in (v for v in values if column in view.columns and v not in there):
            fault("where", f"no sample has {shown(value)} in column {shown(column)}{nearest(value, there)}")
    level, baseline = item.get("level", "patient"), item.get("baseline")
    if level == "change" and not baseline:
        fault("level", "a change needs a baseline; add 'baseline: <time point>'")
    if level == "patient" and baseline:
        fault("baseline", "a baseline is used by 'level: change' alone; add that, or remove it")
    if baseline and baseline not in timepoints:
        fault("baseline", f"no sample has the time point {shown(baseline)}{nearest(baseline, timepoints)}")
    if level == "change" and where.get("timepoint", []) == [baseline]:
        fault("where", "the only time point is the baseline, so there is no change; name a later one")
    rows = view.where(where)
    if where and not rows:
        fault("where", "no sample has all of these values together; widen it")
    within = _check_formula(item, view, rows, fault)
    focus = [{"feature": f} if isinstance(f, str) else f for f in item.get("focus", [])]
    return {
        "id": item["id"],
        "formula": item["formula"].strip(),
        "term": item["term"].strip(),
        "where": {column: sorted(values) for column, values in sorted(where.items())},
        "level": level,
        "baseline": baseline,
        "focus": focus,
        "label": item.get("label", item["id"]),
        "within": within,
        **({"car": True} if _names_car(item, view) else {}),
    }


def _names_car(item: dict[str, Any], view: View) -> bool:
    """Whether the contrast is between CAR+ and CAR- cells, not between the levels of a column."""
    return plain(item["term"]) == CAR and CAR not in view.columns


def _check_formula(item: dict[str, Any], view: View, rows: list[dict[str, str]], fault: Any) -> bool:
    """Whether the tested term varies within patients; faults of formula and term are collected."""
    try:
        terms = formula_terms(item["formula"])
    except ValueError as error:
        fault("formula", f"{error}; correct it")
        return False
    named = {c for columns in terms.values() for c in columns}
    if CAR in named - set(view.columns):
        return _check_car(item, terms, view, rows, fault)
    unknown = sorted(named - set(view.columns))
    for column in unknown:
        fault("formula", f"no column {shown(column)} in the sheets{view.hint(column)}")
    term = plain(item["term"])
    if term not in terms:
        fault("term", f"{shown(item['term'])} is not a term of the formula{nearest(item['term'], terms)}")
        return False
    if unknown or not rows:
        return False
    within = False
    for column in sorted(terms[term]):
        pairs = {(row["patient"], row[column]) for row in rows if row.get(column)}
        levels = {value for _, value in pairs}
        if len(levels) < 2:
            only = f"only the value {shown(next(iter(levels)))}" if levels else "no value"
            stratum = " where the contrast looks" if item.get("where") else ""
            fault("term", f"column {shown(column)} has {only}{stratum}, so there is nothing to compare")
        within = within or len(pairs) > len({patient for patient, _ in pairs})
    return within


def _check_car(
    item: dict[str, Any], terms: dict[str, set[str]], view: View, rows: list[dict[str, str]], fault: Any
) -> bool:
    """CAR+ against CAR- cells of the same patients: `~ patient + car`, term `car`, and no other form."""
    if not view.car:
        fault("formula", "car compares CAR+ with CAR- T cells; name the transgene with --car_features")
    if plain(item["term"]) != CAR or set(terms) - {"patient"} != {CAR}:
        said = "car is compared within patients alone"
        fault("formula", f"{said}; write 'formula: ~ patient + car' and 'term: car'")
    if item.get("level", "patient") != "patient":
        fault("level", "car is compared within patients; remove 'level' and 'baseline'")
    others = sorted({str(f["kind"]) for f in item.get("focus", []) if isinstance(f, dict) and f.get("kind")})
    if wrong := [kind for kind in others if kind not in ("expression", "pathway")]:
        fault(
            "focus", f"CAR+ and CAR- cells are compared in expression and pathway, not in {', '.join(wrong)}"
        )
    if rows and len({row["patient"] for row in rows}) < 2:
        fault("where", "a single patient is left, so nothing can be compared between patients; widen it")
    return True
