"""Count matrices that a run may be given: damaged, hostile, or only odd.

Each takes the place of that of P1_product.
"""

# ruff: noqa: E501 (a case is a line)

from __future__ import annotations

import gzip
import io
import os
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pandas as pd
from bad_cases import After, Case, put, sample
from builders import archive, counts, h5, h5_v2, mex
from scipy import sparse

from cartox.matrices.matrix import CountMatrix

NAME = "P1_product.h5"
ROW = "samples.csv, row 2, column 'path'"


def instead(form: str, make) -> dict[str, Any]:
    """Another file in the place of P1_product.h5, named `odd` with an ending."""
    return {"before": sample(0, "path", f"odd{form}"), "after": lambda folder: make(folder / f"odd{form}")}


def inside(change) -> After:
    """Change the HDF5 of P1_product."""

    def do(folder: Path) -> None:
        with h5py.File(folder / NAME, "a") as file:
            change(file)

    return do


def of(change, cells: int = 20) -> After:
    """Write P1_product anew from counts that were changed."""

    def do(folder: Path) -> None:
        made = counts(seed=1, cells=cells)
        h5(folder / NAME, change(made) or made)

    return do


def swap(file: h5py.File, place: str, **new: Any) -> None:
    del file[place]
    file.create_dataset(place, **new)


def values(change, dtype: str = "f8") -> After:
    """P1_product's counts as numbers that HDF5 may hold but counts may not be."""

    def do(folder: Path) -> None:
        with h5py.File(folder / NAME, "a") as file:
            data = file["matrix/data"][:].astype(dtype)
            swap(file, "matrix/data", data=change(data))

    return do


def put_value(value: float):
    def change(data: np.ndarray) -> np.ndarray:
        data[3] = value
        return data

    return change


def h5ad(change=None, **options: Any):
    """An h5ad of 20 cells, changed as a file."""

    def make(path: Path) -> None:
        made = counts(seed=1)
        x = options.get("x", lambda m: m)(made.counts)
        obs = pd.DataFrame({"kind": pd.Categorical(["a", "b"] * 10)}, index=made.barcodes)
        anndata.AnnData(x, obs=obs, var=pd.DataFrame(index=made.genes)).write_h5ad(path)
        if change:
            with h5py.File(path, "a") as file:
                change(file)

    return make


def folder_of(change=None, **options: Any):
    """A 10x folder of 20 cells, changed as a folder."""

    def make(path: Path) -> None:
        mex(path, counts(seed=1), **options)
        if change:
            change(path)

    return make


def text(part: str, change):
    def do(folder: Path) -> None:
        (folder / part).write_text(change((folder / part).read_text()))

    return do


def cut(part: str | None = None, at: float = 0.5):
    def do(path: Path) -> None:
        path = path / part if part else path
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * at)])

    return do


def cut_archive(path: Path) -> None:
    archive(path, mex(path.parent / "whole", counts(seed=1, cells=400)))
    cut()(path)


def zeros_packed(path: Path, size: int) -> None:
    """A gzip of zeros, of a member for each megabyte."""
    path.write_bytes(gzip.compress(b"0" * (1 << 20), mtime=0) * (size >> 20))


def member(tar: tarfile.TarFile, name: str, data: bytes = b"", **fields: Any) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    tar.addfile(info, io.BytesIO(data))


def bomb_of_tar(path: Path) -> None:
    """600 MB of zeros within some kilobytes."""
    with tarfile.open(path, "w:xz", preset=0) as tar:
        info = tarfile.TarInfo("s/matrix.mtx")
        info.size = 600 << 20
        tar.addfile(info, open("/dev/zero", "rb"))  # noqa: SIM115, PTH123


def claims_of_tar(path: Path) -> None:
    info = tarfile.TarInfo("s/matrix.mtx")
    info.size = 1 << 42
    path.write_bytes(info.tobuf() + bytes(20_000))


def traversal(path: Path) -> None:
    folder = mex(path.parent / "whole", counts(seed=1))
    with tarfile.open(path, "w:gz") as tar:
        member(tar, "../../escaped", b"x")
        member(tar, "/tmp/cartox_escaped", b"x")
        member(tar, "s/link", type=tarfile.SYMTYPE, linkname="/etc")
        member(tar, "s/fifo", type=tarfile.FIFOTYPE)
        for part in sorted(folder.iterdir()):
            tar.add(part, f"../../../escaped/{part.name}")


