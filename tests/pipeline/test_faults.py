"""What goes wrong on real machines: each fault is told once, and nothing half-made is published."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pipeline_runs import attempts, trial_copy, trial_flags

pytestmark = pytest.mark.engine
# what the venv profile does; a test's own beforeScript takes its place
VENV = "\"export PATH='${projectDir}/.venv/bin':\\$PATH; \""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator:
    """Disks of a few KB or MB, or read-only, as root can mount them."""
    mounted = []

    def mount(name: str, options: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode != 0:
            pytest.skip("needs the right to mount a small disk")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def told_once(output: str, *words: str) -> None:
    """The words stand in the output; the engine tells one error, and no stack of Groovy or Java."""
    for word in words:
        assert word in output, f"{word!r} is not in:\n{output[-4000:]}"
    assert output.count("ERROR ~") == 1, output[-4000:]
    assert not re.search(r"^\s+at [\w.$]+\(", output, re.MULTILINE), output[-4000:]
    assert "Traceback" not in output, output[-4000:]
    assert output.count("cartox: the run stopped") == 1


def nothing_published(results: Path) -> None:
    """Only the run's own records are there, and what is marked as unfinished."""
    assert {path.name for path in results.iterdir()} <= {"run", "cartox_unfinished"}
    assert not list(results.rglob("report.html"))


