"""The samples that lie below a folder, as Cell Ranger and other programs leave them. Needs no library."""

from __future__ import annotations

import csv
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cartox.cli import InputError
from cartox.matrices.layouts import AGGREGATION, SAMPLES, matrix_within, samples_of
from cartox.sheets import COLUMN, file_name, shown

# Names that tell a program and not a sample
NOT_A_NAME = re.compile(
    r"^(outs|count|Solo\.out|af_quant|alevin|DGE_filtered|filtered|filtered_feature_bc_matrix)$"
)
LOOSE = re.compile(
    r"^(?!sample_filtered)(?P<sample>.+?)[._](sample_)?(filtered_feature_bc_matrix\.h5|RSEC_MolsPerCell_MEX(\.zip)?)$"
)
# any other matrix by its ending: not the unfiltered one of a program, nor its table of molecules
PLAIN = re.compile(
    r"^(?!(sample_)?(filtered|raw)_feature_bc_matrix|.*(raw_feature_bc_matrix|unfiltered|molecule_info))"
    r"(?P<sample>.+)\.h5(ad)?$",
    re.IGNORECASE,
)
UNFILTERED = re.compile(r"^(raw|(sample_)?raw_feature_bc_matrix|DGE_unfiltered|.*_Unfiltered_MEX)$")
ALL = ("all-sample", "all-well")  # Parse's folders of all samples
RAW_OF = (("filtered_feature_bc", "raw_feature_bc"), ("MolsPerCell_MEX", "MolsPerCell_Unfiltered_MEX"))
FIELD = re.compile(r"\{([^{}]*)\}")


@dataclass
class Found:
    """A sample found. pool: the run whose wells it shares with others; told: what aggr's table says of it."""

    sample: str
    path: Path
    raw_path: Path | None = None
    pool: str = ""
    told: dict[str, str] = field(default_factory=dict)


def samples_below(folder: Path, notes: list[str]) -> list[Found]:
    """The samples below a folder, in the order of their paths, each matrix once.

    notes: is filled with what its user should know.
    """
    found: dict[Path, Found] = {}
    seen: set[str] = set()
    for at, folders, files in os.walk(folder.absolute(), followlinks=True):
        here = Path(at)
        real = os.path.realpath(at)
        known = real in seen
        seen.add(real)
        one = [] if known else list(_within(here, files, notes))
        for sample in one:
            found.setdefault(sample.path.resolve(), sample)
        # what a run keeps beside its results can be a million files
        if known or any(not _loose(sample.path) for sample in one):
            folders[:] = []
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in ALL)
    return _named_apart(sorted(found.values(), key=lambda f: f.path))


def _within(here: Path, files: list[str], notes: list[str]) -> Iterator[Found]:
    """Samples of a folder that a program wrote, or none."""
    for base in (here, here / "outs"):
        if (base / AGGREGATION).is_file():
            yield from _aggregated(base / AGGREGATION, notes)
            return
        if samples := samples_of(base):
            pool = _name(base) if len(samples) > 1 else ""
            for sample in samples:
                yield from _one(sample, sample.name, pool)
            return
    if any(".mtx" in name for name in files):
        loose = LOOSE.match(here.name)
        if not UNFILTERED.search(here.name):
            yield Found(loose["sample"] if loose else _name(here), here, _raw_beside(here))
        return
    of_program = list(_one(here, _name(here)))
    yield from of_program
    plain = []
    for name in sorted(files):
        if (loose := LOOSE.match(name)) and not (here / name.removesuffix(".zip")).is_dir():
            yield Found(loose["sample"], here / name, _raw_beside(here / name))
        elif (loose := PLAIN.match(name)) and not of_program:
            plain.append(name)
            yield Found(loose["sample"], here / name)
    if plain:
        some = ", ".join(map(shown, plain[:3])) + (", …" if len(plain) > 3 else "")
        notes.append(f"{here}: taken for a sample each by their ending: {some}; remove the rows of others")


def _loose(path: Path) -> bool:
    """Whether a matrix lies beside others, named for its sample."""
    return bool(LOOSE.match(path.name) or (path.is_file() and PLAIN.match(path.name)))


