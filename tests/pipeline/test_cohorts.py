"""Two real cohorts to the report, and what is known of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import mannwhitneyu

pytestmark = [pytest.mark.engine, pytest.mark.real]
COHORTS = Path(__file__).resolve().parents[1] / "cohorts"


def given(cohort: str) -> list[str]:
    """The flags of a cohort's committed sheet, questions and parameters."""
    folder = COHORTS / cohort
    flags = ["--input", str(folder / "samples.csv"), "--contrasts", str(folder / "contrasts.yml")]
    return [*flags, "-params-file", str(folder / "params.yml")]


@pytest.fixture(scope="module")
def kang(pipeline, shared, tmp_path_factory):
    """Blood of 8 patients with and without interferon beta."""
    shared("data/kang")
    run = pipeline(tmp_path_factory.mktemp("kang"), *given("kang"))
    assert run.code == 0, run.output[-3000:]
    return run


@pytest.fixture(scope="module")
def carpall(pipeline, shared, tmp_path_factory):
    """20 samples of 4 children given CAR T cells, with failed libraries among them."""
    shared("data/carpall")
    run = pipeline(tmp_path_factory.mktemp("carpall"), *given("carpall"))
    assert run.code == 0, run.output[-3000:]
    return run


def test_kang_the_two_interferon_sets_lead_in_monocytes_and_cxcl10_is_up(kang):
    table = pd.read_csv(kang.results / "associations.csv", keep_default_na=False, na_values=[""])
    monocytes = table[table["cell_type"].isin(["CD14_Mono", "CD16_Mono"])]
    tested = monocytes[monocytes["p"].notna()]
    most = tested.groupby("cell_type")["n"].max().idxmax()
    rows = tested[tested["cell_type"] == most]
    # of the gene sets; PROGENy's signature of JAK-STAT, the interferons' own pathway, is beside them
    sets = rows[rows["feature"].str.match("HALLMARK_|REACTOME_")].sort_values("statistic", ascending=False)
    assert sets["feature"][:3].str.contains("INTERFERON").all(), sets["feature"][:5].tolist()
    hallmark = sets[sets["feature"].str.startswith("HALLMARK_")]
    assert set(hallmark["feature"][:2]) == {
        "HALLMARK_INTERFERON_ALPHA_RESPONSE",
        "HALLMARK_INTERFERON_GAMMA_RESPONSE",
    }
    cxcl10 = rows[(rows["kind"] == "expression") & (rows["feature"] == "CXCL10")].iloc[0]
    assert cxcl10["estimate"] > 2
    assert cxcl10["q"] <= 0.05


def test_kang_lanes_are_aliased_with_the_condition_and_said_so(kang):
    """Each lane holds one condition: the types mix after Harmony, none merge, and the advice is given."""
    report = json.loads((kang.results / "annotation/integration.json").read_text())
    assert [(a["contrast"], a["column"]) for a in report["aliased"]] == [("ifnb", "condition")]
    assert not report["merged_pairs"]
    mixing = next(m for m in report["measures"] if m["measure"] == "ilisi" and not m["cell_type"])
    assert mixing["before"] < 1.1 and mixing["after"] > 1.5


def test_kang_is_tested_within_patients(kang):
    table = pd.read_csv(kang.results / "associations.csv", keep_default_na=False, na_values=[""])
    primary = table[table["family"] == "primary"]
    assert len(primary) == 3
    assert (primary["q"] <= 0.05).all()
    assert primary["n_per_group"].str.fullmatch(r"ctrl:(\d) stim:\1").all()
    assert (primary["p_floor"] >= 2 / 2**8).all()


def test_kang_doublets_of_the_control_lane_agree_with_genotypes(kang, shared):
    scores = pd.read_csv(kang.results / "doublets/ctrl.doublets.csv.gz")
    truth = pd.read_csv(shared("data/kang/cells_ctrl.csv"))
    both = scores.merge(truth, on=["sample", "barcode"])
    doublet = both["demuxlet"].str.startswith("DBL")
    score = both["doublet_score"]
    auroc = mannwhitneyu(score[doublet], score[~doublet]).statistic / (doublet.sum() * (~doublet).sum())
    assert auroc >= 0.80


def test_carpall_car_positive_cells_are_where_they_were_sorted(carpall):
    cells = pd.read_parquet(carpall.results / "annotation/annotation.parquet")
    sheet = pd.read_csv(COHORTS / "carpall/samples.csv").set_index("sample")
    cells = cells.join(sheet[["sort", "timepoint"]], on="sample")
    rate = cells[cells["timepoint"] != "M0"].groupby("sort")["car"].mean()
    assert rate["car_sorted"] >= 20 * rate["unsorted"]


def test_carpall_the_labelled_car_t_cells_pass_quality_control(carpall, shared):
    labels = pd.read_csv(shared("data/carpall/car_t_labels.csv"))
    tables = [pd.read_csv(path) for path in sorted((carpall.results / "qc").glob("*.cells.csv.gz"))]
    kept = pd.concat(tables)[["sample", "barcode", "kept"]]
    both = labels.merge(kept, on=["sample", "barcode"], how="left")
    assert both["kept"].fillna(0).mean() >= 0.98


def test_carpall_the_failed_library_is_flagged_dropped_and_told_in_the_report(carpall):
    summaries = [json.loads(path.read_text()) for path in (carpall.results / "qc").glob("*.qc.json")]
    dropped = [summary for summary in summaries if summary["status"] == "dropped"]
    assert [summary["sample"] for summary in dropped] == ["CAR-T10593347"]
    assert any("2 UMI" in reason for reason in dropped[0]["reasons"])
    assert "CAR-T10593347" in (carpall.results / "report.html").read_text()
    flagged = {summary["sample"] for summary in summaries if summary["status"] == "flagged"}
    assert {"CAR-T10310320", "CAR-T11816469", "CAR-T11816471"} <= flagged


def test_carpall_says_what_its_design_cannot_show(carpall):
    table = pd.read_csv(carpall.results / "associations.csv", keep_default_na=False, na_values=[""])
    sorting = table[table["contrast"] == "car_sort"]
    assert np.nanmin(sorting["p_floor"]) > 0.05
    assert not (sorting["q"] <= 0.05).any()
