"""Matrices in Matrix Market form with tables of cells and genes: 10x, STARsolo, BD, Parse and alevin-fry."""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, BinaryIO

import numpy as np
from scipy import sparse

from cartox.cli import InputError
from cartox.matrices.parts import FRY, PARSE, Parts
from cartox.matrices.stored import ALWAYS, MOST_PACKED, Stored, gene_symbols, genes_only, named, require_size
from cartox.sheets import shown

CHUNK = 2_000_000  # entries that are parsed at a time
MOST_COMMENTS = 1000  # lines before the sizes
SHORTEST_ENTRY = 6  # bytes of `1 1 1` and its line end
# alevin-fry counts what is spliced, unspliced or either apart, and marks the last two so
UNSPLICED, AMBIGUOUS = "-U", "-A"


class _Unpacked(gzip.GzipFile):
    """A gzip stream that refuses to unpack to far more than counts do."""

    def __init__(self, stream: BinaryIO):
        super().__init__(fileobj=stream, mode="rb")
        self.packed = _size(stream)

    def read(self, size: int | None = -1) -> bytes:
        most = ALWAYS + MOST_PACKED * self.packed
        data = super().read(most - self.tell() + 1 if size is None or size < 0 else size)
        require_size(self.tell(), self.packed, "a part of it")
        return data


def _size(stream: BinaryIO) -> int:
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    return size


def _plain(stream: BinaryIO) -> BinaryIO:
    packed = stream.read(2) == b"\x1f\x8b"
    stream.seek(0)
    return _Unpacked(stream) if packed else stream  # type: ignore[return-value]


def _text(part: Callable[[], BinaryIO]) -> str:
    with part() as raw, _plain(raw) as stream:
        return stream.read().decode("utf-8-sig")


def _lines(part: Callable[[], BinaryIO]) -> list[list[str]]:
    # not splitlines(), which parts at characters that a spreadsheet leaves in a name
    return [line.split("\t") for line in re.split(r"\r\n|\r|\n", _text(part)) if line]


def _columns(part: Callable[[], BinaryIO], required: str) -> dict[str, list[str]]:
    """The columns of a CSV table, by name. Raises InputError where `required` is not among them."""
    try:
        header, *rows = [row for row in csv.reader(io.StringIO(_text(part), newline="")) if row] or [[]]
    except csv.Error as error:
        raise ValueError(str(error)) from None
    if required not in header:
        raise InputError(f"no column {shown(required)} in a table of it (it has {shown(','.join(header))})")
    if any(len(row) != len(header) for row in rows):
        raise ValueError("rows of a table differ in length")
    return {name: [row[i] for row in rows] for i, name in enumerate(header)}


@dataclass
class _Tables:
    """What the tables beside a matrix say. keep: features that are genes; obs: columns of cells."""

    ids: list[str]
    names: list[str]
    keep: np.ndarray
    barcodes: list[str]
    obs: dict[str, list[str]] = field(default_factory=dict)


def _tables(parts: Parts) -> _Tables:
    if parts.form is PARSE:
        genes, cells = (
            _columns(parts.open["features"], "gene_name"),
            _columns(parts.open["barcodes"], "bc_wells"),
        )
        ids = genes.get("gene_id", genes["gene_name"])
        keep = np.ones(len(ids), dtype=bool)
        return _Tables(ids, genes["gene_name"], keep, cells.pop("bc_wells"), cells)
    rows = _lines(parts.open["features"])
    barcodes = [row[0] for row in _lines(parts.open["barcodes"])]
    ids = [row[0] for row in rows]
    if parts.form is FRY:
        ids, keep = _spliced(ids)
        symbols = dict(row[:2] for row in _lines(parts.open["names"])) if "names" in parts.open else {}
        return _Tables(ids, [symbols.get(gene, gene) for gene in ids], keep, barcodes)
    kinds = named([row[2] if len(row) > 2 else "Gene Expression" for row in rows], "a feature type")
    return _Tables(ids, [row[min(1, len(row) - 1)] for row in rows], genes_only(kinds), barcodes)