def contents(folder: Path) -> dict[str, str]:
    """Checksum of each file below a folder, without the engine's records."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.parent != folder / "run"]
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_a_task_killed_for_memory_is_tried_again_with_more(pipeline, tmp_path, case):
    # as a scheduler's or the kernel's killer does it; tests/engines has the kernel's own, in a container
    kill = "(task.attempt == 1 ? 'kill -9 $$' : '')"
    config = f"process {{ withName: 'MERGE' {{ beforeScript = {{ {VENV} + {kill} }} }} }}"
    run = pipeline(tmp_path, *trial_flags(), "-stub-run", config=config)
    seen = attempts(run.results, "MERGE")
    case("task killed for memory", "exit 137, then done with twice as much", seen)
    assert run.code == 0, run.output[-3000:]
    assert seen == [[137, 1, "2 GB"], [0, 2, "4 GB"]]
    assert not (run.results / "cartox_unfinished").exists()


def test_a_step_that_fails_is_told_once_with_its_sample_and_its_own_last_words(pipeline, tmp_path, case):
    unlucky = "'echo no luck today >&2; exit 3'"
    config = f"process {{ withName: 'DOUBLETS' {{ beforeScript = {{ {VENV} + {unlucky} }} }} }}"
    run = pipeline(tmp_path, *trial_flags(), config=config)
    case(
        "a step fails",
        "step, sample, last words, once",
        [line for line in run.output.splitlines() if "ERROR" in line],
    )
    assert run.code == 1
    told_once(
        run.output, "DOUBLETS (L0", "no luck today", "exit status:\n  3", ".command.log of its work dir"
    )
    assert f"Tables made so far are in {run.results}/cartox_unfinished." in run.output
    nothing_published(run.results)
    tried = [line for line in run.output.splitlines() if "Submitted process > CELLS:DOUBLETS" in line]
    assert len(tried) == len({line.split(" > ")[1] for line in tried}), "a fault is not tried twice"


def test_the_results_of_an_earlier_run_stay_whole_when_a_later_one_fails(pipeline, tmp_path, case):
    first = pipeline(tmp_path, *trial_flags())
    assert first.code == 0, first.output[-3000:]
    before = contents(first.results)
    assert {"report.html", "associations.csv", "cohort.h5ad", "qc/P06_D7.qc.json"} <= set(before)
    config = f"process {{ withName: 'HARMONY' {{ beforeScript = {{ {VENV} + 'exit 3' }} }} }}"
    failed = pipeline(tmp_path, *trial_flags(), "--seed", "7", "-resume", config=config)
    assert failed.code == 1
    told_once(failed.output, "HARMONY")
    after = {
        name: digest
        for name, digest in contents(failed.results).items()
        if not name.startswith("cartox_unfinished/")
    }
    case("a later run fails", "the earlier results as they were", "same" if after == before else "changed")
    assert after == before

    # and a run that has less to give leaves nothing of the earlier one beside its own
    trial = trial_copy(tmp_path / "five")
    for name in ("samples.csv", "patients.csv", "serum.csv"):
        lines = (trial / name).read_text().splitlines()
        (trial / name).write_text("\n".join(line for line in lines if "P06" not in line) + "\n")
    own = first.results / "my_notes.txt"
    own.write_text("mine")
    fewer = pipeline(tmp_path, *trial_flags(trial), "-resume")
    assert fewer.code == 0, fewer.output[-3000:]
    left = sorted(name for name in contents(fewer.results) if "P06" in name)
    case("a later run without a patient", "no file of that patient is left", left)
    assert not left
    assert own.read_text() == "mine"


def test_a_matrix_replaced_while_the_run_is_on_is_refused(pipeline, tmp_path, case):
    trial = trial_copy(tmp_path / "trial")
    matrices = trial / "matrices"
    swap = f"cp -f {matrices}/P05_D7.h5 {matrices}/P02_D7.h5"
    # after the inputs were checked, before QC reads
    config = f"process {{ withName: 'QC' {{ maxForks = 1; beforeScript = {{ {VENV} + '{swap}' }} }} }}"
    run = pipeline(tmp_path / "launch", *trial_flags(trial), config=config)
    case("a matrix replaced during the run", "QC refuses it and names it", run.output[-1500:-1300])
    assert run.code == 1
    told_once(run.output, "QC (P02_D7)", "P02_D7.h5 changed while the run was on")
    nothing_published(run.results)


def test_a_truncated_matrix_is_told_before_any_heavy_task(pipeline, tmp_path, case):
    trial = trial_copy(tmp_path / "trial")
    matrix = trial / "matrices" / "P03_D7.h5"
    os.truncate(matrix, matrix.stat().st_size // 2)
    run = pipeline(tmp_path / "launch", *trial_flags(trial))
    said = next((line for line in run.output.splitlines() if "samples.csv, row" in line), "")
    case("a truncated matrix", "a fault at its row and column", said)
    assert run.code == 1
    assert said.startswith("samples.csv, row 4, column 'path': P03_D7.h5: damaged or truncated")
    assert run.output.count("row 4") == run.output.count("cartox: the run stopped") == 1
    assert "Tables made so far" not in run.output
    assert run.submitted() == ["CHECK_INPUTS"]
    nothing_published(run.results)


@pytest.mark.parametrize("size", ["500k", "2m", "3m"])
def test_a_full_disk_under_the_work_folder(pipeline, small_disk, tmp_path, case, size):
    # a step may find no room even for its last words, so the run itself says what is wrong
    work = small_disk("work", f"size={size}")
    run = pipeline(tmp_path / "launch", *trial_flags(), "-w", str(work))
    said = [line for line in run.output.splitlines() if "no space left on the disk of" in line]
    case(f"work folder: disk full at {size}", "no space left, and where", said[:1])
    assert run.code == 1
    told_once(run.output)
    assert len(said) == 1
    assert str(work) in said[0]
    nothing_published(run.results)


def test_a_full_disk_under_the_results(pipeline, small_disk, tmp_path, case):
    results = small_disk("results", "size=600k")
    run = pipeline(tmp_path / "launch", *trial_flags(), results=str(results))
    said = [line for line in run.output.splitlines() if "no space left on the disk of" in line]
    case("results: disk full", "no space left, and where; no report", said[:1])
    assert run.code == 1
    assert len(said) == 1
    assert str(results) in said[0]
    nothing_published(results)


def test_results_that_cannot_be_put_in_their_place_are_a_failed_run(pipeline, tmp_path, case):
    in_the_way = tmp_path / "results" / "qc" / "P01_D7.qc.json"
    (in_the_way / "mine").mkdir(parents=True)
    run = pipeline(tmp_path, *trial_flags(), "-stub-run")
    said = next((line for line in run.output.splitlines() if "could not be put into" in line), "")
    case(
        "results: something is in the way", "exit 1, an error that names it; no report", f"{run.code}, {said}"
    )
    assert run.code == 1
    assert str(in_the_way) in said
    assert not (run.results / "report.html").exists()


@pytest.mark.parametrize("kind", ["read-only", "a file"])
def test_a_work_folder_that_cannot_be_used(pipeline, small_disk, tmp_path, case, kind):
    if kind == "a file":
        work = tmp_path / "work"
        work.write_text("")
    else:
        work = small_disk("work", "ro,size=1m")
    run = pipeline(tmp_path / "launch", *trial_flags(), "-w", str(work))
    said = next((line for line in run.output.splitlines() if str(work) in line), "")
    case(f"work folder: {kind}", "an error that names it", said)
    assert run.code == 1
    assert said
    assert "Traceback" not in run.output
    assert not list(run.results.rglob("report.html"))
