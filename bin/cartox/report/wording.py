"""Results in words: what was compared, which way it goes, and the numbers behind it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cartox.report import labels

if TYPE_CHECKING:
    from cartox.report.labels import Names

# First words of gene sets that are names, or written like one.
NAMES = {"Notch", "Wnt", "Hedgehog"}


def groups_of(text: str) -> dict[str, int]:
    """`no:6 yes:7` as a mapping; empty for a numeric term (a bare number or nothing)."""
    return {m[1].strip(): int(m[2]) for m in re.finditer(r"(.+?):(\d+)(?:\s+|$)", str(text))}


def groups_text(text: str, within: bool = False) -> str:
    """`no:6 yes:7` as `6 no, 7 yes`; patients seen under every condition are counted once."""
    sizes = groups_of(text)
    if within and sizes and len(set(sizes.values())) == 1:
        return f"{next(iter(sizes.values()))}, each with {labels.joined(sizes)}"
    return ", ".join(f"{n} {name}" for name, n in groups_of(text).items()) or str(text)


def where_text(contrast: Mapping[str, Any]) -> str:
    """`at D7`, `in blood at D7`, or nothing when all samples were used."""
    where = dict(contrast.get("where") or {})
    times = _listed(where.pop("timepoint", None), "or")
    others = [f"{plain(k)} {_listed(v, 'or')}" for k, v in where.items()]
    at = "in the product" if times == "product" else f"at {times}" if times else ""
    return " ".join([*([at] if at else []), *([f"({'; '.join(others)})"] if others else [])])


def _listed(value: object, last: str = "and") -> str:
    if value is None:
        return ""
    return labels.joined(map(str, value), last) if isinstance(value, list | tuple) else str(value)


def plain(term: object) -> str:
    """A term of a formula as a word: `C(grade)[T.2]` is `grade`."""
    return re.sub(r"^C\((\w+).*\)$", r"\1", str(term).split("[")[0]).replace("_", " ")


def subject(row: Mapping[str, Any], contrast: Mapping[str, Any], names: Names) -> tuple[str, str]:
    """Where and what: `in CD14+ monocytes at D7` and `the interferon gamma response (Hallmark)`."""
    kind, feature = str(row["kind"]), names.feature(row["feature"], row["kind"])
    of = names.cell_type(row["cell_type"]) if row["cell_type"] else ""
    place, what = f"in {of}" if of else "", feature
    if kind == "expression":
        what = f"expression of {feature}"
    elif kind == "pathway":
        what = f"the {small(feature)}"
    elif kind == "ligrec":
        sender, _, receiver = of.partition(" → ")
        place, what = f"from {sender} to {receiver}", f"expression of the pair {feature}"
    elif kind == "tensor":  # its cell type is the time point and tissue
        place, what = "", f"the loading on communication {feature}"
    elif kind == "composition":
        place, what = "", f"the share of {of}"
    elif row["feature"] == "car_fraction":
        place, what = "", "the CAR+ fraction of T cells"
    elif row["feature"] == "car_state":
        place, what = "", f"the share of {of} among CAR+ T cells"
    elif kind == "analyte":
        what = f"serum {feature}"
    if contrast.get("level") == "change":
        what = f"the change of {what} since {contrast.get('baseline') or 'baseline'}"
    where = where_text(contrast)
    if not place and where.startswith("("):
        where = f"among the samples {where}"
    return " ".join(part for part in (place, where) if part), what


def claim(row: Mapping[str, Any], contrast: Mapping[str, Any], names: Names) -> str:
    """`In CD14+ monocytes at D7, the … response is higher where toxicity is yes than where it is no`."""
    place, what = subject(row, contrast, names)
    return _capital(", ".join(part for part in (place, f"{what} {direction(row, contrast)}") if part))


def no_difference(row: Mapping[str, Any], contrast: Mapping[str, Any], names: Names) -> str:
    """`In CD14+ monocytes at D7, no difference could be shown in expression of CXCL10`, or no trend."""
    place, what = subject(row, contrast, names)
    sought = f"trend with {plain(contrast.get('term', ''))}" if _slope(row) else "difference"
    return _capital(", ".join(part for part in (place, f"no {sought} could be shown in {what}") if part))


def _slope(row: Mapping[str, Any]) -> str:
    """`per unit of months` of a number's slope, else nothing."""
    meaning = str(row.get("coefficient") or "")
    return meaning if meaning.startswith("per unit of ") else ""


def untestable(row: Mapping[str, Any], contrast: Mapping[str, Any], names: Names) -> str:
    """`In CD14+ monocytes at D7, expression of CXCL10`, for what could not be tested."""
    place, what = subject(row, contrast, names)
    return _capital(", ".join(part for part in (place, what) if part))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def small(name: str) -> str:
    """A name as it stands within a sentence; names and acronyms keep their capitals."""
    first = name.split(" ")[0]
    return name if first in NAMES or not first[1:].islower() else name[:1].lower() + name[1:]


def direction(row: Mapping[str, Any], contrast: Mapping[str, Any]) -> str:
    """`is higher where toxicity is yes than where it is no`, or `rises with grade`."""
    term, up = plain(contrast.get("term", "the term")), row["estimate"] > 0
    level, minus, reference = str(row.get("coefficient") or "").partition(" − ")
    if not minus:
        reference = str(contrast.get("reference") or "")
        others = [g for g in groups_of(row["n_per_group"]) if g != reference]
        level = others[0] if len(others) == 1 else ""
    if level and reference:
        return f"is {'higher' if up else 'lower'} where {term} is {level} than where it is {reference}"
    return f"{'rises' if up else 'falls'} with {term}"


def compared(contrast: Mapping[str, Any]) -> str:
    """`Estimates are yes − no: above 0, higher where toxicity is yes.`, or what they are per unit of."""
    term, meanings = plain(contrast.get("term", "")), [str(m) for m in contrast.get("coefficients") or []]
    if len(meanings) != 1:
        return f"Estimates are {labels.joined(meanings)}." if meanings else ""
    level, minus, _ = meanings[0].partition(" − ")
    where = f": above 0, higher where {term} is {level}" if minus and " " not in level else ""
    return f"Estimates are {meanings[0]}{where}."


def statistics(row: Mapping[str, Any], within: bool = False) -> str:
    """Estimate, interval, p-values, q and n of one result, in words."""
    unit = " ".join(filter(None, [labels.meaning(labels.UNITS, row, "estimate"), _slope(row)]))
    # what is small by its unit, as a slope by month, needs another digit
    digits = 3 if max(abs(row["ci_low"]), abs(row["ci_high"])) < 0.1 else 2
    estimate, low, high = (labels.number(row[name], digits) for name in ("estimate", "ci_low", "ci_high"))
    permuted, floor = labels.p_equals("permutation p", row["p_permutation"]), labels.p_value(row["p_floor"])
    parts = [
        f"{_capital(unit)} {estimate} (95 % interval {low} to {high})",
        labels.p_equals("p", row["p"]),
        f"{permuted} (the smallest this design can give: {floor})",
        labels.p_equals("q", row["q"]),
        f"patients: {groups_text(row['n_per_group'], within) or row['n']}",
    ]
    text = "; ".join(parts)
    return labels.full_stop(f"{text}. {row['note']}" if row["note"] else text)
