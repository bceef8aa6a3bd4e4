#!/usr/bin/env python3
"""All kept cells in one file that scanpy and cellxgene open: counts, normalised values, embeddings, labels.

X holds log(1 + counts per 10,000), layers["counts"] raw counts; both share their sparse structure on disk.
Samples are read and written one after another, so memory holds one sample and the tables. Writes
cohort.h5ad.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from cartox import __version__, cli, files
from cartox.cells import tables
from cartox.matrices.matrix import CHUNK, PACKED, CountMatrix, lognormalise

if TYPE_CHECKING:
    import pandas as pd


def main(argv: Sequence[str] | None = None) -> None:
    """Check that all tables speak of the same cells, then write."""
    parser = cli.parser(__doc__)
    parser.add_argument("--counts", required=True, nargs="+", type=Path, help="<sample>.h5 of QC")
    parser.add_argument("--cells", required=True, type=Path, help="cells.parquet")
    parser.add_argument("--genes", required=True, type=Path, help="genes.parquet")
    parser.add_argument("--pca", required=True, type=Path)
    parser.add_argument("--harmony", required=True, type=Path)
    parser.add_argument("--layout", required=True, type=Path, help="layout.parquet")
    parser.add_argument("--annotation", required=True, type=Path, help="annotation.parquet")
    parser.add_argument("--reference", type=Path, help="reference.parquet of MAP_REFERENCE")
    parser.add_argument("--samples", required=True, type=Path, help="sample sheet, for its covariates")
    parser.add_argument("--out", type=Path, default=Path("cohort.h5ad"))
    args = parser.parse_args(argv)

    import pandas as pd

    cells = tables.read_cells(args.cells)
    sheet = files.read_sheet(args.samples).set_index("sample")
    sheet = sheet[[name for name in sheet.columns if name not in cells.columns]]
    covariates = sheet.loc[cells["sample"]].reset_index(drop=True)
    genes = pd.read_parquet(args.genes)
    layout, labels = tables.read_cells(args.layout), tables.read_cells(args.annotation)
    tables.require_same_cells(cells, layout, args.layout.name)
    tables.require_same_cells(cells, labels, args.annotation.name)
    if args.reference:
        mapped = tables.read_cells(args.reference)
        tables.require_same_cells(cells, mapped, args.reference.name)
        labels = pd.concat([labels, mapped.drop(columns=tables.KEY)], axis=1)
    arrays = {"X_pca": args.pca, "X_pca_harmony": args.harmony}
    obsm = {name: np.load(path, allow_pickle=False) for name, path in arrays.items()}
    for name, path in arrays.items():
        tables.require_rows(cells, obsm[name], path.name)
    obsm["X_umap"] = layout[["umap_1", "umap_2"]].to_numpy(np.float32)
    obsm["X_umap_raw"] = layout[["raw_umap_1", "raw_umap_2"]].to_numpy(np.float32)

    write_tables(args.out, observations(cells, covariates, labels), genes, obsm)
    counts = files.by_sample(args.counts, ".h5")
    walked = tables.walk(cells, counts, genes["gene"].to_numpy())
    append_counts(args.out, walked, cells["n_counts"].to_numpy(), len(genes))


def observations(cells: pd.DataFrame, covariates: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    """One row per cell, named sample_barcode; text as categories. Raises InputError where names clash."""
    import pandas as pd

    obs = pd.concat([cells, covariates, labels.drop(columns=tables.KEY)], axis=1)
    obs.index = pd.Index(cells["sample"] + "_" + cells["barcode"])
    if not obs.index.is_unique:
        clash = obs.index[obs.index.duplicated()][0]
        raise cli.InputError(f"two cells would both be named {clash}: rename one of the samples")
    for name in obs.columns:
        if not pd.api.types.is_numeric_dtype(obs[name]) and name != "barcode":
            obs[name] = obs[name].astype("category")
    return obs


def write_tables(path: Path, obs: pd.DataFrame, genes: pd.DataFrame, obsm: dict[str, np.ndarray]) -> None:
    """Write everything but the matrices."""
    import anndata

    var = genes.set_index("gene")
    var.index.name = None
    about = {"version": __version__, "X": "log(1 + counts per 10,000)", "counts": 'layers["counts"]'}
    # scanpy looks for log1p to know that X is on the log scale
    adata = anndata.AnnData(obs=obs, var=var, uns={"cartox": about, "log1p": {}})
    adata.obsm.update(obsm)
    adata.write_h5ad(path)


def append_counts(
    path: Path, walked: Iterator[tuple[slice, CountMatrix]], totals: np.ndarray, n_genes: int
) -> None:
    """Append X and layers["counts"] (anndata's csr_matrix form, float32), sample by sample.

    The layer's indices and indptr are hard links to X's: the two differ in their values alone.
    """
    with h5py.File(path, "a") as file:
        if "X" in file:
            del file["X"]
        x, layers = file.create_group("X"), file.require_group("layers")
        counts = layers.create_group("counts")
        for group in (x, counts):
            group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0"})
            group.attrs["shape"] = np.array([len(totals), n_genes], dtype=np.int64)
        values, raw = (growing(group, "data", np.float32) for group in (x, counts))
        indices = growing(x, "indices", np.int32)
        lengths = [np.zeros(1, dtype=np.int64)]
        for rows, matrix in walked:
            matrix.counts.sort_indices()
            extend(values, lognormalise(matrix.counts, totals[rows]).data)
            extend(raw, matrix.counts.data)
            extend(indices, matrix.counts.indices)
            lengths.append(np.diff(matrix.counts.indptr))
        indptr = np.cumsum(np.concatenate(lengths))
        small = indptr[-1] <= np.iinfo(np.int32).max
        x.create_dataset("indptr", data=indptr.astype(np.int32 if small else np.int64), **PACKED)
        for name in ("indices", "indptr"):
            counts[name] = x[name]


def growing(group: h5py.Group, name: str, kind: type) -> h5py.Dataset:
    """An empty compressed dataset that can grow."""
    options: dict[str, Any] = {"maxshape": (None,), "chunks": (CHUNK,), "dtype": kind, **PACKED}
    return group.create_dataset(name, shape=(0,), **options)


def extend(dataset: h5py.Dataset, values: np.ndarray) -> None:
    """Write values at a dataset's end."""
    start = len(dataset)
    dataset.resize((start + len(values),))
    dataset[start:] = values


if __name__ == "__main__":
    cli.run(main)
