"""Checksums of what a user gave: told in the run's record, and compared where a file is read later."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cartox.cli import InputError
from cartox.matrices.parts import files_read


def checksums_of(path: Path, name: str) -> list[dict[str, Any]]:
    """Name, size in bytes and SHA-256 of a file, or of each file that is read of a folder."""
    files = [(p, f"{name}/{p.relative_to(path)}") for p in files_read(path)] if path.is_dir() else []
    out = []
    for file, label in files or [(path, name)]:
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        out.append({"file": label, "bytes": file.stat().st_size, "sha256": digest})
    return out


def joint(checksums: Iterable[dict[str, Any]]) -> str:
    """One SHA-256 for several files, whatever their order and names."""
    return hashlib.sha256("\n".join(sorted(c["sha256"] for c in checksums)).encode()).hexdigest()


def require_unchanged(paths: Iterable[Path], expected: str) -> None:
    """Refuse files that are not those that were checked. Raises InputError naming them."""
    paths = list(paths)
    if joint(entry for path in paths for entry in checksums_of(path, path.name)) != expected:
        raise InputError(
            f"{' or '.join(path.name for path in paths)} changed while the run was on: it is not the file "
            "that was checked; leave the matrices alone during a run, and run again with -resume"
        )
