#!/usr/bin/env python3
"""Choose the genes that the demo cohort plants, from the gene sets that ship, and write `effects.tsv`.

At day 7, CD14+ monocytes: the Hallmark interferon-gamma response (fold 1.5 to 2) and CXCL10; CD8 T: IFNG.
In product T cells: what IL-4 and IL-10 raise (CytoSig) goes down, what they lower goes up.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "bin"))

from cartox import cli, genes  # noqa: E402

# Counts per 10,000: below, a gene is too seldom seen; above, planting it would move all others' shares.
LOW, HIGH = 0.25, 12.0
HALLMARK = "HALLMARK_INTERFERON_GAMMA_RESPONSE"


def gmt(path: Path) -> dict[str, list[str]]:
    """Genes by set."""
    rows = [line.split("\t") for line in path.read_text().splitlines()]
    return {row[0]: row[2:] for row in rows}


def interferon(monocyte: pd.Series, members: list[str], spared: set[str]) -> pd.DataFrame:
    """Log2 folds of the interferon-gamma genes: 1 for the least expressed to 0.58 for the most."""
    level = monocyte[monocyte.index.isin(members) & ~monocyte.index.isin(list(spared))]
    level = level[level.between(LOW, HIGH) & (level.index != "CXCL10")].sort_values(ascending=False)
    return pd.DataFrame({"gene": level.index, "log2fc": np.linspace(0.58, 1.0, len(level)).round(3)})


def cytokines(product: pd.Series, weights: pd.DataFrame, spared: set[str], n: int) -> pd.DataFrame:
    """Log2 folds against the sign of the `n` largest weights of IL4 and of IL10, where the two agree."""
    level = product[product.between(LOW, HIGH) & ~product.index.isin(list(spared))]
    known = weights[weights["target"].isin(level.index)]
    wide = known.pivot_table(index="target", columns="source", values="weight")
    wide = wide[["CYTOSIG_IL4", "CYTOSIG_IL10"]]
    wide = wide[~((wide.min(axis=1) < 0) & (wide.max(axis=1) > 0))]
    chosen = sorted(set().union(*(wide[c].abs().nlargest(n).index for c in wide)))
    sign = np.sign(wide.loc[chosen].sum(axis=1))
    return pd.DataFrame({"gene": chosen, "log2fc": -0.6 * sign.to_numpy()})


def main(argv: Sequence[str] | None = None) -> None:
    """Write effects.tsv: timepoint, cell_type, gene, log2fc, why."""
    parser = cli.parser(__doc__)
    parser.add_argument("--profiles", type=Path, default=HERE / "profiles.tsv.gz")
    parser.add_argument("--gene_sets", type=Path, default=HERE.parent / "gene_sets")
    parser.add_argument("--markers", type=Path, default=HERE.parent / "markers/blood_cart.tsv")
    parser.add_argument("--n", type=int, default=60, help="genes of each cytokine")
    parser.add_argument("--out", type=Path, default=HERE / "effects.tsv")
    args = parser.parse_args(argv)
    profiles = pd.read_csv(args.profiles, sep="\t", index_col="gene")
    listed = pd.read_csv(args.markers, sep="\t")
    # what tells types apart is left alone, so that labels do not depend on what is planted
    listed = listed.loc[listed["level"].isin(["lineage", "type"]), ["positive", "negative"]].fillna("")
    named = [gene for column in listed for row in listed[column] for gene in row.split(",")]
    spared = {gene.split(":")[0] for gene in named}
    spared |= set(profiles.index[genes.out_of_bounds(profiles.index)])
    gamma = interferon(
        profiles["CD14_Mono.activated"], gmt(args.gene_sets / "hallmark.gmt")[HALLMARK], spared
    )
    weights = pd.read_csv(args.gene_sets / "cytosig.tsv.gz", sep="\t")
    product = profiles[["CD4_T.product", "CD4_T.cycling", "CD8_T.product", "CD8_T.cycling"]].mean(axis=1)
    signature = cytokines(product, weights, spared, args.n)
    parts = [
        gamma.assign(timepoint="D7", cell_type="CD14_Mono", why=HALLMARK),
        pd.DataFrame(
            {
                "timepoint": "D7",
                "cell_type": ["CD14_Mono", "CD8_T"],
                "gene": ["CXCL10", "IFNG"],
                "log2fc": [3.6, 2.6],
                "why": ["CXCL10^CXCR3", "IFNG^IFNGR1_IFNGR2"],
            }
        ),
        *(
            signature.assign(timepoint="product", cell_type=c, why="CYTOSIG_IL4;CYTOSIG_IL10")
            for c in ("CD4_T", "CD8_T")
        ),
    ]
    effects = pd.concat(parts)[["timepoint", "cell_type", "gene", "log2fc", "why"]]
    effects = effects.sort_values(["timepoint", "cell_type", "gene"])
    effects.to_csv(args.out, sep="\t", index=False)
    print(effects.groupby(["timepoint", "cell_type"]).size().to_string())


if __name__ == "__main__":
    cli.run(main)
