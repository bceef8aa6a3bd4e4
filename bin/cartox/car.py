"""Which cells carry the CAR, by the UMIs of its transgene, and how far ambient RNA could explain them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import optimize, special

from cartox import car_detection
from cartox.labels import CAR_NEGATIVE, CAR_POSITIVE, UNDETERMINED, UNNAMED

MAX_AMBIENT = 0.005  # share of cells that ambient RNA may carry over the threshold
ENOUGH = 100  # negative cells of a batch from which its ambient rate is read
SURE = 0.05  # the ambient rate must pass MAX_AMBIENT by its one-sided 95 % bound
HIGHEST = 10
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


@dataclass(frozen=True)
class Lane:
    """The CAR threshold of one batch, and what ambient RNA does there.

    n_other: negative cells (types other than T, and T cells of samples without CAR). ambient_at_min_umi,
    ambient: share of them at or above min_umi and threshold. fpr: expected share of T cells without the CAR
    that reach the threshold, fpr_low and fpr_high its 95 % interval; None where nobody knows. borrowed: from
    the other lanes. rate_high: upper bound of ambient CAR UMIs per UMI of a cell.
    """

    batch: str
    threshold: int
    n_other: int
    ambient_at_min_umi: float | None
    ambient: float | None
    fpr: float | None
    fpr_low: float | None
    fpr_high: float | None
    borrowed: bool
    rate_high: float | None
    note: str


def interval(reached: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Exact interval of a share, `reached` of n > 0 (Clopper & Pearson 1934, doi:10.1093/biomet/26.4.404)."""
    out = (1 - level) / 2
    low = float(special.betaincinv(reached, n - reached + 1, out)) if reached else 0.0
    high = float(special.betaincinv(reached + 1, n - reached, 1 - out)) if reached < n else 1.0
    return low, high


def ambient_rate(share: float, depth: np.ndarray, min_umi: int) -> float:
    """CAR UMIs per UMI at which ambient RNA lifts `share` of cells with these depths to `min_umi`.

    Ambient UMIs of a cell are Poisson, with a mean that is proportional to its depth. Only the share is
    used, not the counts: a doublet with a CAR T cell has many, and would raise the rate at will.
    """
    if share <= 0:
        return 0.0

    def excess(log_rate: float) -> float:
        return reach(float(np.exp(log_rate)), depth, min_umi) - min(share, 0.999)

    root: Any = optimize.brentq(excess, -40, np.log(1e4 / depth.min()), xtol=1e-10)
    return float(np.exp(root))


def reach(rate: float, depth: np.ndarray, threshold: int) -> float:
    """Expected share of cells with these depths whose ambient UMIs reach the threshold."""
    return float(special.gammainc(threshold, rate * depth).mean())


def thresholds(
    umi: np.ndarray,
    lineage: np.ndarray,
    batch: np.ndarray,
    min_umi: int,
    depth: np.ndarray | None = None,
    negative: np.ndarray | None = None,
) -> list[Lane]:
    """CAR threshold and expected false-positive rate of each batch, sorted by batch.

    depth: total UMIs of each cell (default: alike). negative: mask of cells of samples known to have no CAR.
    Negative cells are those and the cells of other types; Unassigned and Mixed cells tell nothing. The
    threshold is `min_umi` unless surely more than MAX_AMBIENT of at least ENOUGH negative cells reach it
    (lower Clopper–Pearson bound): then the lowest that MAX_AMBIENT of the T cells are expected to reach. A
    lane of fewer negative cells keeps `min_umi` and borrows the rate of all lanes that have enough.
    """
    depth = np.ones(len(umi)) if depth is None else np.maximum(depth.astype(float), 1)
    without = np.zeros(len(umi), dtype=bool) if negative is None else negative
    empty = _empty(lineage, without)
    names = sorted(set(batch))
    large = [name for name in names if (empty & (batch == name)).sum() >= ENOUGH]
    pool = empty & (np.isin(batch, large) if large else True)
    lanes = []
    for name in names:
        here = batch == name
        own, t = here & empty, here & (lineage == "T") & ~without
        n, reached = int(own.sum()), int((umi[own] >= min_umi).sum())
        source = own if n >= ENOUGH else pool
        rates = _rates(umi[source], depth[source], min_umi) if source.sum() >= ENOUGH else None
        threshold, note = min_umi, ""
        judged = depth[t if t.any() else here]
        if n < ENOUGH:
            lent = "the rate of the other lanes is taken" if rates else "no lane has enough of them"
            note = f"{n} non-T cells are too few to estimate ambient CAR RNA; {lent}"
        elif rates and reached and interval(reached, n, 1 - 2 * SURE)[0] > MAX_AMBIENT:
            passed = (k for k in range(min_umi, HIGHEST) if reach(rates[0], judged, k) <= MAX_AMBIENT)
            threshold = max(min_umi, next(passed, HIGHEST))
            if threshold > min_umi:
                note = f"raised from {min_umi}: {reached / n:.1%} of non-T cells reach {min_umi}"
        lowest, chosen = (
            round(float((umi[own] >= k).mean()), 6) if n else None for k in (min_umi, threshold)
        )
        fpr, low, high = ((round(reach(rates[i], judged, threshold), 6) if rates else None) for i in range(3))
        borrowed, top = n < ENOUGH and bool(rates), rates[2] if rates else None
        lanes.append(Lane(str(name), threshold, n, lowest, chosen, fpr, low, high, borrowed, top, note))
    return lanes


def _empty(lineage: np.ndarray, without: np.ndarray) -> np.ndarray:
    """Mask of cells that have no CAR: of types other than T, and T cells of samples without."""
    return ~np.isin(lineage, UNNAMED) & ((lineage != "T") | without)


def _rates(umi: np.ndarray, depth: np.ndarray, min_umi: int) -> tuple[float, float, float]:
    """Ambient rate of negative cells, and that at the 95 % bounds of the share which it is read from."""
    n, reached = len(umi), int((umi >= min_umi).sum())
    low, high = interval(reached, n)
    middle, least, most = (ambient_rate(share, depth, min_umi) for share in (reached / n, low, high))
    return middle, least, most


def pooled(positive: np.ndarray, empty: np.ndarray, batch: np.ndarray) -> dict | None:
    """Share of negative cells that reach their lane's threshold, over the lanes that have ENOUGH (or, where
    none has, over all), with its exact interval; None where they are too few.

    Cells as they are, without a model: what the calls can be held against.
    """
    large = [name for name in sorted(set(batch)) if (empty & (batch == name)).sum() >= ENOUGH]
    of = empty & np.isin(batch, large) if large else empty
    n, reached = int(of.sum()), int((positive & of).sum())
    if n < ENOUGH:
        return None
    low, high = (_rounded(bound) for bound in interval(reached, n))
    lanes = len(set(batch[of]))
    return {
        "lanes": lanes,
        "n": n,
        "n_positive": reached,
        "fpr": round(reached / n, 6),
        "low": low,
        "high": high,
    }


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
        "false_positive_rate": pooled(positive, _empty(lineage, negative), batch),
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
