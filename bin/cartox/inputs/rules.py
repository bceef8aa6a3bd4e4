"""A table held against the schema of its columns."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from cartox.sheets import Faults, Table, shown


def check_table(
    table: Table, schema: dict[str, Any], faults: Faults, may_be_empty: Iterable[str] = ()
) -> None:
    """Check columns and cells by a schema; its `errorMessage` is what people read."""
    from jsonschema import Draft202012Validator

    properties: dict[str, Any] = schema["items"]["properties"]
    required: list[str] = schema["items"]["required"]
    free = [column for column in table.columns if column not in properties]
    for column in required:
        if column not in table.columns:
            lower = {name.lower(): name for name in free}
            misspelt = difflib.get_close_matches(column, list(lower), 1)
            if misspelt:
                what = "is missing and this is not a known column; did you mean"
                what = f"{shown(column)} {what} {shown(column)}?{_alien(lower[misspelt[0]])}"
                faults.add(table.name, what, 1, lower[misspelt[0]])
            else:
                faults.add(table.name, "the column is missing; add it", 1, column)
    for column in free:
        lookalike = difflib.get_close_matches(column.lower(), set(properties) - set(table.columns), 1, 0.75)
        if lookalike and lookalike[0] not in required:
            faults.warn(table.name, f"read as a covariate; did you mean {shown(lookalike[0])}?", 1, column)
    checks = {column: Draft202012Validator(rule) for column, rule in properties.items()}
    for number, row in table.numbered():
        for column in (c for c in table.columns if c in properties):
            if not row[column] and (column not in required or column in may_be_empty):
                continue
            if not row[column]:
                faults.add(table.name, "it is empty; fill it in", number, column)
            elif not checks[column].is_valid(row[column]):
                what = f"{shown(row[column])}: {properties[column]['errorMessage']}"
                faults.add(table.name, what, number, column)


def _alien(name: str) -> str:
    """Which characters of a name only look like Latin ones, or do not show at all."""
    alien = sorted({f"U+{ord(c):04X}" for c in name if not c.isascii()})
    return f" It holds {', '.join(alien)}, not a plain Latin letter; type it anew" if alien else ""
