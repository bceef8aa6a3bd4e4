"""-resume reruns what must run again and nothing else: after kills, edits, changes of patients, a move."""

from __future__ import annotations

import shutil
import subprocess
from modulefinder import ModuleFinder
from pathlib import Path

import numpy as np
import pytest
from kills import submitted
from pipeline_runs import ROOT, trial_copy, trial_flags

from cartox.matrices.matrix import read_h5, write_h5

pytestmark = pytest.mark.engine
EDITED = (
    "cli",
    "statistics.moderated",
    "matrices.hdf5",
    "signals.edger",
    "report.labels",
    "cells.neighbours",
)


def test_an_edit_reruns_exactly_the_tasks_whose_scripts_import_it(engine, tmp_path, case):
    copy = tmp_path / "cartox"
    left_out = shutil.ignore_patterns(".*", "work", "results", "docs", "__pycache__")
    shutil.copytree(ROOT, copy, ignore=left_out)

    def rerun(*options: str) -> set[str]:
        command = [
            engine,
            "run",
            str(copy),
            "-stub-run",
            "-ansi-log",
            "false",
            "--tensor_rank",
            "2",
            *options,
        ]
        done = subprocess.run(
            [*command, *trial_flags()], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        (tmp_path / "output.txt").write_text(done.stdout)
        return {name.split(" ")[0] for name in submitted(tmp_path / "output.txt")}

    everything = rerun()
    for name in EDITED:
        path = copy / "bin/cartox" / f"{name.replace('.', '/')}.py"
        path.write_text(path.read_text() + "\n# edited\n")
        expected = {step for step in everything if f"cartox.{name}" in imports(copy / "bin", step)}
        seen = rerun("-resume")
        case(f"edited: cartox/{path.name}", " ".join(sorted(expected)), " ".join(sorted(seen)))
        assert seen == expected
    for nf in ("main.nf", "modules/qc/main.nf", "modules/step.nf", "conf/base.config"):
        with (copy / nf).open("a") as file:
            file.write("\n// a comment\n")
    seen = rerun("-resume")
    case("edited: comments in .nf and .config", "nothing", " ".join(sorted(seen)) or "nothing")
    assert not seen


def imports(scripts: Path, step: str) -> set[str]:
    """All modules of the package that a step's script imports, wherever in the code it does."""
    finder = ModuleFinder(path=[str(scripts)])
    finder.run_script(str(scripts / f"{step.lower()}.py"))
    return {name for name in finder.modules if name.startswith("cartox.")}


def without(trial: Path, patient: str) -> None:
    """Take a patient out of all sheets."""
    for name in ("samples.csv", "patients.csv", "serum.csv"):
        lines = (trial / name).read_text().splitlines()
        (trial / name).write_text("\n".join(line for line in lines if patient not in line) + "\n")


def test_a_patient_added_removed_or_changed_a_report_option_and_a_move(pipeline, tmp_path, case):
    trial = trial_copy(tmp_path / "trial")
    labels = tmp_path / "labels.csv"
    launch = tmp_path / "launch"
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("ligand,receptor\nIFNG,IFNGR1_IFNGR2\nCXCL10,CXCR3\nIL10,IL10RA_IL10RB\n")
    rows = []
    for path in sorted((trial / "matrices").glob("*.h5")):
        cells = read_h5(path).barcodes
        kinds = np.array(["CD14_Mono", "CD4_T", "CD8_T"])[np.arange(len(cells)) % 3]
        rows += [f"{path.stem},{barcode},{kind}" for barcode, kind in zip(cells, kinds, strict=True)]
    labels.write_text("\n".join(["sample,barcode,cell_type", *rows]) + "\n")
    whole = {name: (trial / name).read_text() for name in ("samples.csv", "patients.csv", "serum.csv")}

    def resumed(*more: str, where: Path = launch) -> dict[str, list[str]]:
        quick = ["--gene_sets", "hallmark", "--ligrec_resource", str(pairs)]
        given = [*trial_flags(trial), *quick, "--cell_labels", str(labels)]
        run = pipeline(where, *given, "-resume", *more)
        assert run.code == 0, run.output[-3000:]
        steps: dict[str, list[str]] = {}
        for name in run.submitted():
            step, _, tag = name.partition(" ")
            steps.setdefault(step, []).append(tag.strip("()"))
        return steps

    without(trial, "P06")
    resumed()
    for name, text in whole.items():
        (trial / name).write_text(text)
    seen = resumed()
    by_sample = {step: seen.get(step, []) for step in ("QC", "DOUBLETS", "PSEUDOBULK")}
    case("a patient added, labels given", "P06's tasks by sample alone", by_sample)
    assert by_sample == {
        "QC": ["P06_D7"],
        "DOUBLETS": ["L06"],
        "PSEUDOBULK": ["P06_D7"],
    }
    assert {"MERGE", "ASSOCIATE", "REPORT"} <= set(seen)

    without(trial, "P06")
    seen = resumed()
    case("a patient removed", "nothing: that run is known", seen or "nothing")
    assert not seen
    without(trial, "P05")
    matrix = trial / "matrices" / "P02_D7.h5"
    counts = read_h5(matrix)
    write_h5(matrix, counts.select(np.arange(len(counts.barcodes) - 3)))
    seen = resumed()
    by_sample = {step: seen.get(step, []) for step in ("QC", "DOUBLETS", "PSEUDOBULK")}
    case("one patient removed, another's matrix changed", "P02's tasks by sample alone", by_sample)
    assert by_sample == {
        "QC": ["P02_D7"],
        "DOUBLETS": ["L02"],
        "PSEUDOBULK": ["P02_D7"],
    }

    note = ["--report_note", "A sentence."]
    seen = resumed(*note)
    case("a report option changed", "REPORT alone", seen)
    assert list(seen) == ["REPORT"]

    launch.rename(tmp_path / "elsewhere")
    seen = resumed(*note, where=tmp_path / "elsewhere")
    case("the run moved to another folder", "nothing runs again", seen or "nothing")
    assert not seen
    assert not launch.exists(), "no link is left in the old place"
