#!/usr/bin/env python3
"""Write docs/flow.md, the diagram of the flow, from Nextflow's own graph of it (no task runs).

Channels and operators are left out, and an arrow that others imply. Optional steps are all asked for.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import networkx as nx

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "flow.md"
HEAD = """# The flow

Each box is a step, a process of its own; each frame is a file of `subworkflows`. An arrow that others imply
is left out: `REPORT` has something of every step. What each step does: [methods.md](methods.md).

"""
FOOT = "\nDrawn by `scripts/flow_diagram.py` from Nextflow's own graph of the flow.\n"
TRIAL = ROOT / "tests/data/trial"
OPTIONAL = ["--ambient", "soupx", "--tensor_rank", "2", "--reference", str(TRIAL / "samples.csv")]


def drawn(engine: str) -> str:
    """The page. engine: the program nextflow."""
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder, "flow.mmd")
        command = [engine, "run", ROOT, "-profile", "test,venv", "-preview", "-with-dag", graph]
        subprocess.run([*command, *OPTIONAL], cwd=folder, check=True, stdout=subprocess.PIPE)
        return HEAD + diagram(graph.read_text()) + FOOT


def diagram(mermaid: str) -> str:
    """Nextflow's diagram with its processes alone, framed by subworkflow."""
    edges = re.findall(r"^ *(\w+) --> (\w+)$", mermaid, re.MULTILINE)
    whole = nx.DiGraph(edges)
    names: dict[str, str] = {}
    frames: dict[str, list[str]] = {}
    frame = ""
    for line in mermaid.splitlines():
        if match := re.match(r' *subgraph "(\S*)', line):
            frame = match[1].strip('" ')
        elif line.strip() == "end":
            frame = ""
        elif match := re.match(r' *(\w+)\(\["(\w+)"\]\)', line):
            names[match[1]] = match[2]
            frames.setdefault(frame, []).append(match[2])
    steps = nx.DiGraph()
    for node, name in names.items():
        steps.add_node(name)
        # on through channels and operators, up to the next step
        todo, seen = list(whole.successors(node)), set()
        while todo:
            found = todo.pop()
            if found in names:
                steps.add_edge(name, names[found])
            elif found not in seen:
                seen.add(found)
                todo += whole.successors(found)
    lines = ["```mermaid", "flowchart TB"]
    for frame, members in frames.items():
        inside = [f"    {'    ' if frame else ''}{name}" for name in members]
        lines += [f"    subgraph {frame}", *inside, "    end"] if frame else inside
    lines += [f"    {a} --> {b}" for a, b in sorted(nx.transitive_reduction(steps).edges)]
    return "\n".join([*lines, "```", ""])


if __name__ == "__main__":
    PAGE.write_text(drawn(sys.argv[1] if len(sys.argv) > 1 else str(ROOT / ".engine/nextflow")))
