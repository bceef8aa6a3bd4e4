"""ASSOCIATE: propeller's logit beside the log-ratio, CAR+ T-cell states, ordered and continuous outcomes."""

from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from tables import Cohort, write

import associate
from cartox.statistics.families import benjamini_hochberg
from cartox.statistics.measures import expression, ligrec

STATES = ["T_CM", "T_CTL", "T_EM", "T_naive", "T_prolif"]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Write a cohort, let `change` edit its tables, run, and read the rows."""

    def go(cohort: Cohort, change=None) -> pd.DataFrame:
        args = write(tmp_path / "in", cohort)
        if change:
            change(tmp_path / "in")
        monkeypatch.chdir(tmp_path)
        associate.main([*args, "--n_calibration", "2"])
        return pd.read_csv("tox.associations.csv", keep_default_na=True)

    return go


def counts_as_features(counts: pd.DataFrame) -> pd.DataFrame:
    """Cells by sample and type as rows of features.parquet."""
    long = (
        counts.rename_axis("sample").reset_index().melt("sample", var_name="cell_type", value_name="n_cells")
    )
    return long.assign(kind="composition", feature="fraction", value=0.0)


def test_logit_beside_composition_is_propellers(run, shared):
    """Kang's full experiment: 8 pairs × 8 types; propeller moderates robustly, which t hardly shows."""
    cells = pd.read_csv(shared("oracle/kang18_full_16samples_x_8celltypes.csv"), index_col=0)
    expected = pd.read_csv(shared("oracle/kang_full_propeller_logit_paired.tsv"), sep="\t", index_col=0)

    def kang(folder: Path) -> None:
        samples = pd.DataFrame({"sample": cells.index, "patient": cells["ind"].map("d{}".format)})
        samples = samples.assign(timepoint="t0", batch=samples["sample"], condition=cells["stim"].to_numpy())
        samples.to_csv(folder / "samples.csv", index=False)
        samples[["patient"]].drop_duplicates().to_csv(folder / "clinical.csv", index=False)
        rows = counts_as_features(cells[expected.index])
        rows.merge(samples[["sample", "patient", "timepoint"]]).to_parquet(folder / "features.parquet")

    contrast = {"formula": "~ patient + condition", "term": "condition", "where": {}, "focus": []}
    rows = run(Cohort(contrast=contrast), kang)
    assert rows.loc[rows["kind"] != "composition", ["logit_estimate", "logit_p"]].isna().all(axis=None)
    rows = rows[rows["kind"] == "composition"].set_index("cell_type").loc[expected.index]
    assert np.corrcoef(rows["logit_statistic"], expected["Tstatistic"])[0, 1] >= 0.99
    called = benjamini_hochberg(rows["logit_p"].to_numpy()) <= 0.05
    assert (called == (expected["FDR"] <= 0.05).to_numpy()).all()


def test_one_type_that_expands_moves_shares_but_not_log_ratios(run):
    """CD8 T cells treble with the outcome. The four others stay: their shares fall all the same."""
    rng = np.random.default_rng(3)
    types = ["B", "CD14_Mono", "CD4_T", "CD8_T", "NK"]

    def expand(folder: Path) -> None:
        samples = pd.read_csv(folder / "samples.csv", dtype=str)
        toxic = samples["patient"].isin([f"P{i:02d}" for i in range(6, 12)]).to_numpy()
        level = np.exp(rng.normal(0, 0.25, (len(samples), 5))) * 300
        level[toxic, 3] *= 8
        counts = pd.DataFrame(rng.poisson(level), index=samples["sample"], columns=types)
        features = pd.read_parquet(folder / "features.parquet")
        features = features[features["kind"] != "composition"]
        made = counts_as_features(counts).merge(samples[["sample", "patient", "timepoint"]])
        pd.concat([features, made]).to_parquet(folder / "features.parquet")

    rows = run(Cohort(contrast={"focus": []}), expand)
    rows = rows[rows["kind"] == "composition"].set_index("cell_type")
    assert rows.loc["CD8_T", "q"] <= 0.05
    assert rows.loc["CD8_T", "estimate"] == pytest.approx(np.log(8), abs=0.6)
    others = rows.drop(index="CD8_T")
    assert (others["q"] > 0.05).all()
    assert (others["logit_p"] < 0.05).sum() >= 3
    assert (others["logit_estimate"] < -0.5).all()


