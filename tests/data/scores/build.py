#!/usr/bin/env python3
"""Build the tiny inputs of the score steps' module tests: four samples of 60 cells × 80 genes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "bin"))

import ligrec  # noqa: E402
import pathways  # noqa: E402
import pseudobulk  # noqa: E402
from cartox.matrices.matrix import CountMatrix, write_h5  # noqa: E402

PAIRS = [("CXCL10", "CXCR3"), ("IFNG", "IFNGR1_IFNGR2")]
SETS = HERE.parents[2] / "assets" / "gene_sets" / "hallmark.gmt"


def main() -> None:
    """Write counts, labels and, by running the steps, what comes of them."""
    rng = np.random.default_rng(0)
    response = (
        SETS.read_text().split("HALLMARK_INTERFERON_GAMMA_RESPONSE", 2)[2].split("\n")[0].split("\t")[1:]
    )
    named = sorted({gene for pair in PAIRS for side in pair for gene in side.split("_")} | set(response[:20]))
    genes = np.array(named + [f"G{i}" for i in range(80 - len(named))])
    kinds = np.array(["CD14_Mono", "CD8_T"])
    rate = rng.gamma(1, 2, (2, len(genes)))
    samples = [f"P{p}_D7" for p in range(1, 5)]
    os.chdir(HERE)
    Path("labels").mkdir(exist_ok=True)
    for sample in samples:
        kind = rng.integers(0, 2, 60)
        barcodes = np.array([f"AAAC{i:02d}-1" for i in range(60)])
        counts = sparse.csr_matrix(rng.poisson(rate[kind]).astype(np.int32))
        write_h5(f"{sample}.h5", CountMatrix(counts, barcodes, genes, genes))
        lineage = np.array(["Myeloid", "T"])[kind]
        table = {
            "barcode": barcodes,
            "cell_type": kinds[kind],
            "lineage": lineage,
            "car": 0,
        }
        pd.DataFrame(table).to_csv(f"labels/{sample}.csv", index=False)
    pd.DataFrame(PAIRS, columns=["ligand", "receptor"]).to_csv("lr_resource.csv", index=False)
    people = {"sample": samples, "patient": [s[:2] for s in samples], "timepoint": "D7", "batch": samples}
    pd.DataFrame(people).to_csv("samples.csv", index=False)
    for sample in samples:
        given = ["--sample", sample, "--counts", f"{sample}.h5", "--labels", f"labels/{sample}.csv"]
        pseudobulk.main(given)
    means = [f"{sample}.expression.npz" for sample in samples]
    ligrec.main(["--expression", *means, "--resource", "lr_resource.csv"])
    bulk = [f"{sample}.pseudobulk.h5" for sample in samples]
    pathways.main(
        ["--pseudobulk", *bulk, "--samples", "samples.csv", "--gene_sets", "hallmark", "--min_cells", "10"]
    )
    for made in ("pseudobulk.h5ad", "pathways.json"):
        Path(made).unlink()


if __name__ == "__main__":
    main()
