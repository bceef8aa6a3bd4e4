"""The calibration benchmark, at a small size: a null twin and a planted cohort, from cells to calls."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="module")
def trials():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).resolve().parents[2] / "benchmarks/calibration")
        import trials

        yield trials


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trials")


@pytest.fixture(scope="module")
def cohorts(trials, work: Path) -> pd.DataFrame:
    return trials.run(work, 1, 1, patients=12, cells=150, first=7)


def test_nulls_have_the_level_and_call_next_to_nothing(cohorts: pd.DataFrame):
    nulls = cohorts[cohorts["null"] == 1]
    sums = nulls.groupby("family")[["tests", "p", "p_permutation", "called"]].sum()
    large = sums[sums["tests"] >= 500]
    assert {"expression", "ligrec", "pathway"} <= set(large.index)
    for p in ("p", "p_permutation"):
        # pairs and sets are few and correlated: one cohort leaves a wide margin
        assert (large[p] / large["tests"]).between(0.015, 0.11).all(), p
    assert sums["called"].sum() <= 5
    assert not sums.loc["primary", "called"]
    assert (nulls["untouched"] == nulls["called"]).all()


def test_what_is_planted_is_found_and_little_else(cohorts: pd.DataFrame):
    planted = cohorts[cohorts["null"] == 0]
    assert planted["declared"].sum() >= 4
    assert planted["right"].sum() >= planted["declared"].sum() - 1
    sums = planted.groupby("family")[["called", "untouched"]].sum()
    assert (sums.loc[["expression", "pathway"], "called"] > 0).all()
    assert sums["untouched"].sum() <= max(2, np.ceil(0.1 * sums["called"].sum()))
    assert not planted["opposite"].sum()
    assert planted["signed"].sum() >= 15


def test_samples_of_other_strata_and_the_order_of_samples_change_nothing(trials, cohorts, work, tmp_path):
    """Day 7 alone, its samples in reverse order, against the whole trial: from PSEUDOBULK's files on."""
    whole = work / "planted_12_150_7"
    for path in whole.glob("*_D7.*"):
        shutil.copy(path, tmp_path)
    for name in ("clinical.csv", "analytes.csv", "tox_day7.json"):
        shutil.copy(whole / name, tmp_path)
    states = pd.read_csv(whole / "states.csv")
    states[states["sample"].str.endswith("_D7")].to_csv(tmp_path / "states.csv", index=False)
    sheet = pd.read_csv(whole / "samples.csv", dtype=str)
    sheet[sheet["timepoint"] == "D7"].iloc[::-1].to_csv(tmp_path / "samples.csv", index=False)
    with trials.inside(tmp_path):
        trials.gather(["tox_day7"])
        alone = trials.test("tox_day7")
    both = pd.read_csv(whole / "tox_day7.associations.csv", low_memory=False)
    assert (both["q"] <= 0.05).sum() > 10
    pd.testing.assert_frame_equal(alone, both)


def test_three_against_three_calls_nothing_and_says_why(trials, tmp_path):
    trials.prepare(tmp_path, seed=3, null=False, patients=6, cells=150)
    with trials.inside(tmp_path):
        rows = trials.test("tox_day7")
        told = json.loads(Path("tox_day7.contrast.json").read_text())
    tested = rows[rows["p"].notna()]
    assert len(tested) > 1000
    assert set(tested["n_per_group"]) == {"no:3 yes:3"}
    assert tested["p_floor"].min() == pytest.approx(0.1)
    assert tested["q"].min() >= 0.1
    assert told["n_called"] == 0
    assert (
        "With these patients no permutation p can fall below 0.1, so nothing can be called at 0.05."
        in told["notes"]
    )
