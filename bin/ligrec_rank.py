#!/usr/bin/env python3
"""Rank ligand–receptor pairs of each time point and tissue with liana's consensus of five methods.

The familiar ranking, and the specificity of a pair for its cell types. It pools cells of all the stratum's
samples and says nothing about outcome: its p-values are of cell types within the pool. Writes
<stratum>.rank.csv, best magnitude first; only the header where fewer than two cell types have enough cells.
All strata are one task, because importing liana costs more than ranking a stratum.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from cartox import arguments, cli, files

HEADER = [
    "stratum",
    "source",
    "target",
    "ligand",
    "receptor",
    "magnitude_rank",
    "specificity_rank",
    "lr_means",
    "cellphone_pvals",
    "lr_logfc",
    "n_source",
    "n_target",
]


def main(argv: Sequence[str] | None = None) -> None:
    """Run the step."""
    parser = cli.parser(__doc__)
    parser.add_argument("--samples", required=True, type=Path, help="samples.csv of CHECK_INPUTS")
    parser.add_argument("--counts", required=True, nargs="+", type=Path, help="<sample>.h5 of QC")
    parser.add_argument("--labels", required=True, nargs="+", type=Path, help="<sample>.csv of ANNOTATE")
    parser.add_argument("--resource", required=True, type=Path, help="pairs: columns ligand, receptor")
    parser.add_argument(
        "--car_features", type=arguments.names, default="", help="comma list of transgenes, left out"
    )
    parser.add_argument("--max_cells", type=int, default=10_000, help="cells drawn, evenly over samples")
    parser.add_argument("--n_perms", type=int, default=100, help="permutations of cells in CellPhoneDB's p")
    parser.add_argument("--seed", type=arguments.seed, default=0)
    args = parser.parse_args(argv)

    from cartox.signals.ligrec import read_resource
    from cartox.signals.ligrec_rank import pool, rank
    from cartox.strata import by_time_and_tissue

    counts, labels = files.by_sample(args.counts, ".h5"), files.by_sample(args.labels, ".csv")
    pairs = read_resource(args.resource)
    sheet = files.read_sheet(args.samples)
    # a sample whose cells were all doublets has counts and no labels
    sheet = sheet[sheet["sample"].isin(counts.keys() & labels.keys())]
    for stratum, members in by_time_and_tissue(sheet).items():
        read = [(counts[sample], labels[sample]) for sample in members]
        cells = pool(read, args.max_cells, args.seed, args.car_features)
        rows = rank(cells, pairs, args.n_perms, args.seed) if cells is not None else []
        with Path(f"{stratum}.rank.csv").open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(HEADER)
            for row in rows:
                values = [row[name] for name in HEADER[1:]]
                writer.writerow([stratum, *(f"{v:.4g}" if isinstance(v, float) else v for v in values)])


if __name__ == "__main__":
    cli.run(main)
