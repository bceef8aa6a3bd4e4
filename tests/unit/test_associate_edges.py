"""ASSOCIATE where sheets and formulas are unusual: it neither fails nor says what is not so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from tables import Cohort, write

import associate

AGES = [str(x) for x in (31, 44, 57, 62, 29, 70, 48, 55, 39, 66, 52, 41)]
LEFT_OUT = "1 patient left out: the formula gives them no finite number."


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Write a small cohort, edit its tables, ask one question; rows and contrast.json."""

    def go(formula: str, term: str, change=None, cohort: Cohort | None = None, **contrast):
        cohort = cohort or Cohort(n_genes=30, n_pathways=4, n_pairs=4)
        few = str(contrast.pop("n_calibration", 2))
        cohort.contrast = {"formula": formula, "term": term, "focus": []} | contrast
        args = write(tmp_path / "in", cohort)
        for edit in change or []:
            edit(tmp_path / "in")
        monkeypatch.chdir(tmp_path)
        associate.main([*args, "--n_calibration", few])
        rows = pd.read_csv("tox.associations.csv", converters={"note": str, "n_per_group": str})
        return rows, json.loads(Path("tox.contrast.json").read_text())

    return go


def clinical(**columns: list[str]):
    """Sets columns of the clinical sheet."""

    def edit(folder: Path) -> None:
        table = pd.read_csv(folder / "clinical.csv", dtype=str, keep_default_na=False)
        table.assign(**columns).to_csv(folder / "clinical.csv", index=False)

    return edit


def samples(change):
    """Edits the sample sheet."""

    def edit(folder: Path) -> None:
        table = pd.read_csv(folder / "samples.csv", dtype=str, keep_default_na=False)
        change(table).to_csv(folder / "samples.csv", index=False)

    return edit


def arms(levels: tuple[str, str]):
    """An arm in the sample sheet that patient P00 changes between visits."""

    def change(table: pd.DataFrame) -> pd.DataFrame:
        odd = (table["patient"].str[1:].astype(int) % 2).to_numpy() == 1
        moved = (table["sample"] == "P00_D7").to_numpy()
        return table.assign(arm=np.where(odd | moved, levels[1], levels[0]))

    return samples(change)


def test_an_outcome_written_0_and_1_has_groups(run):
    words, asked = run("~ toxicity + anakinra", "toxicity")
    rows, about = run("~ toxicity + anakinra", "toxicity", [clinical(toxicity=["0"] * 6 + ["1"] * 6)])
    numbers = ["estimate", "ci_low", "ci_high", "p", "p_floor"]
    pd.testing.assert_frame_equal(rows[numbers], words[numbers])
    assert set(rows["n_per_group"]) == {"0:6 1:6"}
    assert set(rows["coefficient"]) == {"1 − 0"}
    assert (about["reference"], asked["reference"]) == ("0", "no")


@pytest.mark.parametrize("toxic", [1, 2])
def test_few_patients_with_1_are_described_not_tested(run, toxic):
    rows, _ = run("~ toxicity", "toxicity", [clinical(toxicity=["0"] * (12 - toxic) + ["1"] * toxic)])
    assert set(rows["note"]) == {f"descriptive only: fewer than 3 patients in 1 ({toxic})"}
    assert rows["estimate"].notna().all()
    assert rows[["p", "p_permutation", "q"]].isna().all(axis=None)


