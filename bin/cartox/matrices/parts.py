"""Matrices that are several files: which of a folder's, or an archive's, are the parts of one.

Archives are read in memory and never unpacked to disk: their links and paths are never followed.
"""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cartox.cli import InputError
from cartox.matrices.layouts import AGGREGATION, samples_of
from cartox.matrices.stored import ADVICE, require_size
from cartox.sheets import shown


@dataclass(frozen=True)
class Form:
    """How a program names the parts of a matrix.

    endings: by part; names may have a prefix, as those of GEO do. cells_first: None where the sizes tell.
    """

    name: str
    endings: dict[str, tuple[str, ...]]
    cells_first: bool | None = None


def _packed(*names: str) -> tuple[str, ...]:
    return tuple(name + end for name in names for end in ("", ".gz"))


# STARsolo and BD Rhapsody write 10x's form too
TENX = Form(
    "10x",
    {
        "matrix": _packed("matrix.mtx"),
        "barcodes": _packed("barcodes.tsv"),
        "features": _packed("features.tsv", "genes.tsv"),
    },
)
PARSE = Form(
    "Parse",
    {
        "matrix": _packed("count_matrix.mtx", "DGE.mtx"),
        "barcodes": _packed("cell_metadata.csv"),
        "features": _packed("all_genes.csv"),
    },
    cells_first=True,
)
FRY = Form(
    "alevin-fry",
    {
        "matrix": _packed("quants_mat.mtx"),
        "barcodes": _packed("quants_mat_rows.txt"),
        "features": _packed("quants_mat_cols.txt"),
    },
    cells_first=True,
)
# 10x's last, for the end of its names is that of others'
FORMS = (PARSE, FRY, TENX)
GENE_NAMES = "gene_id_to_name.tsv"  # simpleaf's, beside the folder of the matrix
FRY_FOLDER = "alevin"


@dataclass
class Parts:
    """The parts of one matrix, to be opened one by one; `names`, where there is one, gives symbols to ids."""

    form: Form
    open: dict[str, Callable[[], BinaryIO]]


def folder_parts(folder: Path) -> Parts:
    """The parts of a matrix in a folder. Raises InputError where one is missing."""
    form, files = _in_folder(folder)
    return Parts(form, {part: lambda p=path: p.open("rb") for part, path in files.items()})


def files_read(folder: Path) -> list[Path]:
    """The files of a folder that a reader opens; all of them where it holds no matrix."""
    try:
        return sorted(_in_folder(folder)[1].values())
    except InputError:
        return sorted(path for path in folder.iterdir() if path.is_file())


def _in_folder(folder: Path) -> tuple[Form, dict[str, Path]]:
    for base in (folder, folder / "outs"):
        if (base / AGGREGATION).is_file():
            raise InputError(
                "it is a folder of cellranger aggr, which joins samples; give each sample its own matrix "
                f"(make_sheet.py finds them by {AGGREGATION})"
            )
        if samples := samples_of(base):
            one = folder.name / samples[0].relative_to(folder)
            what = f"it is a folder of cellranger multi with {len(samples)} samples"
            raise InputError(f"{what}; give each its own, such as {shown(one)}")
    within = folder / FRY_FOLDER if (folder / FRY_FOLDER).is_dir() else folder
    files = {path.name: path for path in sorted(within.iterdir()) if path.is_file()}
    try:
        form, picked = _pick(list(files))
    except InputError as error:
        inside = [p.parent.relative_to(folder) for p in sorted(folder.glob("*/*matrix.mtx*"))[:3]]
        inside += [p.relative_to(folder) for p in sorted(folder.glob("*.h5"))[:3]]
        hint = f"; did you mean {shown(f'{folder.name}/{inside[0]}')}?" if inside else ""
        raise InputError(error.faults[0] + hint) from None
    found = {part: files[name] for part, name in picked.items()}
    if form is FRY and (folder / GENE_NAMES).is_file():
        found["names"] = folder / GENE_NAMES
    return form, found


def tar_parts(path: Path) -> Parts:
    """The parts of a matrix inside a tar archive, read in memory."""
    held: dict[str, bytes] = {}
    total = 0
    with tarfile.open(path) as archive:
        for member in archive:
            # every member is unpacked on the way to the next, so each counts, wanted or not
            total += max(member.size, 0)
            require_size(total, path.stat().st_size, f"{shown(member.name)} in the archive")
            if member.isfile() and _wanted(member.name):
                stream = archive.extractfile(member)
                held[member.name] = stream.read() if stream else b""
    return _held(held)


def zip_parts(path: Path) -> Parts:
    """The parts of a matrix inside a zip archive, as BD's pipeline writes it, read in memory."""
    with zipfile.ZipFile(path) as archive:
        members = [member for member in archive.infolist() if _wanted(member.filename)]
        total = 0
        for member in members:
            # zipfile reads no more of a member than the size that is looked at here
            total += member.file_size
            require_size(total, path.stat().st_size, f"{shown(member.filename)} in the archive")
        return _held({member.filename: archive.read(member) for member in members})


def _wanted(name: str) -> bool:
    endings = (ending for form in FORMS for names in form.endings.values() for ending in names)
    return name.endswith((*endings, GENE_NAMES)) and "/._" not in f"/{name}"


def _held(held: dict[str, bytes]) -> Parts:
    form, picked = _pick([name for name in held if not name.endswith(GENE_NAMES)])
    names = [name for name in held if name.endswith(GENE_NAMES)]
    if form is FRY and len(names) == 1:
        picked["names"] = names[0]
    return Parts(form, {part: lambda n=name: io.BytesIO(held[n]) for part, name in picked.items()})


def _pick(names: list[str]) -> tuple[Form, dict[str, str]]:
    """The form of a matrix, and which file is which part."""
    form = next((f for f in FORMS if any(n.endswith(f.endings["features"]) for n in names)), TENX)
    picked = {}
    for part, endings in form.endings.items():
        found = sorted(name for name in names if name.endswith(endings))
        if not found:
            raise InputError(
                f"no {endings[0]} (or .gz) in it, so it is not the form {form.name} writes; {ADVICE}"
            )
        if len(found) > 1:
            some = ", ".join(shown(name).strip("'") for name in found[:4])
            raise InputError(f"several matrices in it ({some}); give one with a single sample")
        picked[part] = found[0]
    return form, picked
