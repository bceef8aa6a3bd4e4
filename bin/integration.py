#!/usr/bin/env python3
"""Judge the integration: mixing of lanes and types before and after Harmony, types merged, states erased.

LISI and silhouettes by type; pairs of types that were apart and are mixed; groups of one batch or patient
that no longer hold together; advice where batches cannot be told from what a contrast asks. On at most 5,000
cells.

Writes integration.json and integration.csv.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cartox import arguments, cli, files
from cartox.contrasts import Contrast


def main(argv: Sequence[str] | None = None) -> None:
    """Run the step."""
    parser = cli.parser(__doc__)
    parser.add_argument("--cells", type=Path, required=True, help="cells.parquet of MERGE")
    parser.add_argument("--pca", type=Path, required=True, help="pca.npy of MERGE")
    parser.add_argument("--harmony", type=Path, required=True, help="harmony.npy of HARMONY")
    parser.add_argument("--annotation", type=Path, required=True, help="annotation.parquet of ANNOTATE")
    parser.add_argument("--samples", type=Path, required=True, help="sample sheet (samples.csv)")
    parser.add_argument("--clinical", type=Path, help="clinical table (clinical.csv)")
    parser.add_argument("--contrasts", type=Path, nargs="*", default=[], help="<contrast>.json")
    parser.add_argument("--integration", choices=["harmony", "none"], default="harmony")
    parser.add_argument("--harmony_by", default="batch", help="column of the sample sheet")
    parser.add_argument("--seed", type=arguments.seed, default=0)
    args = parser.parse_args(argv)

    import numpy as np
    import pandas as pd

    from cartox.cells import integration, tables
    from cartox.statistics import aliasing

    tables.one_thread()
    cells = tables.read_cells(args.cells)
    annotation = pd.read_parquet(args.annotation)
    tables.require_same_cells(cells, annotation, args.annotation.name)
    spaces = {}
    for side, path in (("before", args.pca), ("after", args.harmony)):
        spaces[side] = np.load(path, allow_pickle=False).astype(np.float32)
        tables.require_rows(cells, spaces[side], path.name)
    corrected = not np.array_equal(spaces["before"], spaces["after"])

    rows = integration.chosen(len(cells), args.seed)
    column = args.harmony_by if args.integration == "harmony" else "batch"
    batch = tables.batches(cells, args.samples, column)[rows]
    patient = cells["patient"].astype(str).to_numpy()[rows]
    cell_type = annotation["cell_type"].astype(str).to_numpy()[rows]
    spaces = {side: space[rows] for side, space in spaces.items()}
    measured = integration.measures(spaces, batch, cell_type)
    pairs, states = [], []
    if corrected:
        pairs = integration.merged_pairs(spaces, cell_type, args.seed)
        units = {"batch": batch, "patient": patient}
        states = integration.erased_states(spaces, units, cell_type, args.seed)
    contrasts = [Contrast.read(path) for path in args.contrasts]
    clinical = files.read_sheet(args.clinical) if args.clinical else pd.DataFrame()
    advised = (
        aliasing.advice(files.read_sheet(args.samples), clinical, contrasts, column) if corrected else []
    )

    measured.to_csv("integration.csv", index=False, lineterminator="\n")
    account = {
        "n_cells": len(rows),
        "harmony_by": column,
        "n_batches": len(set(batch)),
        "corrected": corrected,
        "measures": measured.to_dict("records"),
        "merged_pairs": pairs,
        "erased_states": states,
        "warnings": integration.sentences(pairs, states),
        "aliased": advised,
    }
    files.write_json("integration.json", account)


if __name__ == "__main__":
    cli.run(main)
