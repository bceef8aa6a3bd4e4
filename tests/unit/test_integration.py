"""INTEGRATION: a shift of batches, types merged, states erased, the null; advice on aliased lanes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import harmony
import integration

N_PCS = 10


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def centre(*axes: float) -> np.ndarray:
    return np.r_[axes, np.zeros(N_PCS - len(axes))]


def write(groups: list[tuple[str, str, str, np.ndarray, int]], seed: int = 0) -> pd.DataFrame:
    """Tables of groups of cells (sample = batch, patient, type, centre, number), and their components."""
    rng = np.random.default_rng(seed)
    frames = [
        pd.DataFrame({"sample": s, "patient": p, "cell_type": t}, index=range(n)) for s, p, t, _, n in groups
    ]
    cells = pd.concat(frames, ignore_index=True)
    values = np.vstack([rng.normal(0, 1, (n, N_PCS)) + c for *_, c, n in groups])
    order = np.argsort(cells["sample"], kind="stable")
    cells, values = cells.loc[order].reset_index(drop=True), values[order]
    cells = cells.assign(barcode=[f"C{i}" for i in range(len(cells))], batch=cells["sample"], timepoint="D7")
    cells.drop(columns="cell_type").to_parquet("cells.parquet")
    cells[["sample", "barcode", "cell_type"]].to_parquet("annotation.parquet")
    np.save("pca.npy", values.astype(np.float32))
    sheet = cells[["sample", "patient", "timepoint", "batch"]].drop_duplicates()
    sheet.to_csv("samples.csv", index=False)
    return cells


def run(*flags: str) -> tuple[dict, pd.DataFrame]:
    tables = ["--cells", "cells.parquet", "--pca", "pca.npy", "--harmony", "harmony.npy"]
    integration.main([*tables, "--annotation", "annotation.parquet", "--samples", "samples.csv", *flags])
    return json.loads(Path("integration.json").read_text()), pd.read_csv(
        "integration.csv", keep_default_na=False
    )


def corrected(*flags: str) -> tuple[dict, pd.DataFrame]:
    harmony.main(["--pca", "pca.npy", "--cells", "cells.parquet", "--samples", "samples.csv", *flags])
    return run(*flags)


def three_types(shift: np.ndarray) -> list:
    types = {"A": centre(8), "B": centre(0, 8), "C": centre(0, 0, 8)}
    return [
        (s, p, t, c + (shift if s == "S2" else 0), 150)
        for s, p in (("S1", "P1"), ("S2", "P2"))
        for t, c in types.items()
    ]


def value(table: pd.DataFrame, measure: str, cell_type: str = "") -> tuple[float, float]:
    row = table[(table["measure"] == measure) & (table["cell_type"] == cell_type)]
    return float(row["before"].iloc[0]), float(row["after"].iloc[0])


def test_shift_of_a_batch_is_mixed_without_a_warning():
    write(three_types(centre(3, 3, 3)))
    report, table = corrected()
    before, after = value(table, "ilisi")
    assert before < 1.2 and after > 1.7
    before, after = value(table, "silhouette_batch", "A")
    assert before < 0.7 and after > 0.9
    assert value(table, "clisi")[1] < 1.1 and value(table, "silhouette_type")[1] > 0.4
    assert report["corrected"] and report["warnings"] == []
    assert (report, table.to_csv()) == (corrected()[0], table.to_csv())


def test_nothing_to_correct_gives_no_warning():
    write(three_types(centre(0)))
    report, table = corrected()
    assert report["warnings"] == [] and value(table, "ilisi")[0] > 1.7
    report, table = corrected("--integration", "none")
    assert not report["corrected"] and (table["before"] == table["after"]).all()


def test_types_that_batches_do_not_share_are_told_when_merged():
    """S1 alone has A, S2 alone B, alike but for one direction: Harmony takes that for a shift of lanes."""
    common = {"C": centre(0, 0, 10), "D": centre(0, 0, 0, 10)}
    shared = [(s, p, t, c, 80) for s, p in (("S1", "P1"), ("S2", "P2")) for t, c in common.items()]
    write([("S1", "P1", "A", centre(10), 200), ("S2", "P2", "B", centre(10, 5), 200), *shared])
    report, _ = corrected()
    assert [(p["first"], p["second"]) for p in report["merged_pairs"]] == [("A", "B")]
    assert "A and B lay apart before Harmony" in report["warnings"][0]


def test_state_of_one_patient_is_told_when_erased():
    state = ("S2", "P2", "A", centre(8, 0, 0, 7), 80)
    write([*three_types(centre(0)), state])
    values = np.load("pca.npy")
    own = np.flatnonzero(values[:, 3] > 4)
    np.save("harmony.npy", values + 1e-3)
    assert run()[0]["warnings"] == []
    values[own] -= centre(0, 0, 0, 7).astype(np.float32)
    np.save("harmony.npy", values)
    report, _ = run()
    assert [(s["unit"], s["name"], s["cell_type"]) for s in report["erased_states"]] == [("batch", "S2", "A")]
    assert abs(report["erased_states"][0]["n_cells"] - 80) <= 5 and "batch S2 alone" in report["warnings"][0]


def test_unnamed_and_few_cells_have_no_measures():
    write([("S1", "P1", "Unassigned", centre(0), 150), ("S2", "P2", "A", centre(0), 150)])
    report, table = corrected()
    assert len(table) == 0 and report["measures"] == [] and report["warnings"] == []


@pytest.mark.parametrize(
    ("batches", "told"),
    [("L1 L1 L2 L2", True), ("L1 L2 L1 L2", False), ("L1 L2 L3 L4", False), ("L1 L1 L1 L1", False)],
)
def test_advice_is_given_where_shared_lanes_hold_one_level(batches, told):
    write([(f"S{i}", f"P{i}", t, centre(x), 60) for i in range(4) for t, x in (("A", 0), ("B", 8))])
    sheet = pd.read_csv("samples.csv").assign(batch=batches.split())
    sheet.to_csv("samples.csv", index=False)
    cells = pd.read_parquet("cells.parquet")
    cells.assign(batch=cells["sample"].map(sheet.set_index("sample")["batch"])).to_parquet("cells.parquet")
    pd.DataFrame({"patient": sheet["patient"], "toxicity": ["no", "no", "yes", "yes"]}).to_csv(
        "clinical.csv", index=False
    )
    contrast = {"id": "tox", "formula": "~ toxicity", "term": "C(toxicity)", "level": "patient"}
    Path("tox.json").write_text(json.dumps(contrast))
    np.save("harmony.npy", np.load("pca.npy") + 1)
    report, _ = run("--clinical", "clinical.csv", "--contrasts", "tox.json")
    assert [(a["contrast"], a["column"]) for a in report["aliased"]] == (
        [("tox", "toxicity")] if told else []
    )
    if told:
        assert "Every batch holds one level of toxicity" in report["aliased"][0]["advice"]
