"""Reading of count matrices in every form that users have."""

from __future__ import annotations

import io
import os
import tarfile

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from builders import GENES, archive, counts, h5, h5_v2, mex
from scipy import sparse

from cartox.cells.tables import read_features
from cartox.cli import InputError
from cartox.matrices.matrix import CountMatrix, lognormalise, merge_duplicates, read_counts, read_h5, write_h5
from cartox.matrices.readers import opened


def same(read: CountMatrix, made: CountMatrix) -> None:
    assert read.counts.dtype == np.int32
    assert isinstance(read.counts, sparse.csr_matrix)
    assert (read.counts != made.counts).nnz == 0
    assert read.barcodes.tolist() == made.barcodes.tolist()
    assert read.genes.tolist() == made.genes.tolist()
    assert read.gene_ids.tolist() == made.gene_ids.tolist()


def fault(path) -> str:
    with pytest.raises(InputError) as caught:
        read_counts(path)
    assert len(caught.value.faults) == 1
    assert caught.value.faults[0].startswith(f"{path.name}: ")
    return caught.value.faults[0]


def as_anndata(made: CountMatrix, x) -> anndata.AnnData:
    obs, var = pd.DataFrame(index=made.barcodes), pd.DataFrame({"gene_ids": made.gene_ids}, index=made.genes)
    return anndata.AnnData(x, obs=obs, var=var)


def test_cell_ranger_hdf5_both_versions(tmp_path):
    made = counts()
    same(read_counts(h5(tmp_path / "v3.h5", made)), made)
    same(read_h5(tmp_path / "v3.h5"), made)
    same(read_counts(h5_v2(tmp_path / "v2.h5", made)), made)


def test_names_beyond_ascii_come_back(tmp_path):
    made = counts()
    names = np.array([f"TNF-α{i}" if i % 2 else name for i, name in enumerate(made.genes)])
    greek = CountMatrix(made.counts, np.array([f"é{name}" for name in made.barcodes]), names, made.gene_ids)
    write_h5(tmp_path / "greek.h5", greek)
    same(read_h5(tmp_path / "greek.h5"), greek)
    same(read_counts(tmp_path / "greek.h5"), greek)
    assert read_features(tmp_path / "greek.h5")[0].tolist() == names.tolist()


def test_no_cell_at_all(tmp_path):
    none = counts().select(np.array([], dtype=int))
    same(read_counts(h5(tmp_path / "none.h5", none)), none)


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"packed": False},
        {"old": True, "packed": False},
        {"kind": "real"},
        {"prefix": "GSM1_"},
        {"genes_first": False},
    ],
)
def test_10x_folder_and_its_archive(tmp_path, form):
    made = counts()
    folder = mex(tmp_path / "sample", made, **form)
    same(read_counts(folder), made)
    same(read_counts(archive(tmp_path / "sample.tar.gz", folder)), made)


@pytest.mark.parametrize("store", [sparse.csr_matrix, sparse.csc_matrix, lambda m: m.toarray()])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_h5ad_of_anndata(tmp_path, store, dtype):
    made = counts()
    as_anndata(made, store(made.counts).astype(dtype)).write_h5ad(tmp_path / "a.h5ad")
    same(read_counts(tmp_path / "a.h5ad"), made)


def test_h5ad_layer_counts_goes_before_x(tmp_path):
    made = counts()
    adata = as_anndata(made, np.log1p(made.counts))
    adata.layers["counts"] = made.counts.tocsc()
    adata.write_h5ad(tmp_path / "a.h5ad")
    same(read_counts(tmp_path / "a.h5ad"), made)


@pytest.mark.parametrize("column", ["feature_name", "gene_symbols"])
def test_h5ad_by_gene_id_takes_symbols_from_a_categorical_column(tmp_path, column):
    made = counts()
    var = pd.DataFrame({column: pd.Categorical(made.genes)}, index=made.gene_ids)
    anndata.AnnData(made.counts, obs=pd.DataFrame(index=made.barcodes), var=var).write_h5ad(
        tmp_path / "a.h5ad"
    )
    same(read_counts(tmp_path / "a.h5ad"), made)


