"""CORRELATE through its command line, and its parts against scipy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from tables import Cohort, write

import correlate
from cartox.serum import bootstrapped, log2_values, ranks


@pytest.fixture
def run(tmp_path, monkeypatch):
    def go(cohort: Cohort, change=None) -> pd.DataFrame:
        write(tmp_path, cohort)
        features = pd.read_parquet(tmp_path / "features.parquet")
        scores = pd.read_parquet(tmp_path / "pathway_scores.parquet").assign(kind="pathway")
        features = pd.concat([features, scores[features.columns]])
        features.to_parquet(tmp_path / "features.parquet")
        if change:
            change(tmp_path)
        monkeypatch.chdir(tmp_path)
        flags = ["--features", "features.parquet", "--analytes", "analytes.csv", "--contrasts", "tox.json"]
        correlate.main([*flags, "--n_permutations", "2000"])
        return pd.read_csv(
            "correlations.csv", keep_default_na=False, na_values={"q": [""], "p_permutation": [""]}
        )

    return go


def test_what_tracks_an_analyte_is_found_at_its_time_point(run):
    rows = run(Cohort(planted=4.0))
    keys = ["cell_type", "feature", "analyte"]
    planted = rows.set_index(["timepoint", *keys])["p_permutation"]
    assert planted[("D7", "CD14_Mono^CD4_T", "L00^R00", "CXCL10")] < 0.05
    assert planted[("D7", "CD14_Mono", "SET_00", "CXCL10")] < 0.05
    assert set(rows["timepoint"]) == {"D7", "baseline"}
    assert set(rows["kind"]) == {"pathway", "composition", "car", "ligrec"}
    assert set(rows.loc[rows["kind"] == "ligrec", "feature"]) == {"L00^R00"}
    assert rows.loc[rows["analyte"] == "IFNG", "note"].str.contains("at the limit of detection").any()
    assert (rows["ci_low"] <= rows["rho"]).all()


def test_null_correlations_are_calibrated(run):
    rows = run(Cohort(n_pathways=120))
    assert 0.03 <= (rows["p_permutation"] <= 0.05).mean() <= 0.07
    assert (rows["q"] <= 0.05).mean() < 0.01


def test_few_patients_have_no_p(run):
    rows = run(Cohort(no=2, yes=2))
    assert rows["p_permutation"].isna().all()
    assert (rows["n"] == 4).all()
    assert rows["note"].str.contains("fewer than 5 patients").all()


def test_without_analytes_the_table_is_empty(run):
    def clear(folder: Path) -> None:
        (folder / "analytes.csv").write_text("patient,timepoint,analyte,value,unit,censored\n")

    assert run(Cohort(), clear).empty


def test_rho_is_spearmans_with_ties():
    rng = np.random.default_rng(1)
    features, analyte = rng.integers(0, 4, (15, 3)).astype(float), rng.integers(0, 5, (15, 1)).astype(float)
    rho = ranks(analyte).T @ ranks(features)
    expected = [spearmanr(features[:, i], analyte[:, 0]).statistic for i in range(3)]
    np.testing.assert_allclose(rho[0], expected)
    draws = rng.integers(0, 15, (20, 15))
    expected = [ranks(analyte[rows]).T @ ranks(features[rows]) for rows in draws]
    np.testing.assert_allclose(bootstrapped(features, analyte, draws), expected, atol=1e-12)


def test_log2_averages_replicates_and_survives_zero():
    table = pd.DataFrame(
        [("A", "D7", "IL6", "4", ""), ("A", "D7", "IL6", "16", "left"), ("B", "D7", "IL6", "0", "")],
        columns=["patient", "timepoint", "analyte", "value", "censored"],
    )
    values = log2_values(table).set_index("patient")
    assert values.loc["A", "value"] == pytest.approx(3)
    assert values.loc["A", "censored"] == pytest.approx(0.5)
    assert values.loc["B", "value"] == pytest.approx(1)  # half of the smallest positive, 4
