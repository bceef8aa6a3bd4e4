"""How each step is run from the command line: parsing, faults that people can read, versions used."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

# Distributions whose versions a reader of the report wants; only those a step imported are written.
REPORTED = {
    "anndata": "anndata",
    "cell2cell": "cell2cell",
    "decoupler": "decoupler",
    "formulaic": "formulaic",
    "h5py": "h5py",
    "harmonypy": "harmonypy",
    "igraph": "igraph",
    "liana": "liana",
    "numpy": "numpy",
    "pandas": "pandas",
    "pyarrow": "pyarrow",
    "scanpy": "scanpy",
    "scipy": "scipy",
    "scrublet": "scrublet",
    "sklearn": "scikit-learn",
    "statsmodels": "statsmodels",
    "tensorly": "tensorly",
    "umap": "umap-learn",
}


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

    Where CARTOX_VERSIONS names a file, the versions of the libraries that were imported are written
    to it, one `name,version` a line (the pipeline collects them for the report).
    """
    try:
        main(None)
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    if target := os.environ.get("CARTOX_VERSIONS"):
        lines = [f"python,{'.'.join(map(str, sys.version_info[:3]))}"]
        lines += [
            f"{name},{metadata.version(name)}" for module, name in REPORTED.items() if module in sys.modules
        ]
        Path(target).write_text("\n".join(sorted(lines)) + "\n")
