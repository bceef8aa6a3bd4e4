#!/usr/bin/env python3
"""Join the samples: cells (doublets left out or flagged), shared genes, variable genes and components.

Genes are those that every sample has (CAR transgenes of any sample are kept, zero elsewhere). Counts are
normalised to 10,000 per cell, log1p, for the components alone; the matrix is not written again. Variable
genes are chosen by batch (Seurat v3), leaving out CAR transgenes, sex genes and V(D)J segments.

Writes cells.parquet (the order of cells for all later steps), genes.parquet, pca.npy and merge.json.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import sparse

from cartox import arguments, cli, files
from cartox.cells import embedding, tables
from cartox.cells.library import shared_barcodes
from cartox.genes import out_of_bounds
from cartox.matrices.matrix import CountMatrix, lognormalise


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
    parser.add_argument(
        "--car_features", type=arguments.names, default="", help="CAR transgenes, comma-separated"
    )
    parser.add_argument("--n_hvg", type=arguments.number(int, 50), default=2000)
    parser.add_argument("--n_pcs", type=arguments.number(int, 2), default=30)
    args = parser.parse_args(argv)

    import pandas as pd

    from cartox.cells import merging

    tables.one_thread()
    counts = files.by_sample(args.counts, ".h5")
    barcodes = tables.read_tables(args.cells, ".cells.csv.gz")
    table, double = merging.choose_cells(
        barcodes,
        files.read_sheet(args.samples),
        list(counts),
        tables.read_tables(args.totals, ".totals.csv.gz") if args.totals else None,
        tables.read_tables(args.doublets, ".doublets.csv.gz") if args.doublets else None,
        args.doublet_action == "remove",
    )
    genes, ids, account = merging.shared_genes(counts, args.car_features)
    excluded = out_of_bounds(genes, args.car_features)

    found = merging.describe_genes(table, counts, genes, excluded, args.n_hvg)
    variable = np.flatnonzero(found["highly_variable"])
    n_pcs = min(args.n_pcs, len(table) - 1, len(variable) - 1)
    if n_pcs < 2:
        raise cli.InputError(
            f"{len(table)} cells and {len(variable)} variable genes are left after QC: too few to go on; "
            "look at the QC tables, and loosen --min_genes, --min_counts or --max_mito if that is right"
        )
    totals = table["n_counts"].to_numpy()

    def normalised(rows: slice, matrix: CountMatrix) -> sparse.csr_matrix:
        return lognormalise(matrix.counts[:, variable], totals[rows])

    blocks = list(tables.each_sample(table, counts, genes, normalised))
    scores, share = embedding.principal_components(blocks, n_pcs)

    table.to_parquet("cells.parquet", index=False)
    described = pd.DataFrame({"gene": genes, "gene_id": ids, **found, "excluded": excluded})
    described.to_parquet("genes.parquet", index=False)
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
    files.write_json("merge.json", account)


if __name__ == "__main__":
    cli.run(main)
