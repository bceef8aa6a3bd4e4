"""The CAR threshold of each lane: how many UMIs ambient RNA brings to cells that have no CAR."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize, special

from cartox.labels import UNNAMED

MAX_AMBIENT = 0.005  # share of cells that ambient RNA may carry over the threshold
ENOUGH = 100  # negative cells of a batch from which its ambient rate is read
SURE = 0.05  # the ambient rate must pass MAX_AMBIENT by its one-sided 95 % bound
HIGHEST = 10


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
    none = without_car(lineage, without)
    names = sorted(set(batch))
    large = [name for name in names if (none & (batch == name)).sum() >= ENOUGH]
    pool = none & (np.isin(batch, large) if large else True)
    lanes = []
    for name in names:
        here = batch == name
        own, t = here & none, here & (lineage == "T") & ~without
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


def without_car(lineage: np.ndarray, without: np.ndarray) -> np.ndarray:
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
    low, high = (round(bound, 6) for bound in interval(reached, n))
    lanes = len(set(batch[of]))
    return {
        "lanes": lanes,
        "n": n,
        "n_positive": reached,
        "fpr": round(reached / n, 6),
        "low": low,
        "high": high,
    }
