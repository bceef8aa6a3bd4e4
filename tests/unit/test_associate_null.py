"""ASSOCIATE over many cohorts: in which nothing is planted, and in which the declared family is."""

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


def test_power_of_the_declared_family(tmp_path, monkeypatch):
    """6 against 6, a covariate, four declared features of different kinds at 1.5 SD between patients."""
    monkeypatch.chdir(tmp_path)
    primary = []
    for seed in range(24):
        cohort = Cohort(seed=3000 + seed, planted=1.5, n_genes=40, n_pairs=10)
        associate.main([*write(tmp_path / "planted", cohort), "--n_calibration", "100"])
        rows = pd.read_csv("tox.associations.csv")
        primary.append(rows[rows["family"] == "primary"].assign(cohort=seed))
    rows = pd.concat(primary)
    called = rows["q"] <= 0.05
    assert called.groupby(rows["cohort"]).any().mean() >= 0.75
    assert called.mean() >= 0.45
    assert (rows["p"] < 0.05).mean() >= 0.6
    assert (rows.loc[called, "estimate"] > 0).all()
