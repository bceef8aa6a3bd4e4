"""Several CAR products in one cohort: each sample's own transgenes, and those it cannot have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from cartox.cells.car_lanes import ENOUGH, MAX_AMBIENT, interval
from cartox.files import read_sheet
from cartox.genes import listed

COLUMN = "car_feature"  # of the sample sheet: transgenes of the sample's product


def read_products(path: Path) -> dict[str, list[str]]:
    """Transgenes by sample from samples.csv; samples that name none are left out."""
    sheet = read_sheet(path)
    if COLUMN not in sheet:
        return {}
    named = {str(s): listed(text) for s, text in zip(sheet["sample"], sheet[COLUMN], strict=True)}
    return {sample: names for sample, names in named.items() if names}


def split(
    umi: np.ndarray, sample: np.ndarray, features: Sequence[str], products: Mapping[str, Sequence[str]]
) -> tuple[np.ndarray, np.ndarray]:
    """Counts of each cell's own transgenes, and of those of other products (int32).

    umi: cells × features. A sample without a product named can have any of them: it has no others.
    """
    own = np.ones(umi.shape, dtype=bool)
    for name, named in products.items():
        own[sample == name] = np.isin(features, list(named))
    return (umi * own).sum(axis=1, dtype=np.int32), (umi * ~own).sum(axis=1, dtype=np.int32)


def others(
    foreign: np.ndarray,
    t: np.ndarray,
    sample: np.ndarray,
    products: Mapping[str, Sequence[str]],
    min_umi: int,
) -> tuple[list[dict], list[str]]:
    """T cells with the transgene of another product by sample, and sentences about samples with too many.

    No T cell of such a sample should have it: the share is a false-positive rate that was observed, with its
    exact interval. A sample where it surely passes MAX_AMBIENT may be swapped or mixed with another.
    """
    records, notes = [], []
    for name in sorted(products):
        cells = t & (sample == name)
        n, reached = int(cells.sum()), int((foreign[cells] >= min_umi).sum())
        if not n:
            continue
        low, high = interval(reached, n)
        found = {"n_t": n, "n_other": reached, "rate": round(reached / n, 6)}
        records.append({"sample": name, **found, "low": round(low, 6), "high": round(high, 6)})
        if n >= ENOUGH and low > MAX_AMBIENT:
            notes.append(
                f"{name}: {100 * reached / n:.1f} % of the T cells have the transgene of another product "
                f"than {', '.join(products[name])}: ambient RNA of another lane's cells, or a swapped sample"
            )
    return records, notes
