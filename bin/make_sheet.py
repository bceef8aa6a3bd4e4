#!/usr/bin/env python3
"""Write a sample sheet of the matrices below a folder, as Cell Ranger and other programs leave them.

Finds the outputs of cellranger count and multi, the samples that cellranger aggr joined, STARsolo, simpleaf,
Parse and BD Rhapsody, 10x folders, and single .h5 and .h5ad files, each named for its sample. The sheet goes
to standard output, with whole paths; samples of one pool get one batch. Patient and time point are known to
you alone: they stay empty, to be filled in, unless --pattern says how the samples' names hold them.

    bin/make_sheet.py runs > samples.csv
    bin/make_sheet.py runs --pattern '{patient}_{timepoint}' > samples.csv
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from pathlib import Path

from cartox import cli
from cartox.matrices import outputs


def main(argv: Sequence[str] | None = None) -> None:
    """Find the samples and write the sheet. Raises InputError where there is none."""
    parser = cli.parser(__doc__)
    parser.add_argument("folder", type=Path, nargs="+", help="folder of results; all below it is looked at")
    parser.add_argument(
        "--pattern", default="", help="how names are made, such as '{patient}_{timepoint}'; * is anything"
    )
    args = parser.parse_args(argv)
    if faults := [f"{path}: no such folder; correct the path" for path in args.folder if not path.is_dir()]:
        raise cli.InputError(faults)
    notes: list[str] = []
    found = [sample for folder in args.folder for sample in outputs.samples_below(folder, notes)]
    if not found:
        where = ", ".join(map(str, args.folder))
        raise cli.InputError(
            [f"{where}: no matrix of a known program below it; write the sheet by hand", *notes]
        )
    columns, rows = outputs.sheet(found, args.pattern)
    writer = csv.DictWriter(sys.stdout, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    for note in notes:
        print(f"Note: {note}", file=sys.stderr)
    empty = [row["sample"] for row in rows if not (row["patient"] and row["timepoint"])]
    some = ", ".join(empty[:5]) + (", …" if len(empty) > 5 else "")
    fill = f"fill in patient and timepoint of {some}" if empty else "look it through"
    print(f"{len(rows)} samples; {fill}", file=sys.stderr)


if __name__ == "__main__":
    cli.run(main)
