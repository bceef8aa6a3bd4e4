"""The matrices that a sample sheet names: there, readable, raw counts, each once, with the CAR features."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from cartox.checksums import checksums_of
from cartox.cli import InputError
from cartox.cohort import PATHS
from cartox.matrix import not_counts
from cartox.readers import opened
from cartox.sheets import Faults, Table, nearest, shown

SAMPLED = 2_000_000  # values looked at in each matrix
MANY_CELLS = 1_000_000  # from here on (raw matrices) barcodes are not compared


def check_matrices(
    table: Table,
    staged: dict[str, Path] | None,
    folder: Path,
    car_features: Iterable[str],
    faults: Faults,
    filtered: dict[str, frozenset[str]],
) -> dict[str, list[dict[str, Any]]]:
    """Check every matrix the sheet names; return the checksums of each one's files, by the sheet's string.

    staged: where the file of each of the sheet's strings was put; None when the strings are paths relative to
    `folder`. Faults stand at the first row that names a matrix.
    filtered: is filled with the genes of each sample's matrix.
    """
    cells: dict[str, int] = {}
    genes: dict[str, frozenset[str]] = {}
    inputs: dict[str, list[dict[str, Any]]] = {}
    named: dict[str, tuple[int, str]] = {}
    for number, row in table.numbered():
        for column in (column for column in PATHS if row.get(column)):
            value = row[column]
            if value in named:
                first, other = named[value]
                what = f"the matrix is named in row {first}, column {shown(other)} already"
                faults.add(table.name, f"{what}; give each one once", number, column)
                continue
            named[value] = (number, column)
            try:
                path = _located(value, staged, folder)
                cells[value], genes[value] = _peek(path)
                inputs[value] = checksums_of(path, value)
            except InputError as error:
                for what in error.faults:
                    faults.add(table.name, what, number, column)
            except OSError as error:
                faults.add(table.name, f"{shown(value)}: {error.strerror}; correct the path", number, column)
            if cells.get(value) == 0:
                what = f"{shown(value)} holds no cell; the sample will be dropped"
                faults.warn(table.name, what, number, column)
    _same_content(table, named, inputs, faults)
    _raw_smaller(table, cells, faults)
    filtered.update(
        (row.get("sample", ""), genes[row["path"]]) for row in table.rows if row.get("path") in genes
    )
    _check_genes(table.name, filtered, car_features, faults)
    return inputs


def _located(value: str, staged: dict[str, Path] | None, folder: Path) -> Path:
    """The file or folder a string of the sheet names. Raises InputError where there is none."""
    path = folder / value if staged is None else staged.get(value)
    if path is None:
        raise InputError(f"no file {shown(value)}; correct the path")
    if path.is_file() or path.is_dir():
        return path
    if path.exists():
        raise InputError(f"{shown(value)} is neither a file nor a folder; correct the path")
    there = [p.name for p in path.parent.iterdir()] if staged is None and path.parent.is_dir() else []
    hint = nearest(path.name, there, few=0)
    raise InputError(f"no file {shown(value)}{hint or '; correct the path'}")


def _peek(path: Path) -> tuple[int, frozenset[str]]:
    """Number of cells, and genes. Raises InputError where a sample of the values cannot be raw counts."""
    with opened(path) as stored:
        if fault := not_counts(stored.sample(SAMPLED)):
            raise InputError(fault + stored.hint)
        if stored.shape[0] <= MANY_CELLS:
            names, times = np.unique(stored.barcodes(), return_counts=True)
            if (times > 1).any():
                raise InputError(
                    f"barcode {shown(names[times > 1][0])} is there {times.max()} times; "
                    "give the matrix of one sample, with unique barcodes"
                )
        return stored.shape[0], frozenset(stored.symbols[stored.keep].tolist())


def _same_content(
    table: Table, named: dict[str, tuple[int, str]], inputs: dict[str, list[dict[str, Any]]], faults: Faults
) -> None:
    first: dict[tuple[str, ...], str] = {}
    for value, entries in inputs.items():
        other = first.setdefault(tuple(sorted(entry["sha256"] for entry in entries)), value)
        if other != value:
            number, column = named[value]
            what = f"{shown(value)} has the same content as {shown(other)} in row {named[other][0]}"
            faults.add(table.name, f"{what}; give each sample its own matrix", number, column)


def _raw_smaller(table: Table, cells: dict[str, int], faults: Faults) -> None:
    for number, row in table.numbered():
        raw, kept = cells.get(row.get("raw_path", "")), cells.get(row.get("path", ""))
        if raw is not None and kept is not None and raw < kept:
            what = f"the unfiltered matrix has fewer barcodes ({raw:,}) than the filtered one ({kept:,})"
            faults.add(table.name, f"{what}; exchange path and raw_path", number, "raw_path")


def _check_genes(
    name: str, filtered: dict[str, frozenset[str]], car_features: Iterable[str], faults: Faults
) -> None:
    """CAR features are somewhere, and the matrices are of one species and annotation."""
    if not filtered:
        return
    common = Counter(gene for genes in filtered.values() for gene in genes)
    for feature in car_features:
        without = sorted(sample for sample, genes in filtered.items() if feature not in genes)
        if len(without) == len(filtered):
            hint = nearest(feature, common) or "; name it as the reference the reads were aligned to does"
            faults.add("parameter --car_features", f"{shown(feature)} is in no matrix{hint}")
        elif without:
            faults.warn(
                "parameter --car_features", f"{shown(feature)} is not in {', '.join(without)}: 0 there"
            )
    shared = sum(times == len(filtered) for times in common.values())
    if not shared:
        faults.add(name, "no gene is in all matrices; give matrices of one species and annotation", 1, "path")
    elif shared < 0.5 * len(common):
        what = f"only {shared:,} of {len(common):,} genes are in all matrices, perhaps of several annotations"
        faults.warn(name, what, 1, "path")
