"""Which part of the wall is not our computation: engine, staging, start, imports, compilation.

Each moment of the run is shared equally among the tasks that are then under way, from the engine's handing
a task out to its seeing the task's end; a moment with no task is the engine's alone. A task under way is
importing or compiling where its process says so (probe/sitecustomize.py), computing in the rest of its
process's life, and being staged, started or collected outside of that.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
from account import aligned

PROBED = {"PYTHONPATH": str(Path(__file__).resolve().parent / "probe")}
STATES = ("engine", "staging", "imports", "compiled", "computing")
Span = tuple[float, float]


def states(folder: Path, submit: float, complete: float) -> list[tuple[float, float, str]]:
    """A task's time in pieces: begin, end, state. Without a word of its process, all is staging."""
    told = [json.loads(path.read_text()) for path in sorted(folder.glob(".spans.*.json"))]
    if not told:
        return [(submit, complete, "staging")]
    spans: dict[str, list[Span]] = {
        name: [(a, b) for process in told for a, b in process[name]] for name in ("imports", "compiled")
    }
    spans["computing"] = [(process["began"], process["ended"]) for process in told]
    marks = {submit, complete, *(edge for own in spans.values() for span in own for edge in span)}
    edges = sorted(edge for edge in marks if submit <= edge <= complete)
    pieces = []
    for a, b in pairwise(edges):
        middle = (a + b) / 2
        state = next((name for name, own in spans.items() if _within(middle, own)), "staging")
        pieces.append((a, b, state))
    return pieces


def _within(moment: float, spans: Iterable[Span]) -> bool:
    return any(a <= moment < b for a, b in spans)


def shared(pieces: Sequence[tuple[float, float, str]], wall: float) -> dict[str, float]:
    """Seconds of the wall by state, each moment shared by the pieces that cover it."""
    events = sorted(
        [(a, 1, state) for a, _, state in pieces] + [(b, -1, state) for _, b, state in pieces],
        key=lambda event: event[0],
    )
    now: dict[str, int] = defaultdict(int)
    seconds = dict.fromkeys(STATES, 0.0)
    before = events[0][0] if events else 0.0
    for moment, change, state in events:
        under_way = sum(now.values())
        for name, n in now.items():
            if n:
                seconds[name] += (moment - before) * n / under_way
        now[state] += change
        before = moment
    seconds["engine"] = wall - sum(seconds.values())
    return seconds


def measured(tasks: pd.DataFrame, wall: float, cores: int) -> dict[str, Any]:
    """Share of each state: along the wall, and of the cores' seconds (the rest of which no task held).

    And the seconds of each state by process, summed over its tasks.
    """
    pieces, processes = [], {}
    for task in tasks.itertuples():
        own = states(Path(str(task.folder)), float(task.submit), float(task.complete))
        pieces += own
        sums = processes.setdefault(str(task.process), dict.fromkeys(STATES[1:], 0.0))
        for a, b, state in own:
            sums[state] += b - a
    along = {name: seconds / wall for name, seconds in shared(pieces, wall).items()}
    held = {name: sum(sums[name] for sums in processes.values()) / wall / cores for name in STATES[1:]}
    held["no task"] = 1 - sum(held.values())
    rounded = {
        name: {key: round(value, 4) for key, value in table.items()}
        for name, table in (("wall", along), ("cores", held))
    }
    seconds = [
        {"process": name, **{key: round(value, 2) for key, value in sums.items()}}
        for name, sums in processes.items()
    ]
    return {**rounded, "processes": seconds}


def outside(overheads: Mapping[str, Any]) -> float:
    """The share of the wall that is not our computation."""
    return 1 - overheads["wall"]["computing"]


def told(overheads: Mapping[str, Any]) -> str:
    """Seconds by process, the shares, and the one figure."""
    lines = [["seconds of", *STATES[1:]]]
    lines += [
        [row["process"], *(f"{row[name]:.1f}" for name in STATES[1:])] for row in overheads["processes"]
    ]
    text = [aligned(lines)]
    for name in ("wall", "cores"):
        parts = (f"{key} {value:.0%}" for key, value in overheads[name].items())
        text.append(f"of the {name}: " + ", ".join(parts))
    return "\n".join([*text, f"not our computation: {outside(overheads):.0%} of the wall"])
