"""Doublet thresholds that the user gives, by group; they override those found."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from cartox.cli import InputError
from cartox.sheets import shown, text_of


def read_thresholds(path: Path) -> dict[str, float]:
    """Threshold (a score from 0 to 1) by group, from a CSV with the columns group and threshold.

    Raises InputError with every fault.
    """
    rows = csv.DictReader(text_of(path).splitlines())
    try:
        if not {"group", "threshold"} <= set(rows.fieldnames or []):
            raise InputError(f"{path.name}: needs the columns group and threshold; name them so")
        given: dict[str, float] = {}
        faults = []
        for line, row in enumerate(rows, start=2):
            group, text = (row["group"] or "").strip(), (row["threshold"] or "").strip()
            try:
                value = float(text)
            except ValueError:
                value = math.nan
            where = f"{path.name}, row {line}"
            if not 0 <= value <= 1:
                what = "is not a number from 0 to 1; correct it"
                faults.append(f"{where}, column 'threshold': {shown(text)} {what}")
            if group in given:
                faults.append(f"{where}, column 'group': {shown(group)} stands twice; keep one")
            given[group] = value
    except csv.Error as error:
        raise InputError(f"{path.name}: it cannot be read as CSV ({error}); save it as CSV") from None
    if faults:
        raise InputError(faults)
    return given
