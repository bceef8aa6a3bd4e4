"""10x folders (Matrix Market), and archives of one, which are read in memory and never unpacked to disk."""

from __future__ import annotations

import gzip
import io
import re
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from scipy import sparse

from cartox.cli import InputError
from cartox.sheets import shown
from cartox.stored import ADVICE, ALWAYS, MOST_PACKED, Stored, gene_symbols, genes_only, named, require_size

Parts = dict[str, Callable[[], BinaryIO]]
MEX_PARTS = {
    "matrix": ("matrix.mtx", "matrix.mtx.gz"),
    "barcodes": ("barcodes.tsv", "barcodes.tsv.gz"),
    "features": ("features.tsv", "features.tsv.gz", "genes.tsv", "genes.tsv.gz"),
}
CHUNK = 2_000_000  # entries that are parsed at a time
MOST_COMMENTS = 1000  # lines before the sizes
SHORTEST_ENTRY = 6  # bytes of `1 1 1` and its line end


def folder_parts(folder: Path) -> Parts:
    """The parts of a 10x folder. Raises InputError where one is missing."""
    files = {path.name: path for path in sorted(folder.iterdir()) if path.is_file()}
    try:
        return {part: lambda p=files[name]: p.open("rb") for part, name in _pick(list(files)).items()}
    except InputError as error:
        inside = [p.parent.relative_to(folder) for p in sorted(folder.glob("*/*matrix.mtx*"))[:3]]
        inside += [p.relative_to(folder) for p in sorted(folder.glob("*.h5"))[:3]]
        hint = f"; did you mean {shown(f'{folder.name}/{inside[0]}')}?" if inside else ""
        raise InputError(error.faults[0] + hint) from None


def archive_parts(path: Path) -> Parts:
    """The parts of a 10x folder inside a tar archive, read in memory: links and paths are never followed."""
    held: dict[str, bytes] = {}
    wanted = tuple(name for names in MEX_PARTS.values() for name in names)
    total = 0
    with tarfile.open(path) as archive:
        for member in archive:
            # every member is unpacked on the way to the next, so each counts, wanted or not
            total += max(member.size, 0)
            require_size(total, path.stat().st_size, f"{shown(member.name)} in the archive")
            if not member.isfile() or not member.name.endswith(wanted) or "/._" in f"/{member.name}":
                continue
            stream = archive.extractfile(member)
            held[member.name] = stream.read() if stream else b""
    return {part: lambda n=name: io.BytesIO(held[n]) for part, name in _pick(list(held)).items()}


def _pick(names: list[str]) -> dict[str, str]:
    """Which file is which part of a 10x folder; names may have a prefix, as those of GEO do."""
    picked = {}
    for part, endings in MEX_PARTS.items():
        found = sorted(name for name in names if name.endswith(endings))
        if not found:
            raise InputError(f"no {endings[0]} (or .gz) in it, so it is not a 10x folder; {ADVICE}")
        if len(found) > 1:
            some = ", ".join(shown(name).strip("'") for name in found[:4])
            raise InputError(f"several matrices in it ({some}); give one with a single sample")
        picked[part] = found[0]
    return picked


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


def _lines(part: Callable[[], BinaryIO]) -> list[list[str]]:
    with part() as raw, _plain(raw) as stream:
        text = stream.read().decode("utf-8-sig")
    # not splitlines(), which parts at characters that a spreadsheet leaves in a name
    return [line.split("\t") for line in re.split(r"\r\n|\r|\n", text) if line]


def open_mex(parts: Parts) -> Stored:
    """Open a 10x folder by its parts. Values are looked at from the start, as text has no index."""
    rows = _lines(parts["features"])
    barcodes = [row[0] for row in _lines(parts["barcodes"])]
    kinds = named([row[2] if len(row) > 2 else "Gene Expression" for row in rows], "a feature type")
    ids = named([row[0] for row in rows], "a gene id")
    names = named([row[min(1, len(row) - 1)] for row in rows], "a gene name")
    names, ids = gene_symbols(names, ids, "in features.tsv")
    with parts["matrix"]() as raw, _plain(raw) as stream:
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
    sizes = (len(rows), len(barcodes))
    if (height, width) != sizes and (width, height) != sizes:
        raise InputError(
            f"matrix.mtx is {height} × {width}, but there are {sizes[0]} features and {sizes[1]} barcodes; "
            "the files are of different samples, or one is cut off"
        )
    if not 0 <= entries <= height * width:
        raise InputError(f"matrix.mtx claims {entries:,} values, but {height} × {width} are possible")
    require_size(entries * SHORTEST_ENTRY, packed, "matrix.mtx")
    genes_first = (height, width) == sizes

    def table(stream: BinaryIO, **options: Any) -> Any:
        import pandas as pd

        # not scipy's mmread, which crashes on some damaged files (a segmentation fault, no error)
        names = ["row", "column", "value"]
        options |= {"header": None, "names": names, "index_col": False, "skiprows": skipped + 1}
        return pd.read_csv(stream, sep=r"\s+", **options)

    def load() -> sparse.csr_matrix:
        kinds = {"row": np.int64, "column": np.int64, "value": np.float64}
        rows, columns, values = [np.empty(0, np.int32)], [np.empty(0, np.int32)], [np.empty(0)]
        with parts["matrix"]() as raw, _plain(raw) as stream:
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
        with parts["matrix"]() as raw, _plain(raw) as stream:
            values = table(stream, usecols=["value"], nrows=min(limit, entries)) if entries else {"value": []}
        return np.asarray(values["value"], dtype=float)

    return Stored(
        "10x folder",
        (len(barcodes), len(rows)),
        names,
        ids,
        genes_only(kinds),
        barcodes=lambda: named(barcodes, "a barcode"),
        load=load,
        sample=sample,
    )
