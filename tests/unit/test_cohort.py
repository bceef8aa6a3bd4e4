"""COHORT: the file opens in scanpy, holds the counts it was made from, and refuses tables of other cells."""

from __future__ import annotations

import re
from pathlib import Path

import anndata
import cell_steps
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import cohort
from cartox.cells.tables import walk
from cartox.cli import InputError
from cartox.matrices.matrix import lognormalise


@pytest.fixture(scope="module", autouse=True)
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cohort")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        cell_steps.run_all(folder)
        yield folder


def test_counts_and_values_are_those_of_the_samples():
    adata = anndata.read_h5ad("cohort.h5ad")
    genes = pd.read_parquet("genes.parquet")
    cells = pd.read_parquet("cells.parquet")
    assert adata.shape == (len(cells), len(genes))
    for rows, matrix in walk(cells, {s: Path(f"{s}.h5") for s in "AB"}, genes["gene"]):
        assert abs(adata.layers["counts"][rows] - matrix.counts).nnz == 0
        wanted = lognormalise(matrix.counts, cells["n_counts"].to_numpy()[rows])
        assert abs(adata.X[rows] - wanted).max() < 1e-6


def test_tables_and_embeddings_are_there():
    adata = anndata.read_h5ad("cohort.h5ad")
    cells = pd.read_parquet("cells.parquet")
    assert adata.obs_names.is_unique
    assert adata.obs_names.tolist() == (cells["sample"] + "_" + cells["barcode"]).tolist()
    wanted = (
        "sample patient timepoint barcode cell_type cell_state confidence car car_umi doublet_score cluster"
    )
    assert set(wanted.split()) <= set(adata.obs.columns)
    assert adata.obs["tissue"].tolist() == ["blood"] * len(cells), "the sheet's covariates come along"
    assert all(adata.obs[name].dtype == "category" for name in ("sample", "cell_type", "cluster", "patient"))
    assert set(adata.obsm) == {"X_pca", "X_pca_harmony", "X_umap", "X_umap_raw"}
    assert np.array_equal(adata.obsm["X_pca_harmony"], np.load("harmony.npy", allow_pickle=False))
    assert adata.var["highly_variable"].sum() == 150


def test_scanpy_works_on_it():
    import scanpy as sc

    adata = sc.read_h5ad("cohort.h5ad")
    sc.tl.rank_genes_groups(adata, "patient", method="t-test")
    assert adata.uns["rank_genes_groups"]["names"].shape[0] == adata.n_vars
    backed = anndata.read_h5ad("cohort.h5ad", backed="r")
    assert backed[:5].to_memory().layers["counts"].shape == (5, adata.n_vars)


def test_what_viewers_ask_of_a_file_holds():
    """cellxgene, and readers in R: plain types, unique names, embeddings that can be drawn."""
    adata = anndata.read_h5ad("cohort.h5ad")
    assert adata.var_names.is_unique
    assert adata.var_names.tolist() == pd.read_parquet("genes.parquet")["gene"].tolist()
    assert isinstance(adata.X, sparse.csr_matrix) and adata.X.dtype == np.float32
    counts = adata.layers["counts"]
    assert isinstance(counts, sparse.csr_matrix) and (counts.data == np.round(counts.data)).all()
    assert adata.X.has_sorted_indices and counts.shape == adata.shape and adata.X.data.max() < 20
    for name, column in [*adata.obs.items(), *adata.var.items()]:
        text = column.dtype == "category" or pd.api.types.is_string_dtype(column)
        assert text or pd.api.types.is_numeric_dtype(column), name
        if column.dtype == object:
            assert {type(value) for value in column} == {str}, name
        if column.dtype == "category":
            assert {type(value) for value in column.cat.categories} == {str}, name
            assert column.notna().all(), name
    for name, values in adata.obsm.items():
        assert name.startswith("X_") and values.shape[0] == adata.n_obs and values.shape[1] >= 2
        assert values.dtype.kind == "f" and not np.isinf(values).any() and not np.isnan(values).all(), name
    assert np.isfinite(adata.obsm["X_umap"]).all() and adata.obsm["X_umap"].shape[1] == 2
    documented = (
        (Path(__file__).resolve().parents[2] / "docs/output.md").read_text().split("## cohort.h5ad")[1]
    )
    named = {*adata.obs.columns, *adata.var.columns, *adata.obsm} - {"tissue"}
    assert {name for name in named if not re.search(rf"\b{name}\b", documented.split("## qc/")[0])} == set()


def test_both_matrices_share_their_structure_on_disk():
    with h5py.File("cohort.h5ad") as file:
        assert file["X/indices"] == file["layers/counts/indices"]
        assert file["X/indptr"] == file["layers/counts/indptr"]


def test_tables_of_other_cells_are_refused():
    shuffled = pd.read_parquet("annotation.parquet").sample(frac=1, random_state=0)
    shuffled.to_parquet("shuffled.parquet", index=False)
    flags = ["shuffled.parquet" if x == "annotation.parquet" else x for x in cell_steps.cohort_arguments()]
    with pytest.raises(InputError, match=r"shuffled.parquet: its rows are not the cells of cells.parquet"):
        cohort.main([*flags, "--out", "other.h5ad"])
    flags = [x for x in cell_steps.cohort_arguments() if x != "B.h5"]
    with pytest.raises(InputError, match=r"B: cells.parquet has this sample, but no B.h5 was given"):
        cohort.main([*flags, "--out", "other.h5ad"])
