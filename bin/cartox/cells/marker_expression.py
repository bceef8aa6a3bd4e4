"""Expression of the marker genes by cell, its own and its neighbours', and counts of the CAR transgenes."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from cartox.cells.tables import read_features, walk
from cartox.matrices.matrix import TARGET_SUM, lognormalise

if TYPE_CHECKING:
    import pandas as pd

FLOOR = 1.0  # log(1 + CP10k): a marker that stays below this everywhere is not expressed
HIGHEST = 20  # cells whose neighbourhoods set the reference level
OWN = 0.4  # weight of the cell's own expression beside its neighbours' mean


def neighbour_means(near: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Mean of `values` (cells × genes) over each cell's neighbours; near: their rows, cells × k."""
    n, k = near.shape
    if k < 1:
        return values.copy()
    near = np.sort(near, axis=1)
    shape = (np.full(near.size, 1 / k, dtype=np.float32), near.ravel(), np.arange(0, near.size + 1, k))
    return np.asarray(sparse.csr_matrix(shape, shape=(n, n)) @ values)


@dataclass(frozen=True)
class MarkerExpression:
    """Marker expression of some cells: their own and their neighbours' mean log1p CP10k.

    own, near: cells × genes, float32. column: column of each gene that was measured.
    """

    own: np.ndarray
    near: np.ndarray
    column: dict[str, int]

    def subset(self, cells: np.ndarray) -> MarkerExpression:
        """The same genes in some of the cells."""
        return MarkerExpression(self.own[cells], self.near[cells], self.column)

    def counts(self, genes: list[str], totals: np.ndarray) -> dict[str, np.ndarray]:
        """Raw counts of the genes that were measured, by cell, won back from `own`.

        totals: all counts of each cell.
        """
        share = totals / TARGET_SUM
        return {
            gene: np.rint(np.expm1(self.own[:, self.column[gene]].astype(float)) * share).astype(int)
            for gene in genes
            if gene in self.column
        }

    def levels(self) -> np.ndarray:
        """Expression as a share of each gene's reference level, 0..1 (see `cartox.cells.annotation`)."""
        blend = OWN * self.own
        if not len(blend):
            return blend
        for j, near in enumerate(self.near.T):
            top = np.sort(np.partition(near, -min(HIGHEST, len(near)))[-HIGHEST:])
            blend[:, j] += (1 - OWN) * near
            blend[:, j] /= max(top.mean(), FLOOR)
        return np.clip(blend, 0, 1, out=blend)


def gather(
    cells: pd.DataFrame,
    counts: dict[str, Path],
    genes: list[str],
    car_features: list[str],
    near: np.ndarray,
    notes: list[str],
) -> tuple[MarkerExpression, np.ndarray]:
    """Expression of the marker genes, and UMIs (int32) of each CAR feature, by cell; read sample by sample.

    Notes a CAR feature that a sample lacks, or all: samples of its product may have been dropped.
    """
    with_cells = sorted(set(cells["sample"]) & set(counts))
    names = {sample: set(read_features(counts[sample])[0]) for sample in with_cells}
    everywhere = set().union(*names.values())
    for feature in car_features:
        lacking = [sample for sample, found in names.items() if feature not in found]
        if len(lacking) == len(names):
            alike = difflib.get_close_matches(feature, sorted(everywhere), n=3, cutoff=0.5)
            hint = f"; nearest names: {', '.join(alike)}" if alike else ""
            notes.append(f"CAR feature {feature} is in none of the matrices, so it counts as zero{hint}")
        elif lacking:
            notes.append(f"CAR feature {feature} is not in the matrices of {', '.join(lacking)}")

    own = np.zeros((len(cells), len(genes)), dtype=np.float32)
    umi = np.zeros((len(cells), len(car_features)), dtype=np.int32)
    totals = cells["n_counts"].to_numpy()
    for rows, matrix in walk(cells, counts, [*genes, *car_features]):
        own[rows] = lognormalise(matrix.counts[:, : len(genes)], totals[rows]).toarray()
        umi[rows] = matrix.counts[:, len(genes) :].toarray()
    column = {gene: i for i, gene in enumerate(genes) if gene in everywhere}
    return MarkerExpression(own, neighbour_means(near, own), column), umi
