"""Images, Conda files and the lock agree; none of this needs an engine of containers."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

import build
import conda

ROOT = Path(__file__).resolve().parents[2]
IMAGES = build.scripts_by_image()


def test_images_have_the_version_of_the_pipeline_and_a_group_of_the_lock():
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    for image in IMAGES:
        assert re.fullmatch(rf"cartox/[a-z]+:{re.escape(build.version())}", image)
        assert build.group(image) in groups
    assert {step for steps in IMAGES.values() for step in steps} == {
        path.parent.name for path in (ROOT / "modules").glob("*/main.nf")
    }


def test_images_are_built_with_the_uv_that_make_installs():
    versions = [
        re.search(r"UV_VERSION ?:?= ?(\S+)", (ROOT / name).read_text())
        for name in ("Makefile", "containers/Dockerfile")
    ]
    assert versions[0] and versions[1] and versions[0].group(1) == versions[1].group(1)


def test_an_image_that_no_module_names_is_refused_before_anything_is_built(tmp_path):
    done = subprocess.run(
        ["make", "-s", "images", "IMAGES=cels"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "no module names cels; there are ambient, cells, check, counts" in done.stderr


def test_names_of_images_hold_registry_and_tag():
    image = f"cartox/stats:{build.version()}"
    assert build.tagged(image, build.version(), "") == image
    assert (
        build.tagged(image, "x", "registry.example.org/group/") == "registry.example.org/group/cartox/stats:x"
    )


def test_licences_of_all_components_stand_in_one_expression():
    parts = [
        {"licenses": [{"license": {"id": "Apache-2.0"}}, {"license": {"name": "BSD (3 clauses)"}}]},
        {"licenses": [{"expression": "MIT OR Apache-2.0"}]},
        {"licenses": [{"expression": "BSD-3-Clause AND 0BSD"}]},
        {},
    ]
    assert build.licences({"components": parts}) == (
        "MIT AND (MIT OR Apache-2.0) AND 0BSD AND Apache-2.0 AND BSD-3-Clause AND LicenseRef-BSD-3-clauses"
    )


def test_each_step_has_the_conda_environment_of_its_image():
    for image, steps in IMAGES.items():
        wanted = f'conda "${{moduleDir}}/../../containers/conda/{build.group(image)}.yml"'
        for step in steps:
            assert (ROOT / f"modules/{step}/main.nf").read_text().count(wanted) == 1, step


def test_the_documentation_lists_the_steps_of_each_image():
    rows = re.findall(
        r"^\| `cartox/(\w+)` \| \d+ \| ([A-Z_, ]+)",
        (ROOT / "docs/hpc-and-cloud.md").read_text(),
        re.M,
    )
    assert {group: steps.strip().lower().split(", ") for group, steps in rows} == {
        build.group(image): steps for image, steps in IMAGES.items()
    }


def test_conda_files_are_those_of_the_lock():
    try:
        conda.uv()
    except build.BuildError as error:
        pytest.skip(str(error))
    files = {path.stem: path.read_text() for path in conda.FOLDER.glob("*.yml")}
    assert files == {group: conda.environment(group) for group in sorted(map(build.group, IMAGES))}, (
        "run containers/conda.py"
    )
