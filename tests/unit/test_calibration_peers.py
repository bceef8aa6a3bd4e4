"""The comparison with other methods, without those that have to be installed: some fifteen seconds."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks/calibration"))

import peer_methods
import peers

SEEDS = (3, 4)


@pytest.fixture(scope="module")
def profiles():
    return peers.load_profiles(peers.ROOT / "assets/demo")


@pytest.fixture(scope="module")
def cohorts(profiles) -> pd.DataFrame:
    """Null and planted cohorts, of one and of two visits, with a strong spread between patients."""
    parts = []
    for scenario in (peers.Scenario(12, 1, **peers.STRONG), peers.Scenario(12, 2, **peers.STRONG)):
        for null in (1, 0):
            for seed in SEEDS:
                cohort = peers.draw(profiles, scenario, seed, bool(null), cells=50)
                rows = peers.compare(cohort, ["wilcoxon_cells", "sctrial"][: scenario.visits])
                parts.append(rows.assign(scenario=scenario.name, null=null, seed=seed))
    return pd.concat(parts, ignore_index=True)


def shares(cohorts: pd.DataFrame) -> pd.Series:
    null = cohorts[cohorts["null"] == 1].groupby(["scenario", "method"])[["small_p", "tests"]].sum()
    return null["small_p"] / null["tests"]


def test_cells_as_replicates_break_the_level_and_patients_keep_it(cohorts: pd.DataFrame):
    share = shares(cohorts)
    for scenario in cohorts["scenario"].unique():
        assert share[scenario, "wilcoxon_cells"] > 0.15
        assert 0.02 < share[scenario, "cartox"] < 0.09
    null = cohorts[(cohorts["null"] == 1)].groupby("method")["called"].sum()
    assert null["cartox"] <= 2 < 100 < null["wilcoxon_cells"]


def test_planted_genes_are_found_with_their_sign(cohorts: pd.DataFrame):
    counts = ["called", "false", "found", "wrong_sign"]
    planted = cohorts[cohorts["null"] == 0].groupby("method")[counts].sum()
    own = planted.loc["cartox"]
    assert own["found"] > 20 and own["wrong_sign"] == 0 and own["false"] <= 0.2 * own["called"]
    assert planted.loc["wilcoxon_cells", "false"] > 0.5 * planted.loc["wilcoxon_cells", "called"]


def test_all_methods_are_asked_about_the_same_genes(cohorts: pd.DataFrame):
    assert set(cohorts["method"]) == {"cartox", "cartox_p", "wilcoxon_cells"}
    tests = cohorts.groupby(["scenario", "null", "seed"])["tests"].agg(["min", "max"])
    assert (tests["min"] == tests["max"]).all() and (tests["min"] > 500).all()


def test_a_cohort_is_what_its_scenario_says(profiles):
    scenario = peers.Scenario(8, 2)
    cohort = peers.draw(profiles, scenario, 1, False, cells=30)
    assert cohort.counts.shape == (8 * 2 * 30, len(cohort.genes)) and cohort.repeated
    assert (cohort.samples.groupby("patient")["timepoint"].nunique() == 2).all()
    assert (pd.crosstab(cohort.clinical["toxicity"], cohort.clinical["anakinra"]) == 2).all(axis=None)
    assert len(cohort.planted) == peers.PLANTED and set(cohort.planted) == {-scenario.fold, scenario.fold}
    assert cohort.planted.index.isin(cohort.genes).all()
    own = cohort.bulk.rows[cohort.bulk.rows["cell_type"] == peers.CELL_TYPE]
    assert (own["n_cells"] == 30).all() and own["sample"].tolist() == cohort.samples["sample"].tolist()
    sums = cohort.bulk.counts[own.index.to_numpy()].toarray()
    cells = np.add.reduceat(cohort.counts.toarray(), np.arange(0, 480, 30))
    np.testing.assert_array_equal(sums, cells[:, np.argsort(cohort.genes)])
    twin = peers.draw(profiles, scenario, 1, True, cells=30)
    assert not twin.planted.any() and (twin.planted.index == cohort.planted.index).all()
    with pytest.raises(ValueError, match="one visit"):
        peer_methods.sctrial(cohort, pd.Index(cohort.genes))


def test_a_run_goes_on_where_it_was_cut_short(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(peers, "SCENARIOS", [peers.Scenario(8)])
    given = ["--cells", "30", "--out", str(tmp_path), "--markdown"]
    peers.main([*given, "--nulls", "1", "--planted", "1", "--peers"])
    before = pd.read_csv(tmp_path / "peers.csv")
    assert before["null"].tolist() == [0, 0, 1, 1] and before["method"].tolist()[:2] == ["cartox", "cartox_p"]
    assert capsys.readouterr().out.count("| n8_visits1_spread1 |") == 2
    # another seed is drawn, what is there is kept, and the summary is of what was asked for
    peers.main([*given, "--nulls", "2", "--planted", "1", "--peers"])
    after = pd.read_csv(tmp_path / "peers.csv")
    pd.testing.assert_frame_equal(after[:4], before)
    assert after["seed"].tolist() == [1, 1, 1, 1, 2, 2]
    peers.main([*given, "--nulls", "1", "--planted", "1", "--peers"])
    assert pd.read_csv(tmp_path / "peers_summary.csv")["null_cohorts"].tolist() == [1, 1]


def test_judge_counts_calls_by_their_truth():
    found = pd.DataFrame(
        {
            "estimate": [1.0, -1.0, 2.0, 1.0, -1.0, 1.0],
            "p": [0.001, 0.001, 0.04, 0.001, 0.5, np.nan],
            "q": [0.01, 0.05, 0.2, 0.01, 0.9, np.nan],
        },
        index=list("abcdef"),
    )
    planted = pd.Series({"a": 0.8, "b": 0.8, "c": 0.8, "f": -0.8, "absent": 0.8})
    assert peers.judge(found, planted) == {
        "tests": 6,
        "small_p": 4,
        "called": 3,
        "false": 1,
        "planted": 4,
        "found": 2,
        "wrong_sign": 1,
    }


def test_summary_and_table():
    columns = ["null", "tests", "small_p", "called", "false", "planted", "found", "wrong_sign", "seconds"]
    rows = [
        (1, 100, 4, 0, 0, 0, 0, 0, 1.0),
        (1, 200, 20, 3, 3, 0, 0, 0, 1.0),
        (0, 100, 30, 10, 2, 20, 8, 1, 2.0),
        (0, 100, 30, 0, 0, 20, 0, 0, 4.0),
    ]
    own = pd.DataFrame(rows, columns=columns).assign(method="cartox", scenario=peers.SCENARIOS[1].name)
    other = own.assign(method="pydeseq2", scenario=peers.SCENARIOS[0].name)
    table = peers.summary(pd.concat([own, other]))
    assert table["method"].tolist() == ["pydeseq2", "cartox"]  # smaller cohorts first
    expected = {"null_cohorts": 2, "fpr": 0.07, "null_with_call": 0.5, "null_calls": 3, "planted_cohorts": 2}
    expected |= {"called": 10, "false": 2, "fdr": 0.1, "power": 0.2, "wrong_sign": 1, "tests": 125}
    expected |= {"seconds": 1.5}
    assert table.iloc[1][list(expected)].to_dict() == pytest.approx(expected)
    last = peers.markdown(table).splitlines()[-1]
    assert last == "| n12_visits1_spread1 | cartox | 0.070 | 1 of 2 | 0.100 | 0.20 | 1 of 8 |"
