"""Files that travel between steps: found by sample, read as text, equal bytes for equal content."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cartox.cli import InputError
from cartox.sheets import MISSING

if TYPE_CHECKING:
    import pandas as pd


def by_sample(paths: Iterable[Path | str], suffix: str) -> dict[str, Path]:
    """Files by the sample that their names begin with, sorted by sample.

    Raises InputError for a name without the suffix and for a sample with two files.
    """
    found: dict[str, Path] = {}
    for path in map(Path, paths):
        sample = path.name.removesuffix(suffix)
        if sample == path.name:
            raise InputError(f"{path.name}: the name of this file must end in {suffix}")
        if sample in found:
            raise InputError(f"{sample}: two files of this sample were given, {found[sample]} and {path}")
        found[sample] = path
    return dict(sorted(found.items()))


def read_sheet(path: Path | str) -> pd.DataFrame:
    """A sheet that CHECK_INPUTS wrote, or one like it: all columns str, '' where a value is missing or NA."""
    import pandas as pd

    return pd.read_csv(path, dtype=str, keep_default_na=False).replace(list(MISSING), "")


def known(column: pd.Series) -> pd.Series:
    """A sheet's column of text (object), None where a value is missing."""
    return column.astype(object).where(column != "", None)


def typed(column: pd.Series) -> pd.Series:
    """A sheet's column as models take it: float where all its values are numbers, else text; missing None."""
    import pandas as pd

    text = known(column)
    numbers = pd.to_numeric(text, errors="coerce").astype(float)
    return numbers if text.notna().any() and numbers.notna().equals(text.notna()) else text


def write_csv_gz(path: Path | str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a gzipped CSV whose bytes depend on its content alone (no time, no name inside)."""
    with Path(path).open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed:
        text = io.TextIOWrapper(packed, encoding="utf-8", newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
        text.flush()


def write_json(path: Path | str, content: Any) -> None:
    """Write JSON; a number that is not finite, which JSON does not have, becomes null."""
    finite = json.loads(json.dumps(content), parse_constant=lambda _: None)
    Path(path).write_text(json.dumps(finite, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
