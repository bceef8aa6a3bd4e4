#!/usr/bin/env python3
"""Bring the batches together in the space of principal components, by Harmony (Korsunsky 2019).

One batch alone, or --integration none, passes the components through unchanged and says so. Writes
harmony.npy (cells × components) and harmony.json.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cartox import arguments, cli, files
from cartox.cells import gpu, tables
from cartox.cells.harmonised import harmonised


def main(argv: Sequence[str] | None = None) -> None:
    """Read components and cells, correct, write."""
    parser = cli.parser(__doc__)
    parser.add_argument("--pca", required=True, type=Path)
    parser.add_argument("--cells", required=True, type=Path, help="cells.parquet")
    parser.add_argument("--samples", type=Path, help="sample sheet, for a column that cells.parquet lacks")
    parser.add_argument("--integration", choices=["harmony", "none"], default="harmony")
    parser.add_argument("--harmony_by", default="batch", help="column of the sample sheet")
    parser.add_argument("--device", choices=["cpu", "gpu"], default="cpu")
    parser.add_argument("--seed", type=arguments.seed, default=0)
    args = parser.parse_args(argv)

    table = tables.read_cells(args.cells)
    values = np.load(args.pca, allow_pickle=False)
    tables.require_rows(table, values, args.pca.name)
    account = {"harmony_by": args.harmony_by, "n_batches": None, "corrected": False, "note": ""}
    if args.integration == "none":
        account["note"] = "not integrated (--integration none)"
    else:
        batch = tables.batches(table, args.samples, args.harmony_by)
        account["n_batches"] = len(set(batch))
        if account["n_batches"] == 1:
            account["note"] = f"all cells have the same {args.harmony_by}: nothing to integrate"
        else:
            by = gpu.harmonised if args.device == "gpu" else harmonised
            values = by(values, batch, args.seed)
            account["corrected"] = True
    np.save("harmony.npy", values.astype(np.float32), allow_pickle=False)
    files.write_json("harmony.json", account)


if __name__ == "__main__":
    cli.run(main)
