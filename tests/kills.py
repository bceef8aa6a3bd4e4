"""Watching and killing runs: which tasks were begun and done, which processes are theirs."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path


def task_name(name: str) -> str:
    """A task as tests name it: without its stage of the flow, or the number of a step of one task."""
    return re.sub(r"^(\w+:)+", "", name).removesuffix(" (1)")


def processes_of(work: Path) -> list[int]:
    """The Python processes of tasks that run below a work folder."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            inside = (folder / "cwd").readlink().is_relative_to(work)
            python = "python" in (folder / "comm").read_text()
        except (OSError, ValueError):
            continue
        if folder.name.isdigit() and inside and python:
            found.append(int(folder.name))
    return found


def finished(log: Path, before: datetime) -> set[str]:
    """Tasks that the engine's log calls done, half a second before a moment at the latest."""
    done = set()
    pattern = re.compile(r"^(\w+-\d+ [\d:.]+).* Task completed > .*name: (.+?); status: COMPLETED; exit: 0;")
    for line in log.read_text().splitlines():
        if match := pattern.match(line):
            at = datetime.strptime(f"{before.year}-{match[1]}", "%Y-%b-%d %H:%M:%S.%f")
            if (before - at).total_seconds() > 0.5:
                done.add(task_name(match[2]))
    return done


def begun(output: Path) -> set[str]:
    """Names of the tasks that a run submitted or found done."""
    return _named(output, " process > ")


def submitted(output: Path) -> set[str]:
    """Names of the tasks that a run submitted for the first time."""
    return _named(output, "Submitted process > ")


def resubmitted(output: Path) -> set[str]:
    """Names of the tasks that a run tried once more after they were killed."""
    return _named(output, "Re-submitted process > ")


def _named(output: Path, words: str) -> set[str]:
    lines = [line for line in output.read_text().splitlines() if words in line]
    return {task_name(line.split(" > ")[1]) for line in lines}
