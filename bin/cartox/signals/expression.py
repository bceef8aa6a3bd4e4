"""How strongly, and in how many cells, each cell type of a sample expresses each gene."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cartox.cli import InputError
from cartox.labels import UNNAMED, Labels
from cartox.matrices.matrix import CountMatrix, lognormalise
from cartox.signals.pseudobulk import indicator


@dataclass
class TypeExpression:
    """Of one sample's named cell types, sorted.

    types: str. genes: str. n_cells: of each type. means: types × genes, float32, of log-normalised counts.
    detected: types × genes, int32, cells with a count.
    """

    types: np.ndarray
    genes: np.ndarray
    n_cells: np.ndarray
    means: np.ndarray
    detected: np.ndarray

    def write(self, path: Path | str) -> None:
        """Write as a compressed .npz; its bytes depend on the values alone."""
        np.savez_compressed(path, **vars(self))


def of_types(matrix: CountMatrix, labels: Labels) -> TypeExpression:
    """Aggregate one sample. matrix: the cells of `labels`, in their order."""
    types = np.setdiff1d(labels.cell_type, UNNAMED)
    groups: Any = indicator(labels.cell_type, list(types))
    values: Any = lognormalise(matrix.counts)
    n_cells = np.asarray(groups.sum(axis=1)).ravel()
    sums = (groups.astype(np.float64) @ values).toarray()
    detected = (groups @ values.sign()).toarray()
    return TypeExpression(
        types.astype(str),
        matrix.genes,
        n_cells,
        (sums / np.maximum(n_cells, 1)[:, None]).astype(np.float32),
        detected.astype(np.int32),
    )


def read_expression(path: Path | str) -> TypeExpression:
    """Read what `Expression.write` wrote. Raises InputError for a file that is something else."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return TypeExpression(**{name: file[name] for name in TypeExpression.__dataclass_fields__})
    except (ValueError, KeyError, OSError) as error:
        raise InputError(f"{Path(path).name}: no expression by cell type in it ({error})") from None
