"""A labelled reference as users have it: an h5ad with a cell type for each cell in a column of obs."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy import sparse

from cartox.cli import InputError
from cartox.matrices.matrix import CountMatrix, log_of_share, merge_duplicates, not_counts
from cartox.matrices.orthologues import Orthologues
from cartox.matrices.readers import opened, what_is
from cartox.matrices.stored import Stored
from cartox.sheets import nearest, shown
from cartox.spreadsheet import all_harmless

SAMPLED = 2_000_000  # values looked at before the run
LEAST_CELLS = 10  # of a label: fewer teach nothing
MOST_LABELS = 300  # a column of more names cells or samples, not types
LEAST_GENES, LEAST_SHARE = 100, 0.2  # shared with the cohort; of the shorter list of genes
MOST_LOG = 20.0  # log2 of counts per million ends at 20
PER_LABEL, IN_ALL, AT_LEAST = 1000, 20_000, 100  # cells that are learnt from
NO_TYPE = frozenset(("", "na", "nan", "none", "unknown", "unassigned", "mixed"))
ADVICE = "give an .h5ad with counts or log-normalised values and a cell type for each cell in obs"


@dataclass
class Reference:
    """The cells of a reference that are learnt from.

    expression: csr_matrix, cells × genes, float64, counts or in proportion to them. label: cells, str. genes:
    symbols, unique, str. left_out: cells by label, of labels with fewer than 10. n_cells: in the file.
    """

    expression: sparse.csr_matrix
    label: np.ndarray
    genes: np.ndarray
    form: str
    n_cells: int
    n_unlabelled: int
    left_out: dict[str, int]


def check_reference(
    path: Path,
    column: str,
    genes: Collection[str] | None = None,
    orthologues: Orthologues | None = None,
) -> None:
    """Look at a reference before the run, in part. genes: those of the cohort's matrices, where known.

    Raises InputError with every fault: no h5ad, no such column, too few labels, cells or shared genes, values
    that are neither counts nor log-normalised, parts that would need unpickling.
    """
    with _opened(path, orthologues) as stored:
        faults = [*_value_faults(stored.sample(SAMPLED), stored.hint), *_label_faults(stored, column)]
        if genes is not None:
            faults += _gene_faults(set(stored.symbols[stored.keep].tolist()), set(genes))
        if faults:
            raise InputError(faults)


def read_reference(path: Path, column: str, seed: int, orthologues: Orthologues | None = None) -> Reference:
    """Read the cells to learn from: at most 1,000 of a label, drawn by the seed. Raises InputError."""
    with _opened(path, orthologues) as stored:
        if faults := _label_faults(stored, column):
            raise InputError(faults)
        label = all_harmless(stored.obs[column]())
        usable, left_out, unlabelled = _usable(label)
        names_learnt = sorted(set(label[usable].tolist()))
        most = min(PER_LABEL, max(AT_LEAST, IN_ALL // len(names_learnt)))
        rows = drawn(label, dict.fromkeys(names_learnt, most), seed)
        loaded: Any = stored.load()
        loaded.check_format(full_check=True)
        if faults := _value_faults(loaded.data, stored.hint):
            raise InputError(faults)
        form = "log-normalised" if not_counts(loaded.data) else "counts"
        values = sparse.csr_matrix(loaded[rows][:, np.flatnonzero(stored.keep)].astype(np.float64))
        values.sum_duplicates()
        if form != "counts":
            values.data = np.expm1(values.data)
        names, ids = stored.symbols[stored.keep], stored.ids[stored.keep]
    merged = merge_duplicates(CountMatrix(values, np.array([str(row) for row in rows]), names, ids))
    return Reference(merged.counts, label[rows], merged.genes, form, len(label), unlabelled, left_out)


def normalised(values: sparse.csr_matrix) -> sparse.csr_matrix:
    """log(1 + x per 10,000), cells × genes, float32, of non-negative values that need not be whole."""
    totals = np.asarray(values.sum(axis=1)).ravel()
    return log_of_share(values, np.where(totals > 0, totals, 1))


def drawn(label: np.ndarray, most: Mapping[str, int], seed: int) -> np.ndarray:
    """Rows in order, at most `most[name]` of each label, drawn by the seed; other labels are left out."""
    rows = [np.array([], dtype=int)]
    for name in sorted(most):
        own = np.flatnonzero(label == name)
        # a stream for each label: one more label in the file draws no other cells of the rest
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        rows.append(own if len(own) <= most[name] else rng.choice(own, most[name], replace=False))
    return np.sort(np.concatenate(rows))


def _opened(path: Path, orthologues: Orthologues | None) -> Any:
    if path.is_file() and not h5py.is_hdf5(path):
        raise InputError(f"{path.name}: it is {what_is(path)}, not an .h5ad; {ADVICE}")
    return opened(path, orthologues)


def _value_faults(values: np.ndarray, hint: str) -> list[str]:
    """Why values are neither counts nor log-normalised ones, or nothing."""
    fault = not_counts(values)
    if not len(values) or not fault:
        return []
    if values.dtype.kind == "f" and np.isfinite(values).all() and values.min() >= 0:
        high = float(values.max())
        if high < MOST_LOG:
            return []
        return [
            f"values are neither counts nor log-normalised (not whole, as large as {high:.4g}); save the "
            f"counts in layers['counts'], or log1p of counts per 10,000 in X{hint}"
        ]
    return [f"{fault.removesuffix('; give raw counts')}; give raw counts or log-normalised values{hint}"]


def _label_faults(stored: Stored, column: str) -> list[str]:
    if not stored.obs:
        what = "it has no column of cells" if stored.form.startswith("h5ad") else f"it is {stored.form}"
        return [f"{what}; {ADVICE}"]
    if column not in stored.obs:
        hint = nearest(column, stored.obs, few=12)
        return [f"no column {shown(column)} in obs{hint or ''}; name the column by --reference_label"]
    label = stored.obs[column]()
    usable, left_out, _unlabelled = _usable(label)
    names = set(label[usable].tolist())
    if len(names) + len(left_out) > MOST_LABELS:
        what = f"{len(names) + len(left_out):,} different labels, as names of cells are"
        return [f"obs column {shown(column)}: {what}; give a column of at most {MOST_LABELS} cell types"]
    if len(names) < 2:
        what = f"{len(names)} cell types with at least {LEAST_CELLS} cells (of {len(label):,} cells)"
        return [f"obs column {shown(column)}: {what}; two are needed to tell one from another"]
    return []


def _usable(label: np.ndarray) -> tuple[np.ndarray, dict[str, int], int]:
    """Mask of the cells whose label can be learnt, cells of the labels that are too rare, and of no label."""
    count = Counter(label.tolist())
    none = {name for name in count if name.strip().casefold() in NO_TYPE}
    rare = {name: n for name, n in sorted(count.items()) if n < LEAST_CELLS and name not in none}
    usable = ~np.isin(label, sorted(none | set(rare)))
    return usable, rare, sum(count[name] for name in none)


def _gene_faults(own: set[str], cohort: set[str]) -> list[str]:
    shared = len(own & cohort)
    if shared >= max(LEAST_GENES, LEAST_SHARE * min(len(own), len(cohort))):
        return []
    some = " ({} in the reference, {} in the matrices)".format(
        *(shown(min(n, default="")) for n in (own, cohort))
    )
    what = f"only {shared:,} of its {len(own):,} genes are in the cohort's matrices{some}"
    return [f"{what}; give a reference of the same species, its genes named by symbol"]
