"""The schema, the configuration, the modules and the documentation agree."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(path.parent for path in (ROOT / "modules").glob("*/main.nf"))


def schema_properties() -> dict[str, dict]:
    schema = json.loads((ROOT / "nextflow_schema.json").read_text())
    return {name: rule for group in schema["$defs"].values() for name, rule in group["properties"].items()}


def configured_params() -> dict[str, str]:
    block = re.search(r"^params \{\n(.*?)^\}", (ROOT / "nextflow.config").read_text(), re.S | re.M)
    assert block
    return dict(re.findall(r"^\s+(\w+)\s+=\s+(.*)$", block.group(1), re.M))


def test_every_parameter_of_the_configuration_is_in_the_schema_with_the_same_default():
    configured, schema = configured_params(), schema_properties()
    assert list(configured) == list(schema)
    for name, text in configured.items():
        default = schema[name].get("default")
        assert text.strip("'") == ("null" if default is None else json.dumps(default).strip('"')), name


@pytest.mark.parametrize(
    "path", [*sorted((ROOT / "assets/schemas").glob("*.json")), ROOT / "nextflow_schema.json"]
)
def test_schemas_are_valid_2020_12(path: Path):
    jsonschema.Draft202012Validator.check_schema(json.loads(path.read_text()))


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_a_module_is_one_thin_process(module: Path):
    text = (module / "main.nf").read_text()
    assert text.count("\nprocess ") == 1
    assert f"process {module.name.upper()} {{" in text
    assert "tag " in text or "tuple val(" not in text, "one of many tasks: it needs a tag"
    for part in ("label ", "container ", "input:", "output:", "script:", "stub:", "${step.code}"):
        assert part in text, part
    assert f"{module.name}.py" in text
    assert (ROOT / "bin" / f"{module.name}.py").stat().st_mode & 0o111
    assert (module / "tests/main.nf.test").exists()
    assert len(text.splitlines()) <= 50


def test_the_flow_names_every_module():
    flow = (ROOT / "main.nf").read_text()
    helpers = {path.stem for path in (ROOT / "modules").glob("*.nf")} - {"resources"}
    assert set(re.findall(r"from './modules/(\w+)'", flow)) == {module.name for module in MODULES} | helpers