def car_states(planted: float, few: tuple[str, ...] = ()):
    """Adds CAR+ T cells by state; T_EM is raised with the outcome by `planted` in natural log."""

    def add(folder: Path) -> None:
        rng = np.random.default_rng(5)
        samples = pd.read_csv(folder / "samples.csv", dtype=str)
        toxic = samples["patient"].isin([f"P{i:02d}" for i in range(6, 12)]).to_numpy()
        level = 60 * np.exp(rng.normal(0, 0.3, (len(samples), len(STATES))))
        level[toxic, 2] *= np.exp(planted)
        level[samples["sample"].isin(few)] = 2
        counts = pd.DataFrame(rng.poisson(level), index=samples["sample"], columns=STATES)
        long = counts_as_features(counts).assign(kind="car", feature="car_state")
        features = pd.read_parquet(folder / "features.parquet")
        pd.concat([features, long.merge(samples[["sample", "patient", "timepoint"]])]).to_parquet(
            folder / "features.parquet"
        )

    return add


def test_a_state_of_car_cells_that_expands_is_found(run):
    rows = run(Cohort(contrast={"focus": []}), car_states(1.6))
    rows = rows[rows["kind"] == "car"].set_index("cell_type")
    assert set(rows.index) == {"T", *STATES}
    assert set(rows["family_size"]) == {6}
    assert rows.loc["T_EM", "q"] <= 0.05
    assert rows.loc["T_EM", "estimate"] == pytest.approx(1.6, abs=0.6)
    assert (rows.drop(index="T_EM")["q"] > 0.05).all()


def test_states_of_car_cells_without_effect_and_with_too_few_cells(run):
    rows = run(Cohort(contrast={"focus": []}), car_states(0, few=("P00_D7",)))
    rows = rows[rows["feature"] == "car_state"]
    assert set(rows["n_per_group"]) == {"no:5 yes:6"}
    assert (rows["q"] > 0.05).all()


@pytest.mark.parametrize(("effect", "expected"), [(2.0, True), (0.0, False)])
def test_an_ordered_outcome_is_a_slope_per_grade(run, effect, expected):
    """Grades 0–4; the score of one set rises with each."""

    def grade(folder: Path) -> None:
        clinical = pd.read_csv(folder / "clinical.csv", dtype=str)
        clinical["grade"] = [str(i % 5) for i in range(len(clinical))]
        clinical.to_csv(folder / "clinical.csv", index=False)
        scores = pd.read_parquet(folder / "pathway_scores.parquet")
        rising = (scores["feature"] == "SET_03") & (scores["cell_type"] == "NK")
        grades = scores["patient"].map(clinical.set_index("patient")["grade"].astype(float))
        scores.loc[rising, "value"] += effect * grades[rising]
        scores.to_parquet(folder / "pathway_scores.parquet")

    focus = [{"kind": "pathway", "cell_type": "NK", "feature": "SET_03"}]
    contrast = {"formula": "~ grade + anakinra", "term": "grade", "focus": focus}
    rows = run(Cohort(contrast=contrast, seed=4), grade)
    found = rows[rows["family"] == "primary"].iloc[0]
    assert (found["q"] <= 0.05) == expected
    assert found["coefficient"] == "per unit of grade"
    assert found["ci_low"] < effect < found["ci_high"]
    # explored families: the level is kept
    others = rows[(rows["family"] != "primary") & rows["p"].notna()]
    assert (others["q"] <= 0.05).sum() <= 1


def test_a_pair_that_was_not_scored_is_missing_however_many_cells_there_are():
    """FEATURES writes the zeros: it knows how many cells LIGREC needs, and --min_cells may be less."""
    keys = {"cell_type": "NK^B", "kind": "ligrec", "feature": "L^R", "n_cells": 20}
    table = pd.DataFrame([{"sample": "A", "value": 1.5} | keys, {"sample": "B", "value": 0.0} | keys])
    made = ligrec(table, ["A", "B", "C"])
    assert np.array_equal(made.data.ravel(), [1.5, 0.0, np.nan], equal_nan=True)


def test_cells_without_a_type_give_no_genes_to_test(tmp_path):
    types = ["CD14_Mono", "Unassigned", "Mixed"] * 2
    obs = pd.DataFrame({"sample": list("AAABBB"), "cell_type": types, "n_cells": 30}, index=list("123456"))
    var = pd.DataFrame({"excluded": [False, False, True]}, index=["CXCL10", "STAT1", "XIST"])
    adata = anndata.AnnData(sparse.csr_matrix(np.ones((6, 3))), obs=obs, var=var)
    adata.write_h5ad(tmp_path / "pseudobulk.h5ad")
    found = expression(tmp_path / "pseudobulk.h5ad", ["A", "B"], 25)
    assert [(bulk.cell_type, bulk.samples) for bulk in found] == [("CD14_Mono", ["A", "B"])]
    assert found[0].genes.tolist() == ["CXCL10", "STAT1"]
