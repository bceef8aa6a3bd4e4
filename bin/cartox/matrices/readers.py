"""Read count matrices as users have them: Cell Ranger's HDF5, h5ad, and folders or archives of Matrix Market.

A matrix is opened first (names and sizes, cheap) and read after; the check of a cohort's inputs only peeks.
Nothing is unpickled and no archive is unpacked to disk.
"""

from __future__ import annotations

import lzma
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from cartox.cli import MACHINE_FAULTS, InputError
from cartox.matrices.hdf5 import open_hdf5
from cartox.matrices.mex import open_mex
from cartox.matrices.orthologues import Orthologues, known, translated
from cartox.matrices.parts import folder_parts, tar_parts, zip_parts
from cartox.matrices.stored import ADVICE, Stored
from cartox.spreadsheet import all_harmless

KNOWN_STARTS = {
    b"\xd0\xcf\x11\xe0": "an Excel file",
    b"%PDF": "a PDF file",
    b"version https://git-lfs": "a Git LFS pointer, not the file itself (run `git lfs pull`)",
    b"%%MatrixMarket": "the matrix.mtx of a 10x folder (give the folder that holds it)",
}
DAMAGE = (OSError, EOFError, KeyError, ValueError, IndexError, TypeError, OverflowError, AttributeError)
DAMAGE += (RuntimeError, struct.error, zlib.error, lzma.LZMAError, tarfile.TarError)
# SystemError: h5py's, where HDF5 stumbles within a call back
DAMAGE += (zipfile.BadZipFile, ArithmeticError, SystemError)


@contextmanager
def opened(path: Path | str, orthologues: Orthologues | None = None) -> Iterator[Stored]:
    """Open a matrix of any accepted form. Raises InputError that says what the file is instead.

    orthologues: gives genes the symbols of human ones.
    Lack of memory and faults of the machine (`cartox.cli.MACHINE_FAULTS`) are raised as they are.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path.name}: no such file; correct the path")
    if not (path.is_file() or path.is_dir()):
        # a pipe would be waited for, a device read without end
        raise InputError(f"{path.name}: it is neither a file nor a folder; correct the path")
    try:
        if path.is_dir():
            yield _named(open_mex(folder_parts(path)), orthologues)
        elif h5py.is_hdf5(path):
            with h5py.File(path, "r") as file:
                yield _named(open_hdf5(file), orthologues)
        elif tarfile.is_tarfile(path):
            yield _named(open_mex(tar_parts(path)), orthologues)
        elif zipfile.is_zipfile(path) and not _is_excel(path):
            yield _named(open_mex(zip_parts(path)), orthologues)
        else:
            raise InputError(f"it is {what_is(path)}, not a count matrix; {ADVICE}")
    except InputError as error:
        raise InputError([f"{path.name}: {fault}" for fault in error.faults]) from None
    except DAMAGE as error:
        # a disk that fails is no fault of the file: the run is to stop, not to go on without the sample
        if getattr(error, "errno", None) in MACHINE_FAULTS:
            raise
        said = re.sub(r"\s+|[^ -~]", " ", str(error.args[0] if error.args else error))[:160]
        raise InputError(
            f"{path.name}: damaged or truncated ({type(error).__name__}: {said}); copy it again"
        ) from None


def _named(stored: Stored, orthologues: Orthologues | None) -> Stored:
    """The same with human symbols, and names that no spreadsheet runs: they become cells of the tables."""
    if orthologues is not None:
        stored.n_orthologues = known(stored.symbols[stored.keep], orthologues)
        stored.symbols = translated(stored.symbols, orthologues)
    stored.symbols, stored.ids = all_harmless(stored.symbols), all_harmless(stored.ids)
    barcodes = stored.barcodes
    stored.barcodes = lambda: all_harmless(barcodes())
    return stored


def _is_excel(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        return any(name.startswith("xl/") for name in archive.namelist())


def what_is(path: Path) -> str:
    """What a file that is no matrix looks like, in words."""
    with path.open("rb") as stream:
        head = stream.read(512)
    if not head:
        return "an empty file"
    if head[:2] == b"PK":
        return "an Excel file" if zipfile.is_zipfile(path) else "a truncated zip archive"
    for start, words in KNOWN_STARTS.items():
        if head.startswith(start):
            return words
    if head[:8] == b"\x89HDF\r\n\x1a\n":
        return "a truncated HDF5 file"
    if head[:2] == b"\x1f\x8b":
        return "a gzip file that is no tar archive, or a truncated one"
    if re.match(rb"\s*(<!doctype html|<html)", head, re.IGNORECASE):
        return "an HTML page (perhaps a failed download)"
    return "a text file" if b"\0" not in head else "of an unknown form"
