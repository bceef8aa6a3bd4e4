#!/usr/bin/env python3
"""How long ASSOCIATE takes, and how much memory, by patients and features: expression of two cell types.

Counts are negative binomial with a spread between patients, half of the patients have the outcome; a patient
gives one sample. Nothing is planted. Prints wall, CPU and peak memory of the script as a user's run calls it,
and keeps them in results/bench/associate/bench.json, a row for each size, for `publish.py associate`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
from machine import described
from measure import measure
from scipy import sparse

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "bin"))
from cartox.contrasts import Contrast

TYPES = ("CD14_Mono", "CD8_T")
BLOCK = 500


def counts(patients: int, genes: int, rng: np.random.Generator) -> sparse.csr_matrix:
    """Counts of one cell type, patients × genes, int32; some 2 million a patient."""
    level = rng.lognormal(3, 1.2, genes)
    blocks = []
    for start in range(0, patients, BLOCK):
        n = min(BLOCK, patients - start)
        mean = level * rng.lognormal(0, 0.3, (n, 1)) * rng.gamma(8, 1 / 8, (n, genes))
        blocks.append(sparse.csr_matrix(rng.poisson(mean).astype(np.int32)))
    return sparse.csr_matrix(sparse.vstack(blocks))


def write_inputs(folder: Path, patients: int, features: int, seed: int) -> list[str]:
    """Write what ASSOCIATE reads, and return its arguments."""
    rng = np.random.default_rng(seed)
    genes = np.array([f"GENE{i:05d}" for i in range(features // len(TYPES))])
    names = [f"P{i:05d}" for i in range(patients)]
    obs = [
        pd.DataFrame(
            {"sample": names, "patient": names, "timepoint": "D7", "cell_type": kind, "n_cells": 100}
        )
        for kind in TYPES
    ]
    rows = pd.concat(obs)
    rows.index = pd.Index(rows["sample"] + "." + rows["cell_type"])
    stacked = sparse.vstack([counts(patients, len(genes), rng) for _ in TYPES], format="csr")
    var = pd.DataFrame({"gene": genes, "excluded": False}, index=genes)
    anndata.AnnData(sparse.csr_matrix(stacked), obs=rows, var=var).write_h5ad(folder / "pseudobulk.h5ad")
    columns = {"patient": "patient", "timepoint": "timepoint", "sample": "sample", "cell_type": "cell_type"}
    made = rows[[*columns]].assign(feature="fraction", value=1 / len(TYPES), n_cells=100, kind="composition")
    made.to_parquet(folder / "features.parquet", index=False)
    scores = ["stratum", "sample", "cell_type", "collection", "feature", "value", "n_cells"]
    types = {"value": float, "n_cells": int}
    empty = pd.DataFrame({name: pd.Series(dtype=types.get(name, str)) for name in scores})
    empty.to_parquet(folder / "scores.parquet", index=False)
    sheet = pd.DataFrame({"sample": names, "patient": names, "timepoint": "D7", "batch": names})
    sheet.to_csv(folder / "samples.csv", index=False)
    outcome = np.array(["no", "yes"])[np.arange(patients) % 2]
    arm = np.array(["a", "b"])[np.arange(patients) // 2 % 2]
    clinical = pd.DataFrame({"patient": names, "toxicity": outcome, "arm": arm})
    clinical.to_csv(folder / "clinical.csv", index=False)
    head = ["patient", "timepoint", "analyte", "value", "unit", "censored"]
    pd.DataFrame(columns=head).to_csv(folder / "analytes.csv", index=False)
    Contrast("size", "~ toxicity + arm", "toxicity", where={"timepoint": ["D7"]}).write(folder)
    files = {"contrast": "size.json", "features": "features.parquet", "pathway_scores": "scores.parquet"}
    files |= {"pseudobulk": "pseudobulk.h5ad", "samples": "samples.csv", "clinical": "clinical.csv"}
    files["analytes"] = "analytes.csv"
    return [part for flag, name in files.items() for part in (f"--{flag}", str(folder / name))]


def keep(folder: Path, row: dict[str, float]) -> None:
    """Write a measurement beside those of other sizes; it takes the place of one of the same."""
    path = folder / "bench.json"
    size = (row["patients"], row["features"])
    rows = json.loads(path.read_text())["rows"] if path.exists() else []
    rows = [other for other in rows if (other["patients"], other["features"]) != size] + [row]
    rows.sort(key=lambda other: (other["patients"], other["features"]))
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"machine": described(folder), "rows": rows}, indent=1) + "\n")


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--patients", type=int, default=500)
    parser.add_argument("--features", type=int, default=5000, help="genes of two cell types")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--n_permutations", type=int, default=10_000)
    parser.add_argument("--place", type=Path, default=ROOT / "results/bench", help="a folder, for all sizes")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        flags = write_inputs(folder, args.patients, args.features, args.seed)
        command = [sys.executable, str(ROOT / "bin/associate.py"), *flags]
        command += ["--n_permutations", str(args.n_permutations)]
        account = measure(command, folder, None, None)
        if account.code:
            sys.exit(f"ASSOCIATE failed ({account.code})")
        tested = len(pd.read_csv(folder / "size.associations.csv", usecols=["p"]).dropna())
    keep(
        args.place / "associate",
        {
            "patients": args.patients,
            "features": args.features,
            "tested": tested,
            "wall": account.wall,
            "cpu": account.cpu,
            "process_peak": account.process_peak,
        },
    )
    print(
        f"{args.patients} patients x {tested} features tested: wall {account.wall:.1f} s, "
        f"CPU {account.cpu:.1f} s, peak {account.process_peak / 2**30:.2f} GiB"
    )


if __name__ == "__main__":
    main()
