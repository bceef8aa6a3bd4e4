#!/usr/bin/env python3
"""Join what was measured of each sample into one table, features.parquet.

One row per patient × timepoint × sample × cell type × feature, with value, n_cells and kind: composition,
pathway, ligrec, tensor, car, qc.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from cartox import arguments, cli, files
from cartox.columns import FEATURES


def main(argv: Sequence[str] | None = None) -> None:
    """Run the step."""
    parser = cli.parser(__doc__)
    parser.add_argument("--samples", required=True, type=Path, help="samples.csv of CHECK_INPUTS")
    parser.add_argument(
        "--composition", required=True, nargs="+", type=Path, help="<sample>.composition.csv and states.csv"
    )
    parser.add_argument("--ligrec", nargs="*", default=[], type=Path, help="<sample>.ligrec.csv.gz")
    parser.add_argument("--tensor", type=Path, help="tensor.csv of TENSOR")
    parser.add_argument("--pathways", type=Path, help="pathway_scores.parquet")
    parser.add_argument("--qc", nargs="*", default=[], type=Path, help="<sample>.qc.json")
    parser.add_argument(
        "--car_features",
        type=arguments.names,
        default="",
        help="comma list of transgenes; without any, no CAR rows",
    )
    args = parser.parse_args(argv)

    import pandas as pd

    from cartox.signals import features
    from cartox.signals.ligrec import MIN_CELLS
    from cartox.strata import by_time_and_tissue

    samples = files.read_sheet(args.samples)
    text = {"sample": str, "cell_type": str, "lineage": str}
    counts = pd.concat(
        [pd.read_csv(path, dtype=text, keep_default_na=False) for path in sorted(args.composition)]
    )
    types = counts[counts["level"] == "type"].pivot_table(
        index="sample", columns="cell_type", values="n_cells", aggfunc="sum", fill_value=0
    )
    parts = [features.composition(types, by_time_and_tissue(samples))]
    if args.pathways:
        scores = pd.read_parquet(args.pathways)
        parts.append(scores[scores["stratum"] == "all"].assign(kind="pathway")[features.COLUMNS])
    if args.ligrec:
        names = ["sample", "source", "target", "ligand", "receptor"]
        types_of = {**dict.fromkeys(names, str), "lr_means": float}
        read = [
            pd.read_csv(
                path,
                dtype=types_of,
                keep_default_na=False,
                na_values={"lr_means": ""},
                usecols=list(types_of),
            )
            for path in sorted(args.ligrec)
        ]
        pairs = pd.concat([table for table in read if len(table)] or read[:1])
        parts.append(features.ligrec(pairs, types, MIN_CELLS))
    if args.car_features:
        parts += [features.car(counts), features.car_states(counts, by_time_and_tissue(samples))]
    if args.tensor:
        names = dict.fromkeys(("stratum", "sample", "factor"), str)
        loadings = pd.read_csv(args.tensor, dtype=names, keep_default_na=False, na_values={"value": ""})
        parts.append(features.tensor(loadings, types))
    if args.qc:
        parts.append(features.qc([json.loads(path.read_text()) for path in sorted(args.qc)]))

    table = pd.concat(
        [part.astype({"value": float, "n_cells": int}) for part in parts if len(part)], ignore_index=True
    ).merge(samples[["sample", "patient", "timepoint"]], on="sample", how="left")
    table = table.astype(
        dict.fromkeys(("patient", "timepoint", "sample", "cell_type", "kind", "feature"), "category")
    )
    for name in table.select_dtypes("category"):
        table[name] = table[name].cat.reorder_categories(sorted(table[name].cat.categories))
    table = table.sort_values(["kind", "cell_type", "feature", "sample"], kind="stable", ignore_index=True)
    table[FEATURES].to_parquet("features.parquet", index=False, compression="zstd")


if __name__ == "__main__":
    cli.run(main)
