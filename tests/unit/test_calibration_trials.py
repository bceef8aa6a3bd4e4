"""The calibration benchmark, at a small size: two null twins and a planted cohort. About half a minute."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="module")
def cohorts(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).resolve().parents[2] / "benchmarks/calibration")
        import trials

        return trials.run(tmp_path_factory.mktemp("twins"), 2, 1, patients=12, cells=150, first=7)


def test_nulls_have_the_level_and_call_next_to_nothing(cohorts: pd.DataFrame):
    nulls = cohorts[cohorts["null"] == 1]
    sums = nulls.groupby("family")[["tests", "p", "p_permutation", "called"]].sum()
    large = sums[sums["tests"] >= 500]
    assert {"expression", "ligrec", "pathway"} <= set(large.index)
    for p in ("p", "p_permutation"):
        # pairs and sets are few and correlated: two cohorts leave a wide margin
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
