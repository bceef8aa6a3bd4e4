"""Each image does what its steps need and holds no more; its tables are those of the venv."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from pipeline_runs import attempts, trial_flags

import build
import conda

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.engine
IMAGES = build.scripts_by_image()
CALLER = 12345


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_does_what_its_steps_need_and_holds_no_more(images, case, image):
    found = build.tried(image, images[image])
    group = build.group(image)
    wanted = [Requirement(line) for line in conda.locked(group)]
    wanted = {
        need.name: str(need.specifier).removeprefix("==")
        for need in wanted
        if need.marker is None or need.marker.evaluate()
    }
    case(image, "no fault", found["faults"] or f"no fault; {len(found['packages'])} packages")
    assert found["faults"] == []
    assert found["packages"] == wanted
    # the walk through what is imported did go somewhere
    assert {"cartox.cli", "numpy"} <= set(found["modules"])


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_says_what_it_is_and_what_is_in_it(docker, images, image):
    shown = [docker, "image", "inspect", "--format", "{{json .Config}}", image]
    config = json.loads(subprocess.run(shown, capture_output=True, text=True, check=True).stdout)
    labels = {name.removeprefix("org.opencontainers.image."): text for name, text in config["Labels"].items()}
    assert labels["version"] == build.version()
    assert labels["title"] == f"cartox {build.group(image)}"
    assert "MIT" in labels["licenses"] and "BSD-3-Clause" in labels["licenses"]
    assert re.fullmatch(r"[0-9a-f]{40}|", labels["revision"])
    assert config["User"] not in ("", "0", "root")
    sbom = json.loads((ROOT / "containers/sbom" / f"{build.group(image)}.cdx.json").read_text())
    assert (sbom["bomFormat"], sbom["specVersion"]) == ("CycloneDX", "1.6")
    inside = build.tried(image, images[image])["packages"]
    listed = {re.sub(r"[-_.]+", "-", part["name"]).lower(): part["version"] for part in sbom["components"]}
    assert listed == inside


def test_a_strange_image_is_found_out(docker, images, case, tmp_path):
    """The check of images can fail: a step that needs more than the image holds, and an image run as root."""
    found = build.tried("cartox/counts:" + build.version(), ["associate"])["faults"]
    case("associate in the image of counts", "import formulaic fails", found)
    assert any("formulaic" in fault for fault in found)
    mounts = [f"--volume={ROOT / 'bin'}:/scripts:ro", f"--volume={ROOT / 'containers'}:/containers:ro"]
    command = [docker, "run", "--rm", "--user=0", *mounts, "cartox/counts:" + build.version()]
    done = subprocess.run(
        [*command, "python3", "/containers/smoke.py", "/scripts", "qc"],
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)["faults"]
    case("an image as root that may be written", "both are told", found)
    assert "runs as root" in found
    assert "the root file system can be written to" in found


@pytest.fixture
def apart() -> Iterator[Path]:
    """A launch folder with open parents, away from the clone: the engine may mount what holds both."""
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_the_pipeline_gives_the_same_tables_in_images_as_in_the_environment(
    pipeline, engine, images, same_tables, case, tmp_path, apart
):
    shown = subprocess.run(
        [engine, "config", "-flat", "-profile", "docker", str(ROOT)],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    ).stdout
    options = re.search(r"docker\.runOptions = '(.*)'", shown)
    assert options and "--read-only" in options.group(1)
    # whoever runs this, root too: tasks belong to a user that neither image nor machine knows
    options = options.group(1).replace("$(id -u):$(id -g)", f"{CALLER}:{CALLER}")
    # what decides how numbers are added up reaches a task of the venv by itself, and a container only if told
    config = f"docker.runOptions = '{options}'\ndocker.envWhitelist = 'OPENBLAS_CORETYPE'\n"
    inside = pipeline(apart, *trial_flags(), config=config, profile="docker", umask=0)
    assert inside.code == 0, inside.output[-3000:]
    owners = {path.stat().st_uid for path in (apart / "work").glob("*/*/versions.txt")}
    case("owner of what tasks write", CALLER, owners)
    assert owners == {CALLER}
    same_tables(inside.results, "docker")


def test_the_kernel_kills_a_task_for_memory_and_it_is_done_with_more(pipeline, images, case, tmp_path):
    config = "process { withName: 'MERGE' { memory = { 120.MB * 8 ** (task.attempt - 1) } } }"
    run = pipeline(tmp_path, *trial_flags(), "--integration", "none", config=config, profile="docker")
    seen = attempts(run.results, "MERGE")
    case("killed for memory in a container", "exit 137, then done with more", seen)
    assert run.code == 0, run.output[-3000:]
    assert seen == [[137, 1, "120 MB"], [0, 2, "960 MB"]]
