"""HDF5 files from elsewhere: nothing in them may lead to another file or need unpickling."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5o  # type: ignore[attr-defined]

from cartox.cli import InputError
from cartox.matrices.stored import require_size

# what anndata itself writes; anything else needs code that is not known here
ENCODINGS = frozenset(
    [
        "anndata",
        "raw",
        "dict",
        "dataframe",
        "array",
        "csr_matrix",
        "csc_matrix",
        "categorical",
        "string-array",
        "string",
        "numeric-scalar",
        "nullable-integer",
        "nullable-boolean",
        "nullable-string-array",
        "rec-array",
        "awkward-array",
        "null",
    ]
)
PICKLES = tuple(bytes((0x80, protocol)) for protocol in range(2, 6))
SAVE_AGAIN = "save the raw counts alone as a new file"


def refuse_unsafe(file: Any) -> None:
    """Walk all that a file holds without following a link out of it.

    Raises InputError with every fault: more values than a file of its size can hold, an external link, values
    stored in other files (virtual or external datasets), opaque or object values, pickled bytes, and in an
    h5ad an encoding that anndata does not have.
    """
    faults: list[str] = []
    h5ad = "obs" in file and "var" in file
    seen: set[Any] = set()
    waiting: list[tuple[str, Any]] = [("", file)]
    total, packed = 0, Path(file.filename).stat().st_size
    while waiting:
        at, group = waiting.pop()
        _encoding(at, group, h5ad, faults)
        for name in group:
            place = f"{at}/{name}".lstrip("/")
            link = group.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                faults.append(f"'{place[:80]}' is a link to another file; {SAVE_AGAIN}")
            # a soft link stays in the file, and what it leads to is walked by itself
            if not isinstance(link, h5py.HardLink):
                continue
            item = group.get(name)
            where = h5o.get_info(item.id).addr if item is not None else None
            if where in seen:
                continue
            seen.add(where)
            if isinstance(item, h5py.Group):
                waiting.append((place, item))
            elif isinstance(item, h5py.Dataset):
                _encoding(place, item, h5ad, faults)
                total += (item.size or 0) * item.dtype.itemsize
                require_size(total, packed, f"its part '{place[:80]}'")
                if what := _unsafe(place, item):
                    faults.append(f"'{place[:80]}' {what}; {SAVE_AGAIN}")
    if faults:
        raise InputError(sorted(faults)[:20])


def _encoding(place: str, item: Any, h5ad: bool, faults: list[str]) -> None:
    kind = item.attrs.get("encoding-type", "") if h5ad else ""
    kind = kind.decode("utf-8", "replace") if isinstance(kind, bytes) else str(kind)
    if kind and kind not in ENCODINGS:
        shown = f"'{place[:80]}'" if place else "the file"
        faults.append(f"{shown} has the unknown encoding {kind[:40]!r}; {SAVE_AGAIN}")


def _unsafe(place: str, data: Any) -> str:
    """Why a dataset is not read, or nothing."""
    if data.is_virtual or data.external:
        return "keeps its values in another file"
    if not _plain(data.dtype):
        return "holds opaque or object values, as pickled ones are"
    top = place.split("/")[0]
    if top in ("uns", "obsm", "varm", "obsp", "varp") and _pickled(data):
        return "holds pickled bytes"
    return ""


def _plain(dtype: np.dtype) -> bool:
    """Numbers, strings, and records of these."""
    if dtype.subdtype:
        return _plain(dtype.subdtype[0])
    if dtype.names:
        return all(_plain(dtype[name]) for name in dtype.names)
    return dtype.kind in "biufcSU" or h5py.check_string_dtype(dtype) is not None


def _pickled(data: Any) -> bool:
    """Whether a dataset is bytes that begin and end as a pickle does."""
    if data.dtype.kind == "S" and data.shape == ():
        held = bytes(data[()])
    elif data.dtype == np.uint8 and data.ndim == 1 and len(data) > 3:
        held = bytes(data[:2]) + bytes(data[-1:])
    else:
        return False
    return held.startswith(PICKLES) and held.endswith(b".")
