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
from cartox.cli import InputError
from cartox.matrix import CountMatrix, write_h5


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
    assert doublets.implausible(True, score, simulated, 0.45) == ""
    assert "two modes" in doublets.implausible(False, score, simulated, 0.45)
    assert "would call 77 %" in doublets.implausible(True, score, simulated, 0.105)
    assert "finds only" in doublets.implausible(True, score, simulated, 0.89)


def test_without_two_modes_the_expected_share_is_cut(monkeypatch):
    lane()
    monkeypatch.setattr(doublets, "implausible", lambda *_: "no modes")
    monkeypatch.setattr(doublets, "RATE_PER_CELL", 0.05 / 620)
    summary, _ = run("--counts", "S1.h5", "S2.h5")
    assert summary["method"] == "expected rate" and summary["note"].startswith("no modes; the 5.0 %")
    assert 16 <= summary["n_doublets"] <= 31


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
