"""Coarse classes of barcodes, and bounds of quality by class where one for all would erase a class.

The classes serve quality control alone: a few genes that textbooks give each lineage, no table of the
annotation. A barcode that shows none clearly is `other` and is always judged by the sample's bounds.
"""

from __future__ import annotations

import numpy as np

from cartox.cells import quality
from cartox.matrices.matrix import TARGET_SUM, CountMatrix

LINEAGES = {
    "lymphoid": ("CD3D", "CD3E", "CD3G", "TRAC", "CD2", "CD7", "NKG7", "KLRD1"),
    "B": ("CD79A", "CD79B", "MS4A1", "CD19", "MZB1", "TNFRSF17", "DERL3", "POU2AF1"),
    "myeloid": ("LYZ", "CST3", "CD14", "FCN1", "CSF1R", "MNDA", "CD68", "FCER1G"),
}
CYCLING = ("MKI67", "TOP2A", "RRM2", "TYMS", "UBE2C", "BIRC5", "CENPF", "NUSAP1", "CDK1", "TK1")
# Detected genes of its list that a lineage needs, and how far its mean log-normalised value must lead: soup
# brings one or two of another lineage's strongest genes into every droplet.
MIN_DETECTED = 2
MIN_LEAD = 0.1
# Of ten genes of the cycle, cells at rest show none or one; four hold against soup in a product.
MIN_CYCLING = 4
# Fewer cells give no steady deviation (its standard error is about 12 % at 50).
MIN_CLASS = 50
# A class that loses less than this to the sample's bounds is not erased; a normal loses < 0.001 % at 5 MADs.
MIN_LOST = 0.10
# Its own bounds must bring back at least this share of the loss, else what is lost is unlike its own class.
MIN_REGAINED = 0.5

Bounds = dict[str, list[float | None]]


def coarse(matrix: CountMatrix) -> np.ndarray:
    """Class of each barcode: `cycling`, `lymphoid`, `B`, `myeloid` or `other`; an array of str."""
    total = np.asarray(matrix.counts.sum(axis=1)).ravel()
    scores, detected = [], []
    for genes in LINEAGES.values():
        block = _block(matrix, genes)
        scores.append(np.log1p(TARGET_SUM * block / np.maximum(total, 1)[:, None]).sum(axis=1) / len(genes))
        detected.append((block > 0).sum(axis=1))
    score = np.where(np.array(detected) >= MIN_DETECTED, np.array(scores), 0.0)
    order = np.sort(score, axis=0)
    clear = order[-1] - order[-2] >= MIN_LEAD
    classes = np.where(clear, np.array(list(LINEAGES), dtype=object)[score.argmax(axis=0)], "other")
    cycling = (_block(matrix, CYCLING) > 0).sum(axis=1) >= MIN_CYCLING
    return np.where(cycling, "cycling", classes)


def _block(matrix: CountMatrix, genes: tuple[str, ...]) -> np.ndarray:
    """Counts of these few genes, barcodes × genes found (dense: at most ten columns)."""
    columns = matrix.columns(list(genes))
    return matrix.counts[:, columns[columns >= 0]].toarray()


def bounds_by_class(
    values: quality.Metrics, classes: np.ndarray, sample: Bounds, hard: Bounds, nmads: float
) -> dict[str, Bounds]:
    """Bounds of the classes that the sample's adaptive bounds would erase in part; the others have none.

    A class gets its own bound of one metric where the sample's removes at least MIN_LOST of its cells
    within the hard limits and its own median and deviations keep at least MIN_REGAINED of those. Its bound
    only ever widens the sample's, never past a hard limit.

    Args:
        values: metrics by barcode.
        classes: class by barcode, from `coarse`.
        sample: the sample's adaptive bounds.
        hard: the hard limits, in the same form.
        nmads: deviations allowed.
    """
    found: dict[str, Bounds] = {}
    inside = quality.reasons(values, hard) == ""
    for name in sorted(set(classes) - {"other"}):
        own = inside & (classes == name)
        if own.sum() < MIN_CLASS:
            continue
        wider: Bounds = {}
        for metric in quality.ADAPTIVE:
            cells = values[metric][own]
            lost = ~quality.within(cells, sample[metric])
            if np.isnan(cells).any() or lost.mean() < MIN_LOST:
                continue
            bound = _widened(quality.adaptive(metric, cells, nmads, hard[metric]), sample[metric])
            if quality.within(cells[lost], bound).mean() >= MIN_REGAINED:
                wider[metric] = bound
        if wider:
            found[name] = {metric: wider.get(metric, bound) for metric, bound in sample.items()}
    return found


def _widened(own: list[float | None], sample: list[float | None]) -> list[float | None]:
    low = None if own[0] is None or sample[0] is None else min(own[0], sample[0])
    high = None if own[1] is None or sample[1] is None else max(own[1], sample[1])
    return [low, high]


def reasons(
    values: quality.Metrics, classes: np.ndarray, sample: Bounds, by_class: dict[str, Bounds]
) -> np.ndarray:
    """Why each barcode is removed, by the bounds of its class or, where it has none, of the sample."""
    reason = quality.reasons(values, sample)
    for name, bounds in by_class.items():
        own = classes == name
        reason[own] = quality.reasons(values, bounds)[own]
    return reason
