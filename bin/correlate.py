#!/usr/bin/env python3
"""Rank correlation of features with serum analytes, across patients within each time point.

Features: pathway scores, composition, CAR+ cells, and the pairs that a contrast declares in its focus.
Censored values tie at their limit; several samples of a patient at a time point are averaged. Writes
correlations.csv.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from cartox import cli


def main(argv: Sequence[str] | None = None) -> None:
    """Run the step."""
    parser = cli.parser(__doc__)
    parser.add_argument("--features", required=True, type=Path, help="features.parquet")
    parser.add_argument("--analytes", required=True, type=Path, help="analytes.csv of CHECK_INPUTS")
    parser.add_argument("--contrasts", nargs="*", default=[], type=Path, help="contrasts/<id>.json")
    parser.add_argument("--n_permutations", type=int, default=10_000, help="where not all can be enumerated")
    parser.add_argument("--seed", type=int, default=0, help="seed of permutations and bootstrap")
    args = parser.parse_args(argv)

    import pandas as pd

    from cartox.serum import chosen, correlations, log2_values

    analytes = log2_values(pd.read_csv(args.analytes, dtype=str, keep_default_na=False))
    focus = [
        entry for path in sorted(args.contrasts) for entry in json.loads(path.read_text()).get("focus") or []
    ]
    features = chosen(pd.read_parquet(args.features), focus)
    table = correlations(features, analytes, args.n_permutations, args.seed)
    table.to_csv("correlations.csv", index=False, float_format="%.6g")


if __name__ == "__main__":
    cli.run(main)
