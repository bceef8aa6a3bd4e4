"""The sheets of a cohort held against their rules and against each other."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable
from typing import Any

from cartox.columns import SAMPLES
from cartox.genes import listed
from cartox.inputs.rules import check_table
from cartox.sheets import COLUMN, Faults, Table, nearest, shown

SAFE = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$")
PLAIN = re.compile(r"^\w[\w .,+/%()-]{0,99}$")
# ASCII: the digits of other scripts are numbers to Python but not to what reads the table later
NUMBER = re.compile(r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$", re.ASCII)
MOST_HINTS = 50  # names compared with all others, which takes time
PATHS = ("path", "raw_path")
MEANT = ("tissue",)  # free columns of the sample sheet that steps use unasked
# names that the cells' and features' tables use
RESERVED = frozenset(
    """
    barcode cell_type cell_state lineage cluster cluster_type subcluster confidence car car_umi
    car_call car_deep car_p_ambient cl_id reference_cell_type reference_confidence doublet_score
    predicted_doublet n_counts n_genes pct_mito feature value kind n_cells contrast group analyte
    unit censored
    """.split()
)


def check_samples(table: Table, schema: dict[str, Any], used: Iterable[str], faults: Faults) -> None:
    """Check the sample sheet; a missing `batch` becomes the sample."""
    check_table(table, schema, faults)
    _unique(table, ("sample",), "the sample is already in row {}; name samples uniquely", faults)
    if "batch" in table.columns and 0 < len(table.values("batch")) < len(table.rows):
        for number, row in table.numbered():
            if not row["batch"]:
                faults.add(table.name, "other samples have a batch; fill it in", number, "batch")
    if "batch" not in table.columns or not table.values("batch"):
        table.columns = [*(c for c in table.columns if c != "batch"), "batch"]
        for row in table.rows:
            row["batch"] = row.get("sample", "")
    advice = "in a sample sheet use letters, digits, '.', '_' and '-', for instance bone_marrow"
    _free_columns(table, schema, {*used, *MEANT}, SAFE, advice, faults)


def check_clinical(
    table: Table, schema: dict[str, Any], samples: Table | None, used: Iterable[str], faults: Faults
) -> None:
    """Check the clinical sheet against its rules and the patients and columns of the sample sheet."""
    check_table(table, schema, faults)
    _unique(table, ("patient",), "the patient is already in row {}; keep one row per patient", faults)
    _free_columns(table, schema, set(used), PLAIN, "use letters, digits, spaces and . , + / % ( ) -", faults)
    if samples is None:
        return
    for column in table.columns:
        if column != "patient" and (column in samples.columns or column in SAMPLES):
            what = f"{samples.name} has this column too (or it is reserved for it); rename or remove one"
            faults.add(table.name, what, 1, column)
    known = set(samples.values("patient"))
    _unknown(table, "patient", known, f"has no sample in {samples.name}; correct or remove it", faults)
    bare = sorted(known - set(table.values("patient")))
    if bare and "patient" in table.columns:
        faults.warn(table.name, f"no row for {', '.join(bare)}: their clinical columns count as missing")


def check_analytes(
    table: Table, schema: dict[str, Any], samples: Table | None, clinical: Table | None, faults: Faults
) -> list[dict[str, Any]]:
    """Check measurements; return them with values as numbers and `censored` '', 'left' or 'right'."""
    check_table(table, schema, faults, may_be_empty=["value"])
    drop_unasked(table, [*schema["items"]["properties"]], faults)
    key = ("patient", "timepoint", "analyte")
    _unique(table, key, "it was measured already in row {}; keep one value, for instance the mean", faults)
    if samples is not None:
        patients = set(samples.values("patient")) | set(clinical.values("patient") if clinical else ())
        _unknown(table, "patient", patients, "is in no other sheet; correct or remove it", faults)
        times = set(samples.values("timepoint"))
        _unknown(table, "timepoint", times, f"has no sample in {samples.name}; correct or remove it", faults)
    units: dict[str, tuple[str, int]] = {}
    for number, row in table.numbered():
        if row.get("analyte") and row.get("unit"):
            unit, first = units.setdefault(row["analyte"], (row["unit"], number))
            if row["unit"] != unit:
                what = f"{shown(row['unit'])}, but {row['analyte']} is in {shown(unit)} in row {first}"
                faults.add(table.name, f"{what}; convert it", number, "unit")
    for number, row in table.numbered():
        for column in ("value", "lloq", "uloq"):
            text = row.get(column, "").lstrip("<> ")
            if NUMBER.match(text) and math.isinf(float(text)):
                faults.add(
                    table.name, f"{shown(row[column])} is past all numbers; correct it", number, column
                )
    if faults.lines:
        return []
    measured = [_measured(row) for row in table.rows if row["value"]]
    if len(measured) < len(table.rows):
        faults.warn(table.name, f"{len(table.rows) - len(measured)} rows without a value are left out")
    return sorted(measured, key=lambda r: (r["patient"], r["timepoint"], r["analyte"]))


def _measured(row: dict[str, str]) -> dict[str, Any]:
    value, censored = float(row["value"].lstrip("<> ")), ""
    if row["value"][0] in "<>":
        censored = "left" if row["value"][0] == "<" else "right"
    elif row.get("lloq") and value < float(row["lloq"]):
        value, censored = float(row["lloq"]), "left"
    elif row.get("uloq") and value > float(row["uloq"]):
        value, censored = float(row["uloq"]), "right"
    kept = {column: row[column] for column in ("patient", "timepoint", "analyte")}
    return {**kept, "value": value, "unit": row["unit"], "censored": censored}


def check_grouping(table: Table, flag: str, columns: Iterable[str], faults: Faults) -> None:
    """Check that a parameter names sample columns that are filled in and can name groups."""
    usable = [column for column in table.columns if column not in PATHS]
    for column in columns:
        if column not in usable:
            hint = nearest(column, [*usable, *table.dropped], few=0) or nearest(column, usable)
            faults.add(f"parameter --{flag}", f"no column {shown(column)} in {table.name}{hint}")
            continue
        for number, row in table.numbered():
            if not row[column]:
                faults.add(table.name, f"--{flag} groups by this column; fill it in", number, column)


def check_car_negative(table: Table, names: Iterable[str], asked: bool, faults: Faults) -> None:
    """Check that --car_negative names samples or time points, and that CAR+ cells are looked for."""
    known = {*table.values("sample"), *table.values("timepoint")} if table.columns else set()
    for name in names:
        if not asked:
            faults.add("parameter --car_negative", "no transgene is named; add --car_features")
        if name not in known:
            what = f"{shown(name)} is no sample and no time point{nearest(name, known)}"
            faults.add("parameter --car_negative", what)


def check_products(table: Table, features: Collection[str], faults: Faults) -> None:
    """Check that the sample sheet's column car_feature names transgenes of --car_features."""
    if "car_feature" not in table.columns:
        return
    for number, row in table.numbered():
        for name in sorted(set(listed(row["car_feature"])) - set(features)):
            hint = nearest(name, features) if features else "; no transgene is named there"
            faults.add(table.name, f"{shown(name)} is not in --car_features{hint}", number, "car_feature")


