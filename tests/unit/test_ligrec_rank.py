"""LIGREC_RANK: liana's numbers, even draws, strata that have too little to rank."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import ligrec_rank as step
from cartox.matrices.matrix import CountMatrix, lognormalise, read_h5, write_h5
from cartox.signals.ligrec_rank import pool, shares

GENES = [f"L{i}" for i in range(12)] + [f"R{i}" for i in range(12)] + [f"G{i}" for i in range(30)] + ["XIST"]
PAIRS = [(f"L{i}", f"R{i}") for i in range(11)] + [("L11", "R11_R0"), ("XIST", "R1"), ("L1", "ABSENT")]


def write_stratum(folder: Path, sizes: dict[str, int], kinds: tuple[str, ...] = ("A", "B", "C")) -> None:
    rng = np.random.default_rng(5)
    rate = rng.gamma(0.8, 1.5, (len(kinds), len(GENES)))
    (folder / "labels").mkdir()
    for sample, n in sizes.items():
        kind = rng.integers(0, len(kinds), n)
        counts = sparse.csr_matrix(rng.poisson(rate[kind]).astype(np.int32))
        barcodes = np.array([f"bc{i}" for i in range(n)])
        write_h5(folder / f"{sample}.h5", CountMatrix(counts, barcodes, np.array(GENES), np.array(GENES)))
        pd.DataFrame(
            {
                "barcode": barcodes,
                "cell_type": np.array(kinds)[kind],
                "lineage": "",
                "car": 0,
            }
        ).to_csv(folder / "labels" / f"{sample}.csv", index=False)
    pd.DataFrame(PAIRS, columns=["ligand", "receptor"]).to_csv(folder / "lr.csv", index=False)
    sheet = pd.DataFrame({"sample": sorted(sizes), "patient": "P1", "timepoint": "D7", "batch": "B"})
    sheet.to_csv(folder / "samples.csv", index=False)


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, *more: str, reverse: bool = False) -> pd.DataFrame:
    monkeypatch.chdir(folder)
    counts = sorted(map(str, folder.glob("*.h5")), reverse=reverse)
    labels = sorted(map(str, folder.glob("labels/*.csv")))
    step.main(
        ["--samples", "samples.csv", "--counts", *counts, "--labels", *labels, "--resource", "lr.csv", *more]
    )
    return pd.read_csv("D7.rank.csv")


def test_ranks_equal_liana_on_all_cells(tmp_path, monkeypatch):
    import anndata
    import liana

    write_stratum(tmp_path, {"s1": 80, "s2": 60})
    ours = run(tmp_path, monkeypatch)
    parts = [read_h5(f"{sample}.h5") for sample in ("s1", "s2")]
    kind = pd.concat([pd.read_csv(f"labels/{sample}.csv") for sample in ("s1", "s2")])["cell_type"].to_numpy()
    cells = anndata.AnnData(
        sparse.csr_matrix(sparse.vstack([lognormalise(part.counts) for part in parts])),
        obs=pd.DataFrame({"kind": pd.Categorical(kind)}, index=[f"c{i}" for i in range(140)]),
        var=pd.DataFrame(index=GENES),
    )[:, GENES[:-1]].copy()
    resource = pd.DataFrame(PAIRS, columns=["ligand", "receptor"])
    theirs = liana.mt.rank_aggregate(
        cells,
        groupby="kind",
        resource=resource,
        use_raw=False,
        n_perms=100,
        seed=0,
        verbose=False,
        inplace=False,
    )
    theirs = theirs.drop(columns=["ligand", "receptor"], errors="ignore").rename(
        columns={"ligand_complex": "ligand", "receptor_complex": "receptor"}
    )
    keys = ["source", "target", "ligand", "receptor"]
    both = ours.merge(theirs, on=keys, suffixes=("", "_liana"))
    assert len(both) == len(ours) == len(theirs) > 50
    for name in ("lr_means", "lr_logfc", "magnitude_rank"):
        assert np.allclose(both[name], both[f"{name}_liana"], rtol=1e-3, atol=1e-6), name
    assert list(ours.columns) == step.HEADER
    assert ours["magnitude_rank"].is_monotonic_increasing


def test_order_of_files_changes_nothing_and_the_seed_decides(tmp_path, monkeypatch):
    write_stratum(tmp_path, {"s1": 200, "s2": 90})
    first = run(tmp_path, monkeypatch, "--max_cells", "150")
    pd.testing.assert_frame_equal(first, run(tmp_path, monkeypatch, "--max_cells", "150", reverse=True))
    assert not first.equals(run(tmp_path, monkeypatch, "--max_cells", "150", "--seed", "1"))
    assert first.drop_duplicates("source")["n_source"].sum() == 150


@pytest.mark.parametrize("kinds", [("A",), ("A", "Unassigned")])
def test_fewer_than_two_types_give_an_empty_table(tmp_path, monkeypatch, kinds):
    write_stratum(tmp_path, {"s1": 60}, kinds)
    table = run(tmp_path, monkeypatch)
    assert list(table.columns) == step.HEADER
    assert table.empty


def test_no_pair_expressed_gives_an_empty_table(tmp_path, monkeypatch):
    write_stratum(tmp_path, {"s1": 60})
    (tmp_path / "lr.csv").write_text("ligand,receptor\nABSENT,R1\nXIST,R2\n")
    assert run(tmp_path, monkeypatch).empty


def test_types_with_few_cells_are_left_out(tmp_path):
    write_stratum(tmp_path, {"s1": 60})
    labels = pd.read_csv(tmp_path / "labels" / "s1.csv")
    labels.loc[:3, "cell_type"] = "few"
    labels.to_csv(tmp_path / "labels" / "s1.csv", index=False)
    cells = pool([(tmp_path / "s1.h5", tmp_path / "labels" / "s1.csv")], 100, 0, [])
    assert cells is not None
    assert set(cells.obs["cell_type"]) == {"A", "B", "C"}
    assert "XIST" not in cells.var_names


def test_draws_are_even_over_samples():
    assert shares([100, 10, 50], 90) == [40, 10, 40]
    assert shares([5, 6], 100) == [5, 6]
    assert sum(shares([70, 70, 70], 100)) == 100


def test_samples_whose_cells_all_went_give_an_empty_table(tmp_path, monkeypatch):
    write_stratum(tmp_path, {"s1": 60})
    (tmp_path / "labels" / "s1.csv").write_text("barcode,cell_type,lineage,car\n")
    assert run(tmp_path, monkeypatch).empty


def test_each_time_point_and_tissue_is_ranked_alone(tmp_path, monkeypatch):
    write_stratum(tmp_path, {"s1": 80, "s2": 60, "s3": 70, "unlabelled": 50})
    (tmp_path / "labels/unlabelled.csv").unlink()
    sheet = pd.read_csv(tmp_path / "samples.csv").assign(tissue=["blood", "blood", "marrow", "marrow"])
    sheet.to_csv(tmp_path / "samples.csv", index=False)
    monkeypatch.chdir(tmp_path)
    files = [
        "--counts",
        *map(str, tmp_path.glob("*.h5")),
        "--labels",
        *map(str, tmp_path.glob("labels/*.csv")),
    ]
    step.main(["--samples", "samples.csv", *files, "--resource", "lr.csv"])
    for stratum, n_cells in {"D7.blood": 140, "D7.marrow": 70}.items():
        table = pd.read_csv(f"{stratum}.rank.csv")
        assert set(table["stratum"]) == {stratum}
        assert table.drop_duplicates("source")["n_source"].sum() == n_cells
