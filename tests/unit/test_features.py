"""FEATURES: composition by stratum, pairs that are absent as zeros, CAR, QC, and the table's form."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import features as step
from cartox.columns import FEATURES
from cartox.signals import features
from cartox.statistics import measures

HEADER = ["sample", "cell_type", "lineage", "n_cells", "n_car", "level"]
LINEAGE = {"CD4_T": "T", "CD8_T": "T", "Mono": "Myeloid", "B": "B", "rare": "B"}
COUNTS = {  # sample: cells by type
    "p1_D0": {"CD4_T": 50, "CD8_T": 40, "Mono": 30, "B": 20},
    "p2_D0": {"CD4_T": 60, "CD8_T": 30, "Mono": 30},
    "p1_D7": {"CD4_T": 100, "CD8_T": 200, "Mono": 8},
    "p2_D7": {"CD4_T": 90, "CD8_T": 20, "Mono": 70},
}


def write_inputs(folder: Path, counts: dict[str, dict[str, int]] = COUNTS) -> Path:
    samples = [{"sample": s, "patient": s[:2], "timepoint": s[3:5], "batch": s} for s in [*counts, "p3_D0"]]
    pd.DataFrame(samples).to_csv(folder / "samples.csv", index=False)
    for sample, types in counts.items():
        rows = [[sample, t, LINEAGE[t], n, n // 2 if t == "CD8_T" else 0, "type"] for t, n in types.items()]
        t_cells = [row for row in rows if row[2] == "T"]
        rows.append([sample, "T", "T", sum(r[3] for r in t_cells), sum(r[4] for r in t_cells), "lineage"])
        pd.DataFrame(rows, columns=HEADER).to_csv(folder / f"{sample}.composition.csv", index=False)
        (folder / f"{sample}.qc.json").write_text(
            json.dumps({"sample": sample, "n_barcodes": 400, "n_kept": 100})
        )
    pair = {"source": "Mono", "target": "CD8_T", "ligand": "CXCL10", "receptor": "CXCR3"}
    once = {"source": "CD4_T", "target": "Mono", "ligand": "IFNG", "receptor": "IFNGR1_IFNGR2"}
    names = ["sample", *pair, "lr_means", "ligand_props", "receptor_props"]
    for sample in counts:
        rows = [{**pair, "lr_means": 1.5}] if sample in ("p1_D0", "p2_D7") else []
        rows += [{**once, "lr_means": 0.7}] if sample == "p2_D7" else []
        table = pd.DataFrame([{"sample": sample, **row} for row in rows], columns=names)
        table.to_csv(folder / f"{sample}.ligrec.csv.gz", index=False)
    (folder / "p3_D0.qc.json").write_text(json.dumps({"sample": "p3_D0", "n_barcodes": 0, "n_kept": 0}))
    scores = pd.DataFrame(
        {"stratum": ["all", "day7"], "sample": "p1_D0", "cell_type": "Mono", "collection": "hallmark"}
    ).assign(feature="HALLMARK_X", value=[2.0, 3.0], n_cells=30)
    scores.to_parquet(folder / "pathway_scores.parquet")
    return folder


def run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, reverse: bool = False, car: str = "CAR"
) -> pd.DataFrame:
    monkeypatch.chdir(folder)

    def files(pattern: str) -> list[str]:
        return sorted((str(path) for path in folder.glob(pattern)), reverse=reverse)

    argv = ["--samples", "samples.csv", "--pathways", "pathway_scores.parquet", "--car_features", car]
    for flag, pattern in (
        ("composition", "*.composition.csv"),
        ("ligrec", "*.ligrec.csv.gz"),
        ("qc", "*.qc.json"),
    ):
        argv += [f"--{flag}", *files(pattern)]
    step.main(argv)
    return pd.read_parquet("features.parquet").astype(
        {"cell_type": str, "sample": str, "feature": str, "kind": str}
    )


def value(table: pd.DataFrame, sample: str, cell_type: str, feature: str) -> float:
    wanted = (table["sample"] == sample) & (table["cell_type"] == cell_type) & (table["feature"] == feature)
    return table.loc[wanted, "value"].item()


def test_columns_and_people(tmp_path, monkeypatch):
    table = run(write_inputs(tmp_path), monkeypatch)
    assert list(table.columns) == FEATURES
    assert set(table["kind"]) == {"composition", "pathway", "ligrec", "car", "qc"}
    one = table[table["sample"] == "p2_D7"].iloc[0]
    assert (one["patient"], one["timepoint"]) == ("p2", "D7")
    assert not table.duplicated(["sample", "cell_type", "kind", "feature"]).any()
    assert not table.isna().any().any()


def test_composition_is_against_the_median_type(tmp_path, monkeypatch):
    table = run(write_inputs(tmp_path), monkeypatch)
    assert value(table, "p1_D7", "CD8_T", "fraction") == pytest.approx(200 / 308)
    # at D7 the types are CD4_T, CD8_T and Mono: B is absent there, and the median is CD4_T's
    assert value(table, "p1_D7", "CD8_T", "clr") == pytest.approx(np.log(200.5) - np.log(100.5))
    assert value(table, "p1_D7", "CD4_T", "clr") == 0
    b_cells = table[(table["sample"] == "p1_D7") & (table["cell_type"] == "B")]
    assert b_cells[["feature", "value", "n_cells"]].to_numpy().tolist() == [["fraction", 0, 0]]
    # where some samples of the stratum have the type, it is a zero count and not missing
    assert value(table, "p2_D0", "B", "fraction") == 0
    assert np.isfinite(value(table, "p2_D0", "B", "clr"))


@pytest.mark.parametrize(("seen", "kept"), [(1, False), (2, True)])
def test_a_type_in_a_fifth_of_the_samples_is_left_out_and_in_more_is_kept(seen, kept):
    counts = pd.DataFrame({"B": [3] * seen + [0] * (5 - seen), "CD4_T": 9, "Mixed": 2})
    assert features.common_types(counts).tolist() == [kept, True, False]
    # and so in ASSOCIATE, whose values these are
    made = measures.composition(counts)
    assert ("B" in made.cell_type) is kept
    assert np.array_equal(made.data, features.centred_log_ratio(counts[list(made.cell_type)]))


def test_one_type_that_expands_leaves_the_others_where_they_were(tmp_path, monkeypatch):
    more = {**COUNTS, "p1_D0": {**COUNTS["p1_D0"], "CD4_T": 500}}
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    before = run(write_inputs(tmp_path / "a"), monkeypatch)
    after = run(write_inputs(tmp_path / "b", more), monkeypatch)
    for kind in ("CD8_T", "Mono", "B"):
        assert value(before, "p1_D0", kind, "clr") == value(after, "p1_D0", kind, "clr")
        assert value(before, "p1_D0", kind, "fraction") > value(after, "p1_D0", kind, "fraction")


def test_a_pair_not_expressed_is_zero_and_a_type_with_few_cells_is_missing(tmp_path, monkeypatch):
    table = run(write_inputs(tmp_path), monkeypatch)
    pairs = table[table["kind"] == "ligrec"]
    assert set(pairs["cell_type"]) == {"Mono^CD8_T"}  # a pair seen in one sample alone is left out
    assert value(pairs, "p1_D0", "Mono^CD8_T", "CXCL10^CXCR3") == 1.5
    assert value(pairs, "p2_D0", "Mono^CD8_T", "CXCL10^CXCR3") == 0
    assert "p1_D7" not in set(pairs["sample"])  # 8 monocytes
    assert pairs.set_index("sample").loc["p2_D7", "n_cells"] == 20


def test_car_qc_and_pathways(tmp_path, monkeypatch):
    table = run(write_inputs(tmp_path), monkeypatch)
    assert value(table, "p1_D7", "T", "car_fraction") == pytest.approx(100 / 300)
    assert value(table, "p1_D7", "all", "pct_kept") == 25
    assert value(table, "p3_D0", "all", "n_cells") == 0
    assert value(table, "p1_D0", "Mono", "HALLMARK_X") == 2
    assert "car" not in set(run(tmp_path, monkeypatch, car="")["kind"])


def test_order_of_files_changes_nothing(tmp_path, monkeypatch):
    first = run(write_inputs(tmp_path), monkeypatch)
    pd.testing.assert_frame_equal(first, run(tmp_path, monkeypatch, reverse=True))


def test_samples_of_another_time_point_change_nothing(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    before = run(write_inputs(tmp_path / "a"), monkeypatch)
    other = {**COUNTS, "p1_D0": {"rare": 500, "B": 30}, "p2_D0": {"rare": 20}}
    after = run(write_inputs(tmp_path / "b", other), monkeypatch)
    at = [
        t[(t["timepoint"] == "D7") & (t["feature"] == "clr")].reset_index(drop=True) for t in (before, after)
    ]
    pd.testing.assert_frame_equal(*(table.astype({"timepoint": str, "patient": str}) for table in at))


def test_states_of_car_cells_are_shares_by_stratum(tmp_path, monkeypatch):
    folder = write_inputs(tmp_path)
    states = {"p1_D7": {"T_CM": 30, "T_CTL": 10}, "p2_D7": {"T_CTL": 8}, "p1_D0": {"T_naive": 5}}
    for sample, cells in states.items():
        rows = [[sample, state, "T", 2 * n, n, "state"] for state, n in cells.items()]
        rows += [[sample, "Mono_IFN", "Myeloid", 9, 3, "state"], [sample, "T_EM", "T", 9, 0, "state"]]
        table = pd.read_csv(folder / f"{sample}.composition.csv")
        pd.concat([table, pd.DataFrame(rows, columns=HEADER)]).to_csv(
            folder / f"{sample}.composition.csv", index=False
        )
    table = run(folder, monkeypatch)
    rows = table[table["feature"] == "car_state"]
    assert set(rows["kind"]) == {"car"}
    found = {(r.sample, r.cell_type): (r.value, r.n_cells) for r in rows.itertuples()}
    assert found == {
        ("p1_D0", "T_naive"): (1.0, 5),
        ("p1_D7", "T_CM"): (0.75, 30),
        ("p1_D7", "T_CTL"): (0.25, 10),
        ("p2_D7", "T_CM"): (0.0, 0),
        ("p2_D7", "T_CTL"): (1.0, 8),
    }
    assert "car_state" not in set(run(folder, monkeypatch, car="")["feature"])
