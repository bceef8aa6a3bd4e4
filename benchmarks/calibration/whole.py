#!/usr/bin/env python3
"""Calibration of the whole pipeline: null trials from matrices to associations.csv, with the real engine.

Unlike in trials.py the pipeline itself filters cells, removes doublets, calls types and CAR+ cells, and
the trials have empty, damaged and doublet barcodes. Asks the questions of trials.py. Writes cohorts.csv and
summary.csv into --out. Needs `make setup`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import trials

simulate_cohort = trials.ROOT / "bin/simulate_cohort.py"


def run(folder: Path, seed: int, patients: int, cells: int) -> pd.DataFrame:
    """Draw one null trial, run the pipeline on it: `trials.judge` of its associations."""
    draw = ["--out", str(folder), "--seed", str(seed), "--patients", str(patients), "--cells", str(cells)]
    subprocess.run([sys.executable, str(simulate_cohort), *draw, "--null"], check=True)
    (folder / "contrasts.yml").write_text(json.dumps(trials.questions(), indent=1))  # YAML as well
    engine = [trials.ROOT / ".engine/nextflow", "run", trials.ROOT, "-profile", "venv", "-ansi-log", "false"]
    sheets = {"input": "samples", "clinical": "patients", "analytes": "serum", "contrasts": "contrasts"}
    for flag, name in sheets.items():
        engine += [f"--{flag}", folder / f"{name}.{'yml' if flag == 'contrasts' else 'csv'}"]
    engine += ["--car_features", trials.demo_trial.CAR, "--outdir", folder / "results"]
    subprocess.run([str(word) for word in engine], check=True, cwd=folder)
    truth = pd.read_csv(folder / "truth.csv", keep_default_na=False)
    return trials.judge(pd.read_csv(folder / "results/associations.csv", low_memory=False), truth)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nulls", type=int, default=5, help="null trials")
    parser.add_argument("--patients", type=int, default=12)
    parser.add_argument("--cells", type=int, default=400, help="barcodes of a sample")
    parser.add_argument("--first", type=int, default=501, help="first seed")
    parser.add_argument("--out", type=Path, default=Path("results/whole"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    tables = []
    for seed in range(args.first, args.first + args.nulls):
        started = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            made = run(Path(folder).resolve(), seed, args.patients, args.cells)
        tables.append(made.assign(null=1, seed=seed))
        pd.concat(tables).to_csv(args.out / "cohorts.csv", index=False)
        print(f"seed {seed}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    table = trials.summary(pd.concat(tables, ignore_index=True))
    table.to_csv(args.out / "summary.csv", index=False, float_format="%.4g")
    print(table.to_string(index=False, float_format="%.3f"))


if __name__ == "__main__":
    main()
