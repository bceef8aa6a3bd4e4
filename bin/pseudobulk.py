#!/usr/bin/env python3
"""Sum one sample's raw counts by cell type and lineage, and count its cells by label.

T cells are summed by CAR call as well, where they have one.

Writes <sample>.pseudobulk.h5 (Cell Ranger's form; "barcodes" are cell types), <sample>.composition.csv and,
for LIGREC, <sample>.expression.npz (means of log-normalised counts, cells with a count, by type and gene).
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cartox import cli
from cartox.labels import CAR_NEGATIVE, CAR_POSITIVE, labelled_cells, read_labels
from cartox.matrices.matrix import read_h5
from cartox.signals import expression
from cartox.signals.pseudobulk import by_call, composition, pseudobulk, stacked, write_pseudobulk


def main(argv: Sequence[str] | None = None) -> None:
    """Run the step."""
    parser = cli.parser(__doc__)
    parser.add_argument("--sample", required=True)
    parser.add_argument("--counts", required=True, type=Path, help="<sample>.h5 of QC")
    parser.add_argument("--labels", required=True, type=Path, help="labels/<sample>.csv of ANNOTATE")
    args = parser.parse_args(argv)

    labels = read_labels(args.labels)
    matrix = labelled_cells(read_h5(args.counts), labels, str(args.labels))
    parts = {"": pseudobulk(matrix, labels)}
    if labels.car_call.any():
        parts |= {call: by_call(matrix, labels, call) for call in (CAR_POSITIVE, CAR_NEGATIVE)}
    write_pseudobulk(
        f"{args.sample}.pseudobulk.h5",
        stacked([sums for sums, _ in parts.values()]),
        np.concatenate([n_cells for _, n_cells in parts.values()]),
        [call for call, (_, n_cells) in parts.items() for _ in n_cells],
    )
    expression.of_types(matrix, labels).write(f"{args.sample}.expression.npz")
    with Path(f"{args.sample}.composition.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["sample", "cell_type", "lineage", "n_cells", "n_car", "level"])
        writer.writerows([args.sample, *row] for row in composition(labels))


if __name__ == "__main__":
    cli.run(main)
