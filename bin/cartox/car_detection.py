"""How likely a CAR+ T cell of a given depth shows its transgene, learnt from the CAR+ cells themselves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

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
    """
    names = np.unique(sample)
    trusted = np.zeros(len(umi), dtype=bool)
    for name in names:
        here = sample == name
        if false[here & t].sum() <= MAX_FALSE * (car & here).sum():
            trusted |= car & here
    probability = np.full(len(umi), np.nan)
    together = fit(umi[trusted], depth[trusted], limit[trusted]) if trusted.sum() >= LEARN else None
    told = []
    for name in names:
        here = sample == name
        own = trusted & here
        enough = own.sum() >= LEARN
        found = fit(umi[own], depth[own], limit[own]) if enough else together
        if found:
            probability[here] = detected(found, depth[here], limit[here])
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


def fit(umi: np.ndarray, depth: np.ndarray, limit: np.ndarray) -> tuple[float, float]:
    """Expression of CAR+ cells: CAR UMIs per UMI, and the size of their negative binomial distribution.

    Maximum likelihood given that each cell reached its `limit`: CAR+ cells below it are not seen, and CAR-
    cells not needed. Zero-truncated negative binomial (Grogger & Carson 1991, doi:10.1002/jae.3950060302).
    """
    scale = float(np.median(depth))
    relative = depth / scale
    start = np.log([max(umi.mean() / relative.mean() / 2, 0.05), 1.0])

    def loss(theta: np.ndarray) -> float:
        mean, size = np.exp(theta[0]) * relative, np.exp(theta[1])
        share = mean / (mean + size)
        logp = special.gammaln(umi + size) - special.gammaln(size) - special.gammaln(umi + 1.0)
        logp += special.xlogy(umi, share) + size * np.log1p(-share)
        return -float((logp - np.log(np.maximum(special.betainc(limit, size, share), 1e-300))).mean())

    best = optimize.minimize(loss, start, method="L-BFGS-B", bounds=[(-8, 12), (-3, 5)])
    return float(np.exp(best.x[0])) / scale, float(np.exp(best.x[1]))


def detected(found: tuple[float, float], depth: np.ndarray, limit: np.ndarray) -> np.ndarray:
    """Probability that a CAR+ cell of each depth reaches its limit."""
    mean = found[0] * depth
    return special.betainc(limit, found[1], mean / (mean + found[1]))
