"""The sample sheet that is made of a folder of results."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from pathlib import Path

import pytest
from builders import counts, fry, h5, mex, parse

import check_inputs
import make_sheet
from cartox.cli import InputError
from cartox.matrices.outputs import fields

ROOT = Path(__file__).resolve().parents[2]


def touched(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


@pytest.fixture
def runs(tmp_path) -> Path:
    """Results of every program, with what lies beside them."""
    runs = tmp_path / "runs"
    count = runs / "P01_base/outs"
    touched(count / "filtered_feature_bc_matrix.h5")
    touched(count / "raw_feature_bc_matrix.h5")
    for name in ("filtered_feature_bc_matrix", "raw_feature_bc_matrix"):
        touched(count / name / "matrix.mtx.gz")
    touched(runs / "P01_base/SC_RNA_COUNTER_CS/fork0/filtered_feature_bc_matrix.h5")
    for sample in ("P02_base", "P02_D7"):
        within = runs / "pool1/outs/per_sample_outs" / sample / "count"
        touched(within / "sample_filtered_feature_bc_matrix.h5")
        touched(within / "sample_filtered_feature_bc_matrix/matrix.mtx.gz")
    touched(runs / "pool1/outs/multi/count/raw_feature_bc_matrix.h5")
    touched(runs / "P03_D7_Solo.out/Gene/filtered/matrix.mtx")
    touched(runs / "P03_D7_Solo.out/Gene/raw/matrix.mtx")
    touched(runs / "P04_D7/af_quant/alevin/quants_mat.mtx")
    touched(runs / "parse/all-sample/DGE_filtered/count_matrix.mtx")
    touched(runs / "parse/P05_D7/DGE_filtered/count_matrix.mtx")
    touched(runs / "bd/P06_D7_RSEC_MolsPerCell_MEX.zip")
    touched(runs / "bd/P06_D7_RSEC_MolsPerCell_Unfiltered_MEX.zip")
    touched(runs / "geo/GSM1_P07_D7_filtered_feature_bc_matrix.h5")
    touched(runs / "notes.txt")
    return runs


def made(capsys, *args: str | Path) -> tuple[list[dict[str, str]], str]:
    make_sheet.main([str(arg) for arg in args])
    out, err = capsys.readouterr()
    return list(csv.DictReader(io.StringIO(out))), err


def test_every_programs_samples_are_found_once_and_patients_left_to_fill_in(runs, capsys):
    rows, said = made(capsys, runs)
    assert {row["sample"]: str(Path(row["path"]).relative_to(runs)) for row in rows} == {
        "P01_base": "P01_base/outs/filtered_feature_bc_matrix.h5",
        "P03_D7": "P03_D7_Solo.out/Gene/filtered",
        "P04_D7": "P04_D7/af_quant",
        "P06_D7": "bd/P06_D7_RSEC_MolsPerCell_MEX.zip",
        "GSM1_P07_D7": "geo/GSM1_P07_D7_filtered_feature_bc_matrix.h5",
        "P05_D7": "parse/P05_D7/DGE_filtered",
        "P02_base": "pool1/outs/per_sample_outs/P02_base/count/sample_filtered_feature_bc_matrix.h5",
        "P02_D7": "pool1/outs/per_sample_outs/P02_D7/count/sample_filtered_feature_bc_matrix.h5",
    }
    raw = {row["sample"]: str(Path(row["raw_path"]).relative_to(runs)) for row in rows if row["raw_path"]}
    assert raw == {
        "P01_base": "P01_base/outs/raw_feature_bc_matrix.h5",
        "P03_D7": "P03_D7_Solo.out/Gene/raw",
        "P06_D7": "bd/P06_D7_RSEC_MolsPerCell_Unfiltered_MEX.zip",
    }
    assert {row["patient"] + row["timepoint"] for row in rows} == {""}
    # samples of one pool share its wells, so doublets are found over both
    batches = {row["sample"]: row["batch"] for row in rows}
    assert batches["P02_base"] == batches["P02_D7"] == "pool1"
    assert batches["P01_base"] == "P01_base"
    assert "8 samples; fill in patient and timepoint of P01_base" in said


def test_a_pattern_fills_in_what_names_hold(runs, capsys):
    rows, said = made(capsys, runs, "--pattern", "{patient}_{timepoint}")
    told = {row["sample"]: (row["patient"], row["timepoint"]) for row in rows}
    assert told["P02_D7"] == ("P02", "D7")
    assert told["GSM1_P07_D7"] == ("GSM1", "P07_D7")
    assert "look it through" in said
    rows, said = made(capsys, runs, "--pattern", "GSM*_{patient}_{timepoint}")
    told = {row["sample"]: (row["patient"], row["timepoint"]) for row in rows}
    assert told["GSM1_P07_D7"] == ("P07", "D7")
    assert told["P02_D7"] == ("", "")
    assert "fill in patient and timepoint of P01_base, P03_D7" in said
    assert fields("{patient}-{tissue}-{timepoint}", "P1-bone_marrow-D7") == {
        "patient": "P1",
        "tissue": "bone_marrow",
        "timepoint": "D7",
    }


@pytest.mark.parametrize("pattern", ["{patient", "plain", "{a b}", "{patient}{patient}", "{sample}_x"])
def test_a_pattern_without_columns_is_refused(runs, pattern):
    with pytest.raises(InputError, match="names of columns in braces"):
        make_sheet.main([str(runs), "--pattern", pattern])


def test_samples_that_were_joined_are_found_where_they_lay(runs, capsys, tmp_path):
    table = tmp_path / "joined/outs/aggregation.csv"
    touched(table.parent / "count/filtered_feature_bc_matrix.h5")
    within = runs / "pool1/outs/per_sample_outs/P02_D7/count"
    table.write_text(
        "sample_id,molecule_h5,timepoint\n"
        f"one,{runs / 'P01_base/outs/molecule_info.h5'},baseline\n"
        f"two,{within / 'sample_molecule_info.h5'},D7\n"
        "three,/nowhere/outs/molecule_info.h5,D7\n"
    )
    rows, said = made(capsys, tmp_path / "joined")
    assert [(row["sample"], row["timepoint"], Path(row["path"]).name) for row in rows] == [
        ("one", "baseline", "filtered_feature_bc_matrix.h5"),
        ("two", "D7", "sample_filtered_feature_bc_matrix.h5"),
    ]
    assert "the matrix of 'three' is not beside '/nowhere/outs/molecule_info.h5'" in said


def test_names_that_two_runs_share_are_told_apart_and_made_fit_for_a_sheet(tmp_path, capsys):
    for pool in ("pool1", "pool2"):
        for sample in ("S 1", "S2"):
            within = tmp_path / pool / "outs/per_sample_outs" / sample / "count"
            touched(within / "sample_filtered_feature_bc_matrix.h5")
    rows, _ = made(capsys, tmp_path)
    assert [row["sample"] for row in rows] == ["pool1_S_1", "pool1_S2", "pool2_S_1", "pool2_S2"]


def test_links_that_lead_in_a_circle_end(tmp_path, capsys):
    touched(tmp_path / "runs/P01/outs/filtered_feature_bc_matrix.h5")
    (tmp_path / "runs/again").symlink_to(tmp_path / "runs")
    rows, _ = made(capsys, tmp_path)
    assert [row["sample"] for row in rows] == ["P01"]


def test_nothing_found_is_a_fault_in_words_and_needs_no_library(tmp_path):
    (tmp_path / "empty").mkdir()
    script = [sys.executable, "-S", "-s", str(ROOT / "bin/make_sheet.py")]
    done = subprocess.run([*script, str(tmp_path / "empty")], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "no matrix of a known program below it" in done.stderr
    done = subprocess.run([*script, str(tmp_path / "absent")], capture_output=True, text=True, check=False)
    assert "no such folder; correct the path" in done.stderr


def test_the_sheet_passes_the_check_once_it_is_filled_in(tmp_path, monkeypatch, capsys):
    runs = tmp_path / "runs"
    (runs / "P01_D7/outs").mkdir(parents=True)
    h5(runs / "P01_D7/outs/filtered_feature_bc_matrix.h5", counts(1))
    mex(runs / "P02_D7/Solo.out/Gene/filtered", counts(2))
    fry(runs / "P03_D7/af_quant", counts(3), [counts(4).counts] * 3)
    parse(runs / "P04_D7/DGE_filtered", counts(5))
    (tmp_path / "task").mkdir()
    monkeypatch.chdir(tmp_path / "task")
    make_sheet.main([str(runs), "--pattern", "{patient}_{timepoint}"])
    sheet = tmp_path / "samples.csv"
    sheet.write_text(capsys.readouterr().out)
    check_inputs.main(["--input", str(sheet)])
    assert len(Path("digests.csv").read_text().splitlines()) == 5
    # as it comes, the sheet asks for what it lacks
    capsys.readouterr()
    make_sheet.main([str(runs)])
    sheet.write_text(capsys.readouterr().out)
    with pytest.raises(InputError, match="column 'patient': it is empty; fill it in"):
        check_inputs.main(["--input", str(sheet)])


def test_single_matrices_are_samples_named_by_their_files(tmp_path, capsys, case):
    for name in ("P01_D7.h5", "P02_D7.h5ad", "raw_feature_bc_matrix.h5", "P01_molecule_info.h5", "P03.csv"):
        touched(tmp_path / "matrices" / name)
    rows, said = made(capsys, tmp_path, "--pattern", "{patient}_{timepoint}")
    seen = [(row["sample"], row["patient"], Path(row["path"]).name) for row in rows]
    case("a folder of .h5 and .h5ad", "two samples, and a note", seen)
    assert seen == [("P01_D7", "P01", "P01_D7.h5"), ("P02_D7", "P02", "P02_D7.h5ad")]
    assert "taken for a sample each by their ending: 'P01_D7.h5', 'P02_D7.h5ad'" in said
