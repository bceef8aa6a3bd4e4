"""How likely a CAR+ T cell of a given depth shows its transgene, learnt from the CAR+ cells themselves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cartox.cells import truncated

DEEP = 0.9  # a T cell is called CAR- where a CAR+ cell of its depth would be found this often
LEARN = 50  # CAR+ cells from which expression of the transgene is learnt
MAX_FALSE = 0.1  # of a sample's CAR+ cells this share may be expected false, or nothing is learnt from it


@dataclass
class Learnt:
    """probability: for each cell that a CAR+ cell of its depth reaches the threshold, NaN where nothing was
    learnt. told: by sample, what it rests on."""

    probability: np.ndarray
    told: list[dict]


def learn(
    umi: np.ndarray,
    depth: np.ndarray,
    limit: np.ndarray,
    sample: np.ndarray,
    car: np.ndarray,
    t: np.ndarray,
    false: np.ndarray,
) -> Learnt:
    """Detection of CAR+ cells as a function of depth, by sample.

    All arrays are by cell. limit: threshold; car: mask of CAR+ cells to learn from; t: of T cells; false:
    upper bound of the expected false-positive rate. A sample learns from its own CAR+ cells where it has
    LEARN of them, else from those of all samples, without samples in which false calls may be many.
    CAR+ cells below their limit are not seen, and CAR- cells not needed (see `cartox.cells.truncated`).
    """
    names = np.unique(sample)
    trusted = np.zeros(len(umi), dtype=bool)
    for name in names:
        here = sample == name
        if false[here & t].sum() <= MAX_FALSE * (car & here).sum():
            trusted |= car & here
    probability = np.full(len(umi), np.nan)
    together = truncated.fit(umi[trusted], depth[trusted], limit[trusted]) if trusted.sum() >= LEARN else None
    told = []
    for name in names:
        here = sample == name
        own = trusted & here
        enough = own.sum() >= LEARN
        found = truncated.fit(umi[own], depth[own], limit[own]) if enough else together
        if found:
            probability[here] = truncated.reached(found, depth[here], limit[here])
        told.append(
            {
                "sample": str(name),
                "from": "" if not found else "own" if enough else "all",
                "n_learnt": int((own if enough else trusted).sum()) if found else 0,
                "umi_per_10k": round(1e4 * found[0], 4) if found else None,
                "dispersion": round(1 / found[1], 4) if found else None,
                "median_t": round(float(np.median(probability[here & t])), 4)
                if found and (here & t).any()
                else None,
            }
        )
    return Learnt(probability, told)
