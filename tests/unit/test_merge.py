"""MERGE: cells and genes kept, variable genes as scanpy's, components as scikit-learn's, order of files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cell_steps
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import merge
from cartox import cpus, genes
from cartox.cells import embedding, merging
from cartox.cells.tables import read_tables, walk
from cartox.cli import InputError
from cartox.matrices.matrix import lognormalise, read_h5, write_h5


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """The small cohort after QC, DOUBLETS and MERGE."""
    folder = tmp_path_factory.mktemp("cohort")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        cell_steps.write_cohort(folder)
        cell_steps.run_qc(folder)
        merge.main(cell_steps.merge_arguments())
    return folder


@pytest.fixture
def copy(finished, tmp_path, monkeypatch) -> Path:
    """A copy to change, as the current folder."""
    shutil.copytree(finished, tmp_path / "run")
    monkeypatch.chdir(tmp_path / "run")
    return tmp_path / "run"


def test_cells_are_those_kept_that_are_no_doublets_in_the_order_of_the_matrices(finished, copy):
    cells = pd.read_parquet("cells.parquet")
    scores = read_tables(["L1.doublets.csv.gz", "L2.doublets.csv.gz"], ".doublets.csv.gz")
    single = scores[scores["predicted_doublet"] == 0]
    assert cells.columns.tolist() == merging.COLUMNS
    assert cells["sample"].is_monotonic_increasing and set(cells["sample"]) == {"A", "B"}
    for name, rows in cells.groupby("sample"):
        own = set(single.loc[single["sample"] == name, "barcode"])
        assert rows["barcode"].tolist() == [b for b in read_h5(f"{name}.h5").barcodes if b in own]
    assert cells.groupby("sample")["batch"].first().tolist() == ["L1", "L2"]
    report = json.loads(Path("merge.json").read_text())
    assert report["n_cells"] == len(cells) == sum(report["cells_by_sample"].values())
    assert np.load("pca.npy", allow_pickle=False).shape == (len(cells), 10)


def test_flagged_doublets_stay_and_are_marked(finished, copy):
    removed = pd.read_parquet("cells.parquet")
    assert removed["predicted_doublet"].tolist() == [0] * len(removed)
    scores = pd.read_csv("L1.doublets.csv.gz")
    scores.loc[:2, "predicted_doublet"] = 1
    scores.to_csv("L1.doublets.csv.gz", index=False)
    double = read_tables(["L1.doublets.csv.gz", "L2.doublets.csv.gz"], ".doublets.csv.gz")
    merge.main([*cell_steps.merge_arguments(), "--doublet_action", "flag"])
    cells, report = pd.read_parquet("cells.parquet"), json.loads(Path("merge.json").read_text())
    known = double.set_index(["sample", "barcode"])["predicted_doublet"]
    order = pd.MultiIndex.from_frame(cells[["sample", "barcode"]])
    assert cells["predicted_doublet"].tolist() == known.loc[order].tolist()
    assert len(cells) == len(double) and cells["predicted_doublet"].sum() == known.sum() >= 3
    assert report["doublet_action"] == "flag" and sum(report["doublets_by_sample"].values()) == known.sum()


def test_order_of_files_changes_nothing(finished, copy):
    before = {name: Path(name).read_bytes() for name in ("pca.npy", "merge.json")}
    tables = {name: pd.read_parquet(name) for name in ("cells.parquet", "genes.parquet")}
    merge.main(cell_steps.merge_arguments(reverse=True))
    for name, content in before.items():
        assert Path(name).read_bytes() == content
    for name, table in tables.items():
        pd.testing.assert_frame_equal(pd.read_parquet(name), table)


def test_genes_are_shared_ones_and_forbidden_ones_are_never_variable(finished, copy):
    write_h5("B.h5", cell_steps.without(read_h5("B.h5"), "CAR", "GENE7"))
    merge.main(cell_steps.merge_arguments())
    genes = pd.read_parquet("genes.parquet").set_index("gene")
    assert "GENE7" not in genes.index and "CAR" in genes.index and len(genes) == cell_steps.N_GENES - 1
    assert genes.index[genes["excluded"]].tolist() == ["XIST", "TRAV1-2", "CAR"]
    assert not (genes["excluded"] & genes["highly_variable"]).any()
    assert genes["highly_variable"].sum() == 150
    assert json.loads(Path("merge.json").read_text())["warnings"] == [
        "CAR is in 1 of 2 samples; in the others it counts as zero"
    ]
    cells = pd.read_parquet("cells.parquet")
    detected = sum(
        np.bincount(m.counts.indices, minlength=len(genes))
        for _, m in walk(cells, {s: Path(f"{s}.h5") for s in "AB"}, genes.index)
    )
    assert np.array_equal(detected, genes["n_cells"])


def test_a_sample_of_another_reference_is_warned_of(finished, copy):
    matrix = read_h5("B.h5")
    write_h5("B.h5", cell_steps.without(matrix, *matrix.genes[:200]))
    merge.main(cell_steps.merge_arguments())
    warning = json.loads(Path("merge.json").read_text())["warnings"][0]
    assert warning.startswith("only 200 genes are in every sample, of 300 in the usual one")


def test_cells_without_a_doublet_score_and_unknown_samples_are_refused(finished, copy):
    arguments = [text for text in cell_steps.merge_arguments() if text != "L2.doublets.csv.gz"]
    with pytest.raises(InputError, match="in no table of doublets"):
        merge.main(arguments)
    Path("samples.csv").write_text("sample,patient,timepoint,batch\nA,P1,D7,L1\n")
    with pytest.raises(InputError, match=r"B: this sample is not in samples.csv"):
        merge.main(cell_steps.merge_arguments())


def test_variable_genes_are_scanpys():
    import anndata
    import scanpy as sc

    first, second = cell_steps.sample(1, 150)[0], cell_steps.sample(2, 130, lift=3)[0]
    counts = sparse.csr_matrix(sparse.vstack([first.counts, second.counts]))
    batch = np.repeat(["a", "b"], [150, 130])
    adata = anndata.AnnData(counts.astype(np.float32), obs=pd.DataFrame({"batch": batch}))
    adata.obs_names = [f"c{i}" for i in range(280)]
    sc.pp.highly_variable_genes(adata, n_top_genes=60, flavor="seurat_v3_paper", batch_key="batch")

    values = embedding.GeneValues(2, 400)
    for number, part in [(0, first.counts[:70]), (1, second.counts), (0, first.counts[70:])]:
        values.add(number, embedding.Tally.of(part))
    mean, variance = values.mean_and_variance()
    expected = np.array([embedding.expected_deviation(m, v) for m, v in zip(mean, variance, strict=True)])
    score = values.clipped_variance(mean, expected)
    assert (first.counts.data >= embedding.SMALL).any()
    assert np.allclose(score.mean(axis=0), adata.var["variances_norm"], rtol=1e-5)
    assert np.array_equal(embedding.most_variable(score, 60), adata.var["highly_variable"])


def test_tiny_batches_are_pooled_and_do_not_break_the_fit():
    batch = np.repeat(["a", "b", "c", "d"], [200, 5, 3, 150])
    assert [np.unique(embedding.pooled_batches(batch)[batch == x]).tolist() for x in "abcd"] == [
        [0],
        [2],
        [2],
        [1],
    ]
    mean = np.repeat([0.2, 0.4], 5)
    assert np.isfinite(embedding.expected_deviation(mean, mean)).all()


def test_components_are_those_of_the_dense_matrix():
    from sklearn.decomposition import PCA

    counts = cell_steps.sample(1, 150)[0].counts
    values = lognormalise(counts)
    scores, share = embedding.principal_components([values[:60], values[60:]], 10)
    model = PCA(10, svd_solver="full")
    wanted = model.fit_transform(values.toarray().astype(np.float64))
    sign = np.sign((wanted * scores).sum(axis=0))
    assert np.abs(scores - wanted * sign).max() < 1e-4
    assert np.allclose(share, model.explained_variance_ratio_, atol=1e-6)


def test_components_do_not_depend_on_cpus(monkeypatch):
    values = lognormalise(cell_steps.sample(1, 150)[0].counts)
    monkeypatch.setattr(embedding, "BLOCK", 20)
    by_cpus = []
    for n in (1, 2, 3):
        monkeypatch.setattr(cpus, "available", lambda n=n: n)
        by_cpus.append(embedding.principal_components([values[:60], values[60:]], 10))
    for scores, share in by_cpus[1:]:
        assert np.array_equal(scores, by_cpus[0][0]) and np.array_equal(share, by_cpus[0][1])


def test_the_tables_do_not_depend_on_cpus(finished, copy, monkeypatch):
    names = ("cells.parquet", "genes.parquet", "pca.npy", "merge.json")
    by_cpus = []
    for n in (1, 2):
        monkeypatch.setattr(cpus, "available", lambda n=n: n)
        merge.main(cell_steps.merge_arguments())
        by_cpus.append([Path(name).read_bytes() for name in names])
    assert by_cpus[0] == by_cpus[1]


def test_depth_is_that_of_counts_without_ambient_rna(finished, copy):
    before = pd.read_parquet("cells.parquet")
    kept = read_tables([f"{name}.cells.csv.gz" for name in "ABF"], ".cells.csv.gz").query("kept == 1")
    for sample, rows in kept.groupby("sample"):
        now = rows[["sample", "barcode", "n_counts", "n_genes"]].assign(n_counts=rows["n_counts"] - 1)
        now.to_csv(f"{sample}.totals.csv.gz", index=False)
    merge.main([*cell_steps.merge_arguments(), "--totals", "A.totals.csv.gz", "B.totals.csv.gz"])
    after = pd.read_parquet("cells.parquet")
    assert after["n_counts"].tolist() == (before["n_counts"] - 1).tolist()
    assert after.drop(columns="n_counts").equals(before.drop(columns="n_counts"))
    with pytest.raises(InputError, match="in no table of totals"):
        merge.main([*cell_steps.merge_arguments(), "--totals", "A.totals.csv.gz"])


def test_segments_of_receptors_are_out_of_bounds_and_their_namesakes_are_not():
    symbols = ["TRAV1-2", "TRDD3", "IGHJ6", "IGHVII-1-1", "TRGJP", "XIST", "TRADD", "IGHD", "TRAC", "CD3E"]
    assert genes.out_of_bounds(symbols, []).tolist() == [True] * 6 + [False] * 4
