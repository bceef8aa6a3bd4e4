#!/usr/bin/env python3
"""Find communication programmes: factors of ligand–receptor scores over samples, pairs and cell types.

One tensor for each time point and tissue, taken apart by Tensor-cell2cell from several random starts. Writes
tensor.csv (a sample's loading on each factor), tensor_loadings.csv (what each factor is made of) and
tensor.json (what was used, left out, and found again from every start).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cartox import arguments, cli, files

VALUES = ["stratum", "sample", "factor", "value", "coverage", "stability", "stable"]
LOADINGS = ["stratum", "factor", "mode", "name", "loading"]


def main(argv: Sequence[str] | None = None) -> None:
    """Run the step."""
    parser = cli.parser(__doc__)
    parser.add_argument("--samples", required=True, type=Path, help="samples.csv of CHECK_INPUTS")
    parser.add_argument("--ligrec", required=True, nargs="+", type=Path, help="<sample>.ligrec.csv.gz")
    parser.add_argument(
        "--tensor_rank", required=True, type=arguments.number(int, 1, 50), help="number of factors"
    )
    parser.add_argument(
        "--tensor_seeds", type=arguments.number(int, 2, 100), default=5, help="number of random starts"
    )
    parser.add_argument(
        "--seed", type=arguments.seed, default=0, help="seed of the first start; the others follow"
    )
    args = parser.parse_args(argv)

    import pandas as pd

    from cartox.signals import tensor
    from cartox.strata import by_time_and_tissue

    sheet = files.read_sheet(args.samples)
    scores = tensor.read(args.ligrec, list(sheet["sample"]))
    seeds = [args.seed + i for i in range(args.tensor_seeds)]
    values, loadings, summaries = [pd.DataFrame(columns=VALUES)], [pd.DataFrame(columns=LOADINGS)], []
    for stratum, members in by_time_and_tissue(sheet).items():
        made, about = tensor.build(scores, members, args.tensor_rank)
        if made is not None:
            rows, of, found = tensor.stratum_factors(made, args.tensor_rank, seeds)
            values.append(rows.assign(stratum=stratum))
            loadings.append(of.assign(stratum=stratum))
            about |= found
        summaries.append({"stratum": stratum} | about)
    for parts, columns, name in ((values, VALUES, "tensor.csv"), (loadings, LOADINGS, "tensor_loadings.csv")):
        table = pd.concat(parts[1:] or parts, ignore_index=True)
        table[columns].to_csv(name, index=False, float_format="%.6g")
    summary = {"rank": args.tensor_rank, "seeds": seeds, "stable_from": tensor.STABLE, "strata": summaries}
    files.write_json("tensor.json", summary)


if __name__ == "__main__":
    cli.run(main)
