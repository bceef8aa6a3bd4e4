"""Quality metrics of barcodes, bounds on them, and ambient RNA."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np

from cartox import genes
from cartox.matrices.matrix import CountMatrix

# Fewer cells than this carry no pseudobulk of any type (25 cells are needed for one).
MIN_CELLS = 20
# Red cells and lysed blood; labelled CAR T cells of real cohorts stay below 1 %.
MAX_HAEMOGLOBIN = 20.0
# The adaptive mitochondrial bound never falls below this share: clean samples have deviations near zero.
MITO_FLOOR = 5.0
METRICS = ("n_counts", "n_genes", "pct_mito", "pct_hb", "pct_platelet")
# Metrics whose bounds a sample, or a class of its cells, sets itself.
ADAPTIVE = ("n_counts", "n_genes", "pct_mito")
# Scales a median absolute deviation to a normal's standard deviation.
MAD_SCALE = 1.4826
# Droplets with fewer counts are taken for empty (DropletUtils' emptyDrops uses the same bound).
EMPTY_COUNTS = 100
# Medians beyond which a library is flagged although its good cells are kept.
FLAG_MITO = 20.0
FLAG_KEPT = 0.5
FLAG_CELLS = 100


class Metrics(TypedDict):
    """One array per metric, one value per barcode; the shares are in percent, NaN where undefined."""

    n_counts: np.ndarray
    n_genes: np.ndarray
    pct_mito: np.ndarray
    pct_hb: np.ndarray
    pct_platelet: np.ndarray


def metrics(matrix: CountMatrix) -> Metrics:
    """Counts, genes detected, and mitochondrial, haemoglobin and platelet share of each barcode.

    pct_mito is NaN where the matrix has no mitochondrial gene: unknown is not zero.
    """
    counts = matrix.counts
    total = np.asarray(counts.sum(axis=1)).ravel().astype(np.int64)

    def share(mask: np.ndarray) -> np.ndarray:
        part = np.asarray(counts[:, np.flatnonzero(mask)].sum(axis=1)).ravel()
        return 100.0 * part / np.maximum(total, 1)

    mito = genes.matching(matrix.genes, genes.MITOCHONDRIAL)
    return {
        "n_counts": total,
        "n_genes": np.diff(counts.indptr),
        "pct_mito": share(mito) if mito.any() else np.full(len(total), np.nan),
        "pct_hb": share(genes.matching(matrix.genes, genes.HAEMOGLOBIN)),
        "pct_platelet": share(genes.matching(matrix.genes, genes.PLATELET)),
    }


def deviation_bounds(values: np.ndarray, nmads: float) -> tuple[float, float]:
    """Median ∓ nmads × scaled median absolute deviation (scater's isOutlier; McCarthy 2017)."""
    centre = float(np.median(values))
    spread = MAD_SCALE * float(np.median(np.abs(values - centre)))
    return centre - nmads * spread, centre + nmads * spread


def hard_limits(
    values: Metrics, mode: str, min_counts: int, min_genes: int, max_mito: float
) -> dict[str, list[float | None]]:
    """Lowest and highest value allowed of each metric in any mode (None: no bound)."""
    bounds: dict[str, list[float | None]] = {
        "n_counts": [1, None],
        "n_genes": [1, None],
        "pct_mito": [None, None],
        "pct_hb": [None, None],
    }
    if mode == "none":
        return bounds
    measured = bool(len(values["pct_mito"])) and not np.isnan(values["pct_mito"]).any()
    bounds.update(n_counts=[max(min_counts, 1), None], n_genes=[max(min_genes, 1), None])
    bounds["pct_mito"] = [None, max_mito if measured else None]
    bounds["pct_hb"] = [None, MAX_HAEMOGLOBIN]
    return bounds


def adaptive(metric: str, values: np.ndarray, nmads: float, hard: list[float | None]) -> list[float | None]:
    """Bounds of one metric from the deviations of these values, within its hard limits."""
    if metric == "pct_mito":
        if hard[1] is None:
            return [None, None]
        _, high = deviation_bounds(values, nmads)
        return [None, min(max(high, MITO_FLOOR), hard[1])]
    low, high = np.exp(deviation_bounds(np.log(values), nmads))
    return [max(float(low), hard[0] or 1), float(high)]


def thresholds(
    values: Metrics, mode: str, nmads: float, hard: dict[str, list[float | None]]
) -> dict[str, list[float | None]]:
    """The sample's own bounds within the hard limits.

    The adaptive bounds are estimated on the barcodes within the hard limits only: where most of a library
    is debris, its medians describe the debris.
    """
    inside = reasons(values, hard) == ""
    if mode != "adaptive" or inside.sum() < MIN_CELLS:
        return dict(hard)
    own = {name: adaptive(name, values[name][inside], nmads, hard[name]) for name in ADAPTIVE}
    return hard | own


def within(column: np.ndarray, bound: list[float | None]) -> np.ndarray:
    """Mask of the values that break neither bound; an undefined value breaks none."""
    low, high = bound
    inside = np.ones(len(column), dtype=bool)
    if low is not None:
        inside &= ~(column < low)
    if high is not None:
        inside &= ~(column > high)
    return inside


def reasons(values: Metrics, bounds: dict[str, list[float | None]]) -> np.ndarray:
    """Why each barcode is removed: the first bound that it breaks, empty for those kept."""
    reason = np.full(len(values["n_counts"]), "", dtype=object)
    names = {"n_counts": "counts", "n_genes": "genes", "pct_mito": "mito", "pct_hb": "haemoglobin"}
    for metric, (low, high) in bounds.items():
        column = values[metric]
        below = column < low if low is not None else np.zeros(len(column), dtype=bool)
        above = column > high if high is not None else np.zeros(len(column), dtype=bool)
        reason[below & (reason == "")] = f"low {names[metric]}"
        reason[above & (reason == "")] = f"high {names[metric]}"
    return reason


def empty_summary(sample: str) -> dict:
    """The account of a sample before anything is known of it."""
    return {
        "sample": sample,
        "status": "ok",
        "reasons": [],
        "n_barcodes": 0,
        "n_kept": 0,
        "thresholds": {},
        "thresholds_by_class": {},
        "medians": dict.fromkeys(METRICS),
        "removed": {},
        "ambient": None,
    }


def summarise(
    summary: dict,
    values: Metrics,
    kept: np.ndarray,
    reason: np.ndarray,
    bounds: dict[str, list[float | None]],
    by_class: dict[str, dict[str, list[float | None]]] | None = None,
) -> None:
    """Fill in counts, medians (of the cells kept; of all barcodes where too few are), status and reasons."""
    n, n_kept = len(kept), int(kept.sum())
    used = kept if n_kept >= MIN_CELLS else np.ones(n, dtype=bool)
    summary.update(
        n_barcodes=n,
        n_kept=n_kept,
        thresholds=tidy_bounds(bounds),
        thresholds_by_class={name: tidy_bounds(own) for name, own in (by_class or {}).items()},
        medians={name: tidy(np.median(values[name][used])) if n else None for name in METRICS},
        removed={str(name): int((reason == name).sum()) for name in sorted(set(reason[~kept]))},
    )
    if n == 0:
        summary.update(status="dropped", reasons=["the matrix holds no barcode"])
        return
    counts, mito = float(np.median(values["n_counts"])), float(np.median(values["pct_mito"]))
    found = []
    if n_kept < MIN_CELLS:
        summary["n_kept"] = 0
        found.append(
            f"only {n_kept} cells pass QC, of {n} barcodes: fewer than {MIN_CELLS} usable cells, none is used"
        )
    elif n_kept < FLAG_CELLS:
        found.append(f"only {n_kept} cells pass QC, of {n} barcodes")
    elif n_kept < FLAG_KEPT * n:
        found.append(f"{n - n_kept} of {n} barcodes fail QC")
    floor = bounds["n_counts"][0] or 1
    if counts < floor:
        found.append(f"failed or shallow library: the median barcode has {counts:.0f} UMI")
    if mito > FLAG_MITO:
        found.append(f"the median barcode has {mito:.0f} % mitochondrial counts")
    summary["reasons"] = found
    summary["status"] = "dropped" if n_kept < MIN_CELLS else "flagged" if found else "ok"


def tidy_bounds(bounds: dict[str, list[float | None]]) -> dict[str, list[float | None]]:
    """Bounds for JSON."""
    return {name: [tidy(low), tidy(high)] for name, (low, high) in bounds.items()}


def tidy(value: float | None) -> float | None:
    """A number for JSON, to 4 significant digits where it is not whole; None where it is not defined."""
    if value is None or not np.isfinite(value):
        return None
    return int(value) if float(value).is_integer() else float(f"{value:.4g}")


def as_text(values: Metrics) -> list[list[str]]:
    """The metrics as columns of text for CSV; undefined is empty."""
    return [
        values["n_counts"].astype(str).tolist(),
        values["n_genes"].astype(str).tolist(),
        *(["" if np.isnan(x) else f"{x:.4g}" for x in values[name]] for name in METRICS[2:]),
    ]


@dataclass(frozen=True)
class EmptyDroplets:
    """Ambient RNA of one library: summed counts (int64) by gene of its n empty droplets.

    Empty droplets are barcodes with 1 to 100 counts that were not called cells.
    """

    genes: np.ndarray
    counts: np.ndarray
    n: int

    def write(self, path: Path | str) -> None:
        """Write for AMBIENT."""
        np.savez(path, genes=self.genes, counts=self.counts, n=self.n)


def read_empty(path: Path | str) -> EmptyDroplets:
    """What `EmptyDroplets.write` wrote."""
    with np.load(path, allow_pickle=False) as file:
        return EmptyDroplets(file["genes"], file["counts"], int(file["n"]))


def ambient(raw: CountMatrix, filtered: CountMatrix) -> tuple[dict, EmptyDroplets]:
    """Knee of the barcode ranks, and ambient RNA of a library: the account, and its empty droplets.

    knee: counts at the point of the log rank–log count curve farthest from its chord (the idea of
    DropletUtils' barcodeRanks). max_contamination: median counts of empty droplets over median counts of
    cells, an upper bound on the share of a cell's counts that are ambient if every droplet takes up the same
    soup. top_genes: shares of the 20 commonest genes in empty droplets. in_cells: share of all counts that
    lies in called barcodes.
    """
    total = np.asarray(raw.counts.sum(axis=1)).ravel()
    called = np.isin(raw.barcodes, filtered.barcodes)
    empty = (total > 0) & (total <= EMPTY_COUNTS) & ~called
    summed = np.asarray(raw.counts[np.flatnonzero(empty)].sum(axis=0)).ravel().astype(np.int64)
    droplets = EmptyDroplets(raw.genes, summed, int(empty.sum()))
    account = {"n_raw": int((total > 0).sum()), "n_empty": droplets.n, "knee": knee(total)}
    account["in_cells"] = tidy(total[called].sum() / max(total.sum(), 1))
    if not empty.any() or not called.any():
        return {**account, "median_counts": None, "max_contamination": None, "top_genes": {}}, droplets
    profile = summed / summed.sum()
    top = np.argsort(-profile, kind="stable")[:20]
    median = float(np.median(total[empty]))
    account["median_counts"] = tidy(median)
    account["max_contamination"] = tidy(min(median / max(float(np.median(total[called])), 1), 1.0))
    account["top_genes"] = {str(raw.genes[i]): tidy(profile[i]) for i in top if profile[i] > 0}
    return account, droplets


def knee(total: np.ndarray) -> int | None:
    """Counts at the knee of the barcode rank curve, None where there are too few distinct counts."""
    values, n = np.unique(total[total > 0], return_counts=True)
    if len(values) < 3:
        return None
    values, rank = values[::-1], np.cumsum(n[::-1])
    x, y = np.log(rank), np.log(values)
    height = y - (y[0] + (x - x[0]) * (y[-1] - y[0]) / max(x[-1] - x[0], 1e-12))
    return int(values[int(np.argmax(height))])
