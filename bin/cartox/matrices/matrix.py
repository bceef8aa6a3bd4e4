"""Count matrices in memory, and in the form that travels between steps.

The form that travels between steps is Cell Ranger's own HDF5 (version 3), so that any tool can open an
intermediate file; it is written and read with h5py alone, because the steps that run once per sample must
start fast.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from scipy import sparse

from cartox.cli import InputError
from cartox.matrices.strings import decoded, encoded

if TYPE_CHECKING:
    from cartox.matrices.orthologues import Orthologues

# lzf-like speed with gzip's reach: level 1, shuffled, opens in every HDF5 reader
PACKED: dict[str, Any] = {"compression": "gzip", "compression_opts": 1, "shuffle": True}
CHUNK = 1 << 18  # entries packed together: smaller ones cost more to read than they hold
TARGET_SUM = 10_000


@dataclass
class CountMatrix:
    """Raw counts of one sample.

    counts: csr_matrix, cells × genes, int32. barcodes: cells, str. genes: symbols, unique, str.
    gene_ids: the ids beside them (the symbol where the file has none).
    """

    counts: sparse.csr_matrix
    barcodes: np.ndarray
    genes: np.ndarray
    gene_ids: np.ndarray

    def select(self, cells: np.ndarray) -> CountMatrix:
        """The same matrix with only these cells (indices or a mask)."""
        counts: Any = self.counts
        return CountMatrix(counts[cells], self.barcodes[cells], self.genes, self.gene_ids)

    def columns(self, genes: list[str] | np.ndarray) -> np.ndarray:
        """Column of each gene, −1 where the matrix lacks it."""
        where = {gene: i for i, gene in enumerate(self.genes)}
        return np.array([where.get(gene, -1) for gene in genes], dtype=int)


def write_h5(path: Path | str, matrix: CountMatrix) -> None:
    """Write in Cell Ranger's HDF5 form, version 3 (genes × cells, column-compressed, gzip)."""
    counts = matrix.counts.tocsr()
    counts.sort_indices()
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix")
        for name, values in (("data", counts.data), ("indices", counts.indices)):
            chunks = (min(CHUNK, len(values)),) if len(values) else None
            group.create_dataset(name, data=values.astype(np.int32), chunks=chunks, **PACKED)
        group.create_dataset("indptr", data=counts.indptr.astype(np.int64), **PACKED)
        group.create_dataset("shape", data=np.array([len(matrix.genes), len(matrix.barcodes)]))
        group.create_dataset("barcodes", data=encoded(matrix.barcodes), **PACKED)
        features = group.create_group("features")
        features.create_dataset("id", data=encoded(matrix.gene_ids), **PACKED)
        features.create_dataset("name", data=encoded(matrix.genes), **PACKED)
        kind = np.full(len(matrix.genes), b"Gene Expression")
        features.create_dataset("feature_type", data=kind, **PACKED)
        features.create_dataset("genome", data=np.full(len(matrix.genes), b""), **PACKED)


def read_counts(path: Path | str, orthologues: Orthologues | None = None) -> CountMatrix:
    """Read raw counts from any form that users have (see cartox.matrices.readers).

    Only gene expression features are kept; counts of features with the same symbol are added; whole
    numbers stored as floats are accepted. Raises InputError that says what is wrong with the file.
    """
    from cartox.matrices import readers

    with readers.opened(path, orthologues) as stored:
        counts: Any = stored.load()
        # indices that point outside would crash what comes after, so they are looked at
        counts.check_format(full_check=True)
        if fault := not_counts(counts.data):
            raise InputError(fault + stored.hint)
        # added before they are narrowed, or a sum past the largest int32 would turn negative
        counts = counts.astype(np.int64)
        counts.sum_duplicates()
        counts.eliminate_zeros()
        names, ids = stored.symbols, stored.ids
        barcodes = stored.barcodes()
        if not stored.keep.all():
            counts, names, ids = counts[:, stored.keep], names[stored.keep], ids[stored.keep]
        merged = merge_duplicates(CountMatrix(counts, barcodes, names, ids))
        if fault := not_counts(merged.counts.data):
            raise InputError(fault + stored.hint)
        merged.counts = sparse.csr_matrix(merged.counts.astype(np.int32))
        return merged