def _spliced(ids: list[str]) -> tuple[list[str], np.ndarray]:
    """Gene of each of alevin-fry's columns, and which count: all but the unspliced ones.

    Columns of one gene, the spliced and the ambiguous, are added as those of one symbol are. Where the file
    does not tell these apart, every column counts.
    """
    n = len(ids) // 3
    genes = ids[:n]
    if not n or ids[n:] != [gene + UNSPLICED for gene in genes] + [gene + AMBIGUOUS for gene in genes]:
        return ids, np.ones(len(ids), dtype=bool)
    return genes * 3, np.repeat([True, False, True], n)


def open_mex(parts: Parts) -> Stored:
    """Open a matrix by its parts. Values are looked at from the start, as text has no index."""
    told = _tables(parts)
    names, ids = named(told.names, "a gene name"), named(told.ids, "a gene id")
    where = "in gene_id_to_name.tsv (give simpleaf's folder af_quant, which has it)"
    names, ids = gene_symbols(names, ids, where if parts.form is FRY else "in features.tsv")
    barcodes = told.barcodes
    with parts.open["matrix"]() as raw, _plain(raw) as stream:
        banner = stream.readline(200).decode("latin-1").lower().split()
        skipped, line = 1, stream.readline(10_000)
        while line.startswith(b"%") and skipped < MOST_COMMENTS:
            skipped, line = skipped + 1, stream.readline(10_000)
        packed = _size(raw)
    if banner[:3] != ["%%matrixmarket", "matrix", "coordinate"] or banner[3:5] not in (
        ["integer", "general"],
        ["real", "general"],
    ):
        raise InputError("matrix.mtx is not a coordinate matrix of numbers in Matrix Market form")
    height, width, entries = (int(n) for n in line.split())
    sizes = (len(ids), len(barcodes))
    genes_first = (height, width) == sizes and not parts.form.cells_first
    if not genes_first and (width, height) != sizes:
        raise InputError(
            f"matrix.mtx is {height} × {width}, but there are {sizes[0]} features and {sizes[1]} barcodes; "
            "the files are of different samples, or one is cut off"
        )
    if not 0 <= entries <= height * width:
        raise InputError(f"matrix.mtx claims {entries:,} values, but {height} × {width} are possible")
    require_size(entries * SHORTEST_ENTRY, packed, "matrix.mtx")

    def table(stream: BinaryIO, **options: Any) -> Any:
        import pandas as pd

        # not scipy's mmread, which crashes on some damaged files (a segmentation fault, no error)
        names = ["row", "column", "value"]
        options |= {"header": None, "names": names, "index_col": False, "skiprows": skipped + 1}
        return pd.read_csv(stream, sep=r"\s+", **options)

    def load() -> sparse.csr_matrix:
        kinds = {"row": np.int64, "column": np.int64, "value": np.float64}
        rows, columns, values = [np.empty(0, np.int32)], [np.empty(0, np.int32)], [np.empty(0)]
        with parts.open["matrix"]() as raw, _plain(raw) as stream:
            for part in table(stream, dtype=kinds, chunksize=CHUNK) if entries else ():
                row, column = part["row"].to_numpy() - 1, part["column"].to_numpy() - 1
                if row.min() < 0 or column.min() < 0 or row.max() >= height or column.max() >= width:
                    raise ValueError("a value outside the matrix")
                rows.append(row.astype(np.int32))
                columns.append(column.astype(np.int32))
                values.append(part["value"].to_numpy())
        value = np.concatenate(values)
        if len(value) != entries:
            raise ValueError(f"{len(value):,} values where {entries:,} are claimed")
        at = (np.concatenate(rows), np.concatenate(columns))
        return sparse.csr_matrix((value, at[::-1] if genes_first else at), shape=sizes[::-1])

    def sample(limit: int) -> np.ndarray:
        with parts.open["matrix"]() as raw, _plain(raw) as stream:
            values = table(stream, usecols=["value"], nrows=min(limit, entries)) if entries else {"value": []}
        return np.asarray(values["value"], dtype=float)

    return Stored(
        parts.form.name,
        (len(barcodes), len(ids)),
        names,
        ids,
        told.keep,
        barcodes=lambda: named(barcodes, "a barcode"),
        load=load,
        sample=sample,
        obs={name: partial(np.array, column, dtype=str) for name, column in told.obs.items()},
    )
