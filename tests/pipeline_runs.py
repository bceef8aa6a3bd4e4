"""Real Nextflow runs: a runner that tells what each run did."""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from kills import task_name

import simulate_cohort

ROOT = Path(__file__).resolve().parents[1]
RESULT_TABLES = (
    "associations.csv",
    "calibration.csv",
    "correlations.csv",
    "features.parquet",
    "annotation/annotation.parquet",
    "pathways/pathway_scores.parquet",
)


@dataclass
class Run:
    """What one run of the pipeline did. tasks: process name and tag → COMPLETED, CACHED or FAILED."""

    code: int
    output: str
    results: Path
    tasks: dict[str, str]

    def submitted(self, *processes: str) -> list[str]:
        """Tasks that were run, not reused; of these processes, or of all."""
        return sorted(
            name
            for name, status in self.tasks.items()
            if status != "CACHED" and (not processes or name.split(" ")[0] in processes)
        )


def read_table(path: Path) -> pd.DataFrame:
    """A table of the results."""
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)


def attempts(results: Path, name: str) -> list[list[object]]:
    """Exit status, attempt and memory of each try of a task, in order."""
    trace = pd.read_csv(results / "run/trace.tsv", sep="\t")
    tries = trace[trace["name"].map(task_name) == name].sort_values("attempt")
    return tries[["exit", "attempt", "memory"]].to_numpy().tolist()


def differences(one: Path, other: Path) -> list[str]:
    """Tables of the results that are not exactly equal."""
    return [name for name in RESULT_TABLES if not read_table(one / name).equals(read_table(other / name))]


@pytest.fixture(scope="session")
def engine() -> str:
    """The engine that `make` installed, or the one on PATH."""
    own = ROOT / ".engine" / "nextflow"
    found = str(own) if own.exists() else shutil.which("nextflow")
    if not found:
        pytest.skip("no engine: run `make setup` first")
    return found


@pytest.fixture(scope="session")
def pipeline(engine: str) -> Callable[..., Run]:
    """Run the pipeline in a launch folder; its results go to `results`. under: a command before it."""

    def run(
        launch: Path,
        *args: str,
        config: str = "",
        results: str = "results",
        env: dict[str, str] | None = None,
        profile: str = "venv",
        umask: int = -1,
        under: Sequence[str] = (),
    ) -> Run:
        launch.mkdir(parents=True, exist_ok=True)
        command: Sequence[str] = [
            *under,
            engine,
            "-log",
            "nextflow.log",
            "run",
            str(ROOT),
            "-profile",
            profile,
        ]
        if config:
            (launch / "test.config").write_text(config)
            command = [*command, "-c", "test.config"]
        done = subprocess.run(
            [*command, "-ansi-log", "false", "--outdir", results, *args],
            cwd=launch,
            env={**os.environ, **(env or {})},
            umask=umask,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        trace = launch / results / "run" / "trace.tsv"
        tasks = {}
        if trace.exists():
            with trace.open() as file:
                rows = csv.DictReader(file, delimiter="\t")
                tasks = {task_name(row["name"]): row["status"] for row in rows}
        output = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
        return Run(done.returncode, output, launch / results, tasks)

    return run


TRIAL = ROOT / "tests" / "data" / "trial"


def trial_flags(folder: Path = TRIAL) -> list[str]:
    """The flags of the trial that `-profile test` runs, or of a copy of it."""
    return [
        *cohort_flags(folder),
        "--car_features",
        "FMC63-CD19SCFV",
        "--min_cells",
        "5",
        "--n_permutations",
        "500",
    ]


def trial_copy(folder: Path) -> Path:
    """A copy of the trial that a test may spoil."""
    shutil.copytree(TRIAL, folder)
    return folder


def cohort_flags(cohort: Path) -> list[str]:
    """The flags that name a simulated cohort's files."""
    names = {"input": "samples.csv", "clinical": "patients.csv", "analytes": "serum.csv"}
    names["contrasts"] = "contrasts.yml"
    return [part for flag, name in names.items() for part in (f"--{flag}", str(cohort / name))]


def demo_flags(cohort: Path) -> list[str]:
    """What `make demo` gives the pipeline."""
    note = ["--report_note", "This cohort is simulated."]
    return [*cohort_flags(cohort), "--car_features", "FMC63-CD19SCFV", *note]


@pytest.fixture(scope="session")
def demo_cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo trial, as `make demo` draws it."""
    folder = tmp_path_factory.mktemp("demo")
    simulate_cohort.main(["--out", str(folder)])
    return folder


@pytest.fixture(scope="session")
def demo(pipeline: Callable[..., Run], demo_cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One undisturbed run of the pipeline on the demo trial."""
    run = pipeline(tmp_path_factory.mktemp("launch"), *demo_flags(demo_cohort))
    assert run.code == 0, run.output[-3000:]
    return run