def check_covariates(table: Table | None, flag: str, columns: Iterable[str], faults: Faults) -> None:
    """Check that a parameter names columns of the clinical sheet."""
    usable = [column for column in table.columns if column != "patient"] if table else []
    for column in columns:
        if not table:
            faults.add(f"parameter --{flag}", f"{shown(column)}: no clinical sheet is given; add --clinical")
        elif column not in usable:
            hint = nearest(column, [*usable, *table.dropped], few=0) or nearest(column, usable)
            faults.add(f"parameter --{flag}", f"no column {shown(column)} in {table.name}{hint}")


def kind_of(values: list[str]) -> str:
    """Type of a column by its values that are not missing: what a model would take it for."""
    levels = set(values)
    if not levels:
        return "all missing"
    if len(levels) == 1:
        return "constant"
    if len(levels) == 2:
        return "binary"
    if not all(NUMBER.match(value) for value in levels):
        return "categorical"
    return "ordinal" if len(levels) <= 6 and all(re.match(r"^(\d|10)$", v) for v in levels) else "numeric"


def types(table: Table, faults: Faults) -> dict[str, str]:
    """Type of each column; warns of a column of numbers in which a few values are none."""
    out = {}
    for column in table.columns:
        if column in PATHS:
            continue
        values = table.values(column)
        out[column] = "identifier" if column in ("sample", "patient") else kind_of(values)
        words = sorted({value for value in values if not NUMBER.match(value)})
        if out[column] == "categorical" and len(words) * 4 <= len(set(values)):
            listed = ", ".join(map(shown, words[:3]))
            faults.warn(
                table.name, f"numbers, but also {listed}: read as categories (NA is missing)", 1, column
            )
    return out


def _unique(table: Table, columns: tuple[str, ...], what: str, faults: Faults) -> None:
    seen: dict[tuple[str, ...], int] = {}
    for number, row in table.numbered():
        key = tuple(row.get(column, "") for column in columns)
        if all(key) and key in seen:
            faults.add(table.name, f"{shown(' '.join(key))}: {what.format(seen[key])}", number, columns[-1])
        seen.setdefault(key, number)


def _unknown(table: Table, column: str, known: set[str], what: str, faults: Faults) -> None:
    """One fault for each unknown value, at its first row."""
    rows: dict[str, list[int]] = {}
    for number, row in table.numbered():
        if row.get(column) and row[column] not in known:
            rows.setdefault(row[column], []).append(number)
    for i, (value, numbers) in enumerate(rows.items()):
        more = f" (and {len(numbers) - 1} more rows)" if len(numbers) > 1 else ""
        hint = nearest(value, known) if i < MOST_HINTS else ""
        faults.add(table.name, f"{shown(value)}{more} {what}{hint}", numbers[0], column)


def _free_columns(
    table: Table,
    schema: dict[str, Any],
    used: set[str],
    allowed: re.Pattern[str],
    advice: str,
    faults: Faults,
) -> None:
    """Free columns become names of groups: those that are used must be fit for it, the others are dropped."""
    known = schema["items"]["properties"]
    drop_unasked(table, {*known, *used}, faults)
    for column in [c for c in table.columns if c not in known]:
        if column in RESERVED:
            faults.add(table.name, "the name is used by the result tables; rename it", 1, column)
            continue
        bad = [(n, r[column]) for n, r in table.numbered() if r[column] and not _fits(r[column], allowed)]
        for number, value in bad:
            faults.add(table.name, f"{shown(value)} cannot name a group; {advice}", number, column)
        if not COLUMN.match(column):
            what = "a question asks for it; rename it with letters, digits and '_', starting with a letter"
            faults.add(table.name, what, 1, column)


def drop_unasked(table: Table, kept: Collection[str], faults: Faults) -> None:
    """Take out the columns that nothing asks for; told by their number, as a name or value may be private."""
    others = [column for column in table.columns if column not in kept]
    for column in others:
        table.drop(column)
    if others:
        many = f"{len(others)} columns that nothing asks for are" if len(others) > 1 else ""
        faults.warn(table.name, f"{many or '1 column that nothing asks for is'} left out")


def _fits(value: str, allowed: re.Pattern[str]) -> bool:
    return bool(NUMBER.match(value) or allowed.match(value))
