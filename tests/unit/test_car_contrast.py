"""CAR+ against CAR- cells within patients: PSEUDOBULK, PATHWAYS and ASSOCIATE in a row; and its faults."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from builders import Cohort
from input_checks import faults
from scipy import sparse

import associate
import check_inputs
import pathways
import pseudobulk
from cartox.matrices.matrix import CountMatrix, write_h5

GENES = np.array([f"G{i:03d}" for i in range(200)])
PLANTED = 20  # the first genes, which are a set of their own
CAR = {
    "id": "car",
    "formula": "~ patient + car",
    "term": "car",
    "car": True,
    "label": "car",
    "level": "patient",
}
CAR |= {"where": {}, "focus": [{"feature": "SET_0", "cell_type": "CD8_T"}], "baseline": ""}
TOX = CAR | {"id": "tox", "formula": "~ toxicity", "term": "toxicity", "focus": []}
del TOX["car"]


def write(folder: Path, fold: float, patients: int = 6) -> None:
    """Two visits of each patient, 90 CD8 T cells each: 30 CAR+, 30 CAR-, 30 undetermined, of another kind."""
    rng = np.random.default_rng(5)
    base, rows = rng.gamma(2, 0.5, len(GENES)), []
    for i in range(patients):
        own = base * rng.lognormal(0, 0.3, len(GENES))
        for visit in ("baseline", "D7"):
            sample = f"P{i}_{visit}"
            rows.append((sample, f"P{i}", visit, "L", ("no", "yes")[i % 2]))
            call = np.repeat(["CAR+", "CAR-", "undetermined"], 30)
            mean = np.tile(own * rng.lognormal(0, 0.1, len(GENES)), (90, 1))
            mean[:30, :PLANTED] *= fold
            mean[60:, PLANTED : 2 * PLANTED] *= 8
            counts = sparse.csr_matrix(rng.poisson(mean).astype(np.int32))
            barcodes = np.array([f"bc{j}" for j in range(90)])
            write_h5(folder / f"{sample}.h5", CountMatrix(counts, barcodes, GENES, GENES))
            labels = pd.DataFrame(
                {"barcode": barcodes, "cell_type": "CD8_T", "lineage": "T", "car_call": call}
            )
            labels = labels.assign(
                car_deep=(call != "undetermined").astype(int), car=(call == "CAR+").astype(int)
            )
            labels.to_csv(folder / f"{sample}.csv", index=False)
    sheet = pd.DataFrame(rows, columns=["sample", "patient", "timepoint", "batch", "toxicity"])
    sheet.drop(columns="toxicity").to_csv(folder / "samples.csv", index=False)
    sheet[["patient", "toxicity"]].drop_duplicates().to_csv(folder / "clinical.csv", index=False)
    (folder / "analytes.csv").write_text("patient,timepoint,analyte,value,unit,censored\n")
    (folder / "sets.gmt").write_text(
        "".join("\t".join([f"SET_{k}", "x", *GENES[20 * k : 20 * k + 20]]) + "\n" for k in range(10))
    )
    no = {
        name: pd.Series(dtype=str)
        for name in ("sample", "patient", "timepoint", "cell_type", "kind", "feature")
    }
    pd.DataFrame({**no, "value": pd.Series(dtype=float), "n_cells": pd.Series(dtype=int)}).to_parquet(
        folder / "features.parquet"
    )


def run(folder: Path, contrasts: list[dict], monkeypatch: pytest.MonkeyPatch) -> dict[str, pd.DataFrame]:
    """PSEUDOBULK to ASSOCIATE; associations by contrast."""
    monkeypatch.chdir(folder)
    names = sorted(path.stem for path in folder.glob("P?_*.csv") if ".comp" not in path.name)
    for name in names:
        pseudobulk.main(["--sample", name, "--counts", f"{name}.h5", "--labels", f"{name}.csv"])
    sheets = ["--samples", "samples.csv", "--clinical", "clinical.csv"]
    paths = []
    for contrast in contrasts:
        paths.append(Path(f"{contrast['id']}.json"))
        paths[-1].write_text(json.dumps(contrast))
    sums = [f"{name}.pseudobulk.h5" for name in names]
    asked = ["--contrasts", *map(str, paths), "--gene_sets", "sets.gmt"]
    pathways.main(["--pseudobulk", *sums, *sheets, *asked])
    tables = ["--features", "features.parquet", "--pathway_scores", "pathway_scores.parquet"]
    tables += ["--pseudobulk", "pseudobulk.h5ad", "--analytes", "analytes.csv", *sheets]
    out = {}
    for path in paths:
        associate.main(["--contrast", str(path), *tables, "--n_permutations", "500", "--n_calibration", "20"])
        out[path.stem] = pd.read_csv(f"{path.stem}.associations.csv", keep_default_na=False)
    return out


def test_planted_difference_is_found_within_patients(tmp_path, monkeypatch):
    write(tmp_path, 1.6)
    rows = run(tmp_path, [CAR], monkeypatch)["car"]
    assert set(rows["kind"]) == {"expression", "pathway"}
    assert set(rows["cell_type"]) == {"CD8_T", "T"}
    (declared,) = rows[rows["family"] == "primary"].to_dict("records")
    assert (declared["feature"], declared["coefficient"], declared["n"]) == ("SET_0", "CAR+ − CAR-", 6)
    assert float(declared["estimate"]) > 0
    assert float(declared["p_floor"]) == pytest.approx(2 / 2**6), "labels move within the six patients alone"
    assert float(declared["q"]) <= 0.05
    genes = rows[(rows["kind"] == "expression") & (rows["cell_type"] == "CD8_T")].set_index("feature")
    planted = genes.index.isin(GENES[:PLANTED])
    assert (genes["estimate"][planted].astype(float) > 0.2).mean() > 0.9
    strange = genes["estimate"][genes.index.isin(GENES[PLANTED : 2 * PLANTED])].astype(float)
    assert strange.abs().max() < 0.8, "undetermined cells, eight times as high, take no part"
    told = json.loads(Path("car.contrast.json").read_text())
    assert any("deep enough" in note for note in told["notes"])


def test_null_twin_calls_nothing_and_other_questions_do_not_notice(tmp_path, monkeypatch):
    write(tmp_path, 1.0)
    both = run(tmp_path, [CAR, TOX], monkeypatch)
    p = both["car"].loc[both["car"]["cell_type"] == "CD8_T", "p"].astype(float)
    assert len(p) > 100
    assert (p < 0.05).mean() < 0.12
    assert (both["car"]["q"].astype(float) > 0.05).all()
    names = ["pathway_scores.parquet", "tox.associations.csv", "tox.contrast.json"]
    scores, *others = [(tmp_path / name).read_bytes() for name in names]
    scores = pd.read_parquet(tmp_path / names[0]).query("stratum != 'car'").reset_index(drop=True)
    run(tmp_path, [TOX], monkeypatch)
    assert others == [(tmp_path / name).read_bytes() for name in names[1:]]
    pd.testing.assert_frame_equal(scores, pd.read_parquet(tmp_path / names[0]))


def test_without_cells_deep_enough_nothing_is_tested_and_it_is_said(tmp_path, monkeypatch):
    write(tmp_path, 1.6)
    for path in tmp_path.glob("P?_*.csv"):
        pd.read_csv(path).assign(car_deep=0).to_csv(path, index=False)
    rows = run(tmp_path, [CAR], monkeypatch)["car"]
    assert rows["note"].tolist() == ["not tested: not measured here, or too rare"]
    assert (rows["p"] == "").all()


@pytest.fixture
def cohort(tmp_path, monkeypatch) -> Cohort:
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "out")
    return Cohort(tmp_path)


FLAG = ["--car_features", "FMC63-CD19SCFV"]
QUESTION = "- {id: car, formula: ~ patient + car, term: car}\n"


def test_the_contrast_passes_the_checks(cohort):
    cohort.contrasts = QUESTION
    check_inputs.main([*cohort.write(), *FLAG])
    asked = json.loads(Path("contrasts/car.json").read_text())
    assert asked["car"] is True
    assert asked["within"] is True


@pytest.mark.parametrize(
    ("question", "flags", "said"),
    [
        (QUESTION, [], "name the transgene with --car_features"),
        (QUESTION.replace("patient", "age"), FLAG, "write 'formula: ~ patient + car'"),
        ("- {id: a, formula: ~ age + car, term: age}\n", FLAG, "write 'formula: ~ patient + car'"),
        (
            QUESTION.replace("}", ", level: change, baseline: baseline}"),
            FLAG,
            "remove 'level' and 'baseline'",
        ),
        (QUESTION.replace("}", ", focus: [{kind: ligrec, feature: x}]}"), FLAG, "not in ligrec"),
        ("", [*FLAG, "--car_negative", "produc"], "no time point; did you mean 'product'?"),
        ("", ["--car_negative", "baseline"], "no transgene is named; add --car_features"),
    ],
)
def test_faults_are_told(cohort, question, flags, said):
    cohort.contrasts = question or cohort.contrasts
    found = faults([*cohort.write(), *flags])
    assert any(said in line for line in found), found


@pytest.mark.parametrize(
    ("product", "flags", "said"),
    [
        ("FMC63-CD19SCF", FLAG, "'FMC63-CD19SCF' is not in --car_features; did you mean"),
        ("FMC63-CD19SCFV", [], "no transgene is named there"),
        ("a b", FLAG, "several separated by semicolons"),
    ],
)
def test_faulty_products_are_told_with_their_row(cohort, product, flags, said):
    cohort.samples = [{**row, "car_feature": product} for row in cohort.samples]
    found = faults([*cohort.write(), *flags])
    assert any(said in line and "row 2" in line for line in found), found
