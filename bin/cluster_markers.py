#!/usr/bin/env python3
"""Genes that mark each cluster: how well each tells the cluster's cells from those of every other cluster.

Effect sizes only: cells of one patient are no replicates, so a p-value over cells would mean nothing. On at
most 500 cells of each cluster, drawn evenly over the samples. Writes cluster_markers.csv.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cartox import arguments, cli, files


def main(argv: Sequence[str] | None = None) -> None:
    """Run the step."""
    parser = cli.parser(__doc__)
    parser.add_argument("--counts", nargs="+", type=Path, required=True, help="<sample>.h5 of QC")
    parser.add_argument("--cells", type=Path, required=True, help="cells.parquet of MERGE")
    parser.add_argument("--genes", type=Path, required=True, help="genes.parquet of MERGE")
    parser.add_argument("--clusters", type=Path, required=True, help="clusters.parquet of CLUSTER")
    parser.add_argument("--seed", type=arguments.seed, default=0)
    args = parser.parse_args(argv)

    import pandas as pd
    from scipy import sparse

    from cartox.cells import cluster_markers, tables
    from cartox.matrices.matrix import lognormalise

    cells = tables.read_cells(args.cells)
    clusters = pd.read_parquet(args.clusters)
    tables.require_same_cells(cells, clusters, args.clusters.name)
    genes = pd.read_parquet(args.genes)["gene"].astype(str).to_numpy()
    cluster, sample = (column.astype(str).to_numpy() for column in (clusters["cluster"], cells["sample"]))
    rows = cluster_markers.drawn(cluster, sample, args.seed)
    cells = cells.iloc[rows].reset_index(drop=True)
    totals = cells["n_counts"].to_numpy()
    blocks = [
        lognormalise(matrix.counts, totals[own])
        for own, matrix in tables.walk(cells, files.by_sample(args.counts, ".h5"), genes)
    ]
    values = sparse.csr_matrix(sparse.vstack(blocks))
    table = cluster_markers.score(values, genes, cluster[rows], sample[rows])
    table.round(4).to_csv("cluster_markers.csv", index=False, lineterminator="\n")


if __name__ == "__main__":
    cli.run(main)
