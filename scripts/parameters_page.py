#!/usr/bin/env python3
"""Write docs/parameters.md, all parameters as tables, from nextflow_schema.json. Needs Python alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "parameters.md"
HEAD = """# Parameters

On the command line with two dashes and underscores (`--min_genes 300`), or all together in a file
(`-params-file my.yml`; that of a finished run is `run/params.json`). [usage.md](usage.md) says which you may
need. `--help_full` prints the same.
"""
FOOT = "\nWritten by `scripts/parameters_page.py` from `nextflow_schema.json`.\n"
KINDS = {"integer": "whole number", "number": "number", "boolean": "true or false"}


def values(rule: dict[str, Any]) -> str:
    """What a parameter may be, in words."""
    if "enum" in rule:
        return ", ".join(f"`{choice}`" for choice in rule["enum"])
    kind = "path" if "path" in rule.get("format", "") else KINDS.get(str(rule["type"]), "text")
    bounds = (("minimum", "at least"), ("maximum", "at most"))
    return ", ".join([kind, *(f"{words} {rule[key]}" for key, words in bounds if key in rule)])


def page(schema: dict[str, Any]) -> str:
    """The whole page; parameters that `--help` leaves out come with the others."""
    parts = [HEAD]
    for group in schema["$defs"].values():
        parts.append(f"## {group['title']}\n\n{group['description']}\n")
        parts.append("| parameter | values | default | |\n|---|---|---|---|")
        for name, rule in group["properties"].items():
            default = "" if "default" not in rule else f"`{json.dumps(rule['default']).strip(chr(34))}`"
            text = ". ".join(rule[key].rstrip(".") for key in ("description", "help_text") if key in rule)
            parts.append(f"| `--{name}` | {values(rule)} | {default} | {text} |")
    return "\n".join(parts) + "\n" + FOOT


if __name__ == "__main__":
    PAGE.write_text(page(json.loads((ROOT / "nextflow_schema.json").read_text())))
