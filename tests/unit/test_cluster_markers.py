"""CLUSTER_MARKERS: planted markers and none, AUC as Mann–Whitney has it, patients' differences, few cells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from scipy import sparse

import cluster_markers
from cartox.cells.cluster_markers import CELLS, COLUMNS, GENES, drawn, score
from cartox.cli import InputError
from cartox.matrices.matrix import CountMatrix, write_h5

N_GENES = 60


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(cluster: dict[str, np.ndarray], planted: dict[str, int], higher: dict[str, int] | None = None):
    """Counts of samples whose cells lie in clusters; a gene planted in a cluster, or higher in a sample."""
    rng = np.random.default_rng(0)
    genes = np.array([f"G{i}" for i in range(N_GENES)])
    tables = []
    for sample, own in cluster.items():
        mean = np.full((len(own), N_GENES), 0.5)
        for name, gene in planted.items():
            mean[own == name, gene] = 6
        if higher and sample in higher:
            mean[:, higher[sample]] = 6
        counts = sparse.csr_matrix(rng.poisson(mean), dtype=np.int32)
        barcodes = np.array([f"C{i}" for i in range(len(own))])
        write_h5(f"{sample}.h5", CountMatrix(counts, barcodes, genes, genes))
        total = np.asarray(counts.sum(axis=1)).ravel()
        tables.append(
            pd.DataFrame({"sample": sample, "barcode": barcodes, "n_counts": total, "cluster": own})
        )
    cells = pd.concat(tables, ignore_index=True)
    cells.drop(columns="cluster").to_parquet("cells.parquet")
    cells[["sample", "barcode", "cluster"]].to_parquet("clusters.parquet")
    pd.DataFrame({"gene": genes}).to_parquet("genes.parquet")


def run(*flags: str) -> pd.DataFrame:
    counts = [str(path) for path in sorted(Path().glob("*.h5"))]
    made = ["--cells", "cells.parquet", "--genes", "genes.parquet", "--clusters", "clusters.parquet"]
    cluster_markers.main(["--counts", *counts, *made, *flags])
    return pd.read_csv("cluster_markers.csv", dtype={"cluster": str})


def halves(n: int, *names: str) -> np.ndarray:
    return np.repeat(names, n // len(names))


def test_planted_genes_are_first_in_their_cluster_and_nowhere_else():
    write({"S1": halves(90, "0", "1", "10"), "S2": halves(90, "0", "1", "10")}, {"0": 3, "10": 7})
    table = run()
    assert list(table.columns) == COLUMNS
    assert list(dict.fromkeys(table["cluster"])) == ["0", "1", "10"]
    first = table[table["rank"] == 1].set_index("cluster")
    assert first.loc["0", "gene"] == "G3"
    assert first.loc["10", "gene"] == "G7"
    assert first.loc["0", "auc"] > 0.95
    assert first.loc["0", "detected"] > 0.95
    assert first.loc["0", "detected_elsewhere"] < 0.6
    others = table[~table["gene"].isin(["G3", "G7"])]
    assert others["auc"].max() < 0.75
    assert table.groupby("cluster").size().max() <= GENES


def test_without_planted_genes_none_stands_out():
    write({"S1": halves(200, "0", "1"), "S2": halves(200, "0", "1")}, {})
    assert run()["auc"].max() < 0.65


def test_a_gene_of_one_patient_does_not_mark_the_cluster_that_is_most_of_that_patient():
    uneven = {"S1": np.repeat(["0", "1"], [180, 20]), "S2": np.repeat(["0", "1"], [20, 180])}
    write(uneven, {"0": 3}, higher={"S1": 5})
    table = run()
    zero = table[table["cluster"] == "0"].set_index("gene")
    assert zero.loc["G3", "auc"] > 0.95
    assert zero["auc"].get("G5", 0.5) < 0.65


def test_the_auc_is_mann_whitneys():
    rng = np.random.default_rng(1)
    values = sparse.csr_matrix(rng.poisson(rng.uniform(0.2, 3, (70, 20))).astype(np.float32))
    cluster = rng.choice(["0", "1"], 70)
    genes = np.array([f"G{i}" for i in range(20)])
    table = score(values, genes, cluster, np.repeat("S1", 70)).set_index(["cluster", "gene"])
    one, other = (values[np.flatnonzero(cluster == name)].toarray() for name in "01")
    u = scipy.stats.mannwhitneyu(one, other, axis=0).statistic / (len(one) * len(other))
    expected = {("0", g): x for g, x in zip(genes, u, strict=True) if x > 0.5}
    expected |= {("1", g): 1 - x for g, x in zip(genes, u, strict=True) if x < 0.5}
    assert set(table.index) == set(expected)
    assert table["auc"].to_dict() == pytest.approx(expected)


def test_cells_are_drawn_evenly_over_samples_and_every_small_cluster_whole():
    cluster = np.repeat(["0", "1"], [3000, 30])
    sample = np.r_[np.repeat(["S1", "S2"], [2900, 100]), np.repeat("S1", 30)]
    rows = drawn(cluster, sample, seed=0)
    assert (np.diff(rows) > 0).all()
    assert (cluster[rows] == "0").sum() == CELLS
    assert (sample[rows][cluster[rows] == "0"] == "S2").sum() == 100
    assert (cluster[rows] == "1").sum() == 30
    assert np.array_equal(rows, drawn(cluster, sample, seed=0))
    assert not np.array_equal(rows, drawn(cluster, sample, seed=1))


def test_many_clusters_share_the_cells_that_are_looked_at():
    cluster = np.repeat([str(i) for i in range(100)], 400)
    assert len(drawn(cluster, np.repeat("S1", len(cluster)), seed=0)) == 20_000


def test_one_cluster_has_nothing_to_be_told_from():
    write({"S1": halves(40, "0")}, {})
    table = run()
    assert list(table.columns) == COLUMNS
    assert table.empty


def test_clusters_that_meet_in_no_sample_are_not_compared():
    write({"S1": halves(40, "0"), "S2": halves(40, "1")}, {"0": 3})
    assert run().empty


def test_clusters_of_other_cells_are_refused():
    write({"S1": halves(40, "0", "1")}, {})
    clusters = pd.read_parquet("clusters.parquet")
    clusters.iloc[::-1].reset_index(drop=True).to_parquet("clusters.parquet")
    with pytest.raises(InputError, match=r"clusters\.parquet: its rows are not the cells"):
        run()
