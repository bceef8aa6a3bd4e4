"""The pipeline on a real Slurm, in the environment of the machine and in containers."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from pipeline_runs import demo_flags, trial_flags

pytestmark = pytest.mark.engine
# short jobs on one node: ask more often than is polite on a cluster
CONFIG = "executor { pollInterval = '1 sec'; queueStatInterval = '3 sec'; submitRateLimit = '10/1sec' }\n"


@pytest.fixture(scope="session")
def partition() -> str:
    """The partition of a Slurm that answers; the test skips where there is none."""
    if shutil.which("sinfo"):
        asked = ["sinfo", "--noheader", "--format=%R"]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        if done.returncode == 0 and done.stdout.split():
            return done.stdout.split()[0]
    pytest.skip("no Slurm answers; as root on Debian: scripts/start_slurm.sh")


def jobs(launch: Path) -> list[str]:
    """The head of each job's script: what was asked of Slurm."""
    return [path.read_text()[:2000] for path in launch.glob("work/*/*/.command.run")]


def test_the_demo_runs_on_slurm_and_finds_what_was_planted(pipeline, partition, demo_cohort, case, tmp_path):
    flags = [*demo_flags(demo_cohort), "--queue", partition]
    run = pipeline(tmp_path, *flags, config=CONFIG, profile="slurm,venv")
    case("the demo on Slurm", "every task done", f"{len(run.tasks)} tasks, {sorted(set(run.tasks.values()))}")
    assert run.code == 0, run.output[-3000:]
    assert set(run.tasks.values()) == {"COMPLETED"}
    assert len(run.tasks) > 100
    for head in jobs(tmp_path):
        assert f"#SBATCH -p {partition}" in head
        assert "#SBATCH --mem" in head
    table = pd.read_csv(run.results / "associations.csv", keep_default_na=False, na_values=[""])
    primary = table[table["family"] == "primary"]
    case("declared features found on Slurm", "6 of 6", f"{(primary['q'] <= 0.05).sum()} of {len(primary)}")
    assert len(primary) == 6
    assert (primary["q"] <= 0.05).all()


def test_containers_within_slurm_give_the_same_tables(pipeline, partition, images, same_tables, tmp_path):
    config = CONFIG + "docker.envWhitelist = 'OPENBLAS_CORETYPE'\n"
    options = ["--queue", partition, "--cluster_options=--nice=0"]
    run = pipeline(tmp_path, *trial_flags(), *options, config=config, profile="slurm,docker")
    assert run.code == 0, run.output[-3000:]
    heads = jobs(tmp_path)
    assert heads
    assert all("#SBATCH --nice=0" in head for head in heads)
    same_tables(run.results, "docker within Slurm")