def test_h5ad_keeps_gene_expression_only(tmp_path):
    made = counts()
    adata = as_anndata(made, made.counts)
    adata.var["feature_types"] = ["Gene Expression"] * 29 + ["Antibody Capture"]
    adata.write_h5ad(tmp_path / "a.h5ad")
    assert read_counts(tmp_path / "a.h5ad").genes.tolist() == GENES[:29].tolist()


def test_gene_ids_without_symbols_are_refused(tmp_path):
    made = counts()
    made.genes = np.array([f"{gene}.3" for gene in made.gene_ids])
    assert "there are no symbols" in fault(h5(tmp_path / "ids.h5", made))
    anndata.AnnData(
        made.counts, obs=pd.DataFrame(index=made.barcodes), var=pd.DataFrame(index=made.gene_ids)
    ).write_h5ad(tmp_path / "ids.h5ad")
    assert "add the gene symbols" in fault(tmp_path / "ids.h5ad")


def test_symbols_and_ids_exchanged_are_put_right(tmp_path):
    made = counts()
    turned = CountMatrix(made.counts, made.barcodes, made.gene_ids, made.genes)
    same(read_counts(h5(tmp_path / "turned.h5", turned)), made)


def test_counts_of_one_symbol_are_added(tmp_path):
    made = counts()
    made.genes[3] = made.genes[1]
    read = read_counts(h5(tmp_path / "twice.h5", made))
    assert len(read.genes) == 29
    both = made.counts[:, [1, 3]].sum(axis=1)
    assert (read.counts[:, 1].toarray() == both).all()
    assert read.gene_ids[1] == made.gene_ids[1]
    assert merge_duplicates(read) is read


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (np.log1p, "look log-normalised"),
        (lambda v: v * 1e4 / 3, "look normalised"),
        (lambda v: v - 3.0, "negative"),
        (lambda v: np.where(v > 1, np.nan, v), "NaN"),
        (lambda v: v * 1e10, "no count of molecules"),
    ],
)
def test_what_is_no_count_is_refused(tmp_path, change, said):
    made = counts()
    x = made.counts.astype(float)
    x.data = change(x.data)
    as_anndata(made, x).write_h5ad(tmp_path / "x.h5ad")
    text = fault(tmp_path / "x.h5ad")
    assert said in text
    assert "give raw counts" in text


