#!/usr/bin/env python3
"""Rank correlation of features with serum analytes, across patients within each time point.

Features: pathway scores, composition, CAR+ cells, and the pairs that a contrast declares in its focus.
Censored values tie at their limit; several samples of a patient at a time point are averaged. Beside each
correlation stands the partial one, adjusted for covariates, and where patients have several visits the
correlation of their means. Writes correlations.csv.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cartox import arguments, cli, files
from cartox.contrasts import Contrast


def main(argv: Sequence[str] | None = None) -> None:
    """Run the step."""
    parser = cli.parser(__doc__)
    parser.add_argument("--features", required=True, type=Path, help="features.parquet")
    parser.add_argument("--analytes", required=True, type=Path, help="analytes.csv of CHECK_INPUTS")
    parser.add_argument("--clinical", required=True, type=Path, help="clinical.csv of CHECK_INPUTS")
    parser.add_argument("--contrasts", nargs="*", default=[], type=Path, help="contrasts/<id>.json")
    parser.add_argument(
        "--serum_covariates",
        type=arguments.names,
        default="",
        help="comma list of clinical columns, or none; default: those beside the term of the contrasts",
    )
    parser.add_argument(
        "--n_permutations",
        type=arguments.number(int, 1),
        default=10_000,
        help="where not all can be enumerated",
    )
    parser.add_argument("--seed", type=arguments.seed, default=0, help="seed of permutations and bootstrap")
    args = parser.parse_args(argv)

    import pandas as pd

    from cartox.statistics.serum import adjusting, beside_the_term, chosen, correlations, log2_values

    analytes = log2_values(files.read_sheet(args.analytes))
    clinical = files.read_sheet(args.clinical)
    contrasts = [Contrast.read(path) for path in sorted(args.contrasts)]
    names = sorted(set(args.serum_covariates) - {"none"})
    if unknown := sorted(set(names) - (set(clinical.columns) - {"patient"})):
        raise cli.InputError(f"--serum_covariates {unknown[0]}: the clinical sheet has no such column")
    if not args.serum_covariates:
        names = beside_the_term(contrasts, clinical.columns)
    print(f"Partial correlations are adjusted for: {', '.join(names) or 'nothing'}")
    features = chosen(pd.read_parquet(args.features), [entry for c in contrasts for entry in c.focus])
    covariates = adjusting(clinical, names, contrasts)
    table = correlations(features, analytes, covariates, args.n_permutations, args.seed)
    table.to_csv("correlations.csv", index=False, float_format="%.6g")


if __name__ == "__main__":
    cli.run(main)
