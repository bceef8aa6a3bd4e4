"""A count matrix on disk, as the readers of each form describe it, and what they share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from scipy import sparse

from cartox.cli import InputError
from cartox.sheets import shown

# Ensembl (versioned or not), FlyBase, WormBase and Entrez: ids where the steps need symbols
GENE_ID = re.compile(r"^(ENS[A-Z]*G\d{6,}|FBgn\d{7}|WBGene\d{8})(\.\d+)?$|^\d+$")
ADVICE = "give a Cell Ranger .h5 or folder, a 10x folder or an archive of one, or an .h5ad with raw counts"
LONGEST_NAME = 500  # characters of a barcode, symbol or id
ALWAYS = 256 << 20  # bytes that any file may unpack to
MOST_PACKED = 200  # a larger file unpacks to at most this many times its size: counts do to about 20 times
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
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
    n_orthologues: int = 0  # genes that were given a human symbol
    # columns of cells, of an h5ad and of Parse's table
    obs: dict[str, Callable[[], np.ndarray]] = field(default_factory=dict)


def require_size(unpacked: int, packed: int, what: str) -> None:
    """Refuse what would unpack to far more than counts do. Sizes in bytes; raises InputError."""
    if unpacked > ALWAYS + MOST_PACKED * packed:
        raise InputError(
            f"{what} would take {unpacked / 2**30:,.1f} GB from {packed:,} bytes, which no counts do; "
            "it is damaged or made to fill the memory, so it is not read"
        )


def named(names: Iterable[str], what: str) -> np.ndarray:
    """Names as an array of str. Raises InputError where one is too long or holds control characters."""
    names = list(names)
    # an array of str is as wide as its longest
    if names and (longest := max(names, key=len)) and len(longest) > LONGEST_NAME:
        raise InputError(f"{what} of {len(longest):,} characters, {shown(longest)}; it is damaged")
    if CONTROL.search("".join(names)):
        odd = next(name for name in names if CONTROL.search(name))
        raise InputError(f"{what} with control characters, {shown(odd)}; it is damaged, or not from a mapper")
    return np.array(names, dtype=str)


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
                f"genes are named by ids such as {shown(names[0])} and there are no symbols {where}; "
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
            f"no feature is 'Gene Expression' (it has {shown(kinds[0])}); give the gene expression matrix"
        )
    return keep
