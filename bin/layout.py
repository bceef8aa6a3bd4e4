#!/usr/bin/env python3
"""UMAP of the integrated cells, and UMAP before integration to compare.

The picture before integration is drawn on at most 10,000 cells, each sample in proportion; the others' raw
coordinates are missing. Writes layout.parquet.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cartox import arguments, cli
from cartox.cells import neighbours, tables

RAW_CELLS = 10_000


def main(argv: Sequence[str] | None = None) -> None:
    """Read both embeddings, lay out, write."""
    parser = cli.parser(__doc__)
    parser.add_argument("--cells", required=True, type=Path, help="cells.parquet")
    parser.add_argument("--pca", required=True, type=Path, help="components before integration")
    parser.add_argument("--harmony", required=True, type=Path, help="components after integration")
    parser.add_argument("--neighbours", required=True, type=Path, help="neighbours.npz of CLUSTER")
    parser.add_argument("--seed", type=arguments.seed, default=0)
    args = parser.parse_args(argv)

    tables.one_thread()
    table = tables.read_cells(args.cells)
    raw, integrated = (np.load(path, allow_pickle=False) for path in (args.pca, args.harmony))
    found, distance = neighbours.read_neighbours(args.neighbours)
    for path, values in ((args.pca, raw), (args.harmony, integrated), (args.neighbours, distance)):
        tables.require_rows(table, values, path.name)
    umap = neighbours.layout(found, distance, integrated, args.seed)

    before = np.full(umap.shape, np.nan, dtype=np.float32)
    if np.array_equal(raw, integrated):
        before[:] = umap
    else:
        drawn = sampled(table["sample"].to_numpy(), RAW_CELLS, args.seed)
        k = min(found.shape[1], len(drawn) - 1)
        near = neighbours.nearest(raw[drawn], k, args.seed)
        before[drawn] = neighbours.layout(*near, raw[drawn], args.seed)

    places = {
        "umap_1": umap[:, 0],
        "umap_2": umap[:, 1],
        "raw_umap_1": before[:, 0],
        "raw_umap_2": before[:, 1],
    }
    table[tables.KEY].assign(**places).to_parquet("layout.parquet", index=False)


def sampled(sample: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Rows of at most n cells, in order, drawn from each sample in proportion to its size."""
    if len(sample) <= n:
        return np.arange(len(sample))
    rng = np.random.default_rng(seed)
    rows = []
    for name in np.unique(sample):
        own = np.flatnonzero(sample == name)
        rows.append(rng.choice(own, size=max(1, len(own) * n // len(sample)), replace=False))
    return np.sort(np.concatenate(rows))[:n]


if __name__ == "__main__":
    cli.run(main)
