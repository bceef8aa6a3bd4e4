"""The tables of cells that travel between steps, and how counts are walked in their order.

A cell is its sample and barcode. Every per-cell array has the rows of `cells.parquet`: samples sorted by
name, and within a sample the order of its count matrix. So an array needs no labels of its own, and a step
that reads counts walks them sample by sample without holding the cohort.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from cartox import cpus
from cartox.cli import InputError
from cartox.files import by_sample, read_sheet
from cartox.matrices.matrix import CountMatrix, read_h5
from cartox.matrices.strings import decoded

if TYPE_CHECKING:
    import pandas as pd

KEY = ["sample", "barcode"]


def read_tables(paths: Iterable[Path | str], suffix: str) -> pd.DataFrame:
    """Several per-sample or per-group CSV tables as one; ids stay text. Rows follow the files' names."""
    import pandas as pd

    kinds = {"sample": str, "barcode": str, "patient": str, "timepoint": str, "batch": str, "group": str}
    files = by_sample(paths, suffix).values()
    tables = [pd.read_csv(path, dtype=kinds, keep_default_na=False, na_values=[""]) for path in files]
    # a sample without a barcode has a table without rows, whose columns would turn the others' into objects
    return pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)


def read_cells(path: Path | str) -> pd.DataFrame:
    """`cells.parquet`, or any table with its rows. Raises InputError where a cell occurs twice."""
    import pandas as pd

    cells = pd.read_parquet(path)
    if cells.duplicated(KEY).any():
        raise InputError(f"{path}: a cell (sample and barcode) occurs twice")
    return cells


def require_same_cells(cells: pd.DataFrame, other: pd.DataFrame, where: str) -> None:
    """Refuse a table whose rows are not the cells of `cells`, in that order."""
    if len(cells) != len(other) or not cells[KEY].equals(other[KEY].reset_index(drop=True)):
        raise InputError(f"{where}: its rows are not the cells of cells.parquet in their order")


def batches(table: pd.DataFrame, samples: Path | None, column: str) -> np.ndarray:
    """The batch of each cell. Raises InputError where neither the cells nor the sheet has the column."""
    if column not in table and samples is not None:
        sheet = read_sheet(samples)
        if column in sheet:
            table = table.assign(**{column: table["sample"].map(sheet.set_index("sample")[column])})
    if column not in table:
        raise InputError(f"--harmony_by {column}: the sample sheet has no such column")
    return table[column].astype(str).to_numpy()


def require_rows(cells: pd.DataFrame, array: np.ndarray, where: str) -> None:
    """Refuse an array that has not one finite row for each cell."""
    if len(array) != len(cells):
        raise InputError(f"{where}: {len(array)} rows, but cells.parquet has {len(cells)}")
    if not np.isfinite(array).all():
        raise InputError(f"{where}: holds values that are not finite")


def walk(
    cells: pd.DataFrame, counts: dict[str, Path], genes: Sequence[str] | np.ndarray
) -> Iterator[tuple[slice, CountMatrix]]:
    """The counts of each sample's cells, in the rows of `cells`, one sample in memory at a time.

    Yields (rows of `cells`, CountMatrix with exactly `genes` as columns: zeros where a sample lacks one).
    Raises InputError where a sample has no matrix, a barcode is missing, or rows are out of order.
    """
    for rows in _samples(cells):
        yield rows, _of_sample(cells, rows, counts, genes)


def each_sample(
    cells: pd.DataFrame,
    counts: dict[str, Path],
    genes: Sequence[str] | np.ndarray,
    work: Callable[[slice, CountMatrix], Any],
) -> Iterator[Any]:
    """What `work` gives for what `walk` yields, in that order; two samples at a time where a CPU is idle.

    Raises InputError as `walk` does, and MemoryError where memory runs out.
    """
    return cpus.side_by_side(lambda rows: work(rows, _of_sample(cells, rows, counts, genes)), _samples(cells))


def _samples(cells: pd.DataFrame) -> list[slice]:
    """The rows of each sample."""
    names = cells["sample"].to_numpy()
    starts = np.flatnonzero(np.r_[True, names[1:] != names[:-1]]) if len(names) else np.array([], dtype=int)
    return [slice(int(a), int(b)) for a, b in zip(starts, np.r_[starts[1:], len(names)], strict=True)]


def _of_sample(
    cells: pd.DataFrame, rows: slice, counts: dict[str, Path], genes: Sequence[str] | np.ndarray
) -> CountMatrix:
    """The counts of one sample's cells, which are these rows."""
    sample = cells["sample"].iloc[rows.start]
    if sample not in counts:
        raise InputError(f"{sample}: cells.parquet has this sample, but no {sample}.h5 was given")
    matrix = read_h5(counts[sample])
    place = {barcode: i for i, barcode in enumerate(matrix.barcodes)}
    at = np.array([place.get(barcode, -1) for barcode in cells["barcode"].iloc[rows]])
    if (at < 0).any():
        raise InputError(f"{sample}: {int((at < 0).sum())} cells of cells.parquet are not in its matrix")
    return with_genes(matrix.select(at), genes)


def read_features(path: Path | str) -> tuple[np.ndarray, np.ndarray]:
    """Symbols and ids of the genes of a matrix that QC wrote, without its counts."""
    with h5py.File(path, "r") as file:
        group: Any = file["matrix/features"]
        return decoded(group["name"][:]), decoded(group["id"][:])


def with_genes(matrix: CountMatrix, genes: Sequence[str] | np.ndarray) -> CountMatrix:
    """The matrix with exactly these genes, in this order; a gene that it lacks is all zeros."""
    from scipy import sparse

    names = np.asarray(genes)
    if np.array_equal(names, matrix.genes):
        return matrix
    columns = matrix.columns(names)
    present = np.flatnonzero(columns >= 0)
    ids = names.astype(object)
    ids[present] = matrix.gene_ids[columns[present]]
    chooser = sparse.csr_matrix(
        (np.ones(len(present), dtype=matrix.counts.dtype), (columns[present], present)),
        shape=(len(matrix.genes), len(names)),
    )
    counts = sparse.csr_matrix(matrix.counts @ chooser)
    counts.sort_indices()
    return CountMatrix(counts, matrix.barcodes, names, ids.astype(str))


def one_thread() -> None:
    """Hold the linear algebra to one thread: sums split over threads differ in their last bits.

    Neighbours and clusters turn such a bit into another cell's label, and results must not depend on CPUs.
    """
    import threadpoolctl

    threadpoolctl.threadpool_limits(1)
