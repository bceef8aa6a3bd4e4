"""Contrasts as users declare them, held against the sheets: formula, term, strata, focus features."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from cartox.contrasts import Contrast
from cartox.inputs.cohort import PATHS
from cartox.inputs.formulas import formula_terms, plain
from cartox.inputs.given import Known
from cartox.inputs.questions import Entries
from cartox.labels import UNNAMED
from cartox.sheets import Faults, Table, nearest, shown

CAR = "car"  # no column of a sheet: CAR+ against CAR- cells of each sample


@dataclass
class View:
    """The samples with their patients' clinical columns: what contrasts are about."""

    rows: list[dict[str, str]]
    columns: list[str]
    dropped: list[str] = field(default_factory=list)  # columns left out, for hints at misspellings alone
    car: bool = False  # CAR+ cells are called
    known: Known = field(default_factory=Known)

    def hint(self, column: str) -> str:
        """What a name that is no column may have been meant for."""
        meant = nearest(column, [*self.columns, *self.dropped], few=0) or nearest(column, self.columns)
        more = f" and {len(self.dropped)} that no question names" if self.dropped else ""
        return meant + (more if "there are" in meant else "")

    def where(self, strata: dict[str, list[str]]) -> list[dict[str, str]]:
        """The samples whose columns have one of the values named."""
        return [row for row in self.rows if all(row.get(c) in values for c, values in strata.items())]


def view_of(samples: Table, clinical: Table | None, car: bool, known: Known) -> View:
    """Both sheets as one, and what is known besides: see `View`."""
    patients = {row.get("patient"): row for row in clinical.rows} if clinical else {}
    rows = [{**patients.get(row["patient"], {}), **row} for row in samples.rows]
    columns = [column for column in samples.columns if column not in PATHS]
    columns += [column for column in (clinical.columns if clinical else []) if column not in columns]
    dropped = [*samples.dropped, *(clinical.dropped if clinical else [])]
    return View(rows, columns, dropped, car, known)


def check_contrasts(
    entries: Entries, schema: dict[str, Any], view: View, timepoints: list[str], faults: Faults
) -> list[Contrast]:
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
    return sorted(out, key=lambda contrast: contrast.id)


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
) -> Contrast:
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
    level, baseline = item.get("level", "patient"), item.get("baseline", "")
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
    _check_focus(focus, view.known, fault)
    return Contrast(
        id=item["id"],
        formula=item["formula"].strip(),
        term=item["term"].strip(),
        label=item.get("label", item["id"]),
        where={column: sorted(values) for column, values in sorted(where.items())},
        level=level,
        baseline=baseline,
        focus=focus,
        within=within,
        car=_names_car(item, view),
    )


def _check_focus(focus: list[dict[str, Any]], known: Known, fault: Any) -> None:
    """A declared pathway, gene or cell type that does not exist would cost a whole run before it is seen.

    A type unlike all names is no slip, but one that these markers do not tell: the report says so.
    """
    kinds = {"pathway": ("gene set", known.gene_sets), "expression": ("gene of the matrices", known.genes)}
    types = known.cell_types | frozenset(UNNAMED) if known.cell_types else frozenset()
    named = [(str(e["feature"]), *kinds.get(str(e.get("kind")), ("", frozenset()))) for e in focus]
    named += [(part, "cell type", types) for e in focus if (t := e.get("cell_type")) for part in t.split("^")]
    for name, what, names in dict.fromkeys(named):
        if names and name not in names:
            hint = nearest(name, names, few=0)
            if hint or what != "cell type":
                fault("focus", f"no {what} is called {shown(name)}{hint or '; correct it'}")


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
    if term not in terms and not unknown:  # else the misspelt column is the fault
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
