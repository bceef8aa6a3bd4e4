"""ASSOCIATE through its command line, on drawn cohorts."""

from __future__ import annotations

import json
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from tables import Cohort, write

import associate
from cartox.statistics.families import benjamini_hochberg

FAST = ["--n_calibration", "20"]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Write a cohort, let `change` edit its tables, run, and read what came out."""

    def go(cohort: Cohort, change=None, name: str = "a", flags: list[str] = FAST):
        args = write(tmp_path / name, cohort)
        if change:
            change(tmp_path / name)
        out = tmp_path / f"{name}_out"
        out.mkdir()
        monkeypatch.chdir(out)
        associate.main([*args, *flags])
        rows = pd.read_csv(
            "tox.associations.csv", keep_default_na=False, na_values={c: [""] for c in NUMERIC}
        )
        return rows, json.loads(Path("tox.contrast.json").read_text()), out

    return go


NUMERIC = ["estimate", "ci_low", "ci_high", "statistic", "p", "p_permutation", "p_floor", "q", "p_max_t"]


def test_planted_effects_are_called_and_little_else(run):
    rows, about, out = run(Cohort(planted=3.5))
    primary = rows[rows["family"] == "primary"]
    assert len(primary) == 4
    assert (primary["q"] <= 0.05).all()
    assert (primary["estimate"] > 0).all()
    assert (primary["p_max_t"] <= 0.05).all()
    assert set(primary["n_per_group"]) == {"no:6 yes:6"}
    others = rows[rows["family"] != "primary"]
    assert (others["q"] <= 0.05).sum() <= 2
    assert (rows["q"].dropna() >= 2 / 924 - 1e-6).all()
    assert (rows["p"].notna() == rows["p_permutation"].notna()).all()
    assert about["p_floor"] == pytest.approx(2 / 924)
    assert about["reference"] == "no"
    crossed = {(i["feature"], i["with"]): i for i in about["interactions"]}
    assert set(crossed) == {(f, "anakinra") for f in ("SET_00", "G000", "L00^R00", "CXCL10")}
    assert sum(i["ci_low"] <= 0 <= i["ci_high"] for i in crossed.values()) >= 3
    assert set(rows["kind"]) == {"expression", "pathway", "ligrec", "composition", "car", "analyte"}
    values = pd.read_parquet(out / "tox.values.parquet")
    assert len(values[values["feature"] == "SET_00"].query("cell_type == 'CD14_Mono'")) == 12
    assert set(values["group"]) == {"no", "yes"}


def test_calibration_table(run):
    _, _, out = run(Cohort(), flags=[])
    table = pd.read_csv(out / "tox.calibration.csv")
    assert list(table["family"]) == ["analyte", "car", "composition", "expression", "ligrec", "pathway"]
    assert (table["n_permutations"] == 200).all()
    big = table[table["n_tests"] > 50]
    assert big["share_below_0.05"].between(0.03, 0.07).all()
    assert (table["ci_low"] <= table["share_below_0.05"]).all()
    assert (big["note"].isna()).all()
    assert table.loc[table["family"] == "car", "note"].str.startswith("not judged").all()


def test_order_of_rows_and_other_strata_change_nothing(run):
    def shuffle(folder: Path) -> None:
        for name in ("samples.csv", "clinical.csv", "analytes.csv"):
            table = pd.read_csv(folder / name, dtype=str, keep_default_na=False)
            table.sample(frac=1, random_state=1).to_csv(folder / name, index=False)
        for name in ("features.parquet", "pathway_scores.parquet"):
            pd.read_parquet(folder / name).sample(frac=1, random_state=2).to_parquet(folder / name)

    def drop_baseline(folder: Path) -> None:
        for name in ("samples.csv", "analytes.csv"):
            table = pd.read_csv(folder / name, dtype=str, keep_default_na=False)
            table[table["timepoint"] == "D7"].to_csv(folder / name, index=False)

    whole = run(Cohort(planted=2), name="a")[0]
    pd.testing.assert_frame_equal(whole, run(Cohort(planted=2), shuffle, "b")[0])
    pd.testing.assert_frame_equal(whole, run(Cohort(planted=2), drop_baseline, "c")[0])


def test_three_against_three_says_what_it_cannot_reach(run):
    rows, about, _ = run(Cohort(no=3, yes=3, planted=9, contrast={"formula": "~ toxicity"}))
    assert about["p_floor"] == pytest.approx(0.1)
    assert rows["q"].min() >= 0.1
    assert (rows["q"] <= 0.05).sum() == 0
    assert any("no permutation p can fall below 0.1" in note for note in about["notes"])


def test_two_in_a_group_is_descriptive(run):
    rows, about, _ = run(Cohort(no=2, yes=4, contrast={"formula": "~ toxicity"}))
    assert rows["estimate"].notna().all()
    assert rows["p"].isna().all()
    assert rows["q"].isna().all()
    assert rows["note"].str.contains("fewer than 3 patients in no \\(2\\)").all()
    assert any("Descriptive only" in note for note in about["notes"])


def test_a_covariate_that_copies_the_outcome_is_named(run):
    def copy(folder: Path) -> None:
        table = pd.read_csv(folder / "clinical.csv")
        table.assign(arm=table["toxicity"].map({"no": "a", "yes": "b"})).to_csv(
            folder / "clinical.csv", index=False
        )

    rows, about, _ = run(Cohort(contrast={"formula": "~ toxicity + arm"}), copy)
    assert rows["p"].isna().all()
    assert rows["note"].str.contains("cannot be told from arm").all()
    assert about["n_called"] == 0


def test_one_level_is_said_not_raised(run):
    def all_yes(folder: Path) -> None:
        pd.read_csv(folder / "clinical.csv").assign(toxicity="yes").to_csv(
            folder / "clinical.csv", index=False
        )

    rows, about, _ = run(Cohort(), all_yes)
    assert set(rows["note"]) == {"not tested: not measured here, or too rare"}
    assert any("one level" in note for note in about["notes"])


def test_a_type_missing_in_some_patients_has_its_own_n(run):
    def lose(folder: Path) -> None:
        table = pd.read_parquet(folder / "pathway_scores.parquet")
        gone = (table["cell_type"] == "NK") & table["sample"].isin(["P00_D7", "P07_D7"])
        table[~gone].to_parquet(folder / "pathway_scores.parquet")

    rows, _, _ = run(Cohort(), lose)
    pathways = rows[rows["kind"] == "pathway"].set_index("cell_type")
    assert set(pathways.loc["NK", "n_per_group"]) == {"no:5 yes:5"}
    assert set(pathways.loc["B", "n_per_group"]) == {"no:6 yes:6"}
    assert pathways.loc["NK", "p_floor"].iloc[0] == pytest.approx(2 / 252, rel=1e-4)


def test_missing_covariate_leaves_the_patient_out(run):
    def lose(folder: Path) -> None:
        table = pd.read_csv(folder / "clinical.csv", dtype=str)
        table.loc[0, "anakinra"] = ""
        table.to_csv(folder / "clinical.csv", index=False)

    rows, about, _ = run(Cohort(), lose)
    assert about["n"] == 11
    assert any("1 patient left out: no single value of anakinra" in note for note in about["notes"])
    assert rows["n"].max() == 11


def test_change_from_baseline(run):
    contrast = {"level": "change", "baseline": "baseline", "formula": "~ toxicity"}

    def shift(folder: Path) -> None:
        # a patient's own level cancels in the change
        for name in ("pathway_scores.parquet",):
            table = pd.read_parquet(folder / name)
            table["value"] += table["patient"].map({f"P{i:02d}": 50.0 * i for i in range(12)})
            table.to_parquet(folder / name)
        samples = pd.read_csv(folder / "samples.csv")
        samples[samples["sample"] != "P03_baseline"].to_csv(folder / "samples.csv", index=False)

    rows, about, _ = run(Cohort(planted=4, contrast=contrast), shift)
    assert about["n_per_group"] == "no:5 yes:6"
    assert any("Without a baseline sample" in note and "P03" in note for note in about["notes"])
    found = rows.query("kind == 'pathway' and cell_type == 'CD14_Mono' and feature == 'SET_00'").iloc[0]
    assert found["q"] <= 0.05
    assert 2 < found["estimate"] < 6


def test_several_visits_are_averaged_after_adjusting_for_time(run):
    def season(folder: Path) -> None:
        table = pd.read_parquet(folder / "pathway_scores.parquet")
        table["value"] += 100.0 * (table["timepoint"] == "D7")
        lost = table["sample"].isin(["P00_D7", "P06_baseline"])
        table[~lost].to_parquet(folder / "pathway_scores.parquet")

    rows, _, _ = run(Cohort(contrast={"where": {}, "formula": "~ toxicity"}), season)
    pathways = rows[rows["kind"] == "pathway"]
    assert pathways["estimate"].abs().max() < 3
    assert set(pathways["n"]) == {12}


def test_condition_within_patients(run):
    def conditions(folder: Path) -> None:
        samples = pd.read_csv(folder / "samples.csv", dtype=str)
        samples["stim"] = np.where(samples["timepoint"] == "D7", "stim", "ctrl")
        samples = samples[samples["sample"] != "P01_D7"]
        samples.to_csv(folder / "samples.csv", index=False)
        pd.read_csv(folder / "clinical.csv")[["patient"]].to_csv(folder / "clinical.csv", index=False)

    contrast = {"formula": "~ patient + stim", "term": "stim", "where": {}}
    rows, about, _ = run(Cohort(no=0, yes=9, planted=4, contrast=contrast), conditions)
    assert about["within"]
    assert about["n"] == 8
    assert any("seen in one condition only: P01" in note for note in about["notes"])
    found = rows.query("kind == 'pathway' and cell_type == 'CD14_Mono' and feature == 'SET_00'").iloc[0]
    assert found["n_per_group"] == "ctrl:8 stim:8"
    assert found["p_floor"] == pytest.approx(2 / 2**8)
    assert found["q"] <= 0.05
    assert found["estimate"] > 2


@pytest.mark.parametrize(
    ("formula", "term", "coefficients", "groups"),
    [
        ("~ grade", "grade", ["per unit of grade"], ""),
        ("~ C(grade2)", "C(grade2)", ["1 − 0", "2 − 0"], "0:4 1:4 2:4"),
        (
            "~ toxicity * anakinra",
            "toxicity:anakinra",
            ["toxicity[T.yes]:anakinra[T.yes]"],
            "no/no:3 no/yes:3 yes/no:3 yes/yes:3",
        ),
        (
            "~ C(toxicity, contr.treatment('yes'))",
            "C(toxicity, contr.treatment('yes'))",
            ["no − yes"],
            "no:6 yes:6",
        ),
        ("~ np.log1p(grade) + anakinra", "np.log1p(grade)", ["per unit of np.log1p(grade)"], ""),
    ],
)
def test_other_terms(run, formula, term, coefficients, groups):
    def grade(folder: Path) -> None:
        table = pd.read_csv(folder / "clinical.csv")
        table.assign(grade2=np.arange(12) // 4).to_csv(folder / "clinical.csv", index=False)

    rows, about, _ = run(Cohort(contrast={"formula": formula, "term": term, "focus": []}), grade)
    assert about["coefficients"] == coefficients
    assert set(rows["coefficient"]) == set(coefficients)
    assert set(rows["n_per_group"]) == {groups}
    assert rows["p"].notna().mean() > 0.99
    assert "primary" not in set(rows["family"])


def test_a_declared_feature_that_is_not_there_is_a_row(run):
    focus = [{"kind": "pathway", "cell_type": "CD14_Mono", "feature": "NO_SUCH_SET"}]
    rows, about, _ = run(Cohort(contrast={"focus": focus}))
    assert rows.iloc[0]["family"] == "primary"
    assert rows.iloc[0]["note"].startswith("not tested")
    assert rows.iloc[0]["family_size"] == 0
    assert any("NO_SUCH_SET" in note for note in about["notes"])


def test_features_declared_twice_are_tested_once_and_none_is_called_missing(run):
    once = {"kind": "pathway", "cell_type": "CD14_Mono", "feature": "SET_01"}
    rows, about, _ = run(Cohort(contrast={"focus": [once, dict(once), {"feature": "SET_01"}]}))
    primary = rows[rows["family"] == "primary"]
    assert set(primary["feature"]) == {"SET_01"} and primary["p"].notna().all()
    assert not primary.duplicated(["kind", "cell_type", "feature"]).any()
    assert not any("not tested" in note for note in about["notes"])


def test_kang_within_patients_is_limmas_donor_paired_design(run, shared):
    """The whole script on R's fixture: pseudobulk of monocytes, control and stimulated."""

    def kang(folder: Path) -> None:
        counts = pd.read_csv(shared("oracle/kang_pb_mono_counts.tsv.gz"), sep="\t", index_col=0).T
        column = pd.read_csv(shared("oracle/kang_pb_mono_coldata.tsv"), sep="\t", dtype=str)
        column = column.set_index("sample_id")
        names = [f"s{name}" for name in counts.index]
        patients = [f"d{name}" for name in column.loc[counts.index, "donor"]]
        samples = pd.DataFrame({"sample": names, "patient": patients, "timepoint": "t0", "batch": names})
        samples["condition"] = column.loc[counts.index, "condition"].to_numpy()
        samples.to_csv(folder / "samples.csv", index=False)
        samples[["patient"]].drop_duplicates().to_csv(folder / "clinical.csv", index=False)
        obs = samples[["sample"]].assign(cell_type="Mono", n_cells=100)
        obs.index = obs["sample"]
        var = pd.DataFrame({"excluded": False}, index=counts.columns)
        made = anndata.AnnData(sparse.csr_matrix(counts.to_numpy()), obs=obs, var=var)
        made.write_h5ad(folder / "pseudobulk.h5ad")

    contrast = {"formula": "~ patient + condition", "term": "condition", "where": {}, "focus": []}
    rows, about, _ = run(Cohort(contrast=contrast), kang, flags=["--n_calibration", "200"])
    limma = pd.read_csv(shared("oracle/kang_mono_limma_voom_donor_paired.tsv.gz"), sep="\t", index_col=0)
    rows = rows[rows["kind"] == "expression"].set_index("feature")
    assert set(rows.index) == set(limma.index)
    limma = limma.loc[rows.index]
    assert np.corrcoef(rows["statistic"], limma["t"])[0, 1] >= 0.999
    called = benjamini_hochberg(rows["p"].to_numpy()) <= 0.05
    expected = limma["adj.P.Val"].to_numpy() <= 0.05
    assert (called != expected).sum() <= 0.02 * expected.sum()
    # q is held to the pooled permutation p, which costs a little where most genes respond
    assert (rows["q"] <= 0.05)[called].mean() >= 0.9
    assert not (rows["q"] <= 0.05)[~called].any()
    assert about["p_floor"] == pytest.approx(2 / 2**8)
    assert rows.loc["CXCL10", "p_permutation"] == pytest.approx(2 / 2**8, rel=1e-4)