def _one(folder: Path, name: str, pool: str = "") -> Iterator[Found]:
    matrix, raw = (matrix_within(folder, column) for column in ("path", "raw_path"))
    if matrix != folder:
        yield Found(name, matrix, raw if raw != folder else None, pool)


def _raw_beside(path: Path) -> Path | None:
    """The unfiltered matrix of the same name."""
    names = [path.name.replace(*pair) for pair in RAW_OF]
    return next((path.with_name(n) for n in names if n != path.name and path.with_name(n).exists()), None)


def _aggregated(table: Path, notes: list[str]) -> Iterator[Found]:
    """The samples that cellranger aggr joined, where they lay before."""
    with table.open(newline="", encoding="utf-8-sig") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        name = row.get("sample_id") or row.get("library_id") or ""
        place = row.get("molecule_h5") or row.get("sample_outs") or ""
        folder = table.parent / place
        folder = folder if folder.is_dir() else folder.parent
        matrix = matrix_within(folder) if place and folder.is_dir() else folder
        if matrix == folder:
            notes.append(
                f"{table}: the matrix of {shown(name)} is not beside {shown(place)}; add its row yourself"
            )
            continue
        raw = matrix_within(folder, "raw_path")
        told = {column: row[column] for column in ("patient", "timepoint") if row.get(column)}
        yield Found(name, matrix, raw if raw != folder else None, told=told)


def _name(folder: Path) -> str:
    """The name of the sample, or run, whose folder or part of it this is."""
    while NOT_A_NAME.match(folder.name) and folder.parent != folder:
        folder = folder.parent
    return folder.name.removesuffix("Solo.out").rstrip("_.") or folder.name


def _named_apart(found: list[Found]) -> list[Found]:
    """Names that a sheet may hold, each once: those of several samples get their run's before them."""
    times = Counter(sample.sample for sample in found)
    for sample in found:
        if times[sample.sample] > 1:
            above = [
                p for p in sample.path.parts if not NOT_A_NAME.match(p) and p not in (SAMPLES, sample.sample)
            ]
            sample.sample = f"{sample.pool or above[-2]}_{sample.sample}"
    for sample in found:
        sample.sample, sample.pool = (file_name(name) for name in (sample.sample, sample.pool))
    return found


def fields(pattern: str, name: str) -> dict[str, str] | None:
    """What a pattern such as `{patient}_{timepoint}` reads in a name; None where they do not match.

    A field ends where what follows it in the pattern begins; `*` stands for anything. Raises InputError where
    the pattern has no field, or one that can be no column.
    """
    names = FIELD.findall(pattern)
    if (
        not names
        or any(not COLUMN.match(n) for n in names)
        or len(set(names)) < len(names)
        or "sample" in names
    ):
        raise InputError(
            f"--pattern: {shown(pattern)} needs names of columns in braces, each once, such as "
            "'{patient}_{timepoint}'"
        )
    regex = ""
    for part in re.split(r"(\{[^{}]*\}|\*)", pattern):
        if part == "*":
            regex += ".*"
        elif FIELD.fullmatch(part):
            regex += f"(?P<{part[1:-1]}>.+?)"
        else:
            regex += re.escape(part)
    match = re.fullmatch(regex, name)
    return match.groupdict() if match else None


def sheet(found: list[Found], pattern: str = "") -> tuple[list[str], list[dict[str, str]]]:
    """Columns and rows of a sample sheet; what is not known is empty, to be filled in."""
    rows = []
    for sample in found:
        told = (fields(pattern, sample.sample) or {}) if pattern else {}
        row = {"sample": sample.sample, "patient": "", "timepoint": ""}
        if any(other.pool for other in found):
            row["batch"] = sample.pool or sample.sample
        row |= {"path": str(sample.path)}
        if any(other.raw_path for other in found):
            row["raw_path"] = str(sample.raw_path) if sample.raw_path else ""
        rows.append(row | sample.told | told)
    columns = list(dict.fromkeys(column for row in rows for column in row))
    return columns, rows
