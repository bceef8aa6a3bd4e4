#!/usr/bin/env python3
"""Quality control of one sample: which barcodes are cells fit for use, and why the others are not.

Metrics per barcode are UMI counts, genes detected, and the shares of mitochondrial, haemoglobin and platelet
counts (no barcode is removed for the last).
Hard limits come first (--min_counts, --min_genes, --max_mito). In `adaptive` mode each sample then sets its
own bounds within them: median plus or minus --nmads median absolute deviations of log counts, log genes and
mitochondrial share. A coarse class of cells (lymphoid, B, myeloid, cycling) that these would erase in part
gets wider bounds from its own deviations, still within the hard limits.

Writes SAMPLE.h5 (cells kept, all genes), SAMPLE.cells.csv.gz (every barcode), SAMPLE.qc.json and, with --raw,
SAMPLE.empty.npz (sum of the empty droplets). A sample
that cannot be used is dropped with the reason (no .h5) and does not end the run.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from cartox import arguments, cli, files
from cartox.cells import cell_classes, library, quality
from cartox.inputs.checksums import require_unchanged
from cartox.matrices.matrix import CountMatrix, read_counts, write_h5
from cartox.matrices.orthologues import read_orthologues

HEADER = ("sample", "barcode", "n_counts", "n_genes", "pct_mito", "pct_hb", "pct_platelet", "kept", "reason")


def main(argv: Sequence[str] | None = None) -> None:
    """Read one sample's matrix, choose its cells, write them and the account of the rest."""
    parser = cli.parser(__doc__)
    parser.add_argument("--sample", required=True)
    parser.add_argument("--matrix", required=True, type=Path, help="filtered counts: .h5, 10x folder, .h5ad")
    parser.add_argument(
        "--raw", type=Path, help="unfiltered counts of the same library, for knee and ambient"
    )
    parser.add_argument("--orthologues", type=Path, help="table of the species and human, where not human")
    parser.add_argument("--digest", help="checksum of the matrices when they were checked (digests.csv)")
    parser.add_argument("--qc_mode", choices=["adaptive", "fixed", "none"], default="adaptive")
    parser.add_argument(
        "--nmads", type=arguments.number(float, 1), default=5.0, help="deviations allowed (adaptive)"
    )
    parser.add_argument("--min_genes", type=arguments.number(int, 0), default=200)
    parser.add_argument("--min_counts", type=arguments.number(int, 0), default=500)
    parser.add_argument("--max_mito", type=arguments.number(float, 0, 100), default=20.0, help="percent")
    args = parser.parse_args(argv)

    orthologues = read_orthologues(args.orthologues)
    summary = quality.empty_summary(args.sample)
    rows: list[Sequence[object]] = []
    matrix = raw = None
    try:
        matrix = read_counts(args.matrix, orthologues)
    except cli.InputError as error:
        # the input checks read only a part of each matrix; a fault deeper in it costs this sample alone
        summary.update(status="dropped", reasons=[f"the matrix could not be used: {error.faults[0]}"])
    fault = ""
    try:
        raw = read_counts(args.raw, orthologues) if args.raw and matrix is not None else None
    except cli.InputError as error:
        fault = f"the unfiltered matrix could not be used: {error.faults[0]}"
    if args.digest:
        require_unchanged([path for path in (args.matrix, args.raw) if path], args.digest)
    if matrix is not None:
        rows = judge(matrix, args, summary)
        if raw is not None:
            summary["ambient"], droplets = quality.ambient(raw, matrix)
            droplets.write(f"{args.sample}.empty.npz")
    if fault:
        summary["reasons"].append(fault)
        summary["status"] = "dropped" if summary["status"] == "dropped" else "flagged"
    files.write_csv_gz(f"{args.sample}.cells.csv.gz", HEADER, rows)
    files.write_json(f"{args.sample}.qc.json", summary)
    for reason in summary["reasons"]:
        print(f"{args.sample}: {summary['status']}: {reason}", file=sys.stderr)


def judge(matrix: CountMatrix, args, summary: dict) -> list[Sequence[object]]:
    """Fill the summary, write the matrix of cells kept, and return the rows of the table of barcodes."""
    metrics = quality.metrics(matrix)
    hard = quality.hard_limits(metrics, args.qc_mode, args.min_counts, args.min_genes, args.max_mito)
    bounds = quality.thresholds(metrics, args.qc_mode, args.nmads, hard)
    by_class: dict[str, cell_classes.Bounds] = {}
    reason = quality.reasons(metrics, bounds)
    if args.qc_mode == "adaptive":
        classes = cell_classes.coarse(matrix)
        by_class = cell_classes.bounds_by_class(metrics, classes, bounds, hard, args.nmads)
        reason = cell_classes.reasons(metrics, classes, bounds, by_class)
    kept = reason == ""
    quality.summarise(summary, metrics, kept, reason, bounds, by_class)
    library.describe(summary, matrix, kept, metrics)
    if summary["status"] != "dropped":
        write_h5(f"{args.sample}.h5", matrix.select(kept.nonzero()[0]))
    else:
        kept[:] = False
        reason[reason == ""] = "sample dropped"
    text = quality.as_text(metrics)
    samples = [args.sample] * len(kept)
    return list(zip(samples, matrix.barcodes, *text, kept.astype(int), reason, strict=True))


if __name__ == "__main__":
    cli.run(main)
