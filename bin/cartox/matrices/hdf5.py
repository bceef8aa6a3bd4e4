"""Count matrices in HDF5: Cell Ranger's (versions 2 and 3) and AnnData's.

h5ad is read with h5py alone, because importing anndata takes longer than reading a sample.
"""

from __future__ import annotations

from functools import partial, reduce
from operator import add
from typing import Any

import h5py
import numpy as np
from scipy import sparse

from cartox.cli import InputError
from cartox.matrices.hdf5_guard import refuse_unsafe
from cartox.matrices.stored import (
    ADVICE,
    BLOCKS,
    Stored,
    gene_symbols,
    genes_only,
    is_ids,
    named,
    spread,
)
from cartox.matrices.strings import decoded
from cartox.sheets import shown

SYMBOL_COLUMNS = ("gene_symbols", "gene_symbol", "feature_name", "gene_name", "gene_names", "symbol", "name")
ID_COLUMNS = ("gene_ids", "gene_id", "ensembl_id", "feature_id", "id")
# simpleaf's layers of reads that may come from mature RNA, counted as in its folder of text
SPLICED = ("layers/spliced", "layers/ambiguous")
DENSE_BLOCK = 4_000_000  # values of a dense matrix held at a time


def open_hdf5(file: Any) -> Stored:
    """Open a count matrix in HDF5. Raises InputError where it is something else."""
    refuse_unsafe(file)
    if isinstance(file.get("matrix"), h5py.Group):
        group = file["matrix"]
        names, ids = text(group["features/name"]), text(group["features/id"])
        kinds = (
            text(group["features/feature_type"])
            if "feature_type" in group["features"]
            else np.full(len(names), "Gene Expression")
        )
        return _cell_ranger(group, "Cell Ranger HDF5", names, ids, genes_only(kinds))
    if "obs" in file and "var" in file:
        return _h5ad(file)
    genomes = [g for g in file.values() if isinstance(g, h5py.Group) and {"genes", "gene_names"} <= set(g)]
    if len(genomes) > 1:
        found = ", ".join(sorted(shown(str(g.name).strip("/")).strip("'") for g in genomes))
        raise InputError(f"it holds several genomes ({found}); give a matrix of one")
    if genomes:
        group = genomes[0]
        names = text(group["gene_names"])
        keep = np.ones(len(names), dtype=bool)
        return _cell_ranger(group, "Cell Ranger HDF5 (version 2)", names, text(group["genes"]), keep)
    if "barcode_idx" in file:
        raise InputError("it is Cell Ranger's molecule_info.h5; give filtered_feature_bc_matrix.h5")
    found = ", ".join(shown(name).strip("'") for name in list(file)[:5]) or "nothing"
    raise InputError(f"it is HDF5, but no count matrix (it holds {found}); {ADVICE}")


def _cell_ranger(group: Any, form: str, names: np.ndarray, ids: np.ndarray, keep: np.ndarray) -> Stored:
    features, cells = (int(n) for n in group["shape"][:])
    data, indptr, barcodes = group["data"], group["indptr"], group["barcodes"]
    if len(names) != features or len(ids) != features or len(indptr) != cells + 1 or len(barcodes) != cells:
        raise ValueError("sizes of the parts disagree")
    names, ids = gene_symbols(named(names, "a gene name"), named(ids, "a gene id"), "in features/name")
    return Stored(
        form,
        (cells, features),
        names,
        ids,
        keep,
        barcodes=lambda: named(text(barcodes), "a barcode"),
        load=lambda: sparse.csr_matrix(
            (data[:], group["indices"][:], indptr[:].astype(np.int64)), shape=(cells, features)
        ),
        sample=lambda limit: np.concatenate([data[part] for part in spread(len(data), limit)]),
    )


