"""Profiles: one engine is on, images come from the registry named, schedulers get queue and account."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import build

pytestmark = pytest.mark.engine
ROOT = Path(__file__).resolve().parents[2]
IMAGES = build.scripts_by_image()
ENGINES = ("docker", "podman", "singularity", "apptainer", "charliecloud", "conda")


@pytest.fixture(scope="module")
def told(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """What the engine says of the pipeline without running it."""
    folder = tmp_path_factory.mktemp("config")

    def tell(*args: str) -> str:
        command = [engine, "-log", os.devnull, *args]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout

    return tell


def settings(text: str) -> dict[str, str]:
    """A flat configuration: name → value as text."""
    return dict(re.findall(r"^(\S+) = (.*)$", text, re.MULTILINE))


@pytest.mark.parametrize("name", ENGINES)
def test_a_profile_enables_one_engine_and_not_the_venv(told, case, name):
    # beside a scheduler and the environment of the pipeline, which it overrides
    profile = f"venv,slurm,{name}"
    seen = settings(told("config", "-flat", "-profile", profile, str(ROOT)))
    on = [engine for engine in ENGINES if seen.get(f"{engine}.enabled") == "true"]
    case(f"-profile {profile}", name, ", ".join(on))
    assert on == [name]
    assert seen["process.executor"] == "'slurm'"
    assert seen["process.beforeScript"] == "''"
    assert (seen["wave.enabled"], seen["fusion.enabled"]) == ("false", "false")
    # caches stay in the task's folder, whatever the engine mounts
    assert seen["env.NUMBA_CACHE_DIR"] == "'.cache/numba'"
    assert seen["env.MPLCONFIGDIR"] == "'.cache/matplotlib'"


@pytest.mark.parametrize("name", ["docker", "podman"])
def test_images_come_from_the_registry_that_is_named(told, case, name):
    registry = "registry.example.org/group"
    text = told("inspect", str(ROOT), "-profile", f"test,{name}", "--registry", registry)
    seen = set(re.findall(r'"container": "([^"]+)"', text))
    case(f"-profile {name} --registry {registry}", f"all below {registry}", sorted(seen)[0])
    assert seen == {f"{registry}/{image}" for image in IMAGES}


def test_apptainer_pulls_from_the_registry_that_is_named(pipeline, case, tmp_path):
    # `inspect` does not show it; a stand-in that only fails makes the engine tell its command
    stand_in = tmp_path / "bin/apptainer"
    stand_in.parent.mkdir()
    stand_in.write_text("#!/bin/sh\nexit 1\n")
    stand_in.chmod(0o755)
    path = f"{stand_in.parent}:{os.environ['PATH']}"
    flags = ["-stub-run", "--registry", "registry.example.org/group"]
    run = pipeline(tmp_path / "launch", *flags, profile="test,apptainer", env={"PATH": path})
    wanted = f"docker://registry.example.org/group/cartox/check:{build.version()}"
    told = re.search(r"apptainer pull .*?(docker://\S+)", run.output)
    case("-profile apptainer --registry …", wanted, told.group(1) if told else run.output[-300:])
    assert told and told.group(1) == wanted
    assert run.code != 0


SCHEDULERS = {
    "slurm": {"process.queue": "q", "executor.account": "a", "process.clusterOptions": "o"},
    "awsbatch": {"process.queue": "q", "aws.region": "r", "docker.enabled": "true"},
    "google-batch": {"google.project": "a", "google.location": "r", "docker.enabled": "true"},
    "azurebatch": {"process.queue": "q", "azure.batch.location": "r", "docker.enabled": "true"},
    "k8s": {"k8s.namespace": "a", "docker.enabled": "true"},
}


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_scheduler_gets_queue_account_options_and_region(told, case, tmp_path, name):
    # parameters of a run reach the configuration as those of a file do here
    given = tmp_path / "given.config"
    given.write_text("params { queue = 'q'; account = 'a'; cluster_options = 'o'; region = 'r' }\n")
    main = tmp_path / "both.config"
    main.write_text(f"includeConfig '{given}'\nincludeConfig '{ROOT}/conf/{name.replace('-', '_')}.config'\n")
    seen = settings(told("-C", str(main), "config", "-flat", str(tmp_path)))
    expected = {"process.executor": name, **SCHEDULERS[name]}
    told_of = {key: seen.get(key, "").strip("'") for key in expected}
    case(f"-profile {name}", expected, told_of)
    assert told_of == expected
    # and the pipeline has the profile, with what is common to all
    whole = settings(told("config", "-flat", "-profile", name, str(ROOT)))
    assert whole["process.executor"] == f"'{name}'"
    assert whole["process.maxRetries"] == "2"


def test_the_test_profiles_name_files_that_are_there_or_that_make_draws(told):
    small = settings(told("config", "-flat", "-profile", "test,venv", str(ROOT)))
    given = [small[f"params.{name}"].strip("'") for name in ("input", "clinical", "analytes", "contrasts")]
    assert all(Path(path).is_file() for path in given)
    full = settings(told("config", "-flat", "-profile", "test_full,venv", str(ROOT)))
    assert full["params.input"].strip("'") == str(ROOT / "results/demo_cohort/samples.csv")
    assert "DEMO := results/demo_cohort\n" in (ROOT / "Makefile").read_text()
    assert settings(told("config", "-flat", "-profile", "debug,venv", str(ROOT)))["dumpHashes"] == "true"
