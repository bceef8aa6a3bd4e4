"""A sample's cell labels as ANNOTATE writes them, one row a cell; read with the csv module to start fast."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cartox.cli import InputError

if TYPE_CHECKING:
    from cartox.matrices.matrix import CountMatrix

UNASSIGNED = "Unassigned"
MIXED = "Mixed"  # markers of two lineages at once: a doublet that was not found, or ambient RNA
UNNAMED = (UNASSIGNED, MIXED)  # honest outcomes of the annotation, no cell types: nothing is tested in them
CAR_POSITIVE, CAR_NEGATIVE, UNDETERMINED = "CAR+", "CAR-", "undetermined"
CAR_CALLS = (CAR_POSITIVE, CAR_NEGATIVE)
# Lineages with several cell types, summed besides their types: a cytokine response is shared by all T cells,
# and the border between two monocyte types moves with activation.
LINEAGES = ("Myeloid", "T")
COLUMNS = ("barcode", "cell_type", "lineage", "car")


@dataclass
class Labels:
    """Labels of one sample's cells, aligned: str arrays, and `car` (bool).

    car_call: CAR+ or CAR- for T cells deep enough to tell (a CAR+ cell of that depth would most likely have
    been found), else ''. Empty strings where no CAR was looked for.
    """

    barcode: np.ndarray
    cell_type: np.ndarray
    lineage: np.ndarray
    car: np.ndarray
    car_call: np.ndarray

    def select(self, cells: np.ndarray) -> Labels:
        """The labels of some cells (mask or indices)."""
        arrays = (self.barcode, self.cell_type, self.lineage, self.car, self.car_call)
        return Labels(*(array[cells] for array in arrays))


def read_labels(path: Path | str) -> Labels:
    """Read `labels/<sample>.csv`. Raises InputError where columns are missing or a barcode is repeated."""
    with Path(path).open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if missing := [name for name in COLUMNS if name not in (reader.fieldnames or [])]:
            raise InputError(f"{path}: columns {', '.join(missing)} are missing")
        rows = list(reader)
    columns = {name: np.array([row[name] for row in rows], dtype=str) for name in COLUMNS}
    if len(np.unique(columns["barcode"])) < len(rows):
        raise InputError(f"{path}: a barcode stands in more than one row")
    car = columns.pop("car") == "1"
    calls = [row.get("car_call") or "" if row.get("car_deep") == "1" else "" for row in rows]
    return Labels(car=car, car_call=np.array(calls, dtype=str), **columns)


def labelled_cells(matrix: CountMatrix, labels: Labels, where: str) -> CountMatrix:
    """The cells that have labels, in the labels' order. Raises InputError where the matrix lacks one."""
    row = {barcode: i for i, barcode in enumerate(matrix.barcodes)}
    index = np.array([row.get(barcode, -1) for barcode in labels.barcode], dtype=int)
    if (index < 0).any():
        lost = labels.barcode[index < 0]
        raise InputError(f"{where}: {len(lost)} labelled cells are not in the matrix, such as {lost[0]}")
    return matrix.select(index)
