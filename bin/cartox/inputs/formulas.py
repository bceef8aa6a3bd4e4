"""Formulas that name columns and nothing else, as formulaic will read them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from typing import Any

from cartox.sheets import shown

# Formulas are Python expressions to formulaic, so only these calls are let through
TRANSFORMS = frozenset(
    ("C", "center", "scale", "log", "log2", "log10", "poly", "bs", "contr.treatment", "contr.sum")
)
HIGHEST_POWER = 3
MOST_TERMS = 200
MOST_DEGREE = 10  # each is a column
SPLINES = frozenset(("poly", "bs"))


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


def _named(node: ast.AST, expression: str, inside: bool = False) -> set[str]:
    """Columns of an expression. inside: what a transform is of, where arithmetic is allowed: log(age + 1)."""
    if isinstance(node, ast.Name):
        return {node.id}
    if isinstance(node, ast.Constant):
        return set()
    if inside and isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub | ast.Mult | ast.Div):
        sides = [side for side in (node.left, node.right) if not _number(side)]
        if sides and not any(isinstance(side, ast.Constant) for side in sides):
            return set().union(*(_named(side, expression, inside) for side in sides))
    if isinstance(node, ast.Call):
        called = ast.unparse(node.func)
        parts = [*node.args, *(keyword.value for keyword in node.keywords)]
        numbers = [part.value for part in parts if isinstance(part, ast.Constant)]
        if any(isinstance(n, int | float) and n > MOST_DEGREE for n in numbers) and called in SPLINES:
            raise ValueError(f"{shown(expression)}: a degree goes up to {MOST_DEGREE}")
        if called in TRANSFORMS:
            # what a transform is told besides, such as a degree, is no sum
            return set().union(*(_named(part, expression, part in node.args[:1]) for part in parts))
    allowed = ", ".join(sorted(TRANSFORMS))
    raise ValueError(f"{shown(expression)} is neither a column nor one of the transforms {allowed}")


def _number(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float)
