"""Genes of another species by the symbols of their human orthologues, so that all else is as with human."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np

Orthologues = Mapping[str, str]  # symbol of the species: human symbol


@cache
def read_orthologues(path: Path | None) -> Orthologues | None:
    """The table that ships (columns of the species and of human), or None where none is given."""
    if path is None:
        return None
    text = gzip.decompress(path.read_bytes()).decode()
    return {row[0]: row[1] for row in list(csv.reader(io.StringIO(text), delimiter="\t"))[1:]}


def translated(symbols: np.ndarray, orthologues: Orthologues) -> np.ndarray:
    """Human symbols where there are any; other genes keep theirs."""
    return np.array([orthologues.get(name, name) for name in symbols.tolist()], dtype=str)


def known(symbols: np.ndarray, orthologues: Orthologues) -> int:
    """Number of genes that have a human symbol."""
    return sum(name in orthologues for name in symbols.tolist())
