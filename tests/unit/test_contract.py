"""The schema, the configuration, the modules and the documentation agree."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pandas as pd
import pytest
import yaml
from schema import parameters

import parameters_page
from cartox.inputs import formulas

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(path.parent for path in (ROOT / "modules").glob("*/main.nf"))


def configured_params() -> dict[str, str]:
    block = re.search(r"^params \{\n(.*?)^\}", (ROOT / "nextflow.config").read_text(), re.S | re.M)
    assert block
    return dict(re.findall(r"^\s+(\w+)\s+=\s+(.*)$", block.group(1), re.M))


def test_every_parameter_of_the_configuration_is_in_the_schema_with_the_same_default():
    configured, schema = configured_params(), parameters()
    assert list(configured) == list(schema)
    for name, text in configured.items():
        default = schema[name].get("default")
        assert text.strip("'") == ("null" if default is None else json.dumps(default).strip('"')), name


def test_the_schema_is_in_the_format_of_nf_core():
    schema = json.loads((ROOT / "nextflow_schema.json").read_text())
    assert {"$schema", "$id", "title", "description", "type", "$defs", "allOf"} == set(schema)
    assert [part["$ref"] for part in schema["allOf"]] == [f"#/$defs/{name}" for name in schema["$defs"]]
    for group in schema["$defs"].values():
        assert group["type"] == "object" and group["title"] and group["description"]
    named = [name for group in schema["$defs"].values() for name in group["properties"]]
    assert len(named) == len(set(named))
    for name, rule in parameters().items():
        assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name), f"{name}: words with underscores"
        assert rule["type"] and rule["description"] and not rule["description"].endswith("."), name
        assert set(rule) <= {
            *("type", "format", "exists", "default", "enum", "minimum", "maximum", "pattern"),
            *("description", "help_text", "hidden", "fa_icon", "mimetype", "schema"),
        }, name


def test_the_page_of_parameters_is_that_of_the_schema():
    schema = json.loads((ROOT / "nextflow_schema.json").read_text())
    assert parameters_page.page(schema) == parameters_page.PAGE.read_text(), "run scripts/parameters_page.py"
    told = re.findall(r"^\| `--(\w+)` \|", parameters_page.PAGE.read_text(), re.MULTILINE)
    assert told == list(parameters())


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda p: p.name
)
def test_documentation_names_no_parameter_that_does_not_exist(page: Path):
    named = set(re.findall(r"(?<![\w-])--([A-Za-z][\w-]*)", page.read_text()))
    # flags of scripts that users call by name, and of schedulers, git, nf-core's tools and cellxgene
    scripts = {"out", "by", "labels", "pattern", "leave_out"}
    others = {"qos", "quiet", "local", "all", "backed"}
    assert named <= set(parameters()) | scripts | others


def test_the_citation_file_has_what_its_format_asks_for():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["cff-version"] == "1.2.0"
    assert all(author.get("name") or author.get("family-names") for author in citation["authors"])
    version = re.search(r"^ *version *= *'([^']+)'", (ROOT / "nextflow.config").read_text(), re.MULTILINE)
    assert version and citation["version"] == version[1]
    assert citation["license"] in (ROOT / "LICENSE").read_text()[:20]


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
    tests = (module / "tests/main.nf.test").read_text()
    assert tests.count('options "-stub"') == 1
    assert tests.count("    test(") >= 2, "a dry run, and a real one"
    assert len(text.splitlines()) <= 50


def test_a_package_imports_only_those_that_know_less():
    order = ["matrices", "cells", "signals", "statistics", "inputs", "report", "demo"]
    package = ROOT / "bin/cartox"
    assert {path.parent.name for path in package.glob("*/*.py")} == set(order)
    for path in package.rglob("*.py"):
        own = path.parent.name
        text = path.read_text().replace("if TYPE_CHECKING:\n    from cartox.", "")
        found = set(re.findall(r"from cartox\.(\w+)\.?\w* import", text)) & set(order)
        below = order[: order.index(own) + 1] if own in order else []
        assert found <= set(below), f"{path.relative_to(package)} imports {found - set(below)}"


def test_the_flow_names_every_module():
    flow = (ROOT / "main.nf").read_text()
    stages = {path.stem: path.read_text() for path in (ROOT / "subworkflows").glob("*.nf")}
    assert set(re.findall(r"from './subworkflows/(\w+)'", flow)) == set(stages)
    # included by other modules alone
    helpers = {path.stem for path in (ROOT / "modules").glob("*.nf")} - {"resources", "crate"}
    included = re.findall(r"from '\.{1,2}/modules/(\w+)'", "\n".join([flow, *stages.values()]))
    assert set(included) == {module.name for module in MODULES} | helpers


def test_the_names_that_a_question_may_use_are_in_the_docs():
    usage = (ROOT / "docs/usage.md").read_text()
    markers = pd.read_csv(ROOT / "assets/markers/blood_cart.tsv", sep="\t", dtype=str)
    types = markers.loc[markers["level"].isin(["lineage", "type"]), "cell_type"]
    told = re.search(r"Cell types are named (.*?), or as", usage, re.DOTALL)
    assert told and set(re.findall(r"`(\w+)`", told[1])) == set(types)
    told = re.search(r"anything but the transforms (.*?) of a column", usage, re.DOTALL)
    assert told and set(re.findall(r"`([\w.]+)`", told[1])) == set(formulas.TRANSFORMS)
