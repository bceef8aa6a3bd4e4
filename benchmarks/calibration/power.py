#!/usr/bin/env python3
"""Power of the declared family: 6 against 6 patients, a covariate, an effect in SD between patients.

Trials are tables from the generator of the tests, and go through ASSOCIATE. Prints how often a single
declared feature is called, how often at least one of four of different kinds is, and each of the four.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "bin"), str(ROOT / "tests")]

from tables import FOCUS, Cohort, write

import associate


def called(effect: float, n_declared: int, trials: int, first: int) -> pd.DataFrame:
    """Whether each declared feature (columns) is called in each trial (rows)."""
    rows = []
    for seed in range(first, first + trials):
        contrast = {"focus": FOCUS[:n_declared]}
        cohort = Cohort(planted=effect, seed=seed, n_genes=40, n_pairs=10, contrast=contrast)
        associate.main([*write(Path("trial"), cohort), "--n_calibration", "100"])
        table = pd.read_csv("tox.associations.csv")
        primary = table[table["family"] == "primary"]
        rows.append((primary.set_index("feature")["q"] <= 0.05).to_dict())
    return pd.DataFrame(rows)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--effect", type=float, default=1.5, help="SD between patients; 0: the level")
    parser.add_argument("--trials", type=int, default=150)
    parser.add_argument("--first", type=int, default=1000, help="first seed")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        single = called(args.effect, 1, args.trials, args.first)
        four = called(args.effect, 4, args.trials, args.first)
    print(f"one declared feature: called in {single.to_numpy().mean():.3f} of {args.trials} trials")
    print(f"four declared: at least one in {four.any(axis=1).mean():.3f}, each {four.to_numpy().mean():.3f}")


if __name__ == "__main__":
    main()
