"""QC: bounds, failed libraries, faults deep in a matrix, ambient RNA; real cohorts."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import cell_steps
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import qc
from cartox.cells import library, quality
from cartox.cells.tables import read_tables
from cartox.files import write_csv_gz
from cartox.matrices.matrix import CountMatrix, read_h5, write_h5
from cartox.statistics import swaps


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(matrix: CountMatrix, *flags: str, name: str = "S") -> tuple[dict, list[dict]]:
    write_h5(f"given_{name}.h5", matrix)
    qc.main(["--sample", name, "--matrix", f"given_{name}.h5", *flags])
    return account(name)


def account(name: str = "S") -> tuple[dict, list[dict]]:
    with gzip.open(f"{name}.cells.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    return json.loads(Path(f"{name}.qc.json").read_text()), rows


def test_metrics_and_kept_cells_agree_with_the_counts():
    matrix, _ = cell_steps.sample(1)
    summary, rows = run(matrix, *cell_steps.LIMITS)
    assert [row["barcode"] for row in rows] == list(matrix.barcodes)
    total = np.asarray(matrix.counts.sum(axis=1)).ravel()
    assert [int(row["n_counts"]) for row in rows] == total.tolist()
    mito = matrix.counts[:, matrix.columns(["MT-CO1"])].toarray().ravel()
    assert np.allclose([float(row["pct_mito"]) for row in rows], 100 * mito / total, rtol=1e-3)
    kept = read_h5("S.h5")
    wanted = [row["barcode"] for row in rows if row["kept"] == "1"]
    assert kept.barcodes.tolist() == wanted
    assert len(kept.genes) == len(matrix.genes)
    assert summary["n_kept"] == len(wanted) and summary["status"] == "ok"
    assert summary["n_barcodes"] - summary["n_kept"] == sum(summary["removed"].values())


def test_each_bound_removes_what_breaks_it():
    matrix, _ = cell_steps.sample(1)
    counts = matrix.counts.tolil()
    counts[0] = 0
    counts[0, 5] = 30  # few counts
    counts[1] = 0
    counts[1, 7] = 900  # one gene
    counts[2, 394] = 900  # mitochondrial
    counts[3, 395] = 900  # haemoglobin
    changed = CountMatrix(sparse.csr_matrix(counts), matrix.barcodes, matrix.genes, matrix.gene_ids)
    _, rows = run(changed, "--qc_mode", "fixed", *cell_steps.LIMITS)
    assert [row["reason"] for row in rows[:4]] == ["low counts", "low genes", "high mito", "high haemoglobin"]
    assert all(row["kept"] == "1" for row in rows[4:])
    _, rows = run(changed, "--qc_mode", "none", *cell_steps.LIMITS)
    assert all(row["kept"] == "1" for row in rows)


def test_adaptive_bounds_lie_within_the_hard_limits_and_ignore_debris():
    rng = np.random.default_rng(0)
    good, debris = rng.lognormal(8, 0.3, 300), rng.lognormal(4, 0.3, 700)
    values: quality.Metrics = {
        "n_counts": np.r_[good, debris].round(),
        "n_genes": np.r_[good, debris].round() / 2,
        "pct_mito": np.r_[rng.normal(4, 0.5, 300), rng.normal(60, 5, 700)],
        "pct_hb": np.zeros(1000),
        "pct_platelet": np.zeros(1000),
    }
    bounds = quality.thresholds(values, "adaptive", 5, quality.hard_limits(values, "adaptive", 500, 200, 20))
    assert 500 <= bounds["n_counts"][0] < np.exp(8)
    assert 5 <= bounds["pct_mito"][1] < 8
    kept = quality.reasons(values, bounds) == ""
    assert kept[:300].mean() > 0.98 and not kept[300:].any()


def test_failed_library_is_dropped_without_counts():
    matrix, _ = cell_steps.sample(3, depth=0.004)
    summary, rows = run(matrix)
    assert summary["status"] == "dropped" and summary["n_kept"] == 0
    assert any("failed or shallow library" in reason for reason in summary["reasons"])
    assert not Path("S.h5").exists()
    assert len(rows) == 120 and not any(int(row["kept"]) for row in rows)


def test_fault_deep_in_the_matrix_costs_this_sample_alone():
    Path("S_given.h5").write_bytes(b"not a matrix")
    qc.main(["--sample", "S", "--matrix", "S_given.h5"])
    summary, rows = account()
    assert summary["status"] == "dropped" and rows == []
    assert "could not be used" in summary["reasons"][0]


def test_unknown_mitochondrial_share_is_empty_not_zero():
    summary, rows = run(cell_steps.without(cell_steps.sample(1)[0], "MT-CO1"), *cell_steps.LIMITS)
    assert rows[0]["pct_mito"] == "" and summary["medians"]["pct_mito"] is None
    assert summary["thresholds"]["pct_mito"] == [None, None] and summary["n_kept"] > 100


def test_ambient_profile_comes_from_empty_droplets():
    matrix, _ = cell_steps.sample(1)
    rng = np.random.default_rng(5)
    soup = sparse.csr_matrix(rng.poisson(np.r_[np.full(399, 0.05), 2.0], (500, 400)).astype(np.int32))
    barcodes = np.r_[matrix.barcodes, [f"EMPTY-{i}" for i in range(500)]]
    raw = CountMatrix(
        sparse.csr_matrix(sparse.vstack([matrix.counts, soup])), barcodes, matrix.genes, matrix.gene_ids
    )
    write_h5("raw.h5", raw)
    summary, _ = run(matrix, "--raw", "raw.h5", *cell_steps.LIMITS)
    found = summary["ambient"]
    assert found["n_empty"] == 500 and next(iter(found["top_genes"])) == "CAR"
    assert found["top_genes"]["CAR"] == pytest.approx(2 / (2 + 399 * 0.05), abs=0.02)
    assert found["knee"] > 100 and 0 < found["max_contamination"] < 0.2
    empty = quality.read_empty("S.empty.npz")
    assert empty.n == 500 and empty.counts.tolist() == np.asarray(soup.sum(axis=0)).ravel().tolist()
    assert empty.genes.tolist() == matrix.genes.tolist()


def test_a_damaged_unfiltered_matrix_is_told_and_costs_no_cell():
    Path("raw.h5").write_bytes(b"not a matrix")
    summary, _ = run(cell_steps.sample(1)[0], "--raw", "raw.h5", *cell_steps.LIMITS)
    assert summary["status"] == "flagged" and "raw.h5" in summary["reasons"][0]
    assert Path("S.h5").exists() and summary["ambient"] is None and not Path("S.empty.npz").exists()


def test_tables_do_not_depend_on_the_clock():
    for name in ("one", "two"):
        write_csv_gz(f"{name}.csv.gz", ["a"], [[1]])
    assert Path("one.csv.gz").read_bytes() == Path("two.csv.gz").read_bytes()


@pytest.mark.real
def test_carpall_labelled_cells_pass_and_the_failed_library_is_dropped(shared):
    folder = shared("data/carpall")
    labelled: dict[str, set[str]] = {}
    with (folder / "car_t_labels.csv").open() as file:
        for row in csv.DictReader(file):
            labelled.setdefault(row["sample"], set()).add(row["barcode"])
    status, passed = {}, 0
    for path in sorted((folder / "matrices").glob("*.h5")):
        qc.main(["--sample", path.stem, "--matrix", str(path)])
        summary, rows = account(path.stem)
        status[path.stem] = summary["status"]
        passed += sum(r["kept"] == "1" and r["barcode"] in labelled.get(path.stem, ()) for r in rows)
    assert passed >= 0.99 * sum(map(len, labelled.values()))
    assert [name for name, value in status.items() if value == "dropped"] == ["CAR-T10593347"]
    assert all(status[f"CAR-T{n}"] == "flagged" for n in ("10310320", "11816469", "11816471"))
    # twenty different libraries, each of its patient's sex; one by one they are sound in genes at equal depth
    cells = read_tables([f"{name}.cells.csv.gz" for name in status], ".cells.csv.gz")
    assert library.shared_barcodes(cells) == []
    accounts = [account(name)[0] for name in sorted(status)]
    assert library.saturated(accounts) == []
    sums = pd.DataFrame({q["sample"]: q["sex_genes"] for q in accounts}).T
    sheet = pd.read_csv(folder / "samples.csv", dtype=str)
    assert swaps.identity(sums, sheet, pd.DataFrame({"patient": []})) == ([], [])
    given = sheet.assign(patient=sheet["patient"].replace("P03", "P02"))
    assert len(swaps.identity(sums, given, pd.DataFrame({"patient": []}))[0]) == 1
