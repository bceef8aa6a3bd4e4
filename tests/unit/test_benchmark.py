"""The benchmark measures what it says, its cohorts are realistic, and no gathered step densifies."""

from __future__ import annotations

import sys
from pathlib import Path

import make_cohort
import pandas as pd
import pytest
from measure import measure

from cartox.matrices.matrix import read_h5

ROOT = Path(__file__).resolve().parents[2]
MIB = 2**20
CELLS, SAMPLES = 6000, 3
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cohort")
    made = make_cohort.write_cohort(folder, CELLS, SAMPLES, 1)
    assert 0.05 <= made["density"] <= 0.08
    return folder


def run(folder: Path, script: str, *args: object) -> int:
    """Run a step as its task would; its peak memory in bytes."""
    command = [sys.executable, str(ROOT / "bin" / script), *map(str, args)]
    log = folder / "log"
    with log.open("w") as output:
        account = measure(command, folder, ONE_THREAD, output)
    assert account.code == 0, log.read_text()
    return account.process_peak


def test_memory_and_cpu_of_a_child_of_a_child_are_seen(tmp_path: Path):
    held = "import time; x = bytearray(300 * 2**20)\n"
    held += "while time.process_time() < 1: pass"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {held!r}])"
    account = measure([sys.executable, "-c", outer], tmp_path)
    assert 300 * MIB < account.process_peak < 400 * MIB
    assert account.tree_peak > account.process_peak * 0.9
    assert 1 <= account.cpu < 3 and account.wall >= 1
    assert measure([sys.executable, "-c", "exit(3)"], tmp_path).code == 3


def test_a_cohort_is_the_same_each_time(cohort: Path, tmp_path: Path):
    make_cohort.write_cohort(tmp_path, CELLS, SAMPLES, 2)
    names = sorted(path.name for path in (cohort / "matrices").iterdir())
    assert len(names) == SAMPLES
    for name in names:
        first, second = (read_h5(folder / "matrices" / name) for folder in (cohort, tmp_path))
        assert (first.counts != second.counts).nnz == 0 and len(first.genes) == make_cohort.N_GENES


def test_gathered_steps_stay_far_below_a_dense_matrix(cohort: Path, tmp_path: Path):
    sheet = pd.read_csv(cohort / "samples.csv").assign(batch=lambda table: table["sample"])
    sheet.to_csv(tmp_path / "samples.csv", index=False)
    for row in sheet.itertuples():
        run(tmp_path, "qc.py", "--sample", row.sample, "--matrix", cohort / str(row.path))
    counts = sorted(tmp_path.glob("*.h5"))
    tables = sorted(tmp_path.glob("*.cells.csv.gz"))
    cells = ["--cells", "cells.parquet"]
    merged = run(tmp_path, "merge.py", "--counts", *counts, "--cells", *tables, "--samples", "samples.csv")
    n = len(pd.read_parquet(tmp_path / "cells.parquet"))
    assert n > 0.8 * CELLS
    arrays = ["--pca", "pca.npy", "--harmony", "pca.npy"]
    run(tmp_path, "cluster.py", *cells, *arrays[2:])
    run(tmp_path, "layout.py", *cells, *arrays, "--neighbours", "neighbours.npz")
    markers = ["--markers", ROOT / "assets/markers/blood_cart.tsv"]
    known = ["--clusters", "clusters.parquet", "--neighbours", "neighbours.npz", *arrays[2:], *markers]
    named = run(tmp_path, "annotate.py", "--counts", *counts, *cells, *known)
    files = ["--genes", "genes.parquet", "--layout", "layout.parquet", "--annotation", "annotation.parquet"]
    sheet = ["--samples", "samples.csv"]
    written = run(tmp_path, "cohort.py", "--counts", *counts, *cells, *files, *arrays, *sheet)
    dense = n * make_cohort.N_GENES * 4
    libraries = 250 * MIB
    assert max(merged, named, written) < libraries + dense / 2
