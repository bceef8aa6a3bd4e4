#!/usr/bin/env python3
"""Take ambient RNA out of one sample's counts, by SoupX (Young & Behjati 2020) from its empty droplets.

The cells are those that QC kept; the profile of ambient RNA is that of the unfiltered matrix. A sample
without one, or whose contamination cannot be estimated or is too uncertain, keeps its counts, and the account
says why.

Writes SAMPLE.h5 (whole counts, same cells and genes) and SAMPLE.ambient.json.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from cartox import ambient, arguments, cells, cli
from cartox.matrix import read_counts, read_h5, write_h5


def main(argv: Sequence[str] | None = None) -> None:
    """Read cells and droplets, correct, write."""
    parser = cli.parser(__doc__)
    parser.add_argument("--sample", required=True)
    parser.add_argument("--counts", required=True, type=Path, help="<sample>.h5 of QC")
    parser.add_argument("--raw", type=Path, help="unfiltered counts of the same library")
    parser.add_argument("--ambient", choices=["soupx", "none"], default="soupx")
    parser.add_argument("--seed", type=arguments.seed, default=0)
    args = parser.parse_args(argv)

    cells.one_thread()
    matrix = read_h5(args.counts)
    if args.ambient == "none":
        account = ambient.untouched(args.sample, "not asked for (--ambient none)")
    elif args.raw is None:
        account = ambient.untouched(args.sample, "no unfiltered matrix (raw_path)")
    else:
        matrix, account = ambient.corrected(args.sample, matrix, read_counts(args.raw), args.seed)
    write_h5(f"{args.sample}.h5", matrix)
    Path(f"{args.sample}.ambient.json").write_text(json.dumps(account, indent=1, allow_nan=False) + "\n")


if __name__ == "__main__":
    cli.run(main)