def _h5ad(file: Any) -> Stored:
    """Open an h5ad. Raises InputError where it predates anndata 0.7 or has no matrix."""
    obs, var = file["obs"], file["var"]
    if not isinstance(obs, h5py.Group) or not isinstance(var, h5py.Group):
        raise InputError("it was written by anndata before 0.7; open it with a current one and save it again")
    place = "layers/counts" if "layers/counts" in file else "X"
    # simpleaf's X holds the unspliced too
    fry = place == "X" and "uns/quant_info" in file and all(layer in file for layer in SPLICED)
    place = " + ".join(SPLICED) if fry else place
    if not fry and place not in file:
        raise InputError("it has neither X nor layers['counts']; save the raw counts in one of them")
    matrices = [file[name] for name in place.split(" + ")]
    cells, genes = _shape(matrices[0])
    index, barcodes = _column(var, _index(var)), _index(obs)
    if {(_length(obs[barcodes]), len(index))} != {_shape(matrix) for matrix in matrices}:
        raise ValueError("sizes of the parts disagree")
    symbols = [name for name in SYMBOL_COLUMNS if name in var]
    ids = [name for name in ID_COLUMNS if name in var]
    # the index is either the symbols or the ids; a column, where there is one, is the other
    other = _column(var, (ids or symbols)[0]) if ids or symbols else index
    if is_ids(index) and symbols:
        other = _column(var, symbols[0])
    index, other = named(index, "a gene name"), named(other, "a gene name")
    names, ids = gene_symbols(index, other, "in a var column such as gene_symbols")
    kinds = _column(var, "feature_types") if "feature_types" in var else np.full(genes, "Gene Expression")
    unnamed = (barcodes, "__categories")
    hint = " (if raw/X is the counts, copy it to layers['counts'])" if "raw/X" in file else ""
    return Stored(
        f"h5ad ({place})",
        (cells, genes),
        names,
        ids,
        genes_only(kinds),
        barcodes=lambda: named(_column(obs, barcodes), "a barcode"),
        load=lambda: reduce(add, (_load(matrix, cells, genes) for matrix in matrices)),
        sample=lambda limit: np.concatenate([_sample(m, limit // len(matrices)) for m in matrices]),
        hint=hint,
        obs={str(name): partial(_column, obs, str(name)) for name in obs if name not in unnamed},
    )


def _index(group: Any) -> str:
    """Name of the column that holds the row names."""
    name = group.attrs.get("_index", "_index")
    return name.decode() if isinstance(name, bytes) else str(name)


def _length(item: Any) -> int:
    """Number of values of a stored column."""
    if isinstance(item, h5py.Dataset):
        return item.shape[0]
    return item["codes" if "codes" in item else "values"].shape[0]


def _column(group: Any, name: str) -> np.ndarray:
    """A column as strings; missing values are empty. Plain, categorical and nullable columns are read."""
    item = group[name]
    if isinstance(item, h5py.Dataset):
        # anndata before 0.8 keeps the categories' names beside the columns
        old: Any = group.get(f"__categories/{name}")
        if old is not None:
            codes = item[:]
            return np.append(text(old), "")[np.where(codes < 0, -1, codes)]
        return text(item)
    if "codes" in item:
        codes = item["codes"][:]
        return np.append(text(item["categories"]), "")[np.where(codes < 0, -1, codes)]
    values = text(item["values"])
    return np.where(item["mask"][:], "", values) if "mask" in item else values


def text(data: Any) -> np.ndarray:
    """A dataset of strings, fixed or variable in length, as an array of str."""
    if h5py.check_string_dtype(data.dtype) is None:
        return data[:].astype(str)
    return named(data.asstr()[:].ravel(), "a name") if data.dtype.kind == "O" else decoded(data[:])


def _shape(matrix: Any) -> tuple[int, int]:
    if isinstance(matrix, h5py.Dataset):
        shape = matrix.shape
    else:
        shape = matrix.attrs["shape" if "shape" in matrix.attrs else "h5sparse_shape"]
    cells, genes = (int(n) for n in shape)
    return cells, genes


def _load(matrix: Any, cells: int, genes: int) -> sparse.csr_matrix:
    if isinstance(matrix, h5py.Dataset):
        step = max(1, DENSE_BLOCK // max(1, genes))
        blocks: list[Any] = [sparse.csr_matrix(matrix[at : at + step]) for at in range(0, cells, step)]
        return sparse.csr_matrix(sparse.vstack(blocks) if blocks else (cells, genes))
    kind = matrix.attrs.get("encoding-type", matrix.attrs.get("h5sparse_format", "csr"))
    kind = kind.decode() if isinstance(kind, bytes) else kind
    make = sparse.csc_matrix if kind.startswith("csc") else sparse.csr_matrix
    parts = (matrix["data"][:], matrix["indices"][:], matrix["indptr"][:])
    made: Any = make(parts, shape=(cells, genes))
    # turning columns into rows trusts the indices, and writes outside memory where they are wrong
    made.check_format(full_check=True)
    return sparse.csr_matrix(made)


def _sample(matrix: Any, limit: int) -> np.ndarray:
    if isinstance(matrix, h5py.Group):
        data: Any = matrix["data"]
        return np.concatenate([data[part] for part in spread(len(data), limit)])
    rows = max(BLOCKS, limit // max(1, matrix.shape[1]))
    return np.concatenate([matrix[part].ravel() for part in spread(matrix.shape[0], rows)])
