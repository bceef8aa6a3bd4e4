"""Marker tables: which genes speak for and against each cell type, lineage and state."""

from __future__ import annotations

import csv
import difflib
import math
import re
from dataclasses import dataclass
from pathlib import Path

from cartox.cli import InputError
from cartox.labels import UNNAMED
from cartox.sheets import text_of
from cartox.spreadsheet import harmless

LEVELS = ("lineage", "type", "programme", "state")
GENE = re.compile(r"^([A-Za-z0-9._-]+?)(?::([0-9.]+))?$")


@dataclass(frozen=True)
class Marker:
    """One row of the marker table; `positive` and `negative` map gene to weight.

    absent: genes whose absence defines the type (see `cartox.cells.absence`); most types have none.
    """

    cell_type: str
    label: str
    lineage: str
    level: str
    cl_id: str
    positive: dict[str, float]
    negative: dict[str, float]
    absent: tuple[str, ...] = ()


def _genes(text: str, where: str, faults: list[str]) -> dict[str, float]:
    genes = {}
    for entry in filter(None, (part.strip() for part in (text or "").split(","))):
        match = GENE.match(entry)
        try:
            weight = float(match[2] or 1) if match else 0.0
        except ValueError:
            weight = 0.0
        if match and 0 < weight < math.inf:
            genes[match[1]] = weight
        else:
            faults.append(f"{where}: {entry!r} is neither GENE nor GENE:weight with a weight above 0")
    return genes


def read_markers(path: Path | str) -> list[Marker]:
    """Read a marker table (tab- or comma-separated; columns as in assets/schemas/schema_markers.json).

    Only `cell_type` and `positive` are required: a row without `lineage` is a lineage of its own.
    Raises InputError listing every fault.
    """
    path = Path(path)
    text = text_of(path)
    first = text.split("\n", 1)[0]
    try:
        rows = csv.DictReader(text.splitlines(), delimiter="\t" if "\t" in first else ",")
        header, rows = rows.fieldnames or [], list(rows)
    except csv.Error as error:
        raise InputError(f"{path.name}: it cannot be read as a table ({error}); save it again") from None
    missing = [name for name in ("cell_type", "positive") if name not in header]
    if missing:
        raise InputError([f"{path.name}: the marker table lacks the column {name!r}" for name in missing])
    faults: list[str] = []
    markers: list[Marker] = []
    for line, row in enumerate(rows, start=2):
        where = f"{path.name}, line {line}"
        name = (row["cell_type"] or "").strip()
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) or name in UNNAMED:
            faults.append(f"{where}, cell_type: {name!r} is not a name (letters, digits, '.', '_', '-')")
            continue
        lineage = (row.get("lineage") or "").strip() or name
        level = (row.get("level") or "").strip() or ("lineage" if lineage == name else "type")
        if level not in LEVELS:
            faults.append(f"{where}, level: {level!r} is not one of {', '.join(LEVELS)}")
        positive = _genes(row["positive"], f"{where}, positive", faults)
        negative = _genes(row.get("negative") or "", f"{where}, negative", faults)
        absent = tuple(_genes(row.get("absent") or "", f"{where}, absent", faults))
        if not positive:
            faults.append(f"{where}, positive: {name} has no positive marker")
        if name in {marker.cell_type for marker in markers}:
            faults.append(f"{where}, cell_type: {name} stands twice in the table")
        label, cl_id = (harmless((row.get(column) or "").strip()) for column in ("label", "cl_id"))
        markers.append(Marker(name, label or name, lineage, level, cl_id, positive, negative, absent))
    lineages = {marker.cell_type for marker in markers if marker.level == "lineage"}
    for marker in markers:
        if marker.lineage not in lineages:
            near = difflib.get_close_matches(marker.lineage, sorted(lineages), n=1)
            hint = f"; is {near[0]} meant?" if near else ""
            where = f"{path.name}, lineage of {marker.cell_type}"
            faults.append(f"{where}: {marker.lineage!r} is no row of level lineage{hint}")
    for marker in markers:
        for gene in marker.absent:
            if gene not in sisters(marker, markers):
                faults.append(
                    f"{path.name}, absent of {marker.cell_type}: {gene} defines no other type of "
                    f"{marker.lineage} (a positive gene with a weight above 1)"
                )
    if not markers:
        faults.append(f"{path.name}: the marker table has no rows")
    if faults:
        raise InputError(faults)
    return markers


def sisters(marker: Marker, markers: list[Marker]) -> dict[str, str]:
    """The type that each gene of `marker.absent` defines: there it outweighs an ordinary gene."""
    types = [m for m in markers if m.level == "type" and m.lineage == marker.lineage and not m.absent]
    return {
        gene: next(m.cell_type for m in types if m.positive.get(gene, 0) > 1)
        for gene in marker.absent
        if any(m.positive.get(gene, 0) > 1 for m in types)
    }


def marker_genes(markers: list[Marker]) -> list[str]:
    """Every gene that the table names, sorted."""
    return sorted(
        {gene for marker in markers for gene in (*marker.positive, *marker.negative, *marker.absent)}
    )
