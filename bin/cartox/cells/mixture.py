"""Cells with the markers of two lineages at once: doublets that were not found, and ambient RNA."""

from __future__ import annotations

import numpy as np

from cartox.cells.annotation import of_level
from cartox.cells.marker_expression import MarkerExpression
from cartox.cells.markers import Marker

HALF = 0.5  # a doublet of two cells has half of what a typical cell of each has
LEAST = 4  # markers of a lineage that the cell itself must show: two or three can be ambient
ENOUGH = 20  # cells of a lineage that tell what a typical one has


def exclusive(markers: list[Marker]) -> dict[str, list[str]]:
    """The positive genes of each lineage that are positive in no other."""
    lineages = of_level(markers, "lineage")
    return {
        m.cell_type: [g for g in m.positive if not any(g in o.positive for o in lineages if o is not m)]
        for m in lineages
    }


def excluding(markers: list[Marker]) -> list[tuple[str, str]]:
    """Pairs of lineages of which each has a gene of the other among its negatives: no cell is both.

    T and NK cells are no such pair in the shipped table: cytotoxic T cells have NK genes.
    """
    own = exclusive(markers)
    lineages = of_level(markers, "lineage")
    return [
        (a.cell_type, b.cell_type)
        for i, a in enumerate(lineages)
        for b in lineages[i + 1 :]
        if set(a.negative) & set(own[b.cell_type]) and set(b.negative) & set(own[a.cell_type])
    ]


def mixed(expression: MarkerExpression, lineage: np.ndarray, markers: list[Marker]) -> np.ndarray:
    """Mask of cells that have half of a typical cell's own markers of two lineages that exclude each other.

    Neighbours do not count. lineage: the call of each cell; lineages with fewer than ENOUGH cells, or fewer
    than LEAST markers measured, are not looked for.
    """
    shows = {}
    for name, genes in exclusive(markers).items():
        columns = [expression.column[gene] for gene in genes if gene in expression.column]
        members = lineage == name
        if len(columns) < LEAST or members.sum() < ENOUGH:
            continue
        own = expression.own[:, columns]
        mean = own.mean(axis=1)
        shows[name] = (mean >= HALF * np.median(mean[members])) & ((own > 0).sum(axis=1) >= LEAST)
    found = np.zeros(len(lineage), dtype=bool)
    for a, b in excluding(markers):
        if a in shows and b in shows:
            found |= shows[a] & shows[b]
    return found