def test_other_files_are_named_for_what_they_are(tmp_path):
    made = {
        "page.h5": (b"<!DOCTYPE html><html>not found</html>", "an HTML page"),
        "book.h5": (b"\xd0\xcf\x11\xe0" + bytes(60), "an Excel file"),
        "none.h5": (b"", "an empty file"),
        "lfs.h5": (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        "matrix.mtx": (b"%%MatrixMarket matrix coordinate integer general\n", "give the folder"),
        "table.csv": (b"gene,c1\nA,1\n", "a text file"),
    }
    for name, (data, said) in made.items():
        (tmp_path / name).write_bytes(data)
        assert said in fault(tmp_path / name)
    assert "no such file" in fault(tmp_path / "absent.h5")


def test_truncated_files_are_said_to_be(tmp_path):
    whole = h5(tmp_path / "whole.h5", counts(cells=300)).read_bytes()
    (tmp_path / "cut.h5").write_bytes(whole[: len(whole) // 2])
    assert "truncated" in fault(tmp_path / "cut.h5")
    folder = mex(tmp_path / "mex", counts(cells=300))
    packed = archive(tmp_path / "mex.tar.gz", folder).read_bytes()
    (tmp_path / "cut.tar.gz").write_bytes(packed[: len(packed) // 2])
    assert "truncated" in fault(tmp_path / "cut.tar.gz")
    part = folder / "matrix.mtx.gz"
    part.write_bytes(part.read_bytes()[:200])
    assert "truncated" in fault(folder)


def test_other_hdf5_files_are_refused(tmp_path):
    for name, keys, said in (
        ("loom.h5", ["matrix", "row_attrs"], "no count matrix (it holds matrix, row_attrs)"),
        ("molecule_info.h5", ["barcode_idx"], "filtered_feature_bc_matrix.h5"),
        ("old.h5ad", ["obs", "var", "X"], "before 0.7"),
    ):
        with h5py.File(tmp_path / name, "w") as file:
            for key in keys:
                file[key] = np.zeros(3)
        assert said in fault(tmp_path / name)
    h5_v2(tmp_path / "two.h5", counts(), "hg19")
    h5_v2(tmp_path / "two.h5", counts(), "mm10")
    assert "several genomes (hg19, mm10)" in fault(tmp_path / "two.h5")


def test_indices_that_point_outside_are_refused(tmp_path):
    path = h5(tmp_path / "bad.h5", counts())
    with h5py.File(path, "a") as file:
        file["matrix/indices"][0] = 10_000
    assert "damaged" in fault(path)


def test_folders_that_are_no_10x_folder(tmp_path):
    mex(tmp_path / "outs" / "filtered", counts())
    assert "did you mean 'outs/filtered'" in fault(tmp_path / "outs")
    folder = mex(tmp_path / "cut", counts(), packed=False)
    (folder / "barcodes.tsv").write_text("A-1\nC-1\n")
    assert "30 features and 2 barcodes" in fault(folder)
    mex(tmp_path / "both", counts(), prefix="a_")
    for part in (tmp_path / "both").iterdir():
        part.with_name(part.name.replace("a_", "b_")).write_bytes(part.read_bytes())
    assert "several matrices" in fault(tmp_path / "both")


def test_archives_touch_nothing_outside(tmp_path):
    made = counts()
    folder = mex(tmp_path / "in" / "s", made)
    with tarfile.open(tmp_path / "evil.tar.gz", "w:gz") as tar:
        for part in sorted(folder.iterdir()):
            tar.add(part, arcname=f"../../escaped/{part.name}")
        link = tarfile.TarInfo("x/matrix.mtx")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        tar.addfile(link)
    before = sorted(os.walk(tmp_path))
    same(read_counts(tmp_path / "evil.tar.gz"), made)
    assert sorted(os.walk(tmp_path)) == before
    with tarfile.open(tmp_path / "links.tar", "w") as tar:
        tar.addfile(link)
        tar.addfile(tarfile.TarInfo("readme"), io.BytesIO(b""))
    assert "no matrix.mtx" in fault(tmp_path / "links.tar")


def test_a_peek_looks_at_values_from_all_over(tmp_path):
    made = counts(cells=400)
    made.counts.data[-1] = 77
    with opened(h5(tmp_path / "a.h5", made)) as stored:
        looked_at = stored.sample(2000)
        assert len(looked_at) == 2000
        assert looked_at[-1] == 77
        assert stored.shape == (400, 30)


def test_lognormalise_refuses_what_is_no_count():
    with pytest.raises(InputError, match="raw counts are needed"):
        lognormalise(sparse.csr_matrix(np.array([[0.5, 1.0]])))


def test_real_files_equal_scanpys_reading(shared, tmp_path):
    scanpy = pytest.importorskip("scanpy")
    path = next(shared("data/pbmc_1k").glob("*.h5"))
    with pytest.warns(UserWarning, match="not unique"):
        theirs = scanpy.read_10x_h5(path)
    ours = read_counts(path)
    assert ours.counts.sum() == theirs.X.sum() == 3524098
    assert ours.barcodes.tolist() == theirs.obs_names.tolist()
    for gene in ("CD3D", "LYZ", "MS4A1", "GNLY"):
        column = theirs.X[:, theirs.var_names.get_loc(gene)].toarray()
        assert (column == ours.counts[:, ours.columns([gene])].toarray()).all()
    write_h5(tmp_path / "again.h5", ours)
    same(read_h5(tmp_path / "again.h5"), ours)

    folder = shared("data/kang/matrices/1015_ctrl")
    theirs, ours = scanpy.read_10x_mtx(folder), read_counts(folder)
    assert (ours.counts != theirs.X).nnz == 0
    assert theirs.var_names.tolist() == ours.genes.tolist()
