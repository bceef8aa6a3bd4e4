"""Cells of known types, planted through the shipped marker table, in the files that ANNOTATE reads.

Run as a script it writes the small cohort of the module's own test to tests/data/annotate.
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "bin"))

import annotate  # noqa: E402
from cartox.cells import neighbours  # noqa: E402
from cartox.cells.markers import marker_genes, read_markers  # noqa: E402
from cartox.matrices.matrix import CountMatrix, write_h5  # noqa: E402

TABLE = ROOT / "assets/markers/blood_cart.tsv"
CAR = "FMC63-CD19SCFV"
MIX = {"CD4_T": 60, "CD8_T": 50, "NK": 30, "B": 30, "CD14_Mono": 50, "CD16_Mono": 25}


def write(
    folder: Path,
    samples: dict[str, dict[str, int]],
    car: dict[str, float] | None = None,
    ambient: dict[str, float] | None = None,
    batch: dict[str, str] | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Write a cohort; returns its cells with the planted `truth`.

    samples: number of cells by type for each sample; type `noise` has no marker of any, and
    `B+CD8_T` those of both. car: mean CAR UMIs of
    a sample's T cells; ambient: of all its cells. batch: a sample's batch, by default itself.
    """
    folder.mkdir(parents=True, exist_ok=True)
    markers = {m.cell_type: m for m in read_markers(TABLE)}
    genes = [*marker_genes(list(markers.values())), *[f"HK{i}" for i in range(100)], CAR]
    column = {gene: i for i, gene in enumerate(genes)}
    design = np.random.default_rng(1)
    housekeeping = design.gamma(2.0, 6.0, 100)
    centre = {name: design.normal(0, 4, 10) for name in [*markers, "noise"]}
    rng = np.random.default_rng(seed)
    cells, harmony = [], []
    for sample in sorted(samples):
        truth = np.repeat(list(samples[sample]), list(samples[sample].values()))
        mean = np.full((len(truth), len(genes)), 0.02)
        mean[:, len(genes) - 101 : -1] = housekeeping
        mean[:, -1] = (ambient or {}).get(sample, 0.0)
        for i, name in enumerate(truth):
            parts = [markers[part] for part in name.split("+") if part in markers]
            for marker in parts:
                lineage = markers[marker.lineage]
                against = set(lineage.negative) | set(marker.negative)
                for gene in (set(lineage.positive) | set(marker.positive)) - against:
                    mean[i, column[gene]] = 1.2
                if marker.lineage == "T":
                    mean[i, -1] += (car or {}).get(sample, 0.0)
        counts = rng.poisson(mean * rng.lognormal(0, 0.3, (len(truth), 1))).astype(np.int32)
        barcodes = np.array([f"AAAC{i:06d}-1" for i in range(len(truth))])
        ids = np.array([f"ENSG{i:011d}" for i in range(len(genes))])
        write_h5(
            folder / f"{sample}.h5", CountMatrix(sparse.csr_matrix(counts), barcodes, np.array(genes), ids)
        )
        middle = [np.mean([centre[part] for part in name.split("+")], axis=0) for name in truth]
        place = np.array(middle) + rng.normal(0, 1.5, (len(truth), 10))
        harmony.append(place)
        table = pd.DataFrame(
            {"sample": sample, "patient": f"P-{sample}", "timepoint": "D7"}, index=range(len(truth))
        )
        table["batch"] = (batch or {}).get(sample, sample)
        table = table.assign(barcode=barcodes, n_counts=counts.sum(1), n_genes=(counts > 0).sum(1))
        cells.append(table.assign(pct_mito=0.0, doublet_score=0.0, truth=truth))
    frame = pd.concat(cells, ignore_index=True)
    frame.drop(columns="truth").to_parquet(folder / "cells.parquet", index=False)
    space = np.vstack(harmony).astype(np.float32)
    np.save(folder / "harmony.npy", space)
    neighbours.write_neighbours(folder / "neighbours.npz", *neighbours.nearest(space, 15, 0))
    clusters = frame[["sample", "barcode"]].assign(cluster=pd.factorize(frame["truth"])[0].astype(str))
    clusters.to_parquet(folder / "clusters.parquet", index=False)
    return frame


def blood(folder: Path) -> pd.DataFrame:
    """Two samples of one lane, CAR T cells in the first, noise in the second; their cells with the truth."""
    samples = {"S1": MIX, "S2": MIX | {"noise": 20}}
    return write(folder, samples, car={"S1": 2.0}, batch={"S1": "L", "S2": "L"})


def flags(folder: Path, *more: str, reverse: bool = False) -> list[str]:
    """What ANNOTATE is given of a planted cohort."""
    counts = sorted(map(str, folder.glob("*.h5")), reverse=reverse)
    files = {"cells": "cells.parquet", "clusters": "clusters.parquet", "harmony": "harmony.npy"}
    files["neighbours"] = "neighbours.npz"
    tables = [part for flag, name in files.items() for part in (f"--{flag}", str(folder / name))]
    return ["--counts", *counts, *tables, "--markers", str(TABLE), *more]


def run(folder: Path, out: Path, *more: str, reverse: bool = False) -> tuple[pd.DataFrame, dict]:
    """Annotate a planted cohort in `out`; the annotation and the account."""
    out.mkdir(parents=True, exist_ok=True)
    with contextlib.chdir(out):
        annotate.main(flags(folder, *more, reverse=reverse))
    return pd.read_parquet(out / "annotation.parquet"), json.loads((out / "annotate.json").read_text())


if __name__ == "__main__":
    small = {name: n // 2 for name, n in MIX.items()}
    write(ROOT / "tests/data/annotate", {"one": small, "two": small}, car={"one": 1.0})
