"""Sums of raw counts and counts of cells by label within one sample."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy import sparse

from cartox.labels import LINEAGES, UNNAMED, Labels
from cartox.matrices.matrix import CountMatrix, read_h5, require_counts, write_h5
from cartox.matrices.strings import decoded


def indicator(labels: np.ndarray, groups: Sequence[str]) -> sparse.csr_matrix:
    """Groups × cells matrix of 0 and 1: which cell bears which label."""
    place = {group: i for i, group in enumerate(groups)}
    row = np.array([place.get(label, -1) for label in labels], dtype=int)
    cell = np.flatnonzero(row >= 0)
    ones = np.ones(len(cell), dtype=np.int64)
    return sparse.csr_matrix((ones, (row[cell], cell)), shape=(len(groups), len(labels)))


def pseudobulk(matrix: CountMatrix, labels: Labels) -> tuple[CountMatrix, np.ndarray]:
    """Sum raw counts by cell type and by lineage.

    matrix: cells as in `labels`. Returns (sums, n_cells): a CountMatrix whose "barcodes" are the cell types
    and, after them, those of LINEAGES that have a cell (each sorted), and the cells in each row. `Unassigned`
    and `Mixed` have rows of their own and are in no lineage. Which rows a sample gets does not depend on
    other samples. A cell type that bears a lineage's name is part of that lineage's row.
    Raises InputError when given anything but raw counts.
    """
    require_counts(matrix.counts.data, "pseudobulk")
    types = [name for name in np.unique(labels.cell_type) if name not in LINEAGES]
    in_lineage = np.where(np.isin(labels.cell_type, UNNAMED), "", labels.lineage)
    in_lineage = np.where(np.isin(labels.cell_type, LINEAGES), labels.cell_type, in_lineage)
    lineages = [name for name in LINEAGES if (in_lineage == name).any()]
    members = sparse.csr_matrix(
        sparse.vstack([indicator(labels.cell_type, types), indicator(in_lineage, lineages)])
    )
    sums = sparse.csr_matrix(members @ matrix.counts.astype(np.int64))
    n_cells = np.asarray(members.sum(axis=1)).ravel().astype(int)
    names = np.array([*types, *lineages], dtype=str)
    return CountMatrix(sums, names, matrix.genes, matrix.gene_ids), n_cells


def by_call(matrix: CountMatrix, labels: Labels, call: str) -> tuple[CountMatrix, np.ndarray]:
    """As `pseudobulk`, over the T cells of one CAR call (CAR+ or CAR-) that were deep enough to tell."""
    t = (labels.lineage == "T") & ~np.isin(labels.cell_type, UNNAMED)
    kept = np.flatnonzero(t & (labels.car_call == call))
    return pseudobulk(matrix.select(kept), labels.select(kept))


def stacked(parts: Sequence[CountMatrix]) -> CountMatrix:
    """Sums of the same genes, one below the other."""
    counts = sparse.csr_matrix(sparse.vstack([part.counts for part in parts], format="csr"))
    names = np.concatenate([part.barcodes for part in parts])
    return CountMatrix(counts, names, parts[0].genes, parts[0].gene_ids)


def write_pseudobulk(
    path: Path | str, sums: CountMatrix, n_cells: np.ndarray, call: Sequence[str] | None = None
) -> None:
    """Write sums as `cartox.matrices.matrix.write_h5` does, with `matrix/n_cells` and `matrix/car_call`.

    call: of each row the CAR call that its cells have, '' (default) for rows over all cells.
    """
    write_h5(path, sums)
    with h5py.File(path, "a") as file:
        file["matrix/n_cells"] = n_cells.astype(np.int64)
        if call is not None:
            file["matrix/car_call"] = np.array(call, dtype="S4")


def read_pseudobulk(path: Path | str, call: str = "") -> tuple[CountMatrix, np.ndarray]:
    """Read what `write_pseudobulk` wrote: (sums: cell types × genes, n_cells).

    Of one CAR call, or (default) the rows over all cells.
    """
    with h5py.File(path, "r") as file:
        stored: Any = file["matrix"]
        n_cells = np.asarray(stored["n_cells"])
        calls = np.full(len(n_cells), "")
        if "car_call" in stored:
            calls = decoded(stored["car_call"][:])
    rows = np.flatnonzero(calls == call)
    return read_h5(path).select(rows), n_cells[rows]


def composition(labels: Labels) -> list[tuple[str, str, int, int, str]]:
    """Count cells and CAR+ cells by type and by lineage.

    Returns rows (name, lineage, n_cells, n_car, level), level being type or lineage; `Unassigned` and
    `Mixed` are counted as types and have no lineage. (States depend on the other samples' cells, so ANNOTATE
    counts them.)
    """
    lineage = np.where(np.isin(labels.cell_type, UNNAMED), "", labels.lineage)
    rows = []
    for level, names in (("type", labels.cell_type), ("lineage", lineage)):
        for name in np.unique(names[names != ""]):
            cells = names == name
            above = sorted(set(lineage[cells]) - {""})
            rows.append((str(name), "|".join(above), int(cells.sum()), int(labels.car[cells].sum()), level))
    return rows
