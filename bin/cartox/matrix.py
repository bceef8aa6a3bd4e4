"""Count matrices on disk and in memory.

The form that travels between steps is Cell Ranger's own HDF5 (version 3), so that any tool can open an
intermediate file; it is written and read with h5py alone, because the steps that run once per sample must
start fast.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from scipy import sparse

from cartox.cli import InputError

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
        return CountMatrix(self.counts[cells], self.barcodes[cells], self.genes, self.gene_ids)

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
        # lzf-like speed with gzip's reach: level 1, shuffled, opens in every HDF5 reader
        packed = {"compression": "gzip", "compression_opts": 1, "shuffle": True}
        group.create_dataset("data", data=counts.data.astype(np.int32), **packed)
        group.create_dataset("indices", data=counts.indices.astype(np.int64), **packed)
        group.create_dataset("indptr", data=counts.indptr.astype(np.int64), **packed)
        group.create_dataset("shape", data=np.array(counts.shape[::-1], dtype=np.int64))
        group.create_dataset("barcodes", data=matrix.barcodes.astype("S"))
        features = group.create_group("features")
        features.create_dataset("id", data=matrix.gene_ids.astype("S"))
        features.create_dataset("name", data=matrix.genes.astype("S"))
        kind = np.full(len(matrix.genes), b"Gene Expression")
        features.create_dataset("feature_type", data=kind)
        features.create_dataset("genome", data=np.full(len(matrix.genes), b""))


def read_h5(path: Path | str) -> CountMatrix:
    """Read Cell Ranger's HDF5 form (version 3), as `write_h5` and Cell Ranger write it.

    Only gene expression features are kept; counts of features with the same symbol are added.
    """
    with h5py.File(path, "r") as file:
        group = file["matrix"]
        shape = tuple(int(n) for n in group["shape"][:])
        counts = sparse.csr_matrix(
            (group["data"][:], group["indices"][:], group["indptr"][:]), shape=(shape[1], shape[0])
        )
        barcodes = group["barcodes"][:].astype(str)
        names = group["features/name"][:].astype(str)
        ids = group["features/id"][:].astype(str)
        expressed = group["features/feature_type"][:].astype(str) == "Gene Expression"
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
    return CountMatrix(
        (matrix.counts @ adder).tocsr(), matrix.barcodes, matrix.genes[kept], matrix.gene_ids[kept]
    )


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
    scale = TARGET_SUM / np.maximum(totals, 1)
    out = counts.astype(np.float32)
    out.data = np.log1p(counts.data * np.repeat(scale, np.diff(counts.indptr))).astype(np.float32)
    return out