def read_h5(path: Path | str) -> CountMatrix:
    """Read Cell Ranger's HDF5 form (version 3), as `write_h5` and Cell Ranger write it.

    Only gene expression features are kept; counts of features with the same symbol are added.
    """
    with h5py.File(path, "r") as file:
        group: Any = file["matrix"]
        shape = tuple(int(n) for n in group["shape"][:])
        counts: Any = sparse.csr_matrix(
            (group["data"][:], group["indices"][:], group["indptr"][:]), shape=(shape[1], shape[0])
        )
        barcodes, names, ids, kinds = (
            decoded(group[name][:])
            for name in ("barcodes", "features/name", "features/id", "features/feature_type")
        )
    expressed = kinds == "Gene Expression"
    if not expressed.all():
        counts, names, ids = counts[:, expressed], names[expressed], ids[expressed]
    return merge_duplicates(CountMatrix(counts, barcodes, names, ids))


def merge_duplicates(matrix: CountMatrix) -> CountMatrix:
    """Add the counts of features that share a symbol; the first one's place and id are kept."""
    unique, first, inverse = np.unique(matrix.genes, return_index=True, return_inverse=True)
    if len(unique) == len(matrix.genes):
        return matrix
    order = np.argsort(first)
    place = np.empty(len(unique), dtype=int)
    place[order] = np.arange(len(unique))
    adder = sparse.csr_matrix(
        (np.ones(len(inverse), dtype=matrix.counts.dtype), (np.arange(len(inverse)), place[inverse])),
        shape=(len(inverse), len(unique)),
    )
    kept = first[order]
    counts = sparse.csr_matrix(matrix.counts @ adder)
    return CountMatrix(counts, matrix.barcodes, matrix.genes[kept], matrix.gene_ids[kept])


def not_counts(values: np.ndarray) -> str:
    """Why these values cannot be raw counts and what to do, or nothing where they can."""
    if not len(values):
        return ""
    if values.dtype.kind not in "biuf":
        return "the values are not numbers; give raw counts"
    if not np.isfinite(values).all():
        return "values are NaN or infinite; give raw counts"
    low, high = values.min(), values.max()
    if low < 0:
        return f"values are negative (as low as {low:.4g}), as after scaling; give raw counts"
    if values.dtype.kind == "f" and not np.array_equal(values, np.round(values)):
        likely = "log-normalised" if high < 20 else "normalised or corrected"
        return (
            f"values are not whole numbers (as large as {high:.4g}), so they look {likely}; give raw counts"
        )
    if high > np.iinfo(np.int32).max:
        return f"values are as large as {high:.4g}, which no count of molecules is; give raw counts"
    return ""


def require_counts(values: np.ndarray, where: str) -> None:
    """Refuse anything but raw counts. Raises InputError naming `where`."""
    if len(values) and (values.min() < 0 or not np.array_equal(values, np.round(values))):
        raise InputError(f"{where}: raw counts are needed here, but values are negative or not whole numbers")


def lognormalise(counts: sparse.csr_matrix, totals: np.ndarray | None = None) -> sparse.csr_matrix:
    """log(1 + counts per 10,000), cells × genes, float32; zeros stay zeros.

    totals: counts per cell to divide by; by default the row sums. Equals scanpy's normalize_total
    (target_sum=1e4) followed by log1p. Raises InputError when given anything but raw counts.
    """
    require_counts(counts.data, "normalisation")
    if totals is None:
        totals = np.asarray(counts.sum(axis=1)).ravel()
    return log_of_share(counts, np.maximum(totals, 1))


def log_of_share(values: sparse.csr_matrix, totals: np.ndarray) -> sparse.csr_matrix:
    """log(1 + 10,000 × values / totals), cells × genes, float32; totals: above 0, by cell."""
    out: Any = values.astype(np.float32)
    out.data = np.log1p(values.data * np.repeat(TARGET_SUM / totals, np.diff(values.indptr))).astype(
        np.float32
    )
    return out
