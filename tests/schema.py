"""The pipeline's parameters, as nextflow_schema.json has them."""

from __future__ import annotations

import json
from pathlib import Path

FILE = Path(__file__).resolve().parents[1] / "nextflow_schema.json"


def parameters() -> dict[str, dict]:
    """Every parameter with its rules, in the schema's order."""
    groups = json.loads(FILE.read_text())["$defs"].values()
    return {name: rule for group in groups for name, rule in group["properties"].items()}
