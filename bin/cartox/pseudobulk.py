"""Sums of raw counts and counts of cells by label within one sample."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
from scipy import sparse

from cartox.labels import UNNAMED, Labels
from cartox.matrix import CountMatrix, read_h5, require_counts, write_h5

# Lineages with several cell types, summed besides their types: a cytokine response is shared by all T cells,
# and the border between two monocyte types moves with activation.
LINEAGES = ("Myeloid", "T")


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


def write_pseudobulk(path: Path | str, sums: CountMatrix, n_cells: np.ndarray) -> None:
    """Write sums as `cartox.matrix.write_h5` does, and `matrix/n_cells`."""
    write_h5(path, sums)
    with h5py.File(path, "a") as file:
        file["matrix/n_cells"] = n_cells.astype(np.int64)


def read_pseudobulk(path: Path | str) -> tuple[CountMatrix, np.ndarray]:
    """Read what `write_pseudobulk` wrote: (sums: cell types × genes, n_cells)."""
    with h5py.File(path, "r") as file:
        n_cells = np.asarray(file["matrix/n_cells"])
    return read_h5(path), n_cells


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
