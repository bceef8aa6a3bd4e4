#!/usr/bin/env python3
"""Part a pool that was demultiplexed (hashtags, genotypes) into its samples, and write their sample sheet.

The label of each cell is a column of the pool's own table of cells (obs of an .h5ad, cell_metadata.csv of
Parse), or of a table beside it (--labels, columns `barcode` and the one named). Cells whose label says that
they are doublets, negative or unassigned are left out and counted, as are cells without a label. Writes
OUT/<label>.h5 and OUT/samples.csv, whose batch is the pool: its samples share droplets, so doublets are found
over all of them.

    bin/split_pool.py pool1.h5ad --by hash_id --out pool1
    bin/split_pool.py filtered_feature_bc_matrix.h5 --labels donor_ids.tsv --by donor_id --out pool1
"""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cartox import arguments, cli
from cartox.sheets import file_name, nearest, shown

# What the usual programs call a droplet that is of no one sample
NO_SAMPLE = re.compile(
    r"^(|na|nan|none|unknown|ambiguous|doublets?|multiplets?|multiseq_doublet|negatives?|unassigned|blanks?)$",
    re.IGNORECASE,
)
MOST_SAMPLES = 1000


def main(argv: Sequence[str] | None = None) -> None:
    """Read the pool, part it, say what was left out. Raises InputError."""
    parser = cli.parser(__doc__)
    parser.add_argument("pool", type=Path, help="counts of the pool, in any form that cartox reads")
    parser.add_argument("--by", required=True, help="column of the labels")
    parser.add_argument("--labels", type=Path, help="table (CSV, or TSV by its name) with a column barcode")
    parser.add_argument("--out", type=Path, required=True, help="folder to write, made where it is absent")
    parser.add_argument(
        "--leave_out",
        type=arguments.names,
        default="",
        help="comma list of further labels that are no sample",
    )
    args = parser.parse_args(argv)

    from cartox.matrices.matrix import read_counts, write_h5

    matrix = read_counts(args.pool)
    label = _of_table(args, matrix.barcodes) if args.labels else _of_pool(args)
    left = np.array(
        [bool(NO_SAMPLE.match(name)) or name in args.leave_out for name in label.tolist()], dtype=bool
    )
    files = _names(sorted(set(label[~left].tolist())), args.by)
    args.out.mkdir(parents=True, exist_ok=True)
    pool = file_name(args.out.resolve().name) or "pool"
    with (args.out / "samples.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["sample", "patient", "timepoint", "batch", "path"])
        for name, file in files.items():
            cells = np.flatnonzero(label == name)
            write_h5(args.out / f"{file}.h5", matrix.select(cells))
            writer.writerow([file, "", "", pool, f"{file}.h5"])
            print(f"{file}: {len(cells):,} cells", file=sys.stderr)
    for name in sorted(set(label[left].tolist())):
        print(f"left out: {(label == name).sum():,} cells of label {shown(name)}", file=sys.stderr)
    print(f"fill in patient and timepoint in {args.out / 'samples.csv'}", file=sys.stderr)


def _of_pool(args) -> np.ndarray:
    """Labels in the pool's own table of cells."""
    from cartox.matrices.readers import opened

    with opened(args.pool) as stored:
        if args.by not in stored.obs:
            hint = nearest(args.by, stored.obs, few=30) or "; give the labels by --labels"
            raise cli.InputError(f"{args.pool.name}: no column {shown(args.by)} of cells{hint}")
        return stored.obs[args.by]()


def _of_table(args, barcodes: np.ndarray) -> np.ndarray:
    """Labels of a table beside the pool; a cell that is not in it has none."""
    from cartox.sheets import text_of

    tabs = args.labels.suffix in (".tsv", ".txt")
    rows = csv.DictReader(text_of(args.labels).splitlines(), delimiter="\t" if tabs else ",")
    if missing := [name for name in ("barcode", args.by) if name not in (rows.fieldnames or [])]:
        hint = nearest(missing[0], [name for name in rows.fieldnames or [] if name], few=30)
        raise cli.InputError(f"{args.labels.name}: no column {shown(missing[0])}{hint or '; add it'}")
    told = {row["barcode"]: row[args.by] or "" for row in rows}
    if not told.keys() & set(barcodes.tolist()):
        some = f"{shown(next(iter(told), ''))}, in {args.pool.name} {shown(barcodes[0])}"
        raise cli.InputError(
            f"{args.labels.name}: no barcode is in the pool (there is {some}); make them alike"
        )
    return np.array([told.get(barcode, "") for barcode in barcodes.tolist()], dtype=str)


def _names(labels: list[str], column: str) -> dict[str, str]:
    """Label to a name that a sheet and a file may have. Raises InputError where none or too many are."""
    if not 1 <= len(labels) <= MOST_SAMPLES:
        raise cli.InputError(
            f"column {shown(column)} has {len(labels):,} labels of samples; name another by --by"
        )
    names = {label: file_name(label)[:100] for label in labels}
    if len({name.lower() for name in names.values()} - {""}) < len(labels):
        raise cli.InputError(f"column {shown(column)}: labels differ only in signs or capitals; rename them")
    return names


if __name__ == "__main__":
    cli.run(main)