def bomb_in_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive_:
        archive_.writestr("xl/data", bytes(30 << 20))


def bomb(place: str, size: int, dtype: Any = "i4"):
    """A dataset of so many values that nothing was written to: it takes no room until it is read."""
    return inside(
        lambda f: swap(f, place, shape=(size,), dtype=dtype, chunks=(min(size, 1 << 16),), compression="gzip")
    )


def to_another_file(file: h5py.File) -> None:
    del file["matrix/data"]
    file["matrix/data"] = h5py.ExternalLink("P1_D7.h5", "/matrix/data")


def raw_of_another_file(file: h5py.File) -> None:
    n = len(file["matrix/indices"])
    del file["matrix/data"]
    file["matrix"].create_dataset("data", (n,), "u1", external=[("/etc/services", 0, n)])


def group_in_itself(file: h5py.File) -> None:
    file["matrix/again"] = file["matrix"]
    del file["matrix/data"]
    file["matrix/data"] = h5py.SoftLink("/matrix/data")


def one_name(length: int):
    def change(file: h5py.File) -> None:
        names = file["matrix/features/name"][:].astype(object)
        names[0] = b"G" * length
        swap(file, "matrix/features/name", data=names, dtype=h5py.string_dtype())

    return change


def double(made: CountMatrix) -> None:
    """Two genes of one symbol whose counts add to more than an int32 holds."""
    made.genes[1] = made.genes[0]
    x = made.counts.tolil()
    x[0, 0] = x[0, 1] = 2**31 - 1
    made.counts = sparse.csr_matrix(x)


def deep_cut(path: Path) -> None:
    """The last value is of a gene that is not there: the check reads values, not where they belong."""
    mex(path, counts(seed=1), packed=False)
    lines = (path / "matrix.mtx").read_text().splitlines()
    lines[-1] = "31 20 1"
    (path / "matrix.mtx").write_text("\n".join(lines) + "\n")


def with_blank(made: CountMatrix, rows: bool) -> None:
    x = made.counts.tolil()
    if rows:
        x[5, :] = 0
    else:
        x[:, 5] = 0
    made.counts = sparse.csr_matrix(x)


def renamed(made: CountMatrix, what: str, name: str) -> None:
    array = getattr(made, what).astype("U40")
    array[2] = name
    setattr(made, what, array)


def linked(target: str) -> dict[str, Any]:
    return instead(".h5", lambda path: path.symlink_to(target))


def loop_inside(path: Path) -> None:
    mex(path, counts(seed=1))
    (path / "again").symlink_to(path)
    (path / "matrix.mtx.gz.tmp").symlink_to("matrix.mtx.gz.tmp")


