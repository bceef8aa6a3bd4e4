#!/usr/bin/env python3
"""Make a cohort to measure speed and memory on: the demo's trial, larger and with 20,000 genes.

Cells are drawn from the demo's profiles (6,000 genes), beside which as many rarely seen genes stand as make
20,000: each cell then reads 6 to 8 % of them, as cells of blood do. A lane holds one sample. Samples are
written one after the other, so that memory does not grow with the cohort.

Writes samples.csv, patients.csv, serum.csv, contrasts.yml and matrices/<sample>.h5 into the folder given.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "bin"))

from cartox.demo.simulate import sample, write_sheets
from cartox.demo.trial import TIMEPOINTS, Profiles, load_profiles, stream, trial
from cartox.matrices.matrix import write_h5

# cells and samples of each size; a few empty droplets come beside, which QC takes out
SIZES = {"2k": (2_000, 8), "20k": (20_000, 16), "100k": (100_000, 32), "400k": (400_000, 64)}
SIZES["1M"] = (1_000_000, 100)
N_GENES = 20_000
RARE = 0.2  # share of a cell's counts that the genes beside the demo's hold
SEED = 1


def widened(profiles: Profiles, n_genes: int = N_GENES, seed: int = SEED) -> Profiles:
    """The demo's profiles with rarely seen genes beside: log-normal means, which differ between types."""
    n = n_genes - len(profiles.genes)
    rng = stream(seed, 97)
    level = rng.lognormal(0, 1.5, n)
    shape = (n, profiles.means.shape[1])
    means = level[:, None] * rng.gamma(4, 1 / 4, shape)
    means *= RARE / (1 - RARE) * 1e4 / means.sum(axis=0)
    names = [f"RARE{i + 1:05d}" for i in range(n)]
    ids = [f"ENSG9{i + 1:010d}" for i in range(n)]
    table = pd.concat(
        [profiles.means, pd.DataFrame(means, index=names, columns=profiles.means.columns)]
    ).rename_axis("gene")
    return Profiles(
        np.concatenate([profiles.genes, names]).astype(str),
        np.concatenate([profiles.gene_ids, ids]).astype(str),
        np.concatenate([profiles.dispersion, np.full(n, 0.3)]),
        table,
        profiles.effects,
    )


def write_one(
    place: tuple[int, int], out: Path, profiles: Profiles, patients: pd.DataFrame, cells: int
) -> tuple[int, int]:
    """Draw and write the matrix of one sample (patient and time point, by number); its cells and entries."""
    i, t = place
    matrix, _ = sample(profiles, patients, i, t, cells, SEED, False, True)
    write_h5(out / "matrices" / f"{patients['patient'][i]}_{TIMEPOINTS[t]}.h5", matrix)
    return matrix.counts.shape[0], int(matrix.counts.nnz)


def write_cohort(out: Path, cells: int, samples: int, jobs: int) -> dict[str, float]:
    """Write the cohort's folder; returns cells, samples, genes and the share of entries that are not zero."""
    (out / "matrices").mkdir(parents=True, exist_ok=True)
    profiles = widened(load_profiles(ROOT / "assets/demo"))
    patients = trial(-(-samples // len(TIMEPOINTS)), SEED)
    places = [divmod(number, len(TIMEPOINTS)) for number in range(samples)]
    each = cells // samples
    one = partial(write_one, out=out, profiles=profiles, patients=patients, cells=each)
    with ProcessPoolExecutor(jobs) as pool:
        drawn, entries = map(sum, zip(*pool.map(one, places), strict=True))
    names = [(str(patients["patient"][i]), TIMEPOINTS[t]) for i, t in places]
    rows = [(f"{p}_{t}", p, t, f"matrices/{p}_{t}.h5") for p, t in names]
    sheet = pd.DataFrame(rows, columns=["sample", "patient", "timepoint", "path"])
    write_sheets(out, sheet, patients, SEED, False)
    genes = len(profiles.genes)
    return {
        "cells": drawn,
        "samples": samples,
        "genes": genes,
        "density": entries / drawn / genes,
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Write one cohort."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", choices=SIZES, default="20k")
    parser.add_argument("--cells", type=int, help="other than the size's")
    parser.add_argument("--samples", type=int, help="other than the size's")
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args(argv)
    cells, samples = SIZES[args.size]
    made = write_cohort(args.out, args.cells or cells, args.samples or samples, args.jobs)
    print(
        f"{made['cells']:,} cells of {made['samples']} samples x {made['genes']:,} genes, "
        f"{made['density']:.1%} of entries not zero"
    )


if __name__ == "__main__":
    main()
