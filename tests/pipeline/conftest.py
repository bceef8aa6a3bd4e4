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

import pytest

ROOT = Path(__file__).resolve().parents[2]
TABLES = ("associations.csv", "calibration.csv", "correlations.csv", "features.parquet")


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
    """Run the pipeline in a launch folder; results go to `results` there. under: a command that runs it."""

    def run(
        launch: Path,
        *args: str,
        config: str = "",
        results: str = "results",
        env: dict[str, str] | None = None,
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
            "venv",
        ]
        if config:
            (launch / "test.config").write_text(config)
            command = [*command, "-c", "test.config"]
        done = subprocess.run(
            [*command, "-ansi-log", "false", "--outdir", results, *args],
            cwd=launch,
            env={**os.environ, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        trace = launch / results / "run" / "trace.tsv"
        tasks = {}
        if trace.exists():
            with trace.open() as file:
                # the engine numbers a step of one task, or does not
                rows = csv.DictReader(file, delimiter="\t")
                tasks = {row["name"].removesuffix(" (1)"): row["status"] for row in rows}
        output = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
        return Run(done.returncode, output, launch / results, tasks)

    return run
