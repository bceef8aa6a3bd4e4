"""What holds calls back: pooled p, pairs censored at their limit, no undeclared lineages, step-down max-T."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from tables import Cohort, write

import associate
from cartox.statistics.calibration import Null
from cartox.statistics.families import adjust
from cartox.statistics.measures import Measure, censored, without_lineages
from cartox.statistics.moderated import moderate
from cartox.statistics.permutation import Permuter, plan


def null(p: np.ndarray, size: int | None = None) -> Null:
    return Null([p], [size or p.shape[1]], len(p))


def test_pooled_p_counts_null_p_and_is_never_zero():
    made = null(np.arange(1, 101).reshape(4, 25) / 100)
    assert made.pooled(np.array([0.0, 0.05, 1.0, np.nan])) == pytest.approx(
        [1 / 101, 6 / 101, 1.0, np.nan], nan_ok=True
    )
    assert made.shares() == pytest.approx([4 / 25, 0, 0, 0])


def test_a_prior_permuted_in_part_stands_for_all_its_features():
    few, many = np.full((50, 10), 0.001), np.full((50, 10), 0.9)
    assert Null([few, many], [30, 10], 50).pooled(np.array([0.01])) == pytest.approx(0.75, abs=1e-3)


def test_uniform_p_stay_what_they_are_and_a_heavy_tail_is_corrected():
    rng = np.random.default_rng(0)
    t = rng.standard_t(4, size=(200, 500))  # normal theory is far off in its tail
    wrong = 2 * stats.norm.sf(np.abs(t))
    p = np.array([0.5, 0.01, 1e-6])
    assert null(rng.random((200, 500))).pooled(p) == pytest.approx(p, rel=0.1, abs=2e-5)
    right = 2 * stats.t.sf(stats.norm.isf(p / 2), 4)
    assert null(wrong).pooled(p) == pytest.approx(right, rel=0.15)


@pytest.mark.parametrize(
    ("shape", "distinct", "expected"),
    [((200, 20), 923, True), ((200, 19), 923, False), ((200, 100), 34, False)],
)
def test_small_kinds_and_few_rearrangements_are_not_pooled(shape, distinct, expected):
    assert Null([np.ones(shape)], [shape[1]], distinct).poolable == expected


def test_pairs_tie_at_the_least_score_seen():
    data = np.array([[0.0, 1.0, np.nan], [0.6, 2.0, 0.0], [0.9, 3.0, 0.4]])
    names = np.array(["a", "b", "c"])
    expected = np.array([[0.6, 1.0, np.nan], [0.6, 2.0, 0.4], [0.9, 3.0, 0.4]])
    np.testing.assert_array_equal(censored(Measure("ligrec", names, names, data)).data, expected)


def test_lineages_are_tested_where_named_or_where_they_are_the_types():
    rows = np.array(["CD4_T", "Myeloid", "T"])
    assert without_lineages(rows, ["CD4_T", "CD8_T"], []).tolist() == [True, False, False]
    assert without_lineages(rows, ["CD4_T", "CD8_T"], ["T"]).tolist() == [True, False, True]
    assert without_lineages(rows, ["T", "Myeloid"], []).tolist() == [True, True, True]


def test_a_limited_prior_ends_absurd_p():
    estimate, variance = np.r_[6.0, np.zeros(99)], np.ones(100)  # equal variances: an infinite prior
    free = moderate(estimate, np.full(100, 0.35), variance, 9)
    held = moderate(estimate, np.full(100, 0.35), variance, 9, limit=18)
    assert free.p[0] < 1e-40 and 1e-18 < held.p[0] < 1e-12
    assert held.high[0] - held.low[0] > free.high[0] - free.low[0]


def test_step_down_is_between_own_and_largest():
    rng = np.random.default_rng(1)
    term = np.repeat([0.0, 1.0], 6)
    values = rng.normal(size=(12, 4)) + np.outer(term, [4, 2, 0, 0])
    refits = Permuter(values, np.column_stack([np.ones(12), term]), 1, limit=0)
    made = plan(term, None, 100, 0)
    stepped, own = refits.max_t(made), refits.p(made)
    largest = refits.squared(made.orders).max(axis=1)
    single = [
        (np.count_nonzero(largest >= x) + 1) / (len(largest) + 1) for x in refits.observed() * (1 - 1e-9)
    ]
    assert (stepped >= own - 1e-12).all() and (stepped <= np.maximum(single, made.floor) + 1e-12).all()
    assert (stepped < np.array(single) - 1e-12).any()


def test_q_needs_the_model_and_the_permutations():
    rows = pd.DataFrame({"family": ["primary", "primary", "car", *["pathway"] * 2]})
    rows["p"] = [1e-9, 1e-9, 0.01, 1e-9, np.nan]
    rows["p_permutation"] = [0.03, 0.03, 0.04, 0.03, np.nan]
    rows["p_pooled"] = [np.nan, np.nan, np.nan, 1e-3, np.nan]
    rows["p_floor"], rows["p_max_t"] = 0.002, [0.03, 0.03, np.nan, np.nan, np.nan]
    assert adjust(rows)["q"].tolist() == pytest.approx([0.03, 0.03, 0.04, 0.002, np.nan], nan_ok=True)
    # features of different patients have no max-T: Holm over the permutation p
    assert adjust(rows.assign(p_max_t=np.nan))["q"][0] == pytest.approx(0.06)


def test_an_undeclared_lineage_has_no_rows_and_a_declared_one_only_its_own(tmp_path, monkeypatch):
    args = write(tmp_path / "in", Cohort(contrast={"focus": []}))
    scores = pd.read_parquet(tmp_path / "in/pathway_scores.parquet")
    sums = scores[scores["cell_type"] == "CD4_T"].assign(cell_type="T")
    pd.concat([scores, sums]).to_parquet(tmp_path / "in/pathway_scores.parquet")
    monkeypatch.chdir(tmp_path)
    for focus, expected in ([], []), ([{"cell_type": "T", "feature": "SET_03"}], ["SET_03"]):
        contrast = json.loads((tmp_path / "in/tox.json").read_text()) | {"focus": focus}
        (tmp_path / "in/tox.json").write_text(json.dumps(contrast))
        associate.main([*args, "--n_calibration", "2"])
        rows = pd.read_csv("tox.associations.csv")
        pathways = rows[(rows["kind"] == "pathway") & (rows["cell_type"] == "T")]
        assert pathways["feature"].tolist() == expected
        assert pathways["p"].notna().all()
