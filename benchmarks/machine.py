"""The machine and the software of a measurement, and how fast the machine is at what bounds the pipeline."""

from __future__ import annotations

import os
import platform
import subprocess
import tempfile
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import psutil

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = [
    "numpy",
    "scipy",
    "scanpy",
    "anndata",
    "scrublet",
    "harmonypy",
    "decoupler",
    "liana",
    "umap-learn",
    "scranpy",
    "pynndescent",
    "numba",
]


def commit() -> str:
    """The code measured, with + where it was changed since."""
    git = ["git", "-C", str(ROOT)]
    head = subprocess.run(
        [*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True
    ).stdout.strip()
    changed = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True).stdout
    return head + "+" * bool(changed)


def speed(folder: Path, megabytes: int = 512) -> dict[str, float]:
    """Billions of operations a second of a matrix product by all cores, and MB a second to a file and back.

    The file is read from the page cache, as the pipeline reads most of what it has just written.
    """
    square = np.random.default_rng(0).random((2000, 2000), dtype=np.float32)
    square @ square
    start = time.perf_counter()
    for _ in range(5):
        square @ square
    gflops = 5 * 2 * 2000**3 / (time.perf_counter() - start) / 1e9
    block = os.urandom(1 << 20)
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        start = time.perf_counter()
        for _ in range(megabytes):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
        written = megabytes / (time.perf_counter() - start)
        file.seek(0)
        start = time.perf_counter()
        while file.read(1 << 20):
            pass
        read = megabytes / (time.perf_counter() - start)
    return {"gflops": round(gflops, 1), "written_mb_s": round(written), "read_mb_s": round(read)}


def described(folder: Path) -> dict[str, Any]:
    """Processor, cores, memory, load before the measurement, date, commit, versions and speed."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": names[0] if names else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory": psutil.virtual_memory().total,
        "load": round(os.getloadavg()[0], 2),
        "date": date.today().isoformat(),
        "commit": commit(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        **speed(folder),
    }
