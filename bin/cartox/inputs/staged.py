"""The matrices that a sample sheet names: there, readable, raw counts, each once, with the CAR features."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cartox.cli import InputError
from cartox.inputs.checksums import checksums_of
from cartox.inputs.cohort import PATHS
from cartox.matrices.layouts import matrix_within
from cartox.matrices.matrix import not_counts
from cartox.matrices.orthologues import Orthologues
from cartox.matrices.parts import PARSE
from cartox.matrices.readers import opened
from cartox.matrices.stored import Stored
from cartox.sheets import Faults, Table, nearest, shown

Key = tuple[str, str]  # a column of the sheet, path or raw_path, and what stands in it
SAMPLED = 2_000_000  # values looked at in each matrix
OF_WELL = re.compile(r"^[ACGT]{16,}-\d+$")  # a barcode with the number of its well, as 10x writes it
LEAST_KNOWN = 0.2  # share of the genes that have an orthologue, where the species is the one given
MANY_CELLS = 1_000_000  # from here on (raw matrices) barcodes are not compared


def check_matrices(
    table: Table,
    staged: dict[Key, Path] | None,
    folder: Path,
    car_features: Iterable[str],
    faults: Faults,
    filtered: dict[str, frozenset[str]],
    orthologues: Orthologues | None = None,
) -> dict[Key, list[dict[str, Any]]]:
    """Check every matrix the sheet names; return the checksums of each one's files.

    staged: where the file of each string of the sheet was put; None when the strings are paths relative to
    `folder`. Faults stand at the first row that names a matrix.
    filtered: is filled with the genes of each sample's matrix.
    orthologues: gives genes the symbols of human ones; how many is told.
    """
    cells: dict[Key, int] = {}
    genes: dict[Key, frozenset[str]] = {}
    translated: list[int] = []
    inputs: dict[Key, list[dict[str, Any]]] = {}
    places: dict[Key, tuple[int, str]] = {}
    named: dict[Path, tuple[int, str]] = {}
    for number, row in table.numbered():
        for column in (column for column in PATHS if row.get(column)):
            value = row[column]
            key = (column, value)
            try:
                path = _place(key, staged, folder)
                first, other = named.setdefault(path or Path(value), (number, column))
                if (first, other) != (number, column):
                    what = f"the matrix is named in row {first}, column {shown(other)} already"
                    faults.add(table.name, f"{what}; give each one once", number, column)
                    continue
                places[key] = (number, column)
                path = _there(value, path, staged is None)
                seen = _peek(path, orthologues)
                cells[key], genes[key] = seen.cells, seen.genes
                translated.append(seen.n_orthologues)
                if seen.warning and column == "path":
                    faults.warn(table.name, f"{shown(value)} {seen.warning}", number, column)
                label = value if path.name == Path(value).name else f"{value.rstrip('/')}/{path.name}"
                inputs[key] = checksums_of(path, label)
            except InputError as error:
                for what in error.faults:
                    faults.add(table.name, what, number, column)
            except OSError as error:
                faults.add(table.name, f"{shown(value)}: {error.strerror}; correct the path", number, column)
            if cells.get(key) == 0:
                what = f"{shown(value)} holds no cell; the sample will be dropped"
                faults.warn(table.name, what, number, column)
    if orthologues is not None and translated:
        many = sorted({min(translated), max(translated)})
        faults.warn(
            "parameter --organism",
            f"{' to '.join(f'{n:,}' for n in many)} genes of each matrix go by the symbol of their human "
            "orthologue; the others keep their own, which no marker or gene set has",
        )
    _same_content(table, places, inputs, faults)
    _raw_smaller(table, cells, faults)
    filtered.update(
        (row.get("sample", ""), genes["path", row["path"]])
        for row in table.rows
        if ("path", row.get("path", "")) in genes
    )
    _check_genes(table.name, filtered, car_features, faults)
    return inputs


def _place(key: Key, staged: dict[Key, Path] | None, folder: Path) -> Path | None:
    """Where the matrix that a cell of the sheet names should be; None where it was not there to be staged."""
    if staged is not None:
        return staged.get(key)
    path = folder / key[1]
    return matrix_within(path, key[0]) if path.is_dir() else path


def _there(value: str, path: Path | None, unstaged: bool) -> Path:
    """The file or folder that a string of the sheet names. Raises InputError where there is none."""
    if path is None:
        raise InputError(f"no file {shown(value)}; correct the path")
    if path.is_file() or path.is_dir():
        return path
    if path.exists():
        raise InputError(f"{shown(value)} is neither a file nor a folder; correct the path")
    there = [p.name for p in path.parent.iterdir()] if unstaged and path.parent.is_dir() else []
    hint = nearest(path.name, there, few=0)
    raise InputError(f"no file {shown(value)}{hint or '; correct the path'}")


@dataclass
class Seen:
    """What a look at a matrix tells. warning: what its user should know, or nothing."""

    cells: int
    genes: frozenset[str]
    warning: str
    n_orthologues: int


def _peek(path: Path, orthologues: Orthologues | None = None) -> Seen:
    """Look at a matrix. Raises InputError where a sample of the values cannot be raw counts."""
    warning = ""
    with opened(path, orthologues) as stored:
        if fault := not_counts(stored.sample(SAMPLED)):
            raise InputError(fault + stored.hint)
        if stored.shape[0] <= MANY_CELLS:
            barcodes = stored.barcodes()
            names, times = np.unique(barcodes, return_counts=True)
            if (times > 1).any():
                raise InputError(
                    f"barcode {shown(names[times > 1][0])} is there {times.max()} times; "
                    "give the matrix of one sample, with unique barcodes"
                )
            _refuse_pool(stored, path.name)
            wells = {name.rpartition("-")[2] for name in barcodes.tolist() if OF_WELL.match(name)}
            if len(wells) > 1:
                warning = (
                    f"has barcodes of {len(wells)} wells (-1, -2, …), as cellranger aggr joins them; "
                    "if they are of several samples, give each sample its own matrix"
                )
        names = stored.symbols[stored.keep]
        if orthologues is not None and stored.n_orthologues < LEAST_KNOWN * len(names):
            raise InputError(
                f"{path.name}: only {stored.n_orthologues:,} of {len(names):,} genes are the mouse's "
                f"(there is {shown(names[0])}); leave out --organism mouse, or give mouse symbols"
            )
        return Seen(stored.shape[0], frozenset(names.tolist()), warning, stored.n_orthologues)


def _refuse_pool(stored: Stored, name: str) -> None:
    """Raise InputError for Parse's folder of all samples: one of each lies beside it."""
    samples = (
        sorted(set(stored.obs["sample"]())) if stored.form == PARSE.name and "sample" in stored.obs else []
    )
    if len(samples) > 1:
        some = ", ".join(map(shown, samples[:4])) + (", …" if len(samples) > 4 else "")
        raise InputError(
            f"{name}: it holds {len(samples)} samples ({some}); give the folder of each, such as "
            f"{shown(f'{samples[0]}/DGE_filtered')}"
        )


def _same_content(
    table: Table, places: dict[Key, tuple[int, str]], inputs: dict[Key, list[dict[str, Any]]], faults: Faults
) -> None:
    first: dict[tuple[str, ...], Key] = {}
    for key, entries in inputs.items():
        other = first.setdefault(tuple(sorted(entry["sha256"] for entry in entries)), key)
        if other != key:
            number, column = places[key]
            what = f"{shown(key[1])} has the same content as {shown(other[1])} in row {places[other][0]}"
            faults.add(table.name, f"{what}; give each sample its own matrix", number, column)


def _raw_smaller(table: Table, cells: dict[Key, int], faults: Faults) -> None:
    for number, row in table.numbered():
        raw, kept = (cells.get((column, row.get(column, ""))) for column in ("raw_path", "path"))
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
