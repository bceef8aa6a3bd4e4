"""LIGREC and LIGREC_RESOURCE: the scores and rows of liana, the rules about genes, types and pairs."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import ligrec as step
import ligrec_resource
import pseudobulk
from cartox.cli import InputError
from cartox.matrices.matrix import CountMatrix, lognormalise, write_h5
from cartox.signals.ligrec import MIN_CELLS, read_resource

PAIRS = [
    ("L1", "R1"),
    ("L2", "R1_R2"),
    ("L1_L3", "R3"),
    ("L2", "R9"),
    ("XIST", "R1"),
    ("L4", "R4"),
    ("R2", "L1"),
]
KEYS = ["source", "target", "ligand", "receptor"]


def write_sample(folder: Path, seed: int = 3, n: int = 300) -> tuple[CountMatrix, pd.DataFrame]:
    """Counts with types that differ, 50 filler genes, a type of few cells, some cells Unassigned."""
    rng = np.random.default_rng(seed)
    genes = ["L1", "L2", "L3", "L4", "R1", "R2", "R3", "R4", "XIST", *(f"G{i}" for i in range(50))]
    kinds = np.array(["A", "B", "C", "few", "Unassigned"])
    kind = rng.choice(kinds, n, p=[0.4, 0.3, 0.24, 0.01, 0.05])
    rate = rng.gamma(0.5, 0.8, (len(kinds), len(genes)))
    rate[:, genes.index("L4")] = 0.02
    counts = rng.poisson(rate[np.searchsorted(kinds, kind, sorter=np.argsort(kinds)) % len(kinds)])
    matrix = CountMatrix(
        sparse.csr_matrix(counts.astype(np.int32)),
        np.array([f"bc{i}" for i in range(n)]),
        np.array(genes),
        np.array(genes),
    )
    write_h5(folder / "s1.h5", matrix)
    labels = pd.DataFrame({"barcode": matrix.barcodes, "cell_type": kind, "lineage": "", "car": 0})
    labels.to_csv(folder / "s1.csv", index=False)
    pd.DataFrame(PAIRS, columns=["ligand", "receptor"]).to_csv(folder / "lr.csv", index=False)
    return matrix, labels


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, resource: str = "lr.csv") -> pd.DataFrame:
    monkeypatch.chdir(folder)
    pseudobulk.main(["--sample", "s1", "--counts", "s1.h5", "--labels", "s1.csv"])
    step.main(["--expression", "s1.expression.npz", "--resource", resource])
    return pd.read_csv("s1.ligrec.csv.gz")


def liana_scores(matrix: CountMatrix, labels: pd.DataFrame, resource: pd.DataFrame) -> pd.DataFrame:
    import anndata
    import liana

    cells = anndata.AnnData(
        lognormalise(matrix.counts),
        obs=pd.DataFrame({"kind": labels["cell_type"].to_numpy(), "sample": "s1"}, index=matrix.barcodes),
        var=pd.DataFrame(index=matrix.genes),
    )[(labels["cell_type"] != "Unassigned").to_numpy()].copy()
    out = liana.mt.cellphonedb(
        cells,
        groupby="kind",
        resource=resource,
        expr_prop=0.1,
        min_cells=MIN_CELLS,
        use_raw=False,
        n_perms=None,
        verbose=False,
        inplace=False,
    )
    return out.rename(columns={"ligand_complex": "ligand", "receptor_complex": "receptor"}).loc[
        :, ~out.columns.isin(["ligand", "receptor"])
    ]


def assert_same(ours: pd.DataFrame, theirs: pd.DataFrame) -> None:
    joined = ours.merge(
        theirs[[*KEYS, "lr_means"]], on=KEYS, how="outer", suffixes=("", "_liana"), indicator=True
    )
    assert (joined["_merge"] == "both").all()
    assert len(joined) == len(ours) > 0
    assert np.abs(joined["lr_means"] - joined["lr_means_liana"]).max() < 1e-5


def test_scores_and_rows_equal_liana(tmp_path, monkeypatch):
    matrix, labels = write_sample(tmp_path)
    ours = run(tmp_path, monkeypatch)
    resource = pd.DataFrame([p for p in PAIRS if "XIST" not in p], columns=["ligand", "receptor"])
    assert_same(ours, liana_scores(matrix, labels, resource))
    assert {"L2^R1_R2", "L1_L3^R3"} <= set(ours["ligand"] + "^" + ours["receptor"])


@pytest.mark.real
def test_scores_and_rows_equal_liana_on_real_cells(tmp_path, monkeypatch, shared):
    """One cell type per quantile of LYZ, on 10x's 1k PBMC and liana's own consensus."""
    from cartox.matrices.matrix import read_h5

    matrix = read_h5(shared("data/pbmc_1k/pbmc_1k_v2_filtered_feature_bc_matrix.h5"))
    lyz = matrix.counts[:, matrix.columns(["LYZ"])[0]].toarray().ravel()
    kind = np.array(["few", "some", "many"])[np.digitize(lyz, [1, 20])]
    labels = pd.DataFrame({"barcode": matrix.barcodes, "cell_type": kind, "lineage": "", "car": 0})
    labels.to_csv(tmp_path / "s1.csv", index=False)
    write_h5(tmp_path / "s1.h5", matrix)
    monkeypatch.chdir(tmp_path)
    ligrec_resource.main([])
    ours = run(tmp_path, monkeypatch, "lr_resource.csv")
    assert_same(ours, liana_scores(matrix, labels, pd.read_csv("lr_resource.csv")))


def test_no_lineage_unassigned_or_rare_type_and_no_sex_gene(tmp_path, monkeypatch):
    write_sample(tmp_path)
    ours = run(tmp_path, monkeypatch)
    assert set(ours["source"]) | set(ours["target"]) == {"A", "B", "C"}
    assert "XIST" not in set(ours["ligand"])
    assert "L4" not in set(ours["ligand"])  # seen in too few cells


def test_order_of_cells_and_labels_changes_nothing(tmp_path, monkeypatch):
    matrix, labels = write_sample(tmp_path)
    first = run(tmp_path, monkeypatch)
    means = Path("s1.expression.npz").read_bytes()
    labels.sample(frac=1, random_state=0).to_csv(tmp_path / "s1.csv", index=False)
    write_h5(tmp_path / "s1.h5", matrix.select(np.random.default_rng(0).permutation(len(matrix.barcodes))))
    pd.testing.assert_frame_equal(first, run(tmp_path, monkeypatch))
    assert Path("s1.expression.npz").read_bytes() == means


def test_a_sample_without_enough_cells_has_an_empty_table(tmp_path, monkeypatch):
    _, labels = write_sample(tmp_path)
    labels.head(8).to_csv(tmp_path / "s1.csv", index=False)
    ours = run(tmp_path, monkeypatch)
    assert list(ours.columns) == step.HEADER
    assert len(ours) == 0


def test_resource_of_liana_and_of_the_user(tmp_path, monkeypatch):
    import liana

    monkeypatch.chdir(tmp_path)
    for name in ("cellphonedb", "consensus"):
        ligrec_resource.main(["--ligrec_resource", name])
        pairs = read_resource("lr_resource.csv")
        theirs = liana.rs.select_resource(name).dropna()
        assert set(pairs) == set(zip(theirs["ligand"], theirs["receptor"], strict=True))
    assert {("IFNG", "IFNGR1_IFNGR2"), ("CXCL10", "CXCR3")} <= set(pairs)
    assert len(pairs) > 4000
    Path("mine.csv").write_text("receptor,ligand,note\nCXCR3,CXCL9,x\nCXCR3,CXCL10,y\nCXCR3,CXCL9,x\n")
    ligrec_resource.main(["--ligrec_resource", "mine.csv"])
    with Path("lr_resource.csv").open() as file:
        assert list(csv.reader(file)) == [["ligand", "receptor"], ["CXCL10", "CXCR3"], ["CXCL9", "CXCR3"]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\nx,y\n", "no column ligand"),
        ("ligand,receptor\nCXCL9,\n,CXCR3\n", "row 2: receptor is empty"),
        ("ligand,receptor\n", "no ligand–receptor pair"),
    ],
)
def test_faults_of_a_users_resource(tmp_path, monkeypatch, text, said):
    monkeypatch.chdir(tmp_path)
    Path("mine.csv").write_text(text)
    with pytest.raises(InputError, match=said):
        ligrec_resource.main(["--ligrec_resource", "mine.csv"])


def test_unknown_resource_names_those_there_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="consensus"):
        ligrec_resource.main(["--ligrec_resource", "cellphone"])


def test_a_sample_whose_cells_all_went_has_an_empty_table(tmp_path, monkeypatch):
    _, labels = write_sample(tmp_path)
    labels.head(0).to_csv(tmp_path / "s1.csv", index=False)
    assert run(tmp_path, monkeypatch).empty


def test_samples_are_scored_each_by_itself(tmp_path, monkeypatch):
    write_sample(tmp_path)
    alone = run(tmp_path, monkeypatch)
    for name in ("b", "a"):
        pseudobulk.main(["--sample", name, "--counts", "s1.h5", "--labels", "s1.csv"])
    step.main(["--expression", "b.expression.npz", "a.expression.npz", "--resource", "lr.csv"])
    for name in ("b", "a"):
        found = pd.read_csv(f"{name}.ligrec.csv.gz")
        assert set(found.pop("sample")) == {name}
        pd.testing.assert_frame_equal(found, alone.drop(columns="sample"))


def test_a_file_that_is_no_expression_is_named(tmp_path, monkeypatch):
    write_sample(tmp_path)
    monkeypatch.chdir(tmp_path)
    np.savez("s1.expression.npz", means=np.zeros(3))
    with pytest.raises(InputError, match=r"s1.expression.npz: no expression by cell type"):
        step.main(["--expression", "s1.expression.npz", "--resource", "lr.csv"])
