"""Ligand–receptor scores of one sample: liana's `lr_means` from each type's means.

Dimitrov 2022 and 2024 (LIANA, LIANA+); the score is that of CellPhoneDB (Efremova 2020): the mean of the mean
expression of ligand and receptor, a complex being as strong as its weakest subunit.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cartox.cli import InputError
from cartox.sheets import text_of
from cartox.signals.expression import TypeExpression
from cartox.spreadsheet import harmless

# A mean over fewer cells says little, and 25 (what a pseudobulk needs) would leave few pairs in a sample of
# 400 cells; liana's own default is 5.
MIN_CELLS = 10
# liana's default, and CellPhoneDB's: the share of a type's cells in which a subunit must be seen.
EXPR_PROP = 0.1


@dataclass
class PairScores:
    """One row per source type, target type and pair: names, and float64 means and shares of cells."""

    source: np.ndarray
    target: np.ndarray
    ligand: np.ndarray
    receptor: np.ndarray
    lr_means: np.ndarray
    ligand_props: np.ndarray
    receptor_props: np.ndarray


def _subunits(text: str | None) -> str:
    return "_".join(map(harmless, (text or "").strip().split("_")))


def read_resource(path: Path | str) -> list[tuple[str, str]]:
    """Read pairs from a CSV with the columns ligand and receptor (subunits joined by `_`), sorted, unique.

    Raises InputError with every fault: a missing column, an empty name, no row.
    """
    try:
        reader = csv.DictReader(text_of(Path(path)).splitlines())
        names = reader.fieldnames or []
        if missing := [name for name in ("ligand", "receptor") if name not in names]:
            raise InputError(
                f"{Path(path).name}: no column {' and no column '.join(missing)}; "
                f"its columns are {', '.join(names)}"
            )
        # subunits as the matrices' readers name their genes
        rows = [(_subunits(row["ligand"]), _subunits(row["receptor"])) for row in reader]
    except csv.Error as error:
        raise InputError(f"{Path(path).name}: it cannot be read as CSV ({error}); save it as CSV") from None
    faults = [
        f"{Path(path).name}, row {number}: {'ligand' if not ligand else 'receptor'} is empty"
        for number, (ligand, receptor) in enumerate(rows, start=2)
        if not (ligand and receptor)
    ]
    if not rows:
        faults.append(f"{Path(path).name}: no ligand–receptor pair in it")
    if faults:
        raise InputError(faults)
    return sorted(set(rows))


def weakest(values: np.ndarray, members: Sequence[np.ndarray]) -> np.ndarray:
    """Minimum over each complex's subunits: types × genes to types × complexes."""
    first = np.cumsum([0, *map(len, members[:-1])])
    return np.minimum.reduceat(values[:, np.concatenate(members)], first, axis=1)


def lr_means(expression: TypeExpression, usable: np.ndarray, pairs: Sequence[tuple[str, str]]) -> PairScores:
    """Score every pair of `pairs` between every two types of at least MIN_CELLS cells.

    usable: mask of the genes a pair may use. Pairs with a subunit that is not usable or has no count in the
    cells of these types are left out. Rows are those where all subunits are expressed in at least EXPR_PROP
    of their type's cells, in the order source, target, ligand, receptor. Equal to `lr_means` of liana's
    methods; ligand_props and receptor_props are the smallest share among the subunits.
    """
    large = expression.n_cells >= MIN_CELLS
    types, size = expression.types[large], expression.n_cells[large, None]
    column = {gene: i for i, gene in enumerate(expression.genes) if usable[i]}
    known = [p for p in pairs if all(g in column for side in p for g in side.split("_"))]
    empty = np.array([], dtype=str)
    if not known or not len(types):
        return PairScores(empty, empty, empty, empty, *(np.zeros(0) for _ in range(3)))
    entities = sorted({side for pair in known for side in pair})
    needed = sorted({g for entity in entities for g in entity.split("_")})
    place = {gene: i for i, gene in enumerate(needed)}
    members = [np.array([place[g] for g in entity.split("_")]) for entity in entities]

    columns = [column[g] for g in needed]
    means = weakest(expression.means[large][:, columns].astype(np.float64), members)
    props = weakest(expression.detected[large][:, columns] / size, members)

    where = {entity: i for i, entity in enumerate(entities)}
    ligand = np.array([where[a] for a, _ in known])
    receptor = np.array([where[b] for _, b in known])
    passing = props >= EXPR_PROP
    source, target, pair = np.nonzero(passing[:, None, ligand] & passing[None, :, receptor])
    a, b = ligand[pair], receptor[pair]
    names = np.array(entities)
    return PairScores(
        types[source],
        types[target],
        names[a],
        names[b],
        (means[source, a] + means[target, b]) / 2,
        props[source, a],
        props[target, b],
    )
