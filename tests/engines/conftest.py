"""Real container engines and schedulers, with the runner of tests/pipeline."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from pipeline_runs import RESULT_TABLES, ROOT, demo_cohort, engine, pipeline, read_table, trial_flags

import build

# fixtures of tests/pipeline_runs.py that tests here ask for by name
__all__ = ["demo_cohort", "engine", "pipeline"]


def docker_client() -> str | None:
    """A client whose daemon answers. Debian's own knows BuildKit; another earlier on PATH may not."""
    client = "/usr/bin/docker" if Path("/usr/bin/docker").exists() else shutil.which("docker")
    if not client or subprocess.run([client, "info"], capture_output=True, check=False).returncode:
        return None
    return client


@pytest.fixture(scope="session")
def docker() -> str:
    """A Docker client whose daemon answers; the test skips where there is none."""
    return docker_client() or pytest.skip(
        "no Docker daemon answers; as root on Debian: scripts/start_docker.sh"
    )


@pytest.fixture(scope="session")
def images(docker: str) -> dict[str, list[str]]:
    """The images of this checkout, built where they are missing; with layers at hand that takes seconds."""
    base = os.environ.get("BASE_IMAGE", "")
    here = [docker, "image", "inspect", "cartox-base"]
    if not base and subprocess.run(here, capture_output=True, check=False).returncode == 0:
        base = "cartox-base"
    command = ["make", "images", *([f"BASE_IMAGE={base}"] if base else [])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return build.scripts_by_image()


@pytest.fixture(scope="session")
def beside(pipeline, tmp_path_factory):
    """The small trial in the environment of this machine: what other engines are held against."""
    run = pipeline(tmp_path_factory.mktemp("venv"), *trial_flags())
    assert run.code == 0, run.output[-3000:]
    return run


@pytest.fixture
def same_tables(beside, case):
    """Hold the tables of a run of the small trial against those of `beside`, exactly."""

    def compare(results: Path, where: str) -> None:
        for name in RESULT_TABLES:
            one, other = read_table(results / name), read_table(beside.results / name)
            same = one.equals(other)
            case(
                f"{where}: {name}, {len(one)} rows", "as in the venv", "as in the venv" if same else "differs"
            )
            pd.testing.assert_frame_equal(one, other, check_exact=True)

    return compare
