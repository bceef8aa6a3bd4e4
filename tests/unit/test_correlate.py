"""CORRELATE through its command line, and its parts against scipy and statsmodels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.stats import pearsonr, rankdata, spearmanr
from tables import Cohort, write

import correlate
from cartox.cli import InputError
from cartox.statistics.permutation import Permuter, Plan
from cartox.statistics.rank_correlation import Covariates, bootstrapped
from cartox.statistics.rank_correlation import correlate as rank_correlation
from cartox.statistics.serum import log2_values

INPUTS = {"features": "features.parquet", "analytes": "analytes.csv", "clinical": "clinical.csv"}
KEYS = ["timepoint", "kind", "cell_type", "feature", "analyte"]


def table(folder: Path, monkeypatch: pytest.MonkeyPatch, *flags: str) -> pd.DataFrame:
    """correlations.csv of the tables in a folder."""
    monkeypatch.chdir(folder)
    given = [part for name, file in INPUTS.items() for part in (f"--{name}", file)]
    contrasts = ["--contrasts", "tox.json"] if (folder / "tox.json").exists() else []
    correlate.main([*given, *contrasts, "--n_permutations", "2000", *flags])
    made = pd.read_csv("correlations.csv", converters=dict.fromkeys([*KEYS, "note", "covariates"], str))
    return made.astype({"q": float, "p_permutation": float, "p_partial": float})


@pytest.fixture
def run(tmp_path, monkeypatch):
    def go(cohort: Cohort, *flags: str, change=None) -> pd.DataFrame:
        write(tmp_path, cohort)
        features = pd.read_parquet(tmp_path / "features.parquet")
        scores = pd.read_parquet(tmp_path / "pathway_scores.parquet").assign(kind="pathway")
        features = pd.concat([features, scores[features.columns]])
        features.to_parquet(tmp_path / "features.parquet")
        if change:
            change(tmp_path)
        return table(tmp_path, monkeypatch, *flags)

    return go


@pytest.fixture
def correlated(tmp_path, monkeypatch):
    """correlations.csv of values: patient × feature and patient × analyte, at one visit or several."""

    def go(features: dict, analytes: dict, clinical: pd.DataFrame, *flags: str) -> pd.DataFrame:
        parts, measured = [], []
        for time in features:
            at = {"timepoint": time, "patient": clinical["patient"]}
            wide = pd.DataFrame(at | {"sample": clinical["patient"] + time}).join(features[time])
            parts.append(wide.melt(["patient", "timepoint", "sample"], var_name="feature"))
            wide = pd.DataFrame(at).join(analytes[time])
            measured.append(wide.melt(["patient", "timepoint"], var_name="analyte"))
        long = pd.concat(parts).dropna().assign(kind="pathway", cell_type="T", n_cells=50)
        long.sample(frac=1, random_state=3).to_parquet(tmp_path / "features.parquet")
        serum = pd.concat(measured).dropna()
        serum = serum.assign(value=np.exp2(serum["value"]), unit="pg/mL", censored="")
        serum.to_csv(tmp_path / "analytes.csv", index=False)
        clinical.to_csv(tmp_path / "clinical.csv", index=False)
        return table(tmp_path, monkeypatch, *flags)

    return go


def patients(n: int, **columns: object) -> pd.DataFrame:
    return pd.DataFrame({"patient": [f"P{i:03d}" for i in range(n)]} | columns)


def test_what_tracks_an_analyte_is_found_at_its_time_point(run):
    rows = run(Cohort(planted=4.0))
    planted = rows.set_index(KEYS)["p_permutation"]
    assert planted[("D7", "ligrec", "CD14_Mono^CD4_T", "L00^R00", "CXCL10")] < 0.05
    assert planted[("D7", "pathway", "CD14_Mono", "SET_00", "CXCL10")] < 0.05
    assert set(rows["timepoint"]) == {"D7", "baseline", "all"}
    assert set(rows["kind"]) == {"pathway", "composition", "car", "ligrec"}
    assert set(rows.loc[rows["kind"] == "ligrec", "feature"]) == {"L00^R00"}
    assert rows.loc[rows["analyte"] == "IFNG", "note"].str.contains("at the limit of detection").any()
    assert (rows["ci_low"] <= rows["rho"]).all()


def test_null_correlations_are_calibrated(run):
    rows = run(Cohort(n_pathways=120))
    for name in ("p_permutation", "p_partial"):
        for _, part in rows.groupby("timepoint"):
            assert 0.03 <= (part[name] <= 0.05).mean() <= 0.07
    assert (rows["q"] <= 0.05).mean() < 0.01
    assert (rows["q_partial"] <= 0.05).mean() < 0.01


def test_covariates_are_those_beside_the_term_unless_named(run):
    assert set(run(Cohort())["covariates"]) == {"anakinra"}
    assert set(run(Cohort(), "--serum_covariates", "toxicity, grade")["covariates"]) == {"grade+toxicity"}
    rows = run(Cohort(), "--serum_covariates", "none")
    assert set(rows["covariates"]) == {""} and rows["rho_partial"].isna().all()
    for name in ("aeg", "patient"):
        with pytest.raises(
            InputError, match=f"--serum_covariates {name}: the clinical sheet has no such column"
        ):
            run(Cohort(), "--serum_covariates", name)


def test_a_covariate_that_nobody_has_is_named(run):
    def lose(folder: Path) -> None:
        table = pd.read_csv(folder / "clinical.csv", dtype=str)
        table.assign(age="").to_csv(folder / "clinical.csv", index=False)

    rows = run(Cohort(n_pathways=2), "--serum_covariates", "age", change=lose)
    assert rows["note"].str.contains("no partial correlation: no patient has age").all()
    assert rows["rho_partial"].isna().all() and rows["rho"].notna().all()


def test_a_covariate_that_drives_both_is_seen_through(correlated):
    rng = np.random.default_rng(5)
    arm = np.tile(["a", "b", "c"], 14)
    age = rng.normal(60, 10, 42)
    push = 4.0 * (arm == "b") + 0.3 * (age - 60)
    noise = rng.normal(size=(42, 3))
    features = pd.DataFrame({"DRIVEN": push + noise[:, 0], "REAL": push + 2 * noise[:, 1] + noise[:, 0]})
    analytes = pd.DataFrame({"IL6": push + 2 * noise[:, 1] + noise[:, 2]})
    clinical = patients(42, arm=arm, age=age)
    rows = correlated({"D7": features}, {"D7": analytes}, clinical, "--serum_covariates", "age,arm")
    rows = rows.set_index("feature")
    driven, real = rows.loc["DRIVEN"], rows.loc["REAL"]
    assert driven["rho"] > 0.7 and driven["p_permutation"] < 0.01
    assert abs(driven["rho_partial"]) < 0.3 and driven["p_partial"] > 0.05
    assert driven["ci_low_partial"] < 0 < driven["ci_high_partial"]
    assert real["rho_partial"] > 0.6 and real["p_partial"] < 0.01 and real["q_partial"] < 0.01
    assert 0 < real["ci_low_partial"] < real["rho_partial"] < real["ci_high_partial"]

    fixed = pd.get_dummies(clinical["arm"], drop_first=True).astype(float).assign(age=rankdata(age))
    left = [
        sm.OLS(rankdata(v), sm.add_constant(fixed)).fit().resid for v in (features["REAL"], analytes["IL6"])
    ]
    assert real["rho_partial"] == pytest.approx(pearsonr(*left).statistic, abs=1e-5)


def test_partial_p_is_calibrated_where_the_covariate_drives_both(correlated):
    rng = np.random.default_rng(8)
    group = np.repeat(["no", "yes"], [5, 9])
    shift = 3.0 * (group == "yes")
    features = pd.DataFrame(rng.standard_t(3, (14, 400)) + shift[:, None]).add_prefix("S")
    analytes = pd.DataFrame(rng.normal(size=(14, 5)) + shift[:, None]).add_prefix("A")
    flags = ("--serum_covariates", "group")
    rows = correlated({"D7": features}, {"D7": analytes}, patients(14, group=group), *flags)
    assert (rows["p_permutation"] < 0.05).mean() > 0.2, "the covariate is no null for the plain rho"
    assert 0.03 <= (rows["p_partial"] < 0.05).mean() <= 0.07


def test_partial_without_covariates_is_spearmans_rho_and_p_is_freedman_and_lanes():
    rng = np.random.default_rng(2)
    features, analytes = rng.normal(size=(11, 20)), rng.integers(0, 6, (11, 2)).astype(float)
    orders = np.argsort(rng.random((500, 11)), axis=1)
    draws = rng.integers(0, 11, (200, 11))
    plain = rank_correlation(features, analytes, orders, draws)
    none = Covariates(np.zeros((11, 0)), np.zeros((11, 0)))
    nothing = rank_correlation(features, analytes, orders, draws, none)
    expected = [[spearmanr(f, a).statistic for f in features.T] for a in analytes.T]
    np.testing.assert_allclose(plain.rho, expected, atol=1e-12)
    for name in ("rho", "low", "high", "p"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(nothing, name))

    given = Covariates(rng.integers(0, 2, (11, 1)).astype(float), rng.normal(size=(11, 1)))
    made = rank_correlation(features, analytes, orders, draws, given)
    for i in range(20):
        design = np.column_stack([given.matrix(), rankdata(features[:, i])])
        permuter = Permuter(rankdata(analytes, axis=0), design, 3, limit=0)
        # the one moves the residuals, the other the design
        inverse = Plan(np.argsort(orders, axis=1), False, 0)
        np.testing.assert_allclose(made.p[:, i], permuter.p(inverse), atol=1e-12)


def test_bootstrap_takes_ranks_and_residuals_anew():
    rng = np.random.default_rng(1)
    features, analyte = rng.integers(0, 4, (15, 3)).astype(float), rng.integers(0, 5, (15, 1)).astype(float)
    given = Covariates(np.repeat([[0.0], [1.0]], [9, 6], axis=0), rng.normal(size=(15, 1)))
    draws = rng.integers(0, 15, (20, 15))
    for rows, made in zip(draws, bootstrapped(features, analyte, draws, given), strict=True):
        fixed = sm.add_constant(np.column_stack([given.groups[rows], rankdata(given.numbers[rows])]))
        left = [sm.OLS(rankdata(v[rows]), fixed).fit().resid for v in (analyte[:, 0], *features.T)]
        np.testing.assert_allclose(made[0], [pearsonr(left[0], f).statistic for f in left[1:]], atol=1e-9)


def test_partial_is_left_out_where_patients_do_not_suffice_and_says_so(correlated):
    rng = np.random.default_rng(4)
    columns = {"age": [50, 60, 70, 80, 90, 55, 51, 52, 53], "site": "one"}
    clinical = patients(9, **columns, sex=list("FMFMFMFFM"), a=list("xxxyyyzzz"), b=list("uuuvvvvvv"))

    def note(n: int, names: str) -> str:
        features, analytes = pd.DataFrame({"S": rng.normal(size=n)}), pd.DataFrame({"IL6": range(n)})
        flags = ("--serum_covariates", names)
        row = correlated({"D7": features}, {"D7": analytes}, clinical.head(n), *flags).iloc[0]
        assert row["p_permutation"] > 0
        partial = row[["rho_partial", "ci_low_partial", "ci_high_partial", "p_partial"]]
        assert partial.isna().all() if row["note"] else partial.notna().all()
        return row["note"]

    assert note(6, "age") == ""
    assert note(6, "age,sex") == "no partial correlation: 6 patients are too few to adjust for age, sex"
    assert note(9, "site") == "no partial correlation: site has one value among these patients"
    assert note(9, "a,b") == "no partial correlation: a and b cannot be told apart in these patients"


def test_a_patient_without_a_covariate_counts_in_the_plain_rho_alone(correlated):
    rng = np.random.default_rng(6)
    features, analytes = pd.DataFrame({"S": rng.normal(size=12)}), pd.DataFrame({"IL6": rng.normal(size=12)})
    clinical = patients(12, age=["NA", "", *range(40, 50)])
    flags = ("--serum_covariates", "age")
    row = correlated({"D7": features}, {"D7": analytes}, clinical, *flags).iloc[0]
    assert row["n"] == 12 and row["note"] == "partial over 10 of 12 patients, as others lack age"
    assert row["rho"] == pytest.approx(spearmanr(features["S"], analytes["IL6"]).statistic, abs=1e-5)
    fewer = [{"D7": t.iloc[2:].reset_index(drop=True)} for t in (features, analytes)]
    alone = correlated(*fewer, clinical.iloc[2:].reset_index(drop=True), *flags).iloc[0]
    partial = ["rho_partial", "ci_low_partial", "ci_high_partial", "p_partial"]
    pd.testing.assert_series_equal(row[partial], alone[partial], check_names=False)


def test_visits_are_averaged_by_patient(correlated):
    """Patients differ, visits shift all alike; a missed visit must not pass for a shift."""
    rng = np.random.default_rng(7)
    level = rng.normal(size=10)
    shift = {"D7": 0.0, "D14": 8.0, "product": 3.0}
    features = {t: pd.DataFrame({"S": level + s + 0.1 * rng.normal(size=10)}) for t, s in shift.items()}
    analytes = {t: pd.DataFrame({"IL6": level - s + 0.1 * rng.normal(size=10)}) for t, s in shift.items()}
    features["D14"].loc[:4, "S"] = np.nan
    analytes["product"][:] = np.nan
    rows = correlated(features, analytes, patients(10)).set_index("timepoint")
    assert list(rows.index) == ["D14", "D7", "all"]
    assert rows.loc["all", "n"] == 10 and rows.loc["D14", "n"] == 5
    assert rows.loc["all", "rho"] > 0.9 and rows.loc["all", "q"] < 0.01

    seen = pd.concat([t[["patient", "t"]].join(f) for t, f in _visits(features, analytes)], ignore_index=True)
    seen = seen.dropna()
    means = []
    for name in ("S", "IL6"):
        design = pd.get_dummies(seen[["patient", "t"]]).astype(float).drop(columns="t_D7")
        effect = sm.OLS(seen[name], design).fit().params["t_D14"]
        means.append((seen[name] - effect * (seen["t"] == "D14")).groupby(seen["patient"]).mean())
    assert rows.loc["all", "rho"] == pytest.approx(spearmanr(*means).statistic, abs=1e-5)


def _visits(features: dict, analytes: dict):
    for time in ("D7", "D14"):
        frame = patients(10).assign(t=time)
        yield frame, features[time].join(analytes[time])


def test_one_visit_by_patient_has_no_average(correlated):
    rng = np.random.default_rng(9)
    early, late = ({"S": rng.normal(size=12)} for _ in range(2))
    half = np.arange(12) < 6
    features = {
        "D7": pd.DataFrame(early).where(half[:, None]),
        "D14": pd.DataFrame(late).where(~half[:, None]),
    }
    analytes = {t: pd.DataFrame({"IL6": rng.normal(size=12)}) for t in features}
    rows = correlated(features, analytes, patients(12))
    assert list(rows["timepoint"]) == ["D14", "D7"]


def test_order_of_rows_changes_nothing(run):
    def shuffle(folder: Path) -> None:
        for name in INPUTS.values():
            path = folder / name
            frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, dtype=str)
            frame = frame.sample(frac=1, random_state=1)
            frame.to_parquet(path) if path.suffix == ".parquet" else frame.to_csv(path, index=False)

    pd.testing.assert_frame_equal(run(Cohort()), run(Cohort(), change=shuffle))


def test_censored_values_tie(run):
    """Whatever stands beyond the limit, the correlations are the same."""

    def at_the_limit(value: str):
        def change(folder: Path) -> None:
            serum = pd.read_csv(folder / "analytes.csv", dtype=str, keep_default_na=False)
            assert (serum["censored"] == "left").sum() > 3
            serum["value"] = serum["value"].where(serum["censored"] == "", value)
            serum.to_csv(folder / "analytes.csv", index=False)

        return change

    first, second = (run(Cohort(), change=at_the_limit(v)) for v in ("40", "3"))
    at_visits = first["timepoint"] != "all"
    pd.testing.assert_frame_equal(first[at_visits], second[at_visits])


def test_few_patients_have_no_p(run):
    rows = run(Cohort(no=2, yes=2))
    assert rows["p_permutation"].isna().all()
    assert (rows["n"] == 4).all()
    assert rows["note"].str.contains("fewer than 5 patients").all()
    assert rows["rho"].notna().all() and rows["rho_partial"].isna().all()


def test_without_analytes_the_table_is_empty(run):
    def clear(folder: Path) -> None:
        (folder / "analytes.csv").write_text("patient,timepoint,analyte,value,unit,censored\n")

    assert run(Cohort(), change=clear).empty


def test_log2_averages_replicates_and_survives_zero():
    given = pd.DataFrame(
        [("A", "D7", "IL6", "4", ""), ("A", "D7", "IL6", "16", "left"), ("B", "D7", "IL6", "0", "")],
        columns=["patient", "timepoint", "analyte", "value", "censored"],
    )
    values = log2_values(given).set_index("patient")
    assert values.loc["A", "value"] == pytest.approx(3)
    assert values.loc["A", "censored"] == pytest.approx(0.5)
    assert values.loc["B", "value"] == pytest.approx(1)  # half of the smallest positive, 4
