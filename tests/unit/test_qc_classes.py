"""QC by class: large monocytes and cycling cells among small T cells are kept, damaged ones are not."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

import qc
from cartox.cells import cell_classes
from cartox.matrices.matrix import CountMatrix, write_h5

N_GENES = 3000
GENES = np.array(
    [
        *(gene for genes in cell_classes.LINEAGES.values() for gene in genes),
        *cell_classes.CYCLING,
        "MT-CO1",
        *(f"GENE{i}" for i in range(N_GENES - 35)),
    ]
)
KINDS = {"lymphoid": 1200, "myeloid": 7000, "cycling": 9000, "damaged": 7000}
SHARE_MITO = {"lymphoid": 0.03, "myeloid": 0.10, "cycling": 0.03, "damaged": 0.19}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def planted(**numbers: int) -> tuple[CountMatrix, np.ndarray]:
    """So many cells of each kind, alike in depth within it, with a little soup of all; and their kinds."""
    rng = np.random.default_rng(4)
    kinds = np.repeat(list(numbers), list(numbers.values()))
    base = rng.gamma(0.5, 1, N_GENES) + 0.01
    soup = base / base.sum()
    rows = []
    for kind in map(str, kinds):
        own = base.copy()
        shown = {"damaged": "myeloid", "cycling": "lymphoid"}.get(kind, kind)
        own[:34] = 0
        own[np.isin(GENES, cell_classes.LINEAGES[shown])] = base.mean() * 8
        if kind == "cycling":
            own[np.isin(GENES, cell_classes.CYCLING)] = base.mean() * 4
        own[GENES == "MT-CO1"] = 0
        own = 0.98 * own / own.sum() + 0.02 * soup
        own *= 1 - SHARE_MITO[kind]
        own[GENES == "MT-CO1"] += SHARE_MITO[kind] * rng.lognormal(0, 0.08)
        rows.append(sparse.csr_matrix(rng.poisson(own * KINDS[kind] * rng.lognormal(0, 0.15))))
    counts = sparse.csr_matrix(sparse.vstack(rows), dtype=np.int32)
    barcodes = np.array([f"C{i}-1" for i in range(len(kinds))])
    return CountMatrix(counts, barcodes, GENES, GENES), kinds


def run(matrix: CountMatrix, *flags: str) -> tuple[dict, np.ndarray, np.ndarray]:
    """The account, and kept and reason of each barcode."""
    write_h5("given.h5", matrix)
    qc.main(["--sample", "S", "--matrix", "given.h5", "--nmads", "5", *flags])
    with gzip.open("S.cells.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    kept = np.array([row["kept"] == "1" for row in rows])
    return json.loads(Path("S.qc.json").read_text()), kept, np.array([row["reason"] for row in rows])


def test_large_monocytes_and_cycling_cells_are_kept_among_small_t_cells(monkeypatch):
    matrix, kinds = planted(lymphoid=900, myeloid=100, cycling=80, damaged=8)
    summary, kept, reason = run(matrix)
    for kind in ("lymphoid", "myeloid", "cycling"):
        assert kept[kinds == kind].mean() > 0.97, kind
    assert not kept[kinds == "damaged"].any()
    assert set(reason[kinds == "damaged"]) <= {"high mito"}
    assert set(summary["thresholds_by_class"]) == {"myeloid", "cycling"}
    for bounds in summary["thresholds_by_class"].values():
        assert bounds["n_counts"][0] >= 500 and bounds["n_genes"][0] >= 200 and bounds["pct_mito"][1] <= 20
        assert bounds["n_counts"][1] > summary["thresholds"]["n_counts"][1]
    monkeypatch.setattr(cell_classes, "bounds_by_class", lambda *_: {})
    _, kept, _ = run(matrix)
    assert kept[kinds == "myeloid"].mean() < 0.1 and kept[kinds == "cycling"].mean() < 0.1


def test_cells_of_one_class_are_judged_by_the_sample_alone():
    matrix, _ = planted(lymphoid=600)
    summary, kept, _ = run(matrix)
    assert summary["thresholds_by_class"] == {} and kept.mean() > 0.99


def test_few_cells_of_a_class_set_no_bounds_and_fixed_limits_know_no_class():
    matrix, kinds = planted(lymphoid=600, myeloid=20)
    summary, kept, _ = run(matrix)
    assert summary["thresholds_by_class"] == {} and kept[kinds == "myeloid"].mean() < 0.1
    summary, _, _ = run(matrix, "--qc_mode", "fixed")
    assert summary["thresholds_by_class"] == {}
