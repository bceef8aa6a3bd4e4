#!/usr/bin/env python3
"""Take ambient RNA out of one sample's counts, by SoupX (Young & Behjati 2020) from its empty droplets.

The cells are those that QC kept; the profile of ambient RNA is the sum of the empty droplets. A sample whose
sheet names no unfiltered matrix, or whose contamination cannot be estimated or is too uncertain, keeps its
counts, and the account says why.

Writes SAMPLE.h5 (whole counts, same cells and genes), SAMPLE.totals.csv.gz (counts and genes of each cell, as
they are now) and SAMPLE.ambient.json.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cartox import arguments, cli, files
from cartox.cells import ambient, tables
from cartox.cells.quality import read_empty
from cartox.matrices.matrix import read_h5, write_h5


def main(argv: Sequence[str] | None = None) -> None:
    """Read cells and droplets, correct, write."""
    parser = cli.parser(__doc__)
    parser.add_argument("--sample", required=True)
    parser.add_argument("--counts", required=True, type=Path, help="<sample>.h5 of QC")
    parser.add_argument("--empty", type=Path, help="<sample>.empty.npz of QC, where there is one")
    parser.add_argument("--ambient", choices=["soupx"], default="soupx", help="method")
    parser.add_argument("--seed", type=arguments.seed, default=0)
    args = parser.parse_args(argv)

    tables.one_thread()
    matrix = read_h5(args.counts)
    if args.empty is None:
        account = ambient.untouched(args.sample, "no unfiltered matrix (raw_path)")
    else:
        matrix, account = ambient.corrected(args.sample, matrix, read_empty(args.empty), args.seed)
    write_h5(f"{args.sample}.h5", matrix)
    n_counts = np.asarray(matrix.counts.sum(axis=1)).ravel()
    totals = n_counts.tolist(), np.diff(matrix.counts.indptr).tolist()
    rows = zip([args.sample] * len(n_counts), matrix.barcodes, *totals, strict=True)
    files.write_csv_gz(f"{args.sample}.totals.csv.gz", (*tables.KEY, "n_counts", "n_genes"), rows)
    files.write_json(f"{args.sample}.ambient.json", account)


if __name__ == "__main__":
    cli.run(main)
