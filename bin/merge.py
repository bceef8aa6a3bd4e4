#!/usr/bin/env python3
"""Join the samples: cells (doublets left out or flagged), shared genes, variable genes and components.

Genes are those that every sample has (CAR transgenes of any sample are kept, zero elsewhere). Counts are
normalised to 10,000 per cell, log1p, for the components alone; the matrix is not written again. Variable
genes are chosen by batch (Seurat v3), leaving out CAR transgenes, sex genes and V(D)J segments.

Writes cells.parquet (the order of cells for all later steps), genes.parquet, pca.npy and merge.json.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cartox import arguments, cli, embedding
from cartox import cells as cohort
from cartox.genes import out_of_bounds
from cartox.library import shared_barcodes
from cartox.matrix import lognormalise

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ["sample", "patient", "timepoint", "batch", "barcode"]
COLUMNS += ["n_counts", "n_genes", "pct_mito", "doublet_score", "predicted_doublet"]
# Below this share of the usual number of genes, one sample with another reference narrows the whole cohort.
FEW_SHARED = 0.8


def main(argv: Sequence[str] | None = None) -> None:
    """Choose cells and genes, embed, and write tables in the order that all later steps keep."""
    parser = cli.parser(__doc__)
    parser.add_argument("--counts", required=True, nargs="+", type=Path, help="<sample>.h5 of QC")
    parser.add_argument("--cells", required=True, nargs="+", type=Path, help="<sample>.cells.csv.gz of QC")
    parser.add_argument("--doublets", nargs="*", default=[], type=Path, help="<group>.doublets.csv.gz")
    parser.add_argument("--totals", nargs="*", default=[], type=Path, help="<sample>.totals.csv.gz")
    parser.add_argument(
        "--doublet_action", choices=["remove", "flag"], default="remove", help="what becomes of doublets"
    )
    parser.add_argument("--samples", required=True, type=Path, help="sample sheet (samples.csv)")
    parser.add_argument("--car_features", default="", help="CAR transgenes, comma-separated")
    parser.add_argument("--n_hvg", type=arguments.number(int, 50), default=2000)
    parser.add_argument("--n_pcs", type=arguments.number(int, 2), default=30)
    args = parser.parse_args(argv)

    cohort.one_thread()
    counts = cohort.by_sample(args.counts, ".h5")
    barcodes = cohort.read_tables(args.cells, ".cells.csv.gz")
    table, double = choose_cells(barcodes, args, list(counts))
    car = [name.strip() for name in args.car_features.split(",") if name.strip()]
    genes, ids, account = shared_genes(counts, car)
    excluded = out_of_bounds(genes, car)

    found = describe_genes(table, counts, genes, excluded, args.n_hvg)
    variable = np.flatnonzero(found["highly_variable"])
    n_pcs = min(args.n_pcs, len(table) - 1, len(variable) - 1)
    if n_pcs < 2:
        raise cli.InputError(
            f"{len(table)} cells and {len(variable)} variable genes are left after QC: too few to go on; "
            "look at the QC tables, and loosen --min_genes, --min_counts or --max_mito if that is right"
        )
    blocks = [
        lognormalise(matrix.counts[:, variable], table["n_counts"].to_numpy()[rows])
        for rows, matrix in cohort.walk(table, counts, genes)
    ]
    scores, share = embedding.principal_components(blocks, n_pcs)

    write_tables(table, genes, ids, found, excluded)
    np.save("pca.npy", scores, allow_pickle=False)
    account["warnings"] += shared_barcodes(barcodes)
    account.update(
        n_cells=len(table),
        cells_by_sample=dict(sorted(Counter(table["sample"]).items())),
        doublet_action=args.doublet_action,
        doublets_by_sample=double,
        n_genes=len(genes),
        n_hvg=len(variable),
        n_pcs=n_pcs,
        variance_share=[round(float(x), 5) for x in share],
    )
    Path("merge.json").write_text(json.dumps(account, indent=1, allow_nan=False) + "\n")


def choose_cells(barcodes: pd.DataFrame, args, samples: list[str]) -> tuple[pd.DataFrame, dict[str, int]]:
    """Cells kept by QC, those of predicted doublets only with --doublet_action flag; doublets by sample.

    Raises InputError where a sample is not in the sheet or a cell has no doublet score though tables were
    given.
    """
    import pandas as pd

    kept = (barcodes["kept"] == 1) & barcodes["sample"].isin(samples)
    table = barcodes[kept].drop(columns=["kept", "reason"])
    if args.totals:
        # counts without ambient RNA: a cell's depth is that of the counts it has now
        now = cohort.read_tables(args.totals, ".totals.csv.gz")
        table = table.drop(columns=["n_counts", "n_genes"])
        table = table.merge(now, on=cohort.KEY, how="left", validate="1:1")
        if missing := int(table["n_counts"].isna().sum()):
            raise cli.InputError(f"{missing} cells kept by QC are in no table of totals")
    table["doublet_score"] = np.nan
    table["predicted_doublet"] = 0
    found: dict[str, int] = {}
    if args.doublets:
        scores = cohort.read_tables(args.doublets, ".doublets.csv.gz")
        table = table.drop(columns=["doublet_score", "predicted_doublet"])
        table = table.merge(scores, on=cohort.KEY, how="left", validate="1:1")
        if missing := int(table["predicted_doublet"].isna().sum()):
            raise cli.InputError(f"{missing} cells kept by QC are in no table of doublets")
        double = table["predicted_doublet"] == 1
        found = {str(s): int(n) for s, n in double.groupby(table["sample"]).sum().items() if n}
        if args.doublet_action == "remove":
            table = table[~double]
    table["predicted_doublet"] = table["predicted_doublet"].astype(np.int8)
    sheet = pd.read_csv(args.samples, dtype=str, keep_default_na=False)
    if "batch" not in sheet:
        sheet["batch"] = sheet["sample"]
    if unknown := sorted(set(table["sample"]) - set(sheet["sample"])):
        raise cli.InputError([f"{sample}: this sample is not in {args.samples.name}" for sample in unknown])
    known = sheet[["sample", "patient", "timepoint", "batch"]]
    table = table.merge(known, on="sample", how="left", validate="m:1")
    # stable: within a sample the order of its matrix stays
    return table[COLUMNS].sort_values("sample", kind="stable", ignore_index=True), found


def shared_genes(counts: dict[str, Path], car: list[str]) -> tuple[np.ndarray, np.ndarray, dict]:
    """Symbols and ids of the cohort's genes, in the first sample's order, and the account."""
    ids: dict[str, str] = {}
    has: Counter[str] = Counter()
    sizes = []
    seen: Counter[bytes] = Counter()
    first: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}
    for path in counts.values():
        names, own = cohort.read_features(path)
        # samples counted with one reference have the same genes: looked at once
        key = names.tobytes()
        first.setdefault(key, (names, own))
        seen[key] += 1
        sizes.append(len(names))
    for key, (names, own) in first.items():
        for name, gene_id in zip(names, own, strict=True):
            ids.setdefault(name, gene_id)
            has[name] += seen[key]
    kept = [name for name in ids if has[name] == len(counts) or name in car]
    usual = float(np.median(sizes))
    account = {"n_genes_usual": int(usual), "warnings": []}
    if len(kept) < FEW_SHARED * usual:
        account["warnings"].append(
            f"only {len(kept)} genes are in every sample, of {usual:.0f} in the usual one: were all samples "
            "counted with the same reference?"
        )
    for name in car:
        if 0 < has[name] < len(counts):
            account["warnings"].append(
                f"{name} is in {has[name]} of {len(counts)} samples; in the others it counts as zero"
            )
    return np.array(kept), np.array([ids[name] for name in kept]), account


def describe_genes(
    table: pd.DataFrame, counts: dict[str, Path], genes: np.ndarray, excluded: np.ndarray, n_hvg: int
) -> dict[str, np.ndarray]:
    """Cells that express each gene, mean log-normalised value, and whether it is among the variable ones."""
    batch = embedding.pooled_batches(table["batch"].to_numpy())
    totals = table["n_counts"].to_numpy()
    n_batches = int(batch.max()) + 1 if len(batch) else 0
    values = embedding.GeneValues(n_batches, len(genes))
    n_cells, total = np.zeros(len(genes), dtype=np.int64), np.zeros(len(genes))
    for rows, matrix in cohort.walk(table, counts, genes):
        for number in np.unique(batch[rows]):
            values.add(number, matrix.counts[batch[rows] == number])
        n_cells += np.bincount(matrix.counts.indices, minlength=len(genes))
        total += np.asarray(lognormalise(matrix.counts, totals[rows]).sum(axis=0, dtype=np.float64)).ravel()
    mean, variance = values.mean_and_variance()
    expected = np.array(
        [embedding.expected_deviation(m, v) for m, v in zip(mean, variance, strict=True)]
    ).reshape(mean.shape)
    score = values.clipped_variance(mean, expected)
    score[:, excluded] = 0
    return {
        "n_cells": n_cells,
        "mean": (total / max(len(table), 1)).astype(np.float32),
        "highly_variable": embedding.most_variable(score, n_hvg),
    }


def write_tables(
    table: pd.DataFrame,
    genes: np.ndarray,
    ids: np.ndarray,
    found: dict[str, np.ndarray],
    excluded: np.ndarray,
) -> None:
    """Write cells.parquet and genes.parquet."""
    import pandas as pd

    table.to_parquet("cells.parquet", index=False)
    frame = pd.DataFrame({"gene": genes, "gene_id": ids, **found, "excluded": excluded})
    frame.to_parquet("genes.parquet", index=False)


if __name__ == "__main__":
    cli.run(main)
