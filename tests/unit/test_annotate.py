"""ANNOTATE: planted types are found, noise is not named, labels override, CAR thresholds follow ambience."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import planted_cells
import pytest
from planted_cells import CAR, MIX, TABLE, flags, run

import annotate
from cartox.cells.markers import read_markers
from cartox.cli import InputError
from cartox.labels import read_labels

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def blood(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame]:
    folder = tmp_path_factory.mktemp("blood")
    return folder, planted_cells.blood(folder)


@pytest.fixture(scope="module")
def called(blood, tmp_path_factory) -> tuple[Path, pd.DataFrame, dict]:
    out = tmp_path_factory.mktemp("out")
    return out, *run(blood[0], out, "--car_features", CAR)


def test_planted_types_are_found_and_noise_is_not_named(blood, called):
    truth, (_, table, report) = blood[1]["truth"], called
    planted = (truth != "noise").to_numpy()
    assert (table["cell_type"] == truth)[planted].mean() >= 0.95
    assert (table["cell_type"][~planted] == "Unassigned").mean() >= 0.9
    lineage = truth.map({m.cell_type: m.lineage for m in read_markers(TABLE)})
    assert (table["lineage"] == lineage)[planted].mean() >= 0.98
    assert table["confidence"].between(0, 1).all()
    assert table["confidence"][planted].mean() > table["confidence"][~planted].mean() + 0.2
    assert set(table["cell_type"][planted]) <= {*MIX, "Unassigned"}, "no type is invented"
    assert {record["cell_type"]: record["cl_id"] for record in report["types"]}["B"] == "CL:0000236"
    assert sum(record["n_cells"] for record in report["types"]) == len(table)


def test_tables_have_the_rows_and_columns_that_later_steps_read(blood, called):
    out, table, _ = called
    assert list(table.columns) == [
        *("sample", "barcode", "cluster", "cluster_type", "subcluster", "cell_type", "lineage"),
        *("cell_state", "cl_id", "confidence", "car", "car_umi", "car_call", "car_deep", "car_p_ambient"),
    ]
    assert table[["sample", "barcode"]].equals(blood[1][["sample", "barcode"]])
    assert sorted(path.name for path in (out / "labels").iterdir()) == ["S1.csv", "S2.csv"]
    labels = read_labels(out / "labels/S1.csv")
    first = table[table["sample"] == "S1"]
    assert list(labels.cell_type) == list(first["cell_type"])
    assert list(labels.car) == list(first["car"] == 1)
    states = pd.read_csv(out / "states.csv", keep_default_na=False)
    assert list(states.columns) == ["sample", "cell_type", "lineage", "n_cells", "n_car", "level"]
    counted = table[table["cell_state"] != ""].groupby(["sample", "cell_state"]).size()
    assert states.set_index(["sample", "cell_type"])["n_cells"].tolist() == counted.tolist()
    assert states["n_car"].sum() == table.loc[table["cell_state"] != "", "car"].sum()
    dots = pd.read_csv(out / "dotplot.csv")
    assert list(dots.columns) == ["cell_type", "gene", "mean", "fraction", "marker_of"]
    assert len(dots) == dots["cell_type"].nunique() * dots["gene"].nunique()
    own = dots[dots["cell_type"] == dots["marker_of"]].set_index("gene")["mean"]
    assert (own > dots.groupby("gene")["mean"].mean()[own.index]).all()


def test_cells_of_a_product_alone_are_still_t_cells(tmp_path):
    """A product has no other cells to compare with: nothing may be called by contrast alone."""
    folder = tmp_path / "in"
    truth = planted_cells.write(folder, {"product": {"CD4_T": 80, "CD8_T": 80, "T_prolif": 60}})["truth"]
    table, _ = run(folder, tmp_path / "out")
    assert (table["lineage"] == "T").mean() >= 0.97
    cycling = table["cell_state"] == "T_prolif"
    assert cycling[truth == "T_prolif"].mean() >= 0.9
    assert cycling[truth != "T_prolif"].mean() <= 0.02


def test_cells_of_two_lineages_are_mixed_and_no_others(tmp_path):
    """T and NK cells share genes: such a pair is not looked for."""
    planted = {"B+CD8_T": 30, "CD14_Mono+CD4_T": 30, "CD8_T+NK": 30}
    truth = planted_cells.write(tmp_path / "in", {"S1": MIX | planted}, car={"S1": 5.0})["truth"]
    table, report = run(tmp_path / "in", tmp_path / "out", "--car_features", CAR)
    mixed, double = table["cell_type"] == "Mixed", truth.isin(["B+CD8_T", "CD14_Mono+CD4_T"])
    assert mixed[double].mean() >= 0.6
    assert mixed[~double].sum() <= 1
    assert (table["car"][mixed] == 0).all(), "a doublet with a CAR T cell is no CAR+ cell"
    assert {record["cluster"] for record in report["clusters"] if record["cell_type"] == "Mixed"}


def test_clusters_have_a_call_of_their_own_and_lineages_are_clustered_again(blood, called, tmp_path):
    _, table, report = called
    planted = blood[1]["truth"].isin(list(MIX))
    assert (table["cluster_type"] == table["cell_type"])[planted].mean() >= 0.95
    assert all(record["agrees"] for record in report["clusters"] if record["cell_type"] != "Unassigned")
    again = table["lineage"].isin(["T", "Myeloid"])
    above = table["subcluster"].str.split(".").str[0]
    assert (above == table["lineage"])[again].all() and (table["subcluster"][~again] == "").all()
    types = {r["cell_type"] for r in report["subclusters"] if r["cell_type_share"] > 0.8}
    assert {"CD4_T", "CD8_T", "CD14_Mono", "CD16_Mono"} <= types
    # the null twin: clusters without meaning agree with no type
    folder = tmp_path / "in"
    planted_cells.write(folder, {"S1": MIX})
    clusters = pd.read_parquet(folder / "clusters.parquet")
    shuffled = np.random.default_rng(0).permutation(clusters["cluster"].to_numpy())
    clusters.assign(cluster=shuffled).to_parquet(folder / "clusters.parquet")
    _, report = run(folder, tmp_path / "out")
    assert max(record["share"] for record in report["clusters"]) < 0.5


def test_noise_alone_gets_no_type(tmp_path):
    planted_cells.write(tmp_path / "in", {"empty": {"noise": 150}})
    table, _ = run(tmp_path / "in", tmp_path / "out")
    assert (table["cell_type"] == "Unassigned").mean() >= 0.95


def test_order_of_files_and_run_change_nothing(blood, called, tmp_path):
    out, table, report = called
    again, report_again = run(blood[0], tmp_path, "--car_features", CAR, reverse=True)
    pd.testing.assert_frame_equal(table, again)
    assert report == report_again
    for name in ("dotplot.csv", "labels/S1.csv", "labels/S2.csv"):
        assert (out / name).read_bytes() == (tmp_path / name).read_bytes()


def write_labels(path: Path, rows: list[list[str]]) -> str:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["sample", "barcode", "cell_type"], *rows])
    return str(path)


def test_given_labels_override(blood, called, tmp_path):
    barcodes = blood[1]["barcode"]
    rows = [
        ["S1", barcodes[0], "NK"],
        ["S1", barcodes[1], "CD14+ monocytes"],
        ["S1", barcodes[2], "Blast"],
        ["S1", barcodes[3], ""],
        ["S1", "not-kept", "B"],
    ]
    given = write_labels(tmp_path / "given.csv", rows)
    table, report = run(blood[0], tmp_path / "out", "--cell_labels", given, "--car_features", CAR)
    assert list(table["cell_type"][:3]) == ["NK", "CD14_Mono", "Blast"]
    assert list(table["lineage"][:3]) == ["NK", "Myeloid", "Blast"]
    assert (table["confidence"][:3] == 1).all()
    assert (table["car"][:3] == 0).all(), "none of them is a T cell"
    assert report["cell_labels"] == {"given": 4, "used": 3}
    columns = ["cell_type", "lineage", "confidence", "car"]
    pd.testing.assert_frame_equal(table[columns][3:], called[1][columns][3:])


def test_bad_labels_are_refused_together(blood, tmp_path):
    path = tmp_path / "given.csv"
    path.write_text("sample,barcodes,cell_type\nS1,x,B\n")
    with pytest.raises(InputError, match="'barcode' is missing; is 'barcodes' meant"):
        run(blood[0], tmp_path, "--cell_labels", str(path))
    write_labels(path, [["S1", "x", "B"], ["S1", "x", "NK"], ["S1", "y", "A^B"]])
    with pytest.raises(InputError) as error:
        run(blood[0], tmp_path, "--cell_labels", str(path))
    assert len(error.value.faults) == 2
    write_labels(path, [["S9", "x", "B"]])
    with pytest.raises(InputError, match="none of the 1 labelled cells"):
        run(blood[0], tmp_path, "--cell_labels", str(path))


def test_marker_table_is_valid_and_faults_are_told_together(tmp_path):
    schema = json.loads((ROOT / "assets/schemas/schema_markers.json").read_text())
    with TABLE.open(newline="", encoding="utf-8") as file:
        jsonschema.validate(list(csv.DictReader(file, delimiter="\t")), schema)
    path = tmp_path / "markers.csv"
    path.write_text('cell_type,lineage,positive\nT cell,T,CD3D\nT,T,"CD3D,CD3E:x"\nB,Bs,MS4A1\nNK,NK,\n')
    with pytest.raises(InputError) as error:
        read_markers(path)
    assert len(error.value.faults) == 4
    path.write_text('cell_type,positive\nT,"CD3D:2,CD3E"\nB,MS4A1\n')
    t, b = read_markers(path)
    assert (t.level, t.lineage, t.positive) == ("lineage", "T", {"CD3D": 2.0, "CD3E": 1.0})
    assert b.label == "B"


def test_tables_of_other_cells_are_refused(blood, tmp_path):
    folder, _ = blood
    pd.read_parquet(folder / "clusters.parquet").iloc[::-1].to_parquet(tmp_path / "clusters.parquet")
    args = flags(folder)
    args[args.index("--clusters") + 1] = str(tmp_path / "clusters.parquet")
    with pytest.raises(InputError, match="not the cells of cells"):
        annotate.main(args)
