"""A count matrix on disk, as the readers of each form describe it, and what they share."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from cartox.cli import InputError

# Ensembl (versioned or not), FlyBase, WormBase and Entrez: ids where the steps need symbols
GENE_ID = re.compile(r"^(ENS[A-Z]*G\d{6,}|FBgn\d{7}|WBGene\d{8})(\.\d+)?$|^\d+$")
ADVICE = "give a Cell Ranger .h5, a 10x folder or a .tar.gz of one, or an .h5ad with raw counts"
BLOCKS = 20  # places in a matrix at which values are looked at


@dataclass
class Stored:
    """A matrix on disk, opened. `load` gives cells × all features; `keep` marks those that are genes."""

    form: str
    shape: tuple[int, int]  # cells × all features
    symbols: np.ndarray  # of all features
    ids: np.ndarray
    keep: np.ndarray
    barcodes: Callable[[], np.ndarray]
    load: Callable[[], sparse.csr_matrix]
    sample: Callable[[int], np.ndarray]
    hint: str = ""


def spread(n: int, limit: int) -> list[slice]:
    """Slices over 0..n that hold at most about `limit` places, evenly spread."""
    if n <= limit:
        return [slice(0, n)]
    width = max(1, limit // BLOCKS)
    return [slice(int(at), int(at) + width) for at in np.linspace(0, n - width, BLOCKS)]


def gene_symbols(names: np.ndarray, ids: np.ndarray, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Symbols and ids of the features, exchanged where the file has them the other way round."""
    if is_ids(names):
        if is_ids(ids):
            raise InputError(
                f"genes are named by ids such as '{names[0]}' and there are no symbols {where}; "
                "add the gene symbols, as markers and gene sets are given by symbol"
            )
        names, ids = ids, names
    return np.where(names == "", ids, names), ids


def is_ids(names: np.ndarray) -> bool:
    """Whether most names are gene ids rather than symbols."""
    looked_at = names[:: max(1, len(names) // 2000)]
    return len(names) > 0 and sum(bool(GENE_ID.match(name)) for name in looked_at) > len(looked_at) / 2


def genes_only(kinds: np.ndarray) -> np.ndarray:
    """Mask of the gene expression features. Raises InputError where there are none."""
    keep = kinds == "Gene Expression"
    if len(kinds) and not keep.any():
        raise InputError(
            f"no feature is 'Gene Expression' (it has '{kinds[0]}'); give the gene expression matrix"
        )
    return keep