REFUSED = [
    Case("no such matrix", (ROW, "no file 'odd.h5'"), sample(0, "path", "odd.h5")),
    Case("empty file", (ROW, "an empty file"), after=put(NAME, b"")),
    Case("pipe", (ROW, "neither a file nor a folder"), **instead(".h5", os.mkfifo)),
    Case("device", (ROW, "neither a file nor a folder"), **linked("/dev/zero")),
    Case("link to itself", (ROW, "no file 'odd.h5'"), **linked("odd.h5")),
    Case("link to nothing", (ROW, "no file 'odd.h5'"), **linked("gone.h5")),
    Case("empty folder", (ROW, "no matrix.mtx"), **instead("", Path.mkdir)),
    Case("text", (ROW, "a text file"), after=put(NAME, "gene,cell\n")),
    Case("page of HTML", (ROW, "an HTML page"), after=put(NAME, "<html><script>alert(1)</script></html>")),
    Case("zip bomb", (ROW, "an Excel file"), **instead(".h5", bomb_in_zip)),
    Case("zip cut off", (ROW, "a truncated zip archive"), after=put(NAME, b"PK\x03\x04" + bytes(40))),
    Case("HDF5 cut off", (ROW, "truncated"), after=lambda f: cut()(f / NAME)),
    Case("HDF5 of 8 bytes", (ROW, "damaged"), after=put(NAME, b"\x89HDF\r\n\x1a\n")),
    Case("HDF5: data of 40 GB in no room", (ROW, "'matrix/data'", "not read"), after=bomb("matrix/data", 10**10)),
    Case("HDF5: 10^12 barcodes", (ROW, "'matrix/barcodes'", "not read"), after=bomb("matrix/barcodes", 10**12, "S16")),
    Case("HDF5: barcodes of 1 GB each", (ROW, "'matrix/barcodes'", "not read"), after=bomb("matrix/barcodes", 20, "S1000000000")),
    Case("HDF5: shape of 10^12", (ROW, "sizes of the parts disagree"), after=inside(lambda f: swap(f, "matrix/shape", data=[30, 10**12]))),
    Case("HDF5: shape below 0", (ROW, "disagree"), after=inside(lambda f: swap(f, "matrix/shape", data=[30, -20]))),
    Case("HDF5: no indices", (ROW, "damaged"), after=inside(lambda f: f["matrix"].pop("data"))),
    Case("HDF5: no features", (ROW, "damaged"), after=inside(lambda f: f["matrix"].pop("features"))),
    Case("HDF5: features as one dataset", (ROW, "damaged"), after=inside(lambda f: swap(f, "matrix/features", data=3))),
    Case("HDF5: values are words", (ROW, "not numbers"), after=values(lambda v: v.astype("S4"))),
    Case("HDF5: part in another file", (ROW, "'matrix/data' is a link to another file"), after=inside(to_another_file)),
    Case("HDF5: part is /etc/services", (ROW, "'matrix/data' keeps its values in another file"), after=inside(raw_of_another_file)),
    Case("HDF5: links in a ring", (ROW, "damaged"), after=inside(group_in_itself)),
    Case("HDF5: name of 100,000 letters", (ROW, "100,000 characters"), after=inside(one_name(100_000))),
    Case("negative counts", (ROW, "negative"), after=values(put_value(-3))),
    Case("NaN", (ROW, "NaN or infinite"), after=values(put_value(np.nan))),
    Case("infinite", (ROW, "NaN or infinite"), after=values(put_value(np.inf))),
    Case("huge counts", (ROW, "no count of molecules"), after=values(put_value(2**40), "i8")),
    Case("log-normalised", (ROW, "log-normalised"), after=values(np.log1p)),
    Case("complex numbers", (ROW, "not numbers"), after=values(lambda v: v * 1j)),
    Case("barcode twice", (ROW, "2 times"), after=of(lambda m: m.barcodes.__setitem__(0, m.barcodes[1]))),
    Case("barcode with a line end", (ROW, "control characters", "\\n"), after=of(lambda m: renamed(m, "barcodes", "A\nB"))),
    Case("gene with an escape", (ROW, "control characters", "\\x1b"), after=of(lambda m: renamed(m, "genes", "\x1b[31m"))),
    Case("h5ad: neither X nor counts", (ROW, "neither X nor layers"), **instead(".h5ad", h5ad(lambda f: f.pop("X")))),
    Case("h5ad: no index", (ROW, "damaged"), **instead(".h5ad", h5ad(lambda f: f["obs"].attrs.__setitem__("_index", "gone")))),
    Case("h5ad: shape of 10^12", (ROW, "disagree"), **instead(".h5ad", h5ad(lambda f: f["X"].attrs.__setitem__("shape", [10**12, 30])))),
    Case("h5ad: dense of 10^12", (ROW, "not read"), **instead(".h5ad", h5ad(lambda f: swap(f, "X", shape=(10**6, 10**6), dtype="f4", chunks=(100, 100))))),
    Case("h5ad: three dimensions", (ROW, "damaged"), **instead(".h5ad", h5ad(lambda f: swap(f, "X", data=np.zeros((2, 2, 2)))))),
    Case("h5ad: normalised", (ROW, "log-normalised"), **instead(".h5ad", h5ad(x=lambda m: np.log1p(m)))),
    Case("10x folder: one part missing", (ROW, "no barcodes.tsv"), **instead("", folder_of(lambda f: (f / "barcodes.tsv.gz").unlink()))),
    Case("10x folder: a part is a pipe", (ROW, "no matrix.mtx"), **instead("", folder_of(lambda f: ((f / "matrix.mtx.gz").unlink(), os.mkfifo(f / "matrix.mtx.gz"))))),
    Case("10x folder: gzip cut off", (ROW, "truncated"), **instead("", folder_of(cut("matrix.mtx.gz")))),
    Case("10x folder: gzip with junk behind", (ROW, "damaged"), **instead("", folder_of(lambda f: (f / "barcodes.tsv.gz").write_bytes((f / "barcodes.tsv.gz").read_bytes() + b"junk")))),
    Case("10x folder: gzip bomb of barcodes", (ROW, "not read"), **instead("", folder_of(lambda f: zeros_packed(f / "barcodes.tsv.gz", 700 << 20)))),
    Case("10x folder: barcodes cut off", (ROW, "30 features and 19 barcodes"), **instead("", folder_of(text("barcodes.tsv", lambda t: t[: t.rindex("\n", 0, -1) + 1]), packed=False))),
    Case("10x folder: 10^15 values claimed", (ROW, "claims 1,000,000,000,000,000 values"), **instead("", folder_of(text("matrix.mtx", lambda t: t.replace("\n30 20 ", "\n30 20 1000000000000000\n% ")), packed=False))),
    Case("10x folder: banner of another form", (ROW, "not a coordinate matrix"), **instead("", folder_of(text("matrix.mtx", lambda t: t.replace("coordinate", "array")), packed=False))),
    Case("10x folder: not UTF-8", (ROW, "damaged"), **instead("", folder_of(lambda f: (f / "features.tsv").write_bytes(b"\xe9\t\xe9\n" * 30), packed=False))),
    Case("tar cut off", (ROW, "truncated"), **instead(".tar.gz", cut_archive)),
    Case("tar bomb", (ROW, "not read"), **instead(".tar.xz", bomb_of_tar)),
    Case("tar that claims 4 TB", (ROW, "not read"), **instead(".tar", claims_of_tar)),
    Case("tar with nothing in it", (ROW, "no matrix.mtx"), **instead(".tar", lambda p: tarfile.open(p, "w").close())),
]  # fmt: skip

