#!/usr/bin/env python3
"""Score ligand–receptor pairs between the cell types of each sample.

Writes <sample>.ligrec.csv.gz: liana's lr_means of log-normalised counts, one row per source type, target type
and pair whose subunits are all seen in at least 10 % of their type's cells; types with at least 10 cells.
All samples are one task, because each takes less time than a task needs to start.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cartox import arguments, cli, files
from cartox.genes import out_of_bounds
from cartox.signals.expression import read_expression
from cartox.signals.ligrec import lr_means, read_resource

HEADER = ["sample", "source", "target", "ligand", "receptor", "lr_means", "ligand_props", "receptor_props"]


def main(argv: Sequence[str] | None = None) -> None:
    """Run the step."""
    parser = cli.parser(__doc__)
    parser.add_argument("--expression", required=True, nargs="+", type=Path, help="<sample>.expression.npz")
    parser.add_argument("--resource", required=True, type=Path, help="pairs: columns ligand, receptor")
    parser.add_argument(
        "--car_features", type=arguments.names, default="", help="comma list of transgenes, left out"
    )
    args = parser.parse_args(argv)

    pairs = read_resource(args.resource)
    for sample, path in files.by_sample(args.expression, ".expression.npz").items():
        expression = read_expression(path)
        usable = ~out_of_bounds(expression.genes, args.car_features)
        scores = lr_means(expression, usable, pairs)
        columns = [getattr(scores, name).tolist() for name in HEADER[1:]]
        rows = (
            [sample, *names, f"{mean:.6g}", f"{p:.4g}", f"{q:.4g}"]
            for *names, mean, p, q in zip(*columns, strict=True)
        )
        files.write_csv_gz(f"{sample}.ligrec.csv.gz", HEADER, rows)


if __name__ == "__main__":
    cli.run(main)
