"""A small cohort for the steps over cells: three types, two samples in two batches, and one failed library.

`python tests/cell_steps.py` (with bin on the path) writes tests/data/cells, which the modules' tests read.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
from scipy import sparse

import cluster
import cohort
import doublets
import harmony
import layout
import merge
import qc
from cartox.matrices.matrix import CountMatrix, write_h5

N_GENES = 400
GENES = np.array(
    [f"GENE{i}" for i in range(N_GENES - 6)] + ["MT-CO1", "HBB", "XIST", "TRAV1-2", "CD3E", "CAR"]
)
TYPES = ("alpha", "beta", "gamma")
LIMITS = ["--min_counts", "100", "--min_genes", "50"]


def sample(seed: int, n: int = 120, depth: float = 2.0, lift: float = 1.0) -> tuple[CountMatrix, np.ndarray]:
    """Counts of n cells of three types (their truth beside), with a batch effect on every tenth gene."""
    base = np.random.default_rng(0).gamma(0.5, 1, N_GENES)
    types = np.tile(base, (3, 1))
    for i in range(3):
        types[i, i * 40 : (i + 1) * 40] *= 8
    types[:, ::10] *= lift
    types[:, -6:] = [2.0, 0.1, 1.0, 0.5, 1.0, 0.2]
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, n)
    mean = depth * types[truth] * rng.lognormal(0, 0.2, (n, 1))
    counts = sparse.csr_matrix(rng.poisson(mean).astype(np.int32))
    barcodes = np.array([f"{''.join(rng.choice(list('ACGT'), 12))}-{i}" for i in range(n)])
    ids = np.array([f"ENSG{i:011d}" for i in range(N_GENES)])
    return CountMatrix(counts, barcodes, GENES.copy(), ids), truth


def without(matrix: CountMatrix, *genes: str) -> CountMatrix:
    """The matrix without these genes."""
    keep = np.flatnonzero(~np.isin(matrix.genes, genes))
    return CountMatrix(matrix.counts[:, keep], matrix.barcodes, matrix.genes[keep], matrix.gene_ids[keep])


def write_reference(path: Path, left_out: str = "", seed: int = 7) -> None:
    """A labelled reference of the three types as `alpha`, `beta` and `gamma`, in a batch of its own."""
    import anndata
    import pandas as pd

    matrix, truth = sample(seed, n=150, depth=1.0, lift=0.4)
    label = np.array(TYPES)[truth]
    kept = label != left_out
    obs = pd.DataFrame({"cell_type": pd.Categorical(label[kept])}, index=pd.Index(matrix.barcodes[kept]))
    var = pd.DataFrame({"gene_ids": matrix.gene_ids}, index=pd.Index(matrix.genes))
    anndata.AnnData(matrix.counts[kept].astype(np.float32), obs, var).write_h5ad(path, compression="gzip")


def write_cohort(folder: Path) -> None:
    """Matrices A, B and the failed F, and the sheet, in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "given").mkdir(exist_ok=True)
    write_h5(folder / "given/A.h5", sample(1)[0])
    write_h5(folder / "given/B.h5", sample(2, lift=3)[0])
    write_h5(folder / "given/F.h5", sample(3, depth=0.004)[0])
    rows = [
        "sample,patient,timepoint,batch,tissue",
        "A,P1,D7,L1,blood",
        "B,P2,D7,L2,blood",
        "F,P2,D0,L2,marrow",
    ]
    (folder / "samples.csv").write_text("\n".join(rows) + "\n")


def run_qc(folder: Path) -> None:
    """QC and DOUBLETS of the cohort in the folder, which becomes the current one."""
    os.chdir(folder)
    for name in "ABF":
        qc.main(["--sample", name, "--matrix", f"given/{name}.h5", *LIMITS])
    doublets.main(["--group", "L1", "--counts", "A.h5"])
    doublets.main(["--group", "L2", "--counts", "B.h5"])


def merge_arguments(reverse: bool = False) -> list[str]:
    """MERGE's arguments in the current folder, its files in either order."""
    step = -1 if reverse else 1
    counts, tables = ["A.h5", "B.h5"][::step], [f"{s}.cells.csv.gz" for s in "ABF"][::step]
    scores = ["L1.doublets.csv.gz", "L2.doublets.csv.gz"][::step]
    files = ["--counts", *counts, "--cells", *tables, "--doublets", *scores, "--samples", "samples.csv"]
    return [*files, "--n_hvg", "150", "--n_pcs", "10", "--car_features", "CAR"]


def run_all(folder: Path) -> None:
    """Every step over cells but ANNOTATE, for which the type of each cluster is its number."""
    import pandas as pd

    write_cohort(folder)
    run_qc(folder)
    merge.main(merge_arguments())
    harmony.main(["--pca", "pca.npy", "--cells", "cells.parquet", "--samples", "samples.csv"])
    cluster.main(["--cells", "cells.parquet", "--harmony", "harmony.npy"])
    arrays = ["--pca", "pca.npy", "--harmony", "harmony.npy", "--neighbours", "neighbours.npz"]
    layout.main(["--cells", "cells.parquet", *arrays])
    labels = pd.read_parquet("clusters.parquet")[["sample", "barcode", "cluster"]]
    labels = labels.assign(
        cell_type="type" + labels["cluster"], lineage="T", cell_state="", cl_id="CL:0000084"
    )
    labels = labels.assign(confidence=np.float32(0.9), car=np.int8(0), car_umi=np.int32(0))
    labels.to_parquet("annotation.parquet", index=False)
    cohort.main(cohort_arguments())


def cohort_arguments() -> list[str]:
    """COHORT's arguments in the current folder."""
    tables = {name: name for name in ("cells", "genes", "layout", "annotation")}
    files = [text for flag, name in tables.items() for text in (f"--{flag}", f"{name}.parquet")]
    arrays = ["--pca", "pca.npy", "--harmony", "harmony.npy"]
    return ["--counts", "A.h5", "B.h5", *files, *arrays, "--samples", "samples.csv"]


if __name__ == "__main__":
    target = Path(__file__).parent / "data/cells"
    run_all(target)
    write_reference(target / "reference.h5ad")
    for unread in (target / "cohort.h5ad", target / "given/B.h5", *target.glob("*.json")):
        unread.unlink()
    sys.stdout.write(f"written: {', '.join(sorted(path.name for path in target.iterdir()))}\n")
