"""PSEUDOBULK: sums equal scanpy's, lineage rows, composition."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

import pseudobulk as step
from cartox.cli import InputError
from cartox.labels import read_labels
from cartox.matrices.matrix import CountMatrix, write_h5
from cartox.signals.pseudobulk import pseudobulk, read_pseudobulk

TYPES = {"CD4_T": "T", "CD8_T": "T", "CD14_Mono": "Myeloid", "B": "B", "Unassigned": "T"}


def write_sample(
    folder: Path, seed: int = 1, n: int = 200, genes: int = 60
) -> tuple[CountMatrix, list[dict]]:
    """A sample's counts and labels, written as the steps before write them; 20 cells have no label."""
    rng = np.random.default_rng(seed)
    counts = sparse.csr_matrix(rng.poisson(0.4, (n, genes)).astype(np.int32))
    names = np.array([f"G{i}" for i in range(genes)])
    matrix = CountMatrix(counts, np.array([f"bc{i}" for i in range(n)]), names, names)
    write_h5(folder / "s1.h5", matrix)
    order = rng.permutation(n)[: n - 20]
    rows = []
    for i in order:
        kind = str(rng.choice(list(TYPES)))
        car = int(kind == "CD8_T" and i % 2)
        rows.append({"barcode": f"bc{i}", "cell_type": kind, "lineage": TYPES[kind], "car": car})
    with (folder / "s1.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return matrix, rows


def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[CountMatrix, np.ndarray, list[dict]]:
    monkeypatch.chdir(folder)
    step.main(["--sample", "s1", "--counts", "s1.h5", "--labels", "s1.csv"])
    sums, n_cells = read_pseudobulk("s1.pseudobulk.h5")
    with Path("s1.composition.csv").open() as file:
        return sums, n_cells, list(csv.DictReader(file))


def test_sums_equal_scanpy(tmp_path, monkeypatch):
    import anndata
    import pandas as pd
    import scanpy as sc

    matrix, rows = write_sample(tmp_path)
    sums, n_cells, _ = run(tmp_path, monkeypatch)
    obs = pd.DataFrame(rows).set_index("barcode").astype({"cell_type": "category"})
    adata = anndata.AnnData(matrix.counts, obs=pd.DataFrame(index=matrix.barcodes))[obs.index].copy()
    adata.obs["cell_type"] = obs["cell_type"]
    expected = sc.get.aggregate(adata, "cell_type", func="sum")
    kinds = list(expected.obs_names)
    index = [list(sums.barcodes).index(kind) for kind in kinds]
    assert np.array_equal(sums.counts[index].toarray(), expected.layers["sum"])
    assert [n_cells[i] for i in index] == obs["cell_type"].value_counts().loc[kinds].tolist()


def test_lineage_rows_are_the_sum_of_their_types_without_unassigned(tmp_path, monkeypatch):
    write_sample(tmp_path)
    sums, n_cells, _ = run(tmp_path, monkeypatch)
    row = {name: sums.counts[i].toarray() for i, name in enumerate(sums.barcodes)}
    assert list(sums.barcodes[-2:]) == ["Myeloid", "T"]
    assert np.array_equal(row["T"], row["CD4_T"] + row["CD8_T"])
    assert np.array_equal(row["Myeloid"], row["CD14_Mono"])
    size = dict(zip(sums.barcodes, n_cells, strict=True))
    assert size["T"] == size["CD4_T"] + size["CD8_T"]


def test_a_type_named_as_its_lineage_is_in_the_lineage_row(tmp_path):
    _, rows = write_sample(tmp_path)
    labels = read_labels(tmp_path / "s1.csv")
    labels.cell_type = np.where(labels.cell_type == "CD4_T", "T", labels.cell_type).astype("U20")
    names = np.array(["G0"])
    cells = CountMatrix(sparse.csr_matrix(np.ones((len(rows), 1), dtype=int)), labels.barcode, names, names)
    sums, n_cells = pseudobulk(cells, labels)
    assert list(sums.barcodes).count("T") == 1
    both = np.isin([r["cell_type"] for r in rows], ["CD4_T", "CD8_T"]).sum()
    assert n_cells[list(sums.barcodes).index("T")] == both


def test_composition_counts_every_labelled_cell_once_per_level(tmp_path, monkeypatch):
    _, rows = write_sample(tmp_path)
    _, _, table = run(tmp_path, monkeypatch)
    by_level = {level: [r for r in table if r["level"] == level] for level in ("type", "lineage")}
    assert sum(int(r["n_cells"]) for r in by_level["type"]) == len(rows)
    assert {r["cell_type"] for r in by_level["type"]} == set(TYPES)
    assigned = sum(r["cell_type"] != "Unassigned" for r in rows)
    assert sum(int(r["n_cells"]) for r in by_level["lineage"]) == assigned
    car = {r["cell_type"]: int(r["n_car"]) for r in by_level["lineage"]}
    assert car["T"] == sum(r["car"] for r in rows) > 0
    assert car["Myeloid"] == 0


def test_a_label_without_a_cell_is_refused(tmp_path, monkeypatch):
    write_sample(tmp_path)
    with (tmp_path / "s1.csv").open("a") as file:
        file.write("nobody,B,B,0\n")
    with pytest.raises(InputError, match="nobody"):
        run(tmp_path, monkeypatch)


def test_normalised_values_are_refused(tmp_path):
    _, rows = write_sample(tmp_path)
    labels = read_labels(tmp_path / "s1.csv")
    names = np.array(["G0"])
    halves = CountMatrix(sparse.csr_matrix(np.full((len(rows), 1), 0.5)), labels.barcode, names, names)
    with pytest.raises(InputError, match="raw counts"):
        pseudobulk(halves, labels)


def test_a_sample_whose_cells_all_went_has_empty_tables(tmp_path, monkeypatch):
    write_sample(tmp_path)
    (tmp_path / "s1.csv").write_text("barcode,cell_type,lineage,car\n")
    sums, n_cells, table = run(tmp_path, monkeypatch)
    assert sums.counts.shape == (0, 60)
    assert len(n_cells) == len(table) == 0