def test_two_numbers_apart_by_more_than_one_are_a_slope(run):
    one, _ = run("~ dose", "dose", [clinical(dose=["0"] * 6 + ["1"] * 6)])
    rows, _ = run("~ dose", "dose", [clinical(dose=["0"] * 6 + ["5"] * 6)])
    assert set(rows["coefficient"]) == {"per unit of dose"}
    np.testing.assert_allclose(rows["estimate"] * 5, one["estimate"], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("levels", [("a", "b"), ("0", "1")])
def test_one_patient_who_changes_arm_is_left_out_and_the_others_are_compared(run, levels):
    """CHECK_INPUTS sets `within` where any patient has several values; most must have them."""
    rows, about = run("~ arm", "arm", [arms(levels)], where={}, within=True)
    assert not about["within"]
    assert about["n_per_group"] == f"{levels[0]}:5 {levels[1]}:6"
    assert "Left out, as arm changes between their samples: P00." in about["notes"]
    assert rows["p"].notna().all()


@pytest.mark.parametrize(
    ("formula", "term", "coefficients"),
    [
        ("~ poly(age, 2) + toxicity", "poly(age,2)", ["poly(age, 2)[1]", "poly(age, 2)[2]"]),
        ("~ C(toxicity, contr.sum)", "C(toxicity, contr.sum)", ["no − mean of all levels"]),
        ("~ C(cycle)", "C(cycle)", ["2 − 1", "3 − 1"]),
        ("~ odd", "odd", ["c [x] − a [T.b]"]),
        ("~ toxicity + scale(age)", "toxicity", ["yes − no"]),
    ],
)
def test_coefficients_are_named(run, formula, term, coefficients):
    columns = clinical(
        age=AGES,
        cycle=["1", "2", "3"] * 3 + ["1", "2", ""],
        odd=["a [T.b]", "c [x]"] * 6,
    )
    rows, about = run(formula, term, [columns])
    assert about["coefficients"] == coefficients
    assert set(rows["coefficient"]) == set(coefficients)
    assert rows["p"].notna().all()


@pytest.mark.parametrize("patients", [2, 3])
def test_a_slope_over_two_patients_is_described_not_tested(run, patients):
    def dated(table: pd.DataFrame) -> pd.DataFrame:
        months = table["patient"].str[1:].astype(int) + np.where(table["timepoint"] == "D7", 3, 0)
        return table.assign(months=months.astype(str))

    where = {"patient": [f"P{i:02d}" for i in range(patients)]}
    rows, about = run("~ patient + months", "months", [samples(dated)], where=where, within=True)
    told = rows[rows["n"] == patients]
    assert len(told) and told["estimate"].notna().all()
    if patients == 2:
        assert set(told["note"]) == {"descriptive only: fewer than 3 patients"}
        assert rows[["p", "p_permutation", "q"]].isna().all(axis=None)
        assert "Descriptive only: there are fewer than three patients." in about["notes"]
    else:
        assert told["p"].notna().all()


def test_a_missing_value_inside_a_transform_leaves_its_patient_out(run):
    rows, about = run("~ toxicity + scale(age)", "toxicity", [clinical(age=["", *AGES[1:]])])
    assert "1 patient left out: no single value of age." in about["notes"]
    assert "Left out, as no single value of age: P00." in about["notes"]
    assert set(rows["n"]) == {11}


@pytest.mark.parametrize(("value", "formula"), [("0", "log(age)"), ("-3", "log(age)"), ("inf", "age")])
def test_a_value_that_gives_no_number_leaves_its_patient_out(run, value, formula):
    rows, about = run(f"~ toxicity + {formula}", "toxicity", [clinical(age=[value, *AGES[1:]])])
    assert LEFT_OUT in about["notes"]
    assert "Left out, as the formula gives them no finite number: P00." in about["notes"]
    assert set(rows["n_per_group"]) == {"no:5 yes:6"}
    assert "expression" in set(rows["kind"])


def test_numbers_may_be_reckoned_with_inside_a_transform(run):
    logged = [str(np.log(float(age) / 10 + 1)) for age in AGES]
    inside, about = run("~ toxicity + log(age / 10 + 1)", "log(age / 10 + 1)", [clinical(age=AGES)])
    before, _ = run("~ toxicity + age", "age", [clinical(age=logged)])
    assert len(inside) and about["n"] == 12
    columns = ["kind", "cell_type", "feature", "estimate", "p", "n"]
    pd.testing.assert_frame_equal(inside[columns], before[columns])


def test_without_an_intercept_nothing_is_compared(run):
    rows, about = run("~ 0 + toxicity", "toxicity")
    assert not len(rows)
    assert any("without an intercept the levels of toxicity are not compared" in n for n in about["notes"])


def test_time_point_beside_the_term_is_what_averaging_does(run):
    plain, _ = run("~ toxicity", "toxicity", where={})
    rows, about = run("~ toxicity + timepoint", "toxicity", where={})
    assert any("timepoint is left out of the formula" in note for note in about["notes"])
    pd.testing.assert_frame_equal(rows, plain)
    _, about = run("~ toxicity * timepoint", "toxicity", where={})
    assert "Not tested: no patient has a single value of timepoint." in about["notes"]


def test_a_patient_without_a_later_visit_is_named(run):
    lose = samples(lambda table: table[table["sample"] != "P02_D7"])
    contrast = {"level": "change", "baseline": "baseline"}
    _, about = run("~ toxicity", "toxicity", [lose], **contrast)
    assert "With a baseline sample alone, so without a change: P02." in about["notes"]
    assert about["n_per_group"] == "no:5 yes:6"


def test_a_declared_constant_takes_no_part_in_the_largest_t(run):
    def constant(folder: Path) -> None:
        table = pd.read_parquet(folder / "pathway_scores.parquet")
        table.loc[table["feature"] == "SET_02", "value"] = 0.1
        table.to_parquet(folder / "pathway_scores.parquet")

    focus = [{"kind": "pathway", "cell_type": "NK", "feature": f"SET_0{i}"} for i in (1, 2)]
    rows, _ = run("~ toxicity", "toxicity", [constant], focus=focus)
    rows = rows[rows["family"] == "primary"].set_index("feature")
    assert rows.loc["SET_02", "note"] == "not testable: no variation"
    assert np.isnan(rows.loc["SET_02", "p_max_t"])
    alone, _ = run("~ toxicity", "toxicity", [constant], focus=focus[:1])
    assert rows.loc["SET_01", "p_max_t"] == alone.loc[alone["family"] == "primary", "p_max_t"].item()


def test_no_calibration_is_an_empty_table(run):
    rows, _ = run("~ toxicity", "toxicity", n_calibration=0)
    assert rows["p_pooled"].isna().all()
    assert not len(pd.read_csv("tox.calibration.csv"))


def test_estimates_are_those_of_least_squares(run):
    """Serum: two covariates, one with a missing value; too few features for much of a prior."""
    rows, _ = run("~ grade + age + anakinra", "grade", [clinical(age=[*AGES[:11], "NA"])])
    clinical_sheet = pd.read_csv("in/clinical.csv", dtype=str).assign(
        age=[float(a) for a in AGES[:11]] + [np.nan]
    )
    wide = pd.read_csv("in/analytes.csv").query("timepoint == 'D7'")
    wide = wide.pivot_table(index="patient", columns="analyte", values="value")
    used = clinical_sheet.set_index("patient").join(wide.apply(np.log2)).dropna(subset=["age"])
    design = np.column_stack([used["grade"].astype(float), used["age"], used["anakinra"] == "yes"])
    for analyte, row in rows[rows["kind"] == "analyte"].set_index("feature").iterrows():
        model = sm.OLS(used[analyte].to_numpy(), sm.add_constant(design.astype(float))).fit()
        assert row["estimate"] == pytest.approx(model.params[1], rel=1e-4)
        assert row["n"] == 11


def test_a_term_within_an_interaction_says_where_it_is_tested(run):
    rows, about = run("~ toxicity * anakinra", "toxicity")
    said = "differ by anakinra: what is tested is its effect at the reference"
    assert any(said in note for note in about["notes"])
    analyte = rows[rows["kind"] == "analyte"].set_index("feature").loc["IL6"]
    wide = pd.read_csv("in/analytes.csv").query("timepoint == 'D7' and analyte == 'IL6'")
    wide = wide.merge(pd.read_csv("in/clinical.csv")).query("anakinra == 'no'")
    means = wide["value"].apply(np.log2).groupby(wide["toxicity"]).mean()
    assert analyte["estimate"] == pytest.approx(means["yes"] - means["no"], rel=1e-4)
    _, about = run("~ toxicity * anakinra", "toxicity:anakinra")
    assert not any("differ by" in note for note in about["notes"])


def test_spaces_in_a_term_make_no_interaction_with_itself(run):
    focus = [{"kind": "pathway", "cell_type": "NK", "feature": "SET_01"}]
    formula, term = "~ C(toxicity,contr.treatment('yes')) + anakinra", "C( toxicity, contr.treatment('yes') )"
    _, about = run(formula, term, focus=focus)
    assert [entry["with"] for entry in about["interactions"]] == ["anakinra"]
