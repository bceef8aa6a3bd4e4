"""Which cells carry the CAR, by the UMIs of its transgene, and how far ambient RNA could explain them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special

from cartox.labels import UNNAMED

MAX_AMBIENT = 0.005  # share of cells that ambient RNA may carry over the threshold
ENOUGH = 100  # non-T cells of a batch from which its ambient rate is read
SURE = 0.05  # the ambient rate must pass MAX_AMBIENT by its one-sided 95 % bound
HIGHEST = 10


@dataclass(frozen=True)
class Lane:
    """The CAR threshold of one batch, and the share of its non-T cells at or above min_umi and threshold."""

    batch: str
    threshold: int
    n_other: int
    ambient_at_min_umi: float | None
    ambient: float | None
    note: str


def thresholds(umi: np.ndarray, lineage: np.ndarray, batch: np.ndarray, min_umi: int) -> list[Lane]:
    """CAR threshold of each batch, sorted by batch.

    It is `min_umi` unless surely more than MAX_AMBIENT of at least ENOUGH non-T cells reach it (lower
    Clopper–Pearson bound). Then ambient UMIs are taken as Poisson, with the mean that this share tells, and
    the threshold is the lowest that MAX_AMBIENT of cells reach by it. The counts of those cells are not used
    beyond that: a doublet with a CAR T cell has many, and would raise it at will. Unassigned and Mixed cells
    tell nothing.
    """
    lanes = []
    for name in sorted(set(batch)):
        other = umi[(batch == name) & ~np.isin(lineage, ("T", *UNNAMED))]
        n, reached = len(other), int((other >= min_umi).sum())
        threshold, note = min_umi, ""
        if n < ENOUGH:
            note = f"{n} non-T cells are too few to estimate ambient CAR RNA"
        elif reached and special.betaincinv(reached, n - reached + 1, SURE) > MAX_AMBIENT:
            mean = special.gammaincinv(min_umi, min(reached / n, 0.999))
            tail = special.gammainc(np.arange(min_umi, HIGHEST + 1), mean)
            threshold = min_umi + int(np.argmax(np.append(tail[:-1] <= MAX_AMBIENT, True)))
            note = f"raised from {min_umi}: {reached / n:.1%} of non-T cells reach {min_umi}"
        lowest, chosen = (round(float((other >= t).mean()), 6) if n else None for t in (min_umi, threshold))
        lanes.append(Lane(name, threshold, n, lowest, chosen, note))
    return lanes


def calls(umi: np.ndarray, lineage: np.ndarray, batch: np.ndarray, lanes: list[Lane]) -> np.ndarray:
    """1 for T-lineage cells that reach their batch's threshold, else 0 (int8)."""
    limit = {lane.batch: lane.threshold for lane in lanes}
    return ((lineage == "T") & (umi >= np.array([limit[name] for name in batch]))).astype(np.int8)


def rates(cells: pd.DataFrame, by: list[str]) -> list[dict]:
    """CAR+ cells among T and others by the columns `by`, one record a group.

    cells: columns lineage, car, positive (threshold reached, whatever the lineage) and those of `by`.
    """
    records = []
    for key, group in cells.groupby(by, sort=True):
        t = group[group["lineage"] == "T"]
        other = group[~group["lineage"].isin(["T", *UNNAMED])]
        records.append(
            dict(zip(by, key, strict=True))
            | {
                "n_cells": len(group),
                "n_t": len(t),
                "n_car": int(t["car"].sum()),
                "rate_t": share(t["car"]),
                "n_other": len(other),
                "n_other_positive": int(other["positive"].sum()),
                "rate_other": share(other["positive"]),
            }
        )
    return records


def detection(counts: pd.Series, car: pd.Series, bins: int = 5) -> list[dict]:
    """CAR+ share of T cells by depth: records of `bins` equal groups by total UMIs.

    A rate that rises with depth says that shallow cells are missed, not that they lack the CAR.
    """
    if len(counts) < 20 * bins:
        return []
    group = pd.qcut(counts.rank(method="first"), bins, labels=False)
    return [
        {
            "counts_low": int(c.min()),
            "counts_high": int(c.max()),
            "n_t": len(c),
            "rate_t": share(car[c.index]),
        }
        for _, c in counts.groupby(group)
    ]


def share(values: pd.Series) -> float | None:
    """Mean of a 0/1 column, None where it has no rows."""
    return round(float(values.mean()), 6) if len(values) else None
