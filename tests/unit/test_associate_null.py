"""ASSOCIATE over many cohorts in which nothing is planted."""

from __future__ import annotations

import pandas as pd
from tables import Cohort, write

import associate


def test_null_cohorts_are_calibrated(tmp_path, monkeypatch):
    """p over many small null cohorts: level, and no call in most."""
    monkeypatch.chdir(tmp_path)
    shares, permuted, called = [], [], 0
    for seed in range(12):
        associate.main(
            [*write(tmp_path / "null", Cohort(seed=100 + seed, n_genes=60)), "--n_calibration", "2"]
        )
        rows = pd.read_csv("tox.associations.csv")
        shares.append((rows["p"] < 0.05).groupby(rows["kind"]).agg(["sum", "size"]))
        permuted.append((rows["p_permutation"] <= 0.05).groupby(rows["kind"]).agg(["sum", "size"]))
        called += (rows.loc[rows["family"] == "primary", "q"] <= 0.05).any()
    for table in (shares, permuted):
        total = pd.concat(table).groupby(level=0).sum()
        large = total[total["size"] >= 500]
        assert {"expression", "ligrec", "pathway"} <= set(large.index)
        assert (large["sum"] / large["size"]).between(0.03, 0.07).all()
    assert called <= 3
