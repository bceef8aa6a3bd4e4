"""A run as a Workflow Run RO-Crate: inputs by checksum, parameters, software, and the workflow that ran.

No person, no folder of a machine. What was published, and when, is added once it is known, when the run ends.
"""

from __future__ import annotations

import base64
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from cartox.report.methods import value_shown

if TYPE_CHECKING:
    from rocrate.rocrate import ROCrate

    from cartox.report.inputs import Inputs

WORKFLOW = "run/main.nf"
# what defines sha256; the profiles that RO-Crate 1.1 and Workflow RO-Crate 1.0 go with
TERMS = "https://w3id.org/ro/terms/workflow-run/context"
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
LICENCE = "Not stated: the results belong to those whose data they are."
# where it ran: of no use elsewhere, and an account may name a person
OF_THE_MACHINE = ("queue", "account", "cluster_options", "region", "registry")
KINDS = ((bool, "Boolean"), (int, "Integer"), (float, "Float"), (str, "Text"))


def described(inputs: Inputs) -> dict[str, Any]:
    """The metadata of a crate that has no outputs yet."""
    from rocrate.model.contextentity import ContextEntity
    from rocrate.rocrate import ROCrate

    crate = ROCrate(version="1.1")
    crate.metadata.extra_contexts.append(TERMS)
    version = str(inputs.run.get("version", ""))
    crate.name = f"Results of cartox {version}".strip()
    crate.description = "Single-cell RNA-seq of a trial: cells, scores, and their associations with outcome."
    crate.license = LICENCE
    workflow = _workflow(crate, inputs, version)
    given = [_input(crate, entry) for entry in _distinct(inputs.checks.get("inputs", []))]
    for name, value in inputs.params.items():
        if value is not None and name not in OF_THE_MACHINE:
            given.append(_parameter(crate, workflow, name, value))
    properties = {
        "@type": "CreateAction",
        "name": f"Run of cartox {version}".strip(),
        # which may name folders, or an account
        "description": "Its command is in run/run.json.",
        "actionStatus": "http://schema.org/CompletedActionStatus",
    }
    action: Any = crate.add_action(workflow, identifier="#run", object=given, properties=properties)
    crate.root_dataset["mentions"] = [action]
    crate.root_dataset["conformsTo"] = [
        crate.add(ContextEntity(crate, url, {"@type": "CreativeWork", "name": name, "version": profile}))
        for url, (name, profile) in PROFILES.items()
    ]
    return crate.metadata.generate()


def _workflow(crate: ROCrate, inputs: Inputs, version: str) -> Any:
    from rocrate.model.contextentity import ContextEntity

    properties = {"name": "cartox", "version": version, "license": {"@id": "https://spdx.org/licenses/MIT"}}
    engine = str(inputs.run.get("nextflow", "")) or None
    workflow: Any = crate.add_workflow(
        dest_path=WORKFLOW, main=True, lang="nextflow", lang_version=engine, properties=properties
    )
    crate.add(
        ContextEntity(
            crate, "https://spdx.org/licenses/MIT", {"@type": "CreativeWork", "name": "MIT License"}
        )
    )
    workflow["softwareRequirements"] = [
        crate.add(ContextEntity(crate, _page(name, number), _software(name, number)))
        for name, number in inputs.versions
    ]
    return workflow


def _page(name: str, version: str) -> str:
    return "https://www.python.org/" if name == "python" else f"https://pypi.org/project/{name}/{version}/"


def _software(name: str, version: str) -> dict[str, Any]:
    url = _page(name, version)
    return {"@type": "SoftwareApplication", "name": name, "softwareVersion": version, "url": {"@id": url}}


def _distinct(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One entry for each content, with all names it was given by."""
    found: dict[str, dict[str, Any]] = {}
    for entry in entries:
        known = found.setdefault(entry["sha256"], entry | {"names": []})
        known["names"].append(_name(entry["file"]))
    return list(found.values())


def _name(path: str) -> str:
    """A path as the sheet has it, or its file's name alone where it tells of a machine."""
    told = value_shown(path)
    return PurePosixPath(path).name if told != path or "://" in path else path


def _input(crate: ROCrate, entry: dict[str, Any]) -> Any:
    """A file that was given. It is not in the crate, so what names it is its content (RFC 6920)."""
    digest = base64.urlsafe_b64encode(bytes.fromhex(entry["sha256"])).decode().rstrip("=")
    properties = {"name": entry["names"][0], "contentSize": str(entry["bytes"]), "sha256": entry["sha256"]}
    if more := entry["names"][1:]:
        properties["alternateName"] = more
    return crate.add_file(f"ni:///sha-256;{digest}", properties=properties)


def _parameter(crate: ROCrate, workflow: Any, name: str, value: Any) -> Any:
    from rocrate.model.contextentity import ContextEntity

    kind = next(word for of, word in KINDS if isinstance(value, of))
    formal: Any = crate.add_formal_parameter(name, kind, identifier=f"#param-{name}")
    workflow.append_to("input", formal)
    properties = {
        "@type": "PropertyValue",
        "name": name,
        "value": value_shown(value),
        "exampleOfWork": {"@id": formal.id},
    }
    return crate.add(ContextEntity(crate, f"#value-{name}", properties))