DROPPED = [
    Case("index past the last gene", ("damaged",), after=inside(lambda f: f["matrix/indices"].__setitem__(0, 10**6)), outcome="dropped"),
    Case("index below 0", ("damaged",), after=inside(lambda f: f["matrix/indices"].__setitem__(0, -5)), outcome="dropped"),
    Case("indptr not in order", ("damaged",), after=inside(lambda f: f["matrix/indptr"].__setitem__(3, 10**6)), outcome="dropped"),
    Case("fewer indices than values", ("damaged",), after=inside(lambda f: swap(f, "matrix/indices", data=[1, 2])), outcome="dropped"),
    Case("h5ad by columns: index past the end", ("damaged",), **instead(".h5ad", h5ad(lambda f: f["X/indices"].__setitem__(0, 10**8), x=lambda m: m.tocsc())), outcome="dropped"),
    Case("two counts that add past an int32", ("no count of molecules",), after=of(double), outcome="dropped"),
    Case("10x folder: a value of no gene", ("damaged",), **instead("", deep_cut), outcome="dropped"),
    Case("no cell at all", ("no barcode",), after=of(lambda m: m.select(np.array([], dtype=int))), outcome="dropped"),
]  # fmt: skip

KEPT = [
    Case("one cell", ("only 1 cells pass QC",), after=of(lambda m: m.select(np.array([0]))), outcome="dropped"),
    Case("a gene without counts", after=of(lambda m: with_blank(m, rows=False)), outcome="kept"),
    Case("a cell without counts", after=of(lambda m: with_blank(m, rows=True), cells=25), outcome="kept"),
    Case("two genes of one symbol", after=of(lambda m: renamed(m, "genes", "GENE1")), outcome="kept"),
    Case("gene named as a script", after=of(lambda m: renamed(m, "genes", "<script>alert(1)</script>")), outcome="kept"),
    Case("barcode as a formula", after=of(lambda m: renamed(m, "barcodes", "=1+1")), outcome="kept"),
    Case("Cell Ranger 2", **instead(".h5", lambda p: h5_v2(p, counts(seed=1))), outcome="kept"),
    Case("whole numbers as float64", **instead(".h5ad", h5ad(x=lambda m: m.astype(np.float64))), outcome="kept"),
    Case("float64 in Cell Ranger's form", after=values(lambda v: v), outcome="kept"),
    Case("archive whose names lead out of it", **instead(".tar.gz", traversal), outcome="kept"),
    Case("folder with links in a ring", **instead("", loop_inside), outcome="kept"),
]  # fmt: skip


CASES = [*REFUSED, *DROPPED, *KEPT]
