"""Which cells to call doublets, from the scores of observed cells and of simulated doublets."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logit

# 10x loads so that about 0.8 % of the droplets with a cell hold two per 1,000 cells recovered.
RATE_PER_CELL = 0.008 / 1000
# A threshold that calls this share and twice the expected rate besides, or more than any lane has, is wrong;
# one that misses nine of ten simulated doublets is noise. The share is wide because the cells counted here
# may be a part of those that were in the lane.
SPARE_RATE = 0.1
MAX_RATE = 0.25
MIN_DETECTABLE = 0.1
# A doublet kept passes for a type or an interaction that is not there; a cell lost is one of many. So a
# doublet missed counts as much as two cells lost, and the best decision calls from one in three on.
PROBABILITY = 1 / 3


def hard_pairs(parents: np.ndarray, sample: np.ndarray, least: int) -> np.ndarray:
    """Which simulated doublets are of two cells of one sample; all of them where those are below `least`.

    parents: simulated × 2, rows of cells. A lane's samples differ more than the cells of one, so that pairs
    across samples are easy to see. Where samples were tagged, demultiplexing has removed these already; where
    each had a channel of its own there are none. The threshold is set by those that are hard to see.
    """
    within = sample[parents[:, 0]] == sample[parents[:, 1]]
    return within if within.sum() >= least else np.ones(len(parents), dtype=bool)


def parting(simulated: np.ndarray) -> float:
    """The score that parts simulated doublets into hidden and detectable ones (Otsu 1979, of logits).

    Scrublet's own search takes the histogram's last dip, which often lies too high.
    """
    from skimage.filters import threshold_otsu

    bounded = np.clip(simulated, 1e-6, 1 - 1e-6)
    return float(expit(threshold_otsu(logit(bounded))))


def likely(score: np.ndarray, simulated: np.ndarray) -> float:
    """The score above which cells are doublets with a probability of at least `PROBABILITY`.

    The share of doublets is that of observed cells above `parting`, over that of simulated doublets there
    (Wolock 2019). With it, a cell's probability follows by Bayes from the ratio of the two densities at its
    score, made monotone by isotonic regression. 1 where no cell scores like a doublet.
    """
    from scipy.optimize import isotonic_regression

    split = parting(simulated)
    rate = min(float(np.mean(score > split)) / max(float(np.mean(simulated > split)), 1e-3), MAX_RATE)
    kind = np.r_[np.zeros(len(score)), np.ones(len(simulated))]
    weight = np.r_[np.full(len(score), 1 / len(score)), np.full(len(simulated), 1 / len(simulated))]
    # equal scores are one point
    _, point = np.unique(np.r_[score, simulated], return_inverse=True)
    mass = np.bincount(point, weights=weight)
    share = isotonic_regression(np.bincount(point, weights=weight * kind) / mass, weights=mass).x[point]
    share = share[: len(score)]
    single = score[rate * share < PROBABILITY * (1 - share)]
    if len(single) == len(score):
        return 1.0
    return float(single.max()) if len(single) else 0.0


def has_two_modes(simulated: np.ndarray) -> bool:
    """Whether the scores of simulated doublets have two modes: without, Scrublet's own search gives up."""
    from skimage.filters import threshold_minimum

    try:
        threshold_minimum(simulated)
    except RuntimeError:
        return False
    return True


def implausible(two_modes: bool, score: np.ndarray, simulated: np.ndarray, threshold: float) -> str:
    """Why an automatic threshold cannot be used; empty where it can."""
    if not two_modes or np.ptp(simulated) == 0:
        return "scores of simulated doublets have no two modes"
    most = min(SPARE_RATE + 2 * RATE_PER_CELL * len(score), MAX_RATE)
    if (rate := float(np.mean(score > threshold))) > most:
        return f"the automatic threshold would call {100 * rate:.0f} % of the cells"
    if (share := float(np.mean(simulated > threshold))) < MIN_DETECTABLE:
        return f"the automatic threshold finds only {100 * share:.0f} % of simulated doublets"
    return ""


def expected_cut(score: np.ndarray) -> tuple[float, float]:
    """The score above which the share expected of the lane lies, and that share."""
    rate = min(RATE_PER_CELL * len(score), MAX_RATE)
    return float(np.quantile(score, 1 - rate)), rate


def histogram(score: np.ndarray, simulated: np.ndarray) -> dict:
    """Counts of observed cells and of simulated doublets in 50 equal bins of the score from 0 to 1."""
    edges = np.linspace(0, 1, 51)
    return {
        "edges": [round(float(edge), 2) for edge in edges],
        "observed": np.histogram(np.clip(score, 0, 1), edges)[0].tolist(),
        "simulated": np.histogram(np.clip(simulated, 0, 1), edges)[0].tolist(),
    }
