"""Where a program that counts reads puts the matrix of a sample.

The pipeline looks into a folder in the same way (modules/sheet.nf), so that a task is given the matrix alone
and not all that lies beside it; both read assets/layouts.json.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

AGGREGATION = "aggregation.csv"  # of cellranger aggr
SAMPLES = "per_sample_outs"  # of cellranger multi
FILE = Path(__file__).resolve().parents[3] / "assets/layouts.json"


@cache
def layouts() -> dict[str, list[str]]:
    """Places in a folder, by column of the sheet."""
    return json.loads(FILE.read_text())


def matrix_within(folder: Path, column: str = "path") -> Path:
    """The file or folder of the one matrix that a folder holds; the folder itself where it is not found.

    column: `path`, the cells that the program called, or `raw_path`, all barcodes.
    """
    if any(".mtx" in path.name for path in folder.iterdir()):
        return folder
    for prefix in layouts()["prefixes"]:
        base = folder / prefix
        if (base / AGGREGATION).is_file():
            return folder
        samples = samples_of(base)
        if len(samples) > 1:
            return folder
        for within in [*samples, base]:
            for name in layouts()[column]:
                if (within / name).exists():
                    return within / name
    return folder


def samples_of(folder: Path) -> list[Path]:
    """The samples' folders of cellranger multi."""
    return [path for path in sorted((folder / SAMPLES).glob("*")) if path.is_dir()]
