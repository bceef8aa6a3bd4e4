"""The checked inputs, written in the one form that all later steps read."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cartox.columns import ANALYTES, SAMPLES
from cartox.contrasts import Contrast
from cartox.inputs.checksums import joint
from cartox.inputs.cohort import PATHS
from cartox.sheets import Table


def write(
    samples: Table,
    clinical: Table | None,
    measured: list[dict[str, Any]],
    contrasts: list[Contrast],
    matrices: dict[tuple[str, str], list[dict[str, Any]]],
) -> None:
    """Write samples.csv, clinical.csv, analytes.csv, contrasts/<id>.json and digests.csv, sorted.

    measured, contrasts: of check_analytes and check_contrasts. matrices: checksums of what a cell of the
    sheet (column, text) names.
    """
    rows = sorted(samples.rows, key=lambda row: row["sample"])
    further = [column for column in samples.columns if column not in (*SAMPLES, *PATHS)]
    _table("samples.csv", [*SAMPLES, *further], rows)
    patients = sorted(set(samples.values("patient")))
    columns = ["patient"]
    of: dict[str, dict[str, Any]] = {patient: {"patient": patient} for patient in patients}
    if clinical:
        columns += [column for column in clinical.columns if column != "patient"]
        of |= {row["patient"]: row for row in clinical.rows}
    _table("clinical.csv", columns, [of[patient] for patient in patients])
    _table("analytes.csv", ANALYTES, measured)
    Path("contrasts").mkdir(exist_ok=True)
    for contrast in contrasts:
        contrast.write(Path("contrasts"))
    # one checksum a sample, so that QC can tell a matrix that was replaced since
    digests = [{"sample": row["sample"], "digest": joint(_given(row, matrices))} for row in rows]
    _table("digests.csv", ["sample", "digest"], digests)


def _given(
    row: dict[str, str], matrices: dict[tuple[str, str], list[dict[str, Any]]]
) -> list[dict[str, Any]]:
    """Checksums of all that a sample's row names."""
    return [entry for column in PATHS for entry in matrices.get((column, row.get(column, "")), [])]


def _table(name: str, columns: list[str], rows: Iterable[dict[str, Any]]) -> None:
    with Path(name).open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, columns, extrasaction="ignore", restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
