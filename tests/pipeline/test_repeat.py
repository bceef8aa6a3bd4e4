"""The same tables from 1 and 2 CPUs and from a shuffled sheet; one more patient reruns only what it must."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import yaml
from pipeline_runs import cohort_flags, differences, read_table

import simulate_cohort

pytestmark = pytest.mark.engine
PATIENTS, CELLS = 7, 200


@pytest.fixture(scope="module")
def cohorts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Day 7 of a small trial, without its last patient and with it; the matrices are the same files."""
    whole, part = tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("part")
    simulate_cohort.main(["--out", str(whole), "--patients", str(PATIENTS), "--cells", str(CELLS)])
    asked = yaml.safe_load((whole / "contrasts.yml").read_text())
    asked = yaml.safe_dump([contrast for contrast in asked if contrast["id"] == "tox_day7"])
    last = f"P{PATIENTS:02d}"
    for name in ("samples.csv", "patients.csv", "serum.csv"):
        header, *rows = (whole / name).read_text().replace("matrices/", f"{whole}/matrices/").splitlines()
        rows = [row for row in rows if "baseline" not in row and "product" not in row]
        (whole / name).write_text("\n".join([header, *rows]) + "\n")
        (part / name).write_text("\n".join([header, *(row for row in rows if last not in row)]) + "\n")
    for folder in (whole, part):
        (folder / "contrasts.yml").write_text(asked)
    return part, whole


@pytest.fixture(scope="module")
def first(pipeline, cohorts, tmp_path_factory):
    """The trial without its last patient, on 2 CPUs."""
    run = pipeline(tmp_path_factory.mktemp("launch"), *cohort_flags(cohorts[0]), config="executor.cpus = 2")
    assert run.code == 0, run.output[-3000:]
    return run


def test_one_cpu_and_a_shuffled_sheet_give_the_same_tables(pipeline, cohorts, first, case, tmp_path):
    shuffled = tmp_path / "cohort"
    shuffled.mkdir()
    for name in ("samples.csv", "patients.csv", "serum.csv"):
        header, *rows = (cohorts[0] / name).read_text().splitlines()
        random.Random(1).shuffle(rows)
        (shuffled / name).write_text("\n".join([header, *rows]) + "\n")
    (shuffled / "contrasts.yml").write_text((cohorts[0] / "contrasts.yml").read_text())
    other = pipeline(tmp_path / "launch", *cohort_flags(shuffled), config="executor.cpus = 1")
    assert other.code == 0, other.output[-3000:]
    differing = differences(first.results, other.results)
    case("1 CPU, a shuffled sheet", "all tables as with 2", differing or "all equal")
    assert not differing


def test_four_cpus_and_another_work_folder_give_the_same_tables(pipeline, cohorts, first, case, tmp_path):
    flags = [*cohort_flags(cohorts[0]), "-w", str(tmp_path / "elsewhere")]
    other = pipeline(tmp_path / "launch", *flags, config="executor.cpus = 4")
    assert other.code == 0, other.output[-3000:]
    differing = differences(first.results, other.results)
    case("4 CPUs, another work folder", "all tables as with 2", differing or "all equal")
    assert not differing


def test_one_more_patient_reruns_its_own_qc_and_doublets_alone(pipeline, cohorts, first):
    more = pipeline(
        first.results.parent, *cohort_flags(cohorts[1]), "-resume", results="more", config="executor.cpus = 2"
    )
    assert more.code == 0, more.output[-3000:]
    last = f"P{PATIENTS:02d}"
    assert more.submitted("QC") == [f"QC ({last}_D7)"]
    assert more.submitted("DOUBLETS") == [f"DOUBLETS (L{PATIENTS:02d})"]
    assert more.submitted("MERGE", "REPORT") == ["MERGE", "REPORT"]
    assert len(read_table(more.results / "features.parquet")["patient"].unique()) == PATIENTS
