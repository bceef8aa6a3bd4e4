"""How each step is run from the command line: parsing, faults that people can read, versions used."""

from __future__ import annotations

import argparse
import errno
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

# Distributions whose versions a reader of the report wants; only those a step imported are written.
REPORTED = {
    "anndata": "anndata",
    "cell2cell": "cell2cell",
    "decoupler": "decoupler",
    "faiss": "faiss-cpu",
    "formulaic": "formulaic",
    "h5py": "h5py",
    "harmonypy": "harmonypy",
    "igraph": "igraph",
    "liana": "liana",
    "numpy": "numpy",
    "pandas": "pandas",
    "pyarrow": "pyarrow",
    "pysoupx": "pysoupx",
    "scanpy": "scanpy",
    "scipy": "scipy",
    "scranpy": "scranpy",
    "skimage": "scikit-image",
    "skmisc": "scikit-misc",
    "sklearn": "scikit-learn",
    "statsmodels": "statsmodels",
    "tensorly": "tensorly",
}


# What a shell says of a process killed for memory: the pipeline tries such a task again with more.
OUT_OF_MEMORY = 137
# Faults of the machine, not of the data or the code, and what their reader can do.
MACHINE_FAULTS = {
    errno.ENOSPC: "no space left on the disk; free some, then run again with -resume",
    errno.EDQUOT: "the disk quota is used up; free some, then run again with -resume",
    errno.EROFS: "the disk is read-only; choose another folder (-work-dir, --outdir)",
    errno.EACCES: "permission denied; check who may read and write there",
    errno.EIO: "the disk could not be read or written; check it, then run again with -resume",
    errno.ESTALE: "the shared disk lost the file; run again with -resume",
}
SPACE_LEFT = 1_000_000  # bytes under which a disk is full


class InputError(ValueError):
    """Faults in what the user gave, all of them, each one line that says where, what and what to do."""

    def __init__(self, faults: Sequence[str] | str):
        """Take one fault or several."""
        self.faults = [faults] if isinstance(faults, str) else list(faults)
        super().__init__("\n".join(self.faults))


def parser(doc: str | None) -> argparse.ArgumentParser:
    """An argument parser whose help is the script's docstring; abbreviated flags are refused."""
    return argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )


def run(main: Callable[[Sequence[str] | None], None]) -> None:
    """Run a step's `main` and exit: 0, or 1 with the faults on stderr when the input is at fault.

    Out of memory is exit 137 in whatever way it shows, so that the pipeline can give more; a full or broken
    disk is told in one line. Anything else is a fault of cartox, and its traceback stays.
    Where CARTOX_VERSIONS names a file, the versions of the libraries that were imported are written
    to it, one `name,version` a line (the pipeline collects them for the report).
    """
    try:
        main(None)
        _write_versions()
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    except (MemoryError, OSError, RuntimeError) as error:
        status, words = _machine_fault(error)
        if not words:
            raise
        print(words, file=sys.stderr)
        sys.exit(status)


def _machine_fault(error: Exception) -> tuple[int, str]:
    """Exit status and words for a fault of the machine; no words where it is none."""
    number = getattr(error, "errno", None)
    if isinstance(error, MemoryError) or number == errno.ENOMEM:
        return OUT_OF_MEMORY, "out of memory"
    # libraries lose the number on their way, but a disk that is full stays full
    if number not in MACHINE_FAULTS and shutil.disk_usage(".").free < SPACE_LEFT:
        number = errno.ENOSPC
    where = getattr(error, "filename", None) or Path.cwd()
    return 1, f"{where}: {MACHINE_FAULTS[number]}" if number in MACHINE_FAULTS else ""


def _write_versions() -> None:
    """Write the versions of the libraries that this step imported, where the pipeline asks for them."""
    if target := os.environ.get("CARTOX_VERSIONS"):
        lines = [f"python,{'.'.join(map(str, sys.version_info[:3]))}"]
        lines += [
            f"{name},{metadata.version(name)}" for module, name in REPORTED.items() if module in sys.modules
        ]
        Path(target).write_text("\n".join(sorted(lines)) + "\n")
