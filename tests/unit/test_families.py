"""Families of tests: Holm for the declared few, Benjamini–Hochberg for the explored many."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.multitest import multipletests

from cartox.statistics import families

P = [
    np.array([0.04, np.nan, 0.001, 0.04, 0.6, 0.0005]),
    np.array([0.7, 0.8, 0.9]),
    np.array([np.nan, 0.02, np.nan]),
    np.array([np.nan, np.nan]),
]


def family(name: str, **columns: list[float]) -> pd.DataFrame:
    """Rows of one family; what is not given is missing, and any p can be reached."""
    size = len(columns["p"])
    empty = {column: [np.nan] * size for column in families.NEEDED}
    return pd.DataFrame({"family": name, **empty, "p_floor": [0.0] * size, **columns})


def q_of(*rows: pd.DataFrame) -> list[float]:
    return families.adjust(pd.concat(rows, ignore_index=True))["q"].tolist()


@pytest.mark.parametrize("p", P, ids=["ties", "large", "one", "none"])
@pytest.mark.parametrize(
    ("ours", "theirs"), [(families.holm, "holm"), (families.benjamini_hochberg, "fdr_bh")]
)
def test_adjusted_p_is_that_of_statsmodels(p, ours, theirs):
    known = ~np.isnan(p)
    wanted = np.full(len(p), np.nan)
    if known.any():
        wanted[known] = multipletests(p[known], method=theirs)[1]
    np.testing.assert_allclose(ours(p), wanted)


def test_the_explored_take_the_larger_of_p_and_permutation_p():
    rows = family("pathway", p=[0.01, 0.02, np.nan], p_permutation=[0.03, 0.01, 0.5])
    assert q_of(rows) == pytest.approx([0.03, 0.03, np.nan], nan_ok=True)
    assert families.adjust(rows)["family_size"].tolist() == [2, 2, 2]


def test_a_pooled_p_stands_for_the_features_own():
    assert q_of(family("pathway", p=[0.01], p_permutation=[0.5], p_pooled=[0.05])) == [0.05]


def test_no_q_is_below_what_the_design_can_reach():
    rows = family("pathway", p=[0.001, 0.6], p_permutation=[0.1, 0.6], p_floor=[0.2, 0.2])
    assert q_of(rows) == pytest.approx([0.2, 0.6])


def test_the_declared_that_share_no_patients_are_holms_of_the_larger_p():
    rows = family("primary", p=[0.01, 0.02, np.nan], p_permutation=[0.04, 0.01, np.nan])
    assert q_of(rows) == pytest.approx([0.04, 0.04, np.nan], nan_ok=True)


def test_the_declared_that_share_their_patients_are_the_larger_of_holms_p_and_the_largest_ts():
    # the permutation p itself, which may be as large as its floor, is not multiplied
    rows = family("primary", p=[0.01, 0.02, np.nan], p_permutation=[0.3, 0.3, np.nan])
    assert q_of(rows.assign(p_max_t=[0.03, 0.015, np.nan])) == pytest.approx(
        [0.03, 0.02, np.nan], nan_ok=True
    )


def test_a_declared_feature_with_a_pooled_p_is_judged_by_it():
    rows = family("primary", p=[0.01, 0.01], p_permutation=[0.5, 0.5], p_pooled=[np.nan, 0.04])
    assert q_of(rows.assign(p_max_t=[0.03, 0.9])) == pytest.approx([0.03, 0.04])


def test_families_do_not_pay_for_each_other():
    declared = family("primary", p=[0.01], p_permutation=[0.01])
    many = family("gene", p=[0.02] * 50, p_permutation=[0.02] * 50)
    assert q_of(declared, many)[0] == q_of(many, declared)[-1] == 0.01
    assert families.adjust(pd.concat([many, declared], ignore_index=True))["family_size"].tolist() == [
        50
    ] * 50 + [1]


def test_a_family_without_a_single_p_has_no_q():
    adjusted = families.adjust(family("gene", p=[np.nan, np.nan]))
    assert adjusted["q"].isna().all() and adjusted["family_size"].tolist() == [0, 0]
