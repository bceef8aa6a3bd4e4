"""DOUBLETS: planted doublets, small groups, thresholds; demuxlet's doublets of a real lane."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import cell_steps
import numpy as np
import pytest
from scipy import sparse

import doublets
import qc
import simulate_cohort
from cartox.cells import doublet_calls, doublet_scores
from cartox.cli import InputError
from cartox.matrices.matrix import CountMatrix, read_counts, read_h5, write_h5


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def auroc(truth: np.ndarray, score: np.ndarray) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(truth, score))


def run(*flags: str, group: str = "L1") -> tuple[dict, list[dict]]:
    doublets.main(["--group", group, *flags])
    with gzip.open(f"{group}.doublets.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    return json.loads(Path(f"{group}.doublets.json").read_text()), rows


def lane(seed: int = 1, n: int = 600, n_doublets: int = 20) -> np.ndarray:
    """Write S1.h5 and S2.h5 with doublets of two types at the end of S2; the truth of all cells."""
    matrix, truth = cell_steps.sample(seed, n, depth=10)
    first, second = np.flatnonzero(truth == 0)[:n_doublets], np.flatnonzero(truth == 1)[:n_doublets]
    pairs = sparse.csr_matrix(matrix.counts[first] + matrix.counts[second])
    write_h5("S1.h5", matrix.select(np.arange(n // 2)))
    rest = matrix.select(np.arange(n // 2, n))
    barcodes = np.r_[rest.barcodes, [f"PAIR-{i}" for i in range(n_doublets)]]
    counts = sparse.csr_matrix(sparse.vstack([rest.counts, pairs]))
    write_h5("S2.h5", CountMatrix(counts, barcodes, rest.genes, rest.gene_ids))
    return np.r_[np.zeros(n), np.ones(n_doublets)]


def test_planted_doublets_are_found_and_runs_agree():
    truth = lane()
    summary, rows = run("--counts", "S2.h5", "S1.h5")
    assert [row["sample"] for row in rows] == ["S1"] * 300 + ["S2"] * 320
    assert auroc(truth, np.array([float(row["doublet_score"]) for row in rows])) > 0.9
    called = np.array([int(row["predicted_doublet"]) for row in rows])
    assert called[truth == 1].mean() >= 0.6 and truth[called == 1].mean() >= 0.6
    assert summary["n_doublets"] == called.sum() and summary["samples"] == ["S1", "S2"]
    assert sum(summary["histogram"]["observed"]) == 620
    assert run("--counts", "S1.h5", "S2.h5") == (summary, rows)


def assert_scored_as_by_the_package(counts: sparse.csr_matrix, seed: int) -> None:
    """Scores of cells and of simulated doublets are those of the package scrublet."""
    import scrublet
    from scipy.spatial import KDTree

    model = scrublet.Scrublet(counts, expected_doublet_rate=doublet_scores.PRIOR_RATE, random_state=seed)
    observed, _ = model.scrub_doublets(
        use_approx_neighbors=False,
        log_transform=True,
        mean_center=False,
        normalize_variance=False,
        min_gene_variability_pctl=doublet_scores.GENES_PERCENTILE,
        n_prin_comps=doublet_scores.N_PCS,
        verbose=False,
    )
    own = doublet_scores.scrublet(counts, seed)
    # a pair of cells may be drawn twice: which of two doublets at one distance is the last neighbour is open
    joint = np.vstack([model.manifold_obs_, model.manifold_sim_])
    k = round(3 * model.n_neighbors)
    last = KDTree(joint).query(joint, [k + 1, k + 2])[0]
    sure = last[:, 1] - last[:, 0] > 1e-9
    apart = np.r_[own.observed, own.simulated] - np.r_[observed, model.doublet_scores_sim_]
    assert sure.mean() > 0.98 and np.abs(apart[sure]).max() < 1e-5 and np.ptp(own.observed) > 0.1


def test_scores_are_those_of_the_package():
    lane()
    counts = sparse.csr_matrix(sparse.vstack([read_h5(f"{name}.h5").counts for name in ("S1", "S2")]))
    for seed in (0, 7):
        assert_scored_as_by_the_package(counts, seed)


@pytest.mark.real
def test_scores_of_real_libraries_are_those_of_the_package(shared):
    kang = sorted((shared("data/kang") / "matrices").glob("*_ctrl"))
    lanes = [[shared("data/pbmc_1k/pbmc_1k_v2_filtered_feature_bc_matrix.h5")], kang]
    for paths in lanes:
        counts = sparse.csr_matrix(sparse.vstack([read_counts(path).counts for path in paths]))
        assert_scored_as_by_the_package(counts, 0)


def test_a_group_whose_genes_do_not_vary_is_not_scored():
    same = CountMatrix(
        sparse.csr_matrix(np.full((60, 5), 3, dtype=np.int32)),
        np.array([f"CELL{i}" for i in range(60)]),
        np.array(list("ABCDE")),
        np.array(list("ABCDE")),
    )
    write_h5("S1.h5", same)
    summary, rows = run("--counts", "S1.h5")
    assert summary["note"].startswith("Scrublet could not score this group")
    assert not any(int(row["predicted_doublet"]) for row in rows)


def test_samples_with_different_genes_are_scored_on_those_they_share():
    write_h5("S1.h5", cell_steps.sample(1)[0])
    write_h5("S2.h5", cell_steps.without(cell_steps.sample(2)[0], "CD3E", "GENE7"))
    _, rows = run("--counts", "S1.h5", "S2.h5")
    assert len(rows) == 240 and all(row["doublet_score"] for row in rows)


def test_small_group_is_not_scored_and_says_so():
    write_h5("S1.h5", cell_steps.sample(1, 30)[0])
    summary, rows = run("--counts", "S1.h5")
    assert "too few" in summary["note"] and summary["method"] == "none" and summary["n_doublets"] == 0
    assert {(row["doublet_score"], row["predicted_doublet"]) for row in rows} == {("", "0")}


def test_method_none_calls_nothing():
    lane()
    summary, rows = run("--counts", "S1.h5", "S2.h5", "--doublet_method", "none")
    assert summary["n_doublets"] == 0 and not any(int(row["predicted_doublet"]) for row in rows)


def test_users_threshold_overrides_for_its_group_alone():
    lane()
    Path("t.csv").write_text("group,threshold\nother,0.9\nL1,0.0\n")
    summary, rows = run("--counts", "S1.h5", "S2.h5", "--doublet_thresholds", "t.csv")
    assert summary["threshold"] == 0 and summary["note"] == "threshold given by the user"
    assert all(int(row["predicted_doublet"]) for row in rows if float(row["doublet_score"]) > 0)
    assert run("--counts", "S1.h5", "S2.h5", "--doublet_thresholds", "t.csv", group="L2")[0]["note"] == ""
    Path("t.csv").write_text("group,threshold\nL1,high\n")
    with pytest.raises(InputError, match=r"row 2, column 'threshold': 'high'"):
        run("--counts", "S1.h5", "--doublet_thresholds", "t.csv")
    Path("t.csv").write_text("lane,threshold\nL1,1\n")
    with pytest.raises(InputError, match="group and threshold"):
        run("--counts", "S1.h5", "--doublet_thresholds", "t.csv")


def test_implausible_thresholds_are_refused():
    score, simulated = np.linspace(0, 0.47, 100), np.linspace(0.1, 0.9, 200)
    assert doublet_calls.implausible(True, score, simulated, 0.45) == ""
    assert "two modes" in doublet_calls.implausible(False, score, simulated, 0.45)
    assert "would call 77 %" in doublet_calls.implausible(True, score, simulated, 0.105)
    assert "finds only" in doublet_calls.implausible(True, score, simulated, 0.89)


def test_without_two_modes_the_expected_share_is_cut(monkeypatch):
    lane()
    monkeypatch.setattr(doublet_calls, "implausible", lambda *_: "no modes")
    monkeypatch.setattr(doublet_calls, "RATE_PER_CELL", 0.05 / 620)
    summary, _ = run("--counts", "S1.h5", "S2.h5")
    assert summary["method"] == "expected rate" and summary["note"].startswith("no modes; the 5.0 %")
    assert 16 <= summary["n_doublets"] <= 31


def test_threshold_finds_what_scores_like_doublets_and_spares_lanes_without():
    rng = np.random.default_rng(0)
    single, seen, hidden = rng.beta(2, 30, 2000), rng.beta(20, 20, 60), rng.beta(2, 30, 40)
    simulated = np.r_[rng.beta(20, 20, 2400), rng.beta(2, 30, 1600)]
    score = np.r_[single, seen, hidden]
    threshold = doublet_calls.likely(score, simulated)
    assert (seen > threshold).mean() > 0.95 and (single > threshold).mean() < 0.005
    without = doublet_calls.likely(single, simulated)
    assert (single > without).mean() < 0.01
    assert doublet_calls.likely(np.full(100, 0.01), simulated) == 1.0


def test_pairs_within_a_sample_set_the_threshold_where_there_are_enough():
    parents, sample = np.array([[0, 1], [0, 2], [2, 3]]), np.array(["a", "a", "b", "b"])
    assert doublet_calls.hard_pairs(parents, sample, 2).tolist() == [True, False, True]
    assert doublet_calls.hard_pairs(parents, sample, 3).all()


def test_lanes_without_doublets_lose_few_cells():
    lane(n_doublets=1)
    summary, _ = run("--counts", "S1.h5", "S2.h5")
    assert summary["n_doublets"] <= 0.02 * summary["n_cells"]


def test_demo_doublets_are_found():
    simulate_cohort.main(["--out", "demo", "--patients", "4", "--seed", "11"])
    with Path("demo/samples.csv").open() as file:
        sheet = [row for row in csv.DictReader(file) if row["batch"] in ("L01", "L02")]
    for row in sheet:
        qc.main(["--sample", row["sample"], "--matrix", f"demo/{row['path']}"])
    with gzip.open("demo/labels_truth.csv.gz", "rt") as file:
        known = {(row["sample"], row["barcode"]): int(row["doublet"]) for row in csv.DictReader(file)}
    truth, called = [], []
    for batch in ("L01", "L02"):
        counts = [f"{row['sample']}.h5" for row in sheet if row["batch"] == batch]
        _, rows = run("--counts", *[name for name in counts if Path(name).exists()], group=batch)
        truth += [known[row["sample"], row["barcode"]] for row in rows]
        called += [int(row["predicted_doublet"]) for row in rows]
    found = np.sum(np.array(truth) & np.array(called))
    assert found / sum(truth) >= 0.6 and found / sum(called) >= 0.6


@pytest.mark.real
def test_kang_control_lane_against_demuxlet(shared):
    folder = shared("data/kang")
    names = sorted(path.name for path in (folder / "matrices").glob("*_ctrl"))
    for name in names:
        flags = ["--qc_mode", "none"]
        qc.main(["--sample", name, "--matrix", str(folder / "matrices" / name), *flags])
    _, rows = run("--counts", *[f"{name}.h5" for name in names], group="ctrl")
    with (folder / "cells_ctrl.csv").open() as file:
        known = {(row["sample"], row["barcode"]): row["demuxlet"] for row in csv.DictReader(file)}
    truth = np.array([known[row["sample"], row["barcode"]] == "DBL" for row in rows])
    assert len(rows) == 1879 and truth.sum() == 170
    assert auroc(truth, np.array([float(row["doublet_score"]) for row in rows])) >= 0.80
    called = np.array([int(row["predicted_doublet"]) for row in rows])
    # demuxlet sees doublets of two patients alone: one of a patient's own counts as wrong here
    assert called[truth].mean() >= 0.5 and truth[called == 1].mean() >= 0.45
