#!/usr/bin/env python3
"""Score ligand–receptor pairs between the cell types of one sample.

Writes <sample>.ligrec.csv.gz: liana's lr_means of log-normalised counts, one row per source type, target type
and pair whose subunits are all seen in at least 10 % of their type's cells; types with at least 10 cells.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cartox import cli
from cartox.genes import out_of_bounds
from cartox.labels import UNNAMED, labelled_cells, read_labels
from cartox.ligrec import MIN_CELLS, lr_means, read_resource
from cartox.matrix import lognormalise, read_h5

HEADER = ["sample", "source", "target", "ligand", "receptor", "lr_means", "ligand_props", "receptor_props"]


def main(argv: Sequence[str] | None = None) -> None:
    """Run the step."""
    parser = cli.parser(__doc__)
    parser.add_argument("--sample", required=True)
    parser.add_argument("--counts", required=True, type=Path, help="<sample>.h5 of QC")
    parser.add_argument("--labels", required=True, type=Path, help="labels/<sample>.csv of ANNOTATE")
    parser.add_argument("--resource", required=True, type=Path, help="pairs: columns ligand, receptor")
    parser.add_argument("--car_features", default="", help="comma list of transgenes, left out")
    args = parser.parse_args(argv)

    labels = read_labels(args.labels)
    matrix = labelled_cells(read_h5(args.counts), labels, str(args.labels))
    names, sizes = np.unique(labels.cell_type, return_counts=True)
    types = [str(t) for t, n in zip(names, sizes, strict=True) if n >= MIN_CELLS and t not in UNNAMED]
    usable = ~out_of_bounds(matrix.genes, filter(None, args.car_features.split(",")))
    scores = lr_means(
        lognormalise(matrix.counts),
        matrix.genes,
        usable,
        labels.cell_type,
        types,
        read_resource(args.resource),
    )

    path = Path(f"{args.sample}.ligrec.csv.gz")
    # no name and no time in the gzip header: the same scores are the same bytes
    with path.open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed:
        text = io.TextIOWrapper(packed, newline="", encoding="utf-8")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(HEADER)
        for s, t, a, b, mean, p, q in zip(
            *(getattr(scores, name).tolist() for name in HEADER[1:]), strict=True
        ):
            writer.writerow([args.sample, s, t, a, b, f"{mean:.6g}", f"{p:.4g}", f"{q:.4g}"])
        text.flush()
        text.detach()


if __name__ == "__main__":
    cli.run(main)
