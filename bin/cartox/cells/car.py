"""Which cells carry the CAR, by the UMIs of its transgene, and how sure the calls and their rates are."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict

import numpy as np
import pandas as pd
from scipy import special

from cartox.cells import car_detection
from cartox.cells.car_lanes import Lane, interval, pooled, thresholds, without_car
from cartox.labels import CAR_NEGATIVE, CAR_POSITIVE, UNDETERMINED, UNNAMED

OUTCOMES = (CAR_POSITIVE, CAR_NEGATIVE, UNDETERMINED)
TABLE = [
    "sample",
    "patient",
    "timepoint",
    "batch",
    "n_t",
    "n_car",
    "n_car_negative",
    "n_undetermined",
    "rate_t",
]
TABLE += ["car_low", "car_high", "n_deep", "rate_deep", "deep_low", "deep_high", "rate_corrected"]


def _limit(batch: np.ndarray, lanes: list[Lane]) -> np.ndarray:
    limit = {lane.batch: lane.threshold for lane in lanes}
    return np.array([limit[str(name)] for name in batch], dtype=int)


def call(
    cells: pd.DataFrame, umi: np.ndarray, lineage: np.ndarray, min_umi: int, without: Collection[str]
) -> tuple[pd.DataFrame, dict]:
    """Call every T cell, and say how sure that is.

    cells: sample, patient, timepoint, batch, n_counts, in the order of umi and lineage. without: samples or
    time points known to have no CAR. Returns the columns car (int8, 1 = CAR+), car_call (CAR+, CAR-,
    undetermined; '' for other cells), car_deep (int8: a CAR+ cell of this depth would be found with
    probability DEEP), car_p_ambient (float32), and what annotate.json says.
    """
    batch, sample = (cells[name].astype(str).to_numpy() for name in ("batch", "sample"))
    depth = np.maximum(cells["n_counts"].to_numpy(float), 1)
    negative = (cells["sample"].isin(without) | cells["timepoint"].isin(without)).to_numpy()
    lanes = thresholds(umi, lineage, batch, min_umi, depth, negative)
    limit = _limit(batch, lanes)
    t = lineage == "T"
    positive = umi >= limit
    car = t & positive
    false = {lane.batch: lane.fpr_high for lane in lanes}
    learnt = car_detection.learn(
        umi, depth, limit, sample, car & ~negative, t, np.array([false[b] or 0.0 for b in batch])
    )
    found = learnt.probability
    deep = t & (found >= car_detection.DEEP)
    outcome = np.where(car, CAR_POSITIVE, np.where(deep, CAR_NEGATIVE, UNDETERMINED))
    high = {lane.batch: lane.rate_high for lane in lanes}
    rate = np.array([np.nan if high[b] is None else high[b] for b in batch], dtype=float)
    ambient = np.where(umi > 0, special.gammainc(np.maximum(umi, 1), rate * depth), 1.0)
    columns = pd.DataFrame(
        {
            "car": car.astype(np.int8),
            "car_call": np.where(t, outcome, ""),
            "car_deep": deep.astype(np.int8),
            "car_p_ambient": np.where(t & ~np.isnan(rate), ambient, np.nan).astype(np.float32),
        },
        index=cells.index,
    )
    groups = columns.assign(lineage=lineage, positive=positive, found=found, batch=batch)
    groups = groups.assign(**{name: cells[name].to_numpy() for name in ("sample", "patient", "timepoint")})
    expected = {lane.batch: lane.fpr for lane in lanes}
    groups["fpr"] = [expected[name] or 0.0 for name in batch]
    return columns, {
        "n_car": int(car.sum()),
        "calls": {name: int((columns["car_call"] == name).sum()) for name in OUTCOMES},
        "detectable": car_detection.DEEP,
        "without": sorted(without),
        "false_positive_rate": pooled(positive, without_car(lineage, negative), batch),
        "by_batch": [asdict(lane) for lane in lanes],
        "by_sample": rates(groups, ["sample", "patient", "timepoint", "batch"]),
        "by_patient": rates(groups, ["patient", "timepoint"]),
        "by_timepoint": rates(groups, ["timepoint"]),
        "detection": learnt.told,
        "detection_by_depth": detection(cells["n_counts"][t], columns["car"][t]),
    }


def rates(cells: pd.DataFrame, by: list[str]) -> list[dict]:
    """CAR+ cells among T and others by the columns `by`, one record a group.

    cells: columns lineage, car, car_call, car_deep, positive (threshold reached, whatever the lineage), found
    (probability that a CAR+ cell of this depth is found, missing where unknown), fpr and those of `by`.
    car_low, car_high: exact 95 % interval of rate_t over cells. rate_deep: share among the cells deep enough
    to tell, whatever the call; the share among CAR+ and CAR- cells would be too high, for CAR+ cells are
    found at any depth. rate_corrected: (rate − fpr)/(detection − fpr), Rogan & Gladen 1978.
    """
    records = []
    for key, group in cells.groupby(by, sort=True):
        t = group[group["lineage"] == "T"]
        other = group[~group["lineage"].isin(["T", *UNNAMED])]
        n, n_car = len(t), int(t["car"].sum())
        low, high = interval(n_car, n) if n else (None, None)
        deep = t[t["car_deep"] == 1]
        n_deep, deep_car = len(deep), int(deep["car"].sum())
        deep_low, deep_high = interval(deep_car, n_deep) if n_deep else (None, None)
        record = {
            "n_cells": len(group),
            "n_t": n,
            "n_car": n_car,
            "n_car_negative": int((t["car_call"] == CAR_NEGATIVE).sum()),
            "n_undetermined": int((t["car_call"] == UNDETERMINED).sum()),
            "rate_t": share(t["car"]),
            "car_low": _rounded(low),
            "car_high": _rounded(high),
            "n_deep": n_deep,
            "rate_deep": share(deep["car"]),
            "deep_low": _rounded(deep_low),
            "deep_high": _rounded(deep_high),
            "rate_corrected": _corrected(t),
            "n_other": len(other),
            "n_other_positive": int(other["positive"].sum()),
            "rate_other": share(other["positive"]),
        }
        records.append(dict(zip(by, key, strict=True)) | record)
    return records


def _corrected(t: pd.DataFrame) -> float | None:
    """CAR+ share of T cells, corrected for false calls and for cells too shallow to show their CAR."""
    if not len(t) or t["found"].isna().any():
        return None
    false = float(t["fpr"].mean())
    found = float(t["found"].mean())
    return (
        _rounded(min(1.0, max(0.0, (t["car"].mean() - false) / (found - false)))) if found > false else None
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 6)


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
