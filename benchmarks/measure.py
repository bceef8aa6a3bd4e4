"""Run a command and account for it and all its descendants, as the operating system sees them.

CPU seconds are the kernel's sum over all processes that ended (rusage). Memory is looked at several times a
second: of the whole tree as the sum of resident memory, in which pages that processes share count once for
each; of each process as its own high-water mark, which the kernel keeps, so that a peak between two looks is
not missed unless the process ends before the next look.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil

INTERVAL = 0.2


@dataclass
class Account:
    """Seconds and bytes of a command with its descendants."""

    code: int = 0
    wall: float = 0
    cpu: float = 0
    tree_peak: int = 0
    process_peak: int = 0
    # peak of the largest process that worked in a folder: a task of the pipeline has a folder of its own
    folders: dict[str, int] = field(default_factory=dict)


def _look(root: psutil.Process, account: Account) -> None:
    """Add what is resident now."""
    resident = 0
    for process in [root, *root.children(recursive=True)]:
        # it may have ended since it was listed
        with suppress(OSError):
            proc = Path("/proc") / str(process.pid)
            folder = str((proc / "cwd").readlink())
            lines = (line.split() for line in (proc / "status").read_text().splitlines())
            sizes = {words[0]: int(words[1]) * 1024 for words in lines if words[0] in ("VmHWM:", "VmRSS:")}
            resident += sizes.get("VmRSS:", 0)
            account.folders[folder] = max(account.folders.get(folder, 0), sizes.get("VmHWM:", 0))
    account.tree_peak = max(account.tree_peak, resident)


def measure(
    command: Sequence[str | Path],
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    output: IO[str] | None = None,
) -> Account:
    """Run to the end; `env` is added to this process's, `output` takes what the command prints."""
    account, ended = Account(), threading.Event()
    started = time.perf_counter()
    child = subprocess.Popen(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdout=output,
        stderr=subprocess.STDOUT if output else None,
    )

    def watch() -> None:
        root = psutil.Process(child.pid)
        while not ended.wait(INTERVAL):
            with suppress(psutil.NoSuchProcess):
                _look(root, account)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        _, status, usage = os.wait4(child.pid, 0)
    finally:
        ended.set()
        watcher.join()
    account.wall = time.perf_counter() - started
    account.code = child.returncode = os.waitstatus_to_exitcode(status)
    account.cpu = usage.ru_utime + usage.ru_stime
    # a process that sets its high-water mark back (steps.py) is seen only by looking
    account.process_peak = max(account.folders.values(), default=0)
    return account
