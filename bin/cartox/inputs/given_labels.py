"""Cell labels that the user gives; they override the calls."""

from __future__ import annotations

import csv
import difflib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from cartox.cells.markers import Marker
from cartox.cli import InputError
from cartox.labels import UNNAMED
from cartox.sheets import text_of
from cartox.spreadsheet import harmless

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

LARGEST = 1_000_000_000  # bytes: a row for each of millions of cells
COLUMNS = ("sample", "barcode", "cell_type")
MISSING = {"", "NA", "NaN", "nan", "None"}
# '^' parts source and target in ligand–receptor tables; the others are marks of HTML or of a table
FORBIDDEN = re.compile(r'[\^<>&"\',;/\\\x00-\x1f]')


def read_given(path: Path | str) -> dict[tuple[str, str], str]:
    """Label by (sample, barcode) from a CSV or TSV; cells without a label are left out.

    Raises InputError listing every fault: missing columns, a cell with two labels, a label with a
    character that later tables cannot hold.
    """
    path = Path(path)
    lines = text_of(path, LARGEST).splitlines()
    try:
        reader = csv.DictReader(lines, delimiter="\t" if lines and "\t" in lines[0] else ",")
        header, rows = list(reader.fieldnames or []), list(reader)
    except csv.Error as error:
        raise InputError(f"{path.name}: it cannot be read as a table ({error}); save it again") from None
    faults = []
    for name in COLUMNS:
        if name not in header:
            near = difflib.get_close_matches(name, header, n=1, cutoff=0.5)
            hint = f"; is {near[0]!r} meant?" if near else ""
            faults.append(f"{path.name}: the column {name!r} is missing{hint}")
    if faults:
        raise InputError(faults)
    given: dict[tuple[str, str], str] = {}
    for line, row in enumerate(rows, start=2):
        key, label = (row["sample"] or "", harmless(row["barcode"] or "")), (row["cell_type"] or "").strip()
        if label in MISSING:
            continue
        if FORBIDDEN.search(label) or label != harmless(label):
            faults.append(
                f"{path.name}, line {line}, cell_type: {label!r} has a character that is not allowed"
            )
        if given.setdefault(key, label) != label:
            faults.append(f"{path.name}, line {line}: {key[0]} {key[1]} has two labels")
    if faults:
        raise InputError(faults)
    return given


def override(
    cells: pd.DataFrame,
    given: dict[tuple[str, str], str],
    markers: list[Marker],
    called: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Cell type, lineage and confidence with the given labels put in (confidence 1), and how many were used.

    A label that is a name or a readable label of the marker table takes that row's name and lineage;
    any other is its own lineage. Raises InputError where no given cell is among the cells.
    """
    cell_type, lineage, confidence = (array.copy() for array in called)
    by_name = {m.cell_type: m for m in markers if m.level in ("lineage", "type")}
    by_label = {m.label.lower(): m for m in by_name.values()}
    used = 0
    for i, key in enumerate(zip(cells["sample"], cells["barcode"], strict=True)):
        label = given.get(key)
        if label is None:
            continue
        used += 1
        marker = by_name.get(label) or by_label.get(label.lower())
        cell_type[i] = marker.cell_type if marker else label
        lineage[i] = marker.lineage if marker else label
        confidence[i] = 0.0 if label in UNNAMED else 1.0
    if not used:
        example = " ".join(next(iter(given), ("", "")))
        raise InputError(
            f"cell labels: none of the {len(given)} labelled cells is among the {len(cells)} kept cells "
            f"(a labelled one: {example}; a kept one: {' '.join(cells.iloc[0][['sample', 'barcode']])})"
        )
    return cell_type, lineage, confidence, used
