#!/usr/bin/env python3
"""Neighbours and Leiden clusters of the integrated cells.

Writes neighbours.npz (15 nearest cells of each, and their distances) and clusters.parquet.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cartox import arguments, cli
from cartox.cells import gpu, neighbours, tables


def main(argv: Sequence[str] | None = None) -> None:
    """Read the integrated components, cluster, write."""
    parser = cli.parser(__doc__)
    parser.add_argument("--cells", required=True, type=Path, help="cells.parquet")
    parser.add_argument("--harmony", required=True, type=Path, help="components after integration")
    parser.add_argument("--resolution", type=arguments.number(float, 0.01), default=1.0)
    parser.add_argument("--device", choices=["cpu", "gpu"], default="cpu")
    parser.add_argument("--seed", type=arguments.seed, default=0)
    args = parser.parse_args(argv)

    tables.one_thread()
    table = tables.read_cells(args.cells)
    values = np.load(args.harmony, allow_pickle=False)
    tables.require_rows(table, values, args.harmony.name)

    k = min(neighbours.N_NEIGHBOURS, len(table) - 1)
    if args.device == "gpu":
        found, distance = gpu.nearest(values, k)
    else:
        found, distance = neighbours.nearest(values, k, args.seed)
    cluster = neighbours.leiden(neighbours.fuzzy_graph(found, distance), args.resolution, args.seed)

    neighbours.write_neighbours("neighbours.npz", found, distance)
    table[tables.KEY].assign(cluster=cluster).to_parquet("clusters.parquet", index=False)


if __name__ == "__main__":
    cli.run(main)
