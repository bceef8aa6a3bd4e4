"""CAR calls: the error model, detection by depth, and thresholds that follow ambient RNA."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import planted_cells
import pytest
from planted_cells import CAR, run

from cartox.cells import car as car_model
from cartox.cells import car_detection, car_products
from cartox.cells.car_lanes import thresholds


@pytest.fixture(scope="module")
def blood(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame]:
    folder = tmp_path_factory.mktemp("blood")
    return folder, planted_cells.blood(folder)


@pytest.fixture(scope="module")
def called(blood, tmp_path_factory) -> tuple[Path, pd.DataFrame, dict]:
    out = tmp_path_factory.mktemp("out")
    return out, *run(blood[0], out, "--car_features", CAR)


def cohort(rng: np.random.Generator, n: int, share: float, per_umi: float, ambient: float, size: float = 1.5):
    """A sample of n T cells, of which `share` express the CAR, and n other cells, with ambient CAR UMIs."""
    depth = rng.lognormal(8, 0.7, 2 * n).round()
    lineage = np.repeat(np.array(["T", "B"], dtype=object), n)
    truth = (rng.random(2 * n) < share) & (lineage == "T")
    own = rng.poisson(per_umi * depth * rng.gamma(size, 1 / size, 2 * n))
    umi = rng.poisson(ambient * depth) + np.where(truth, own, 0)
    cells = pd.DataFrame({"sample": "s", "patient": "p", "timepoint": "D7", "batch": "s", "n_counts": depth})
    return cells, umi, lineage, truth


def test_nothing_is_called_negative_because_it_was_shallow():
    """Truth planted: of the cells called CAR- few are CAR+, and the corrected share is the planted one."""
    cells, umi, lineage, truth = cohort(np.random.default_rng(3), 4000, 0.4, 1e-3, 0)
    table, told = car_model.call(cells, umi, lineage, 1, [])
    t = lineage == "T"
    (record,) = told["by_sample"]
    deep = t & (table["car_deep"] == 1).to_numpy()
    assert 200 < deep.sum() < t.sum() / 2
    found = (umi > 0)[deep & truth].mean()
    assert found >= car_detection.DEEP
    negative = (table["car_call"] == "CAR-").to_numpy()
    assert truth[negative].mean() < 0.1 < truth[t & (umi == 0)].mean(), "no CAR count is no proof"
    assert set(table["car_call"][~t]) == {""}
    assert (table["car_call"] == "CAR+").sum() == record["n_car"]
    parts = record["n_car"] + record["n_car_negative"] + record["n_undetermined"]
    assert parts == record["n_t"]
    assert record["rate_t"] < 0.33
    assert record["rate_corrected"] == pytest.approx(0.4, abs=0.05)
    assert record["deep_low"] < 0.4 * found < record["deep_high"]


def test_without_car_cells_to_learn_from_all_are_undetermined():
    cells, umi, lineage, _ = cohort(np.random.default_rng(0), 500, 0, 1e-3, 0)
    table, told = car_model.call(cells, umi, lineage, 1, [])
    assert set(table["car_call"][lineage == "T"]) == {"undetermined"}
    (record,) = told["by_sample"]
    assert (record["rate_t"], record["n_deep"], record["rate_corrected"]) == (0, 0, None)
    assert record["car_high"] == pytest.approx(0.00735, abs=1e-4), "3.7 in 500: Clopper and Pearson"


def test_false_positive_rate_is_that_of_t_cells_without_the_car():
    """The planted ambient rate is within its interval in nearly all of many lanes; T cells are deeper."""
    inside, seen, told = 0, [], []
    for seed in range(60):
        cells, umi, lineage, _ = cohort(np.random.default_rng(seed), 1000, 0, 1e-3, 1e-6)
        cells.loc[lineage == "T", "n_counts"] *= 3
        umi[lineage == "T"] = np.random.default_rng(seed).poisson(1e-6 * cells["n_counts"][lineage == "T"])
        (lane,) = thresholds(umi, lineage, np.repeat("L", len(umi)), 1, cells["n_counts"].to_numpy())
        expected = -np.expm1(-1e-6 * cells["n_counts"][lineage == "T"]).mean()
        inside += lane.fpr_low <= expected <= lane.fpr_high
        seen.append((umi[lineage == "T"] > 0).mean())
        told.append(lane.fpr)
    assert inside >= 55
    assert np.mean(told) == pytest.approx(np.mean(seen), rel=0.25)


def test_samples_known_to_have_no_car_are_controls():
    cells, umi, lineage, _ = cohort(np.random.default_rng(1), 500, 0.5, 1e-3, 0)
    before, others, types, _ = cohort(np.random.default_rng(2), 500, 0, 1e-3, 1e-5)
    both = pd.concat([cells, before.assign(sample="b", timepoint="baseline", batch="b")], ignore_index=True)
    umi, lineage = np.r_[umi, others], np.r_[lineage, types]
    _, plain = car_model.call(both, umi, lineage, 1, [])
    _, told = car_model.call(both, umi, lineage, 1, ["baseline"])
    assert [lane["n_other"] for lane in plain["by_batch"]] == [500, 500]
    assert [lane["n_other"] for lane in told["by_batch"]] == [1000, 500]
    assert told["false_positive_rate"]["n"] == 1500


def test_a_lane_of_t_cells_alone_borrows_the_rate_of_the_others():
    cells, umi, lineage, _ = cohort(np.random.default_rng(1), 500, 0.5, 1e-3, 1e-6)
    product = cells[lineage == "T"].assign(sample="x", batch="x")
    both = pd.concat([cells, product], ignore_index=True)
    umi, lineage = np.r_[umi, umi[lineage == "T"]], np.r_[lineage, lineage[lineage == "T"]]
    _, told = car_model.call(both, umi, lineage, 1, [])
    first, second = told["by_batch"]
    assert (first["borrowed"], second["borrowed"]) == (False, True)
    assert (first["fpr_low"], first["fpr_high"]) == (second["fpr_low"], second["fpr_high"])
    assert "rate of the other lanes" in second["note"]
    _, alone = car_model.call(product.reset_index(drop=True), umi[1000:], lineage[1000:], 1, [])
    assert alone["by_batch"][0]["fpr"] is None
    assert alone["false_positive_rate"] is None


def test_car_cells_are_t_cells_with_its_umis(called):
    _, table, report = called
    t = table["lineage"] == "T"
    one = table["sample"] == "S1"
    assert table["car"][t & one].mean() > 0.75
    assert table["car"][~t].sum() == 0
    assert table["car"][~one].sum() == 0
    rates = {record["sample"]: record for record in report["car"]["by_sample"]}
    assert rates["S1"]["rate_t"] == pytest.approx(table["car"][t & one].mean(), abs=1e-6)
    assert rates["S1"]["rate_other"] == 0
    assert rates["S1"]["car_low"] < rates["S1"]["rate_t"] < rates["S1"]["car_high"]
    assert [lane["threshold"] for lane in report["car"]["by_batch"]] == [1]
    depth = report["car"]["detection_by_depth"]
    assert sum(record["n_t"] for record in depth) == t.sum()


def test_ambient_car_raises_the_threshold_of_its_lane_only(tmp_path):
    mix = {"CD8_T": 100, "B": 60, "CD14_Mono": 90}
    samples = {"clean": mix, "dirty": mix}
    planted_cells.write(tmp_path / "in", samples, car={"clean": 8.0, "dirty": 8.0}, ambient={"dirty": 0.3})
    table, report = run(tmp_path / "in", tmp_path / "out", "--car_features", f"{CAR},")
    lanes = {lane["batch"]: lane for lane in report["car"]["by_batch"]}
    assert lanes["clean"]["threshold"] == 1
    assert lanes["dirty"]["threshold"] > 1
    assert lanes["dirty"]["ambient_at_min_umi"] > 0.1 > 0.02 > lanes["dirty"]["ambient"]
    assert lanes["dirty"]["note"].startswith("raised from 1")
    assert table["car"][(table["sample"] == "dirty") & (table["lineage"] == "T")].mean() > 0.8
    higher, _ = run(tmp_path / "in", tmp_path / "high", "--car_features", CAR, "--car_min_umi", "6")
    assert (higher["car_umi"][higher["car"] == 1] >= 6).all()


def test_a_few_doublets_with_car_cells_are_no_ambient_rna():
    umi, lineage = np.r_[np.zeros(400), [30] * 3, [2] * 50], np.array(["B"] * 403 + ["T"] * 50, dtype=object)
    (lane,) = thresholds(umi, lineage, np.array(["L"] * 453), 1)
    assert lane.threshold == 1
    umi[:20] = 1
    (lane,) = thresholds(umi, lineage, np.array(["L"] * 453), 1)
    assert lane.threshold == 2


def test_few_other_cells_leave_the_threshold_and_say_so():
    umi, lineage = np.array([3, 3, 0]), np.array(["B", "B", "T"], dtype=object)
    (lane,) = thresholds(umi, lineage, np.array(["L"] * 3), 1)
    assert lane.threshold == 1
    assert "too few" in lane.note


def test_a_car_feature_of_no_sample_that_is_left_counts_as_zero_and_is_told(blood, tmp_path):
    table, report = run(blood[0], tmp_path, "--car_features", "FMC63-CD19")
    assert not table["car"].any()
    (note,) = [note for note in report["notes"] if "FMC63-CD19" in note]
    assert f"is in none of the matrices, so it counts as zero; nearest names: {CAR}" in note


def test_each_sample_has_its_own_product_and_the_others_tell_of_false_positives(tmp_path):
    """HK0, a gene that every planted cell has, stands for the transgene of another product."""
    samples = {"S1": planted_cells.MIX | {"CD8_T": 120}, "S2": planted_cells.MIX}
    planted_cells.write(tmp_path / "in", samples, car={"S1": 5.0, "S2": 5.0})
    features = ["--car_features", f"{CAR},HK0"]
    sheet = tmp_path / "samples.csv"
    sheet.write_text(f"sample,patient,timepoint,car_feature\nS1,P1,D7,{CAR}\nS2,P2,D7,\n")
    table, report = run(tmp_path / "in", tmp_path / "two", *features, "--samples", str(sheet))
    own, _ = run(tmp_path / "in", tmp_path / "one", "--car_features", CAR)
    first = table["sample"] == "S1"
    assert table["car_umi"][first].equals(own["car_umi"][first]), "the other product's counts are not its own"
    assert (table["car_umi"][~first] > own["car_umi"][~first]).mean() > 0.9, (
        "any product, where none is named"
    )
    (other,) = report["car"]["other_products"]
    assert other["sample"] == "S1" and other["rate"] > 0.9 and other["low"] > 0.8
    assert any(note.startswith("S1: ") and "another product" in note for note in report["notes"])
    # the null twin: without a column each sample can have any product, and there is nothing to tell
    sheet.write_text("sample,patient,timepoint\nS1,P1,D7\nS2,P2,D7\n")
    _, report = run(tmp_path / "in", tmp_path / "none", *features, "--samples", str(sheet))
    assert "other_products" not in report["car"]
    clean = car_products.others(np.zeros(200), np.ones(200, bool), np.full(200, "S1"), {"S1": [CAR]}, 1)
    assert clean[0][0]["rate"] == 0 and clean[1] == []
