"""Ambient RNA: planted contamination goes, its null twin and doubtful libraries keep their counts."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import ambient as step
from cartox.cells import ambient
from cartox.cells.quality import EmptyDroplets
from cartox.cells.quality import ambient as judged
from cartox.demo import simulate
from cartox.demo.trial import CAR, Profiles, load_profiles, stream
from cartox.matrices.matrix import CountMatrix, read_h5, write_h5
from cartox.report import inputs, libraries

ROOT = Path(__file__).resolve().parents[2]
CELLS = {"CD14_Mono": 150, "CD4_T.expanded": 150, "CD8_T.effector": 100, "NK": 80, "B": 80}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@cache
def profiles() -> Profiles:
    return load_profiles(ROOT / "assets/demo")


def library(
    level: float, kinds: dict[str, int] | None = None
) -> tuple[CountMatrix, CountMatrix, CountMatrix]:
    """The cells of a library with a share of ambient counts, the same without, and its unfiltered matrix."""
    kinds = kinds or CELLS
    rng, known = stream(7, round(100 * level)), profiles()
    means = np.array([known.means[kind].to_numpy(copy=True) for kind in kinds])
    means[:, known.genes == CAR] = [[6.0 if "expanded" in kind else 0.0] for kind in kinds]
    means /= means.sum(axis=1, keepdims=True)
    soup = np.array(list(kinds.values())) @ means / sum(kinds.values())
    little = np.full(len(soup), 1e-3)

    def drawn(share: np.ndarray, depth: np.ndarray, spread: np.ndarray) -> sparse.csr_matrix:
        return simulate._draw(rng, share, depth, spread)

    depth = [3000 * rng.lognormal(0, 0.3, n) for n in kinds.values()]
    own = sparse.vstack(
        [drawn(m, (1 - level) * d, known.dispersion) for m, d in zip(means, depth, strict=True)], format="csr"
    )
    mixed = own + drawn(soup, level * np.concatenate(depth), little) if level else own
    empty = drawn(soup, rng.uniform(10, 100, 3000), little)
    names = np.array([f"C{i}" for i in range(own.shape[0])])
    every = np.concatenate([names, [f"E{i}" for i in range(3000)]])
    raw = sparse.csr_matrix(sparse.vstack([mixed, empty]))
    return (
        CountMatrix(sparse.csr_matrix(mixed), names, known.genes, known.gene_ids),
        CountMatrix(sparse.csr_matrix(own), names, known.genes, known.gene_ids),
        CountMatrix(raw, every, known.genes, known.gene_ids),
    )


def droplets(raw: CountMatrix, cells: CountMatrix) -> EmptyDroplets:
    return judged(raw, cells)[1]


def run(cells: CountMatrix, *arguments: str) -> tuple[CountMatrix, dict]:
    Path("given").mkdir(exist_ok=True)
    write_h5("given/S.h5", cells)
    step.main(["--sample", "S", "--counts", "given/S.h5", *arguments])
    return read_h5("S.h5"), json.loads(Path("S.ambient.json").read_text())


def test_planted_ambient_rna_goes_and_whole_counts_stay():
    mixed, own, raw = library(0.1)
    droplets(raw, mixed).write("S.empty.npz")
    made, account = run(mixed, "--empty", "S.empty.npz")
    assert account["corrected"] and account["contamination"] == pytest.approx(0.1, abs=0.025)
    assert account["interval"][0] < 0.1 < account["interval"][1] and account["n_empty"] > 2500
    assert account["removed"] == pytest.approx(0.1, abs=0.03)
    assert made.counts.dtype.kind == "i" and made.counts.data.min() > 0
    assert (made.counts > mixed.counts).nnz == 0
    assert list(made.barcodes) == list(mixed.barcodes) and list(made.genes) == list(mixed.genes)
    monocytes, lymphocytes = slice(0, 150), slice(150, 480)
    for rows, genes in ((lymphocytes, ["LYZ", "S100A8", "S100A9"]), (monocytes, ["CD3D", "CD3E", CAR])):
        there, true, left = (m.counts[rows][:, m.columns(genes)].sum() for m in (mixed, own, made))
        assert there > 2 * true and left < true + 0.3 * (there - true)
    totals = pd.read_csv("S.totals.csv.gz")
    assert totals["barcode"].tolist() == list(made.barcodes)
    assert totals["n_counts"].tolist() == made.counts.sum(axis=1).A1.tolist()
    assert totals["n_genes"].tolist() == np.diff(made.counts.indptr).tolist()
    at_home = [m.counts[monocytes][:, m.columns(["LYZ", "S100A8"])].sum() for m in (own, made)]
    assert at_home[1] == pytest.approx(at_home[0], rel=0.05)


def test_a_library_without_ambient_rna_keeps_every_count():
    mixed, _, raw = library(0)
    made, account = ambient.corrected("S", mixed, droplets(raw, mixed), 0)
    assert made is mixed and "hardly any" in account["note"] and account["removed"] == 0


def test_cells_that_are_all_alike_keep_their_counts():
    mixed, _, raw = library(0.1, {"CD4_T.product": 250, "CD8_T.product": 250})
    made, account = ambient.corrected("S", mixed, droplets(raw, mixed), 0)
    assert made is mixed and not account["corrected"]
    assert "not sure" in account["note"] or "could not estimate" in account["note"]


def test_the_same_seed_gives_the_same_clusters():
    mixed, _, _ = library(0.1)
    groups = ambient.clusters(mixed.counts, 3)
    assert np.array_equal(groups, ambient.clusters(mixed.counts, 3)) and 5 <= groups.max() + 1 <= 12


@pytest.mark.parametrize(("cells", "empty", "said"), [(50, 3000, "50 cells"), (560, 20, "19 empty droplets")])
def test_too_few_cells_or_empty_droplets_keep_the_counts(cells, empty, said):
    mixed, _, raw = library(0.1)
    few = mixed.select(np.arange(cells))
    chosen = np.r_[np.arange(cells), np.arange(560, 560 + empty)]
    made, account = ambient.corrected("S", few, droplets(raw.select(chosen), few), 0)
    assert made is few and said in account["note"]


def test_genes_are_matched_by_name():
    mixed, _, raw = library(0.1)
    there = droplets(raw, mixed)
    other = EmptyDroplets(
        np.append(there.genes[::-1], "OTHER"), np.append(there.counts[::-1], 10**6), there.n
    )
    one, two = (ambient.corrected("S", mixed, empty, 0)[0] for empty in (there, other))
    assert (one.counts != two.counts).nnz == 0


@pytest.mark.parametrize(
    ("share", "high", "said"), [(0.012, 0.1, "hardly"), (0.4, 0.5, "sure"), (0.1, 0.8, "sure")]
)
def test_estimates_that_are_not_believed(share, high, said):
    assert said in ambient.doubted(share, high) and ambient.doubted(0.1, 0.3) == ""


def test_without_an_unfiltered_matrix_the_counts_stay():
    mixed, _, _ = library(0)
    made, account = run(mixed)
    assert (made.counts != mixed.counts).nnz == 0 and "raw_path" in account["note"]


def test_the_report_says_what_was_corrected_and_why_not(tmp_path):
    folder = ROOT / "tests/data/report"
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    done = ambient.untouched("A", "", 4000) | {
        "corrected": True,
        "contamination": 0.08,
        "interval": [0.03, 0.2],
    }
    for account in (done | {"removed": 0.079}, ambient.untouched("B", "no ambient RNA seen", 3000)):
        (tmp_path / f"{account['sample']}.ambient.json").write_text(json.dumps(account))
    (said,) = [s for s in libraries.sections(inputs.read(tmp_path)) if s.name == "Ambient RNA"]
    assert "1 of 2 samples" in said.data and "No ambient RNA seen." in said.data and "3–20" in said.data
