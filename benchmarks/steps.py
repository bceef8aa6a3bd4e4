"""Seconds, CPU seconds and own peak memory of each step of a script, from the kernel's account of it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Steps:
    """The steps done so far; each is printed as it ends."""

    def __init__(self) -> None:
        self.done: list[dict[str, str | float]] = []

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        # sets the high-water mark back to what is resident now
        Path("/proc/self/clear_refs").write_text("5")
        started, cpu_before = time.perf_counter(), time.process_time()
        yield
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu_before
        status = Path("/proc/self/status").read_text()
        peak = int(status.split("VmHWM:")[1].split()[0]) * 1024
        self.done.append({"step": name, "seconds": round(seconds, 2), "cpu": round(cpu, 2), "peak": peak})
        print(f"{name:26}{seconds:9.1f} s{cpu:9.1f} s CPU{peak / 2**30:7.2f} GiB", flush=True)

    def write(self, path: Path) -> None:
        """All steps, as JSON."""
        path.write_text(json.dumps(self.done, indent=1) + "\n")
