#!/usr/bin/env python3
"""Test one contrast: expression, pathways, ligand–receptor pairs, composition, CAR+ cells and serum.

The unit is the patient. Every p has a permutation p beside it and the smallest p that the design can reach.
Writes <id>.associations.csv, <id>.calibration.csv, <id>.values.parquet and <id>.contrast.json.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cartox import arguments, cli, files
from cartox.contrasts import Contrast


def main(argv: Sequence[str] | None = None) -> None:
    """Run the step."""
    parser = cli.parser(__doc__)
    parser.add_argument("--contrast", required=True, type=Path, help="contrasts/<id>.json of CHECK_INPUTS")
    parser.add_argument("--features", required=True, type=Path, help="features.parquet")
    parser.add_argument("--pathway_scores", required=True, type=Path, help="pathway_scores.parquet")
    parser.add_argument("--pseudobulk", required=True, type=Path, help="pseudobulk.h5ad")
    parser.add_argument("--samples", required=True, type=Path, help="samples.csv of CHECK_INPUTS")
    parser.add_argument("--clinical", required=True, type=Path, help="clinical.csv of CHECK_INPUTS")
    parser.add_argument("--analytes", required=True, type=Path, help="analytes.csv of CHECK_INPUTS")
    parser.add_argument(
        "--n_permutations",
        type=arguments.number(int, 1),
        default=10_000,
        help="where not all can be enumerated",
    )
    parser.add_argument(
        "--n_calibration",
        type=arguments.number(int, 0),
        default=200,
        help="permutations for calibration and p_pooled",
    )
    parser.add_argument(
        "--fdr",
        type=arguments.number(float, 0.0001, 0.5),
        default=0.05,
        help="q up to which a row counts as called",
    )
    parser.add_argument(
        "--min_cells", type=arguments.number(int, 1), default=25, help="cells a pseudobulk needs"
    )
    parser.add_argument("--seed", type=arguments.seed, default=0, help="seed of the permutations")
    args = parser.parse_args(argv)

    import pandas as pd

    from cartox.statistics.contrast import Tables, associate

    result = associate(
        Tables(
            samples=files.read_sheet(args.samples),
            clinical=files.read_sheet(args.clinical),
            analytes=files.read_sheet(args.analytes),
            features=pd.read_parquet(args.features),
            scores=pd.read_parquet(args.pathway_scores),
            pseudobulk=args.pseudobulk,
        ),
        Contrast.read(args.contrast),
        n_permutations=args.n_permutations,
        n_calibration=args.n_calibration,
        fdr=args.fdr,
        min_cells=args.min_cells,
        seed=args.seed,
    )
    name = result.about["id"]
    result.rows.to_csv(f"{name}.associations.csv", index=False, float_format="%.6g")
    result.calibration.to_csv(f"{name}.calibration.csv", index=False, float_format="%.6g")
    result.strips.to_parquet(f"{name}.values.parquet", index=False)
    files.write_json(f"{name}.contrast.json", result.about)


if __name__ == "__main__":
    cli.run(main)
