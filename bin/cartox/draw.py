"""Cells drawn at random where a step looks at a sample of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def shares(sizes: Sequence[int], limit: int) -> list[int]:
    """How many cells to draw from each sample: as even as can be, `limit` in all (all cells if fewer)."""
    out, left = [0] * len(sizes), limit
    order = sorted(range(len(sizes)), key=lambda i: sizes[i])
    for done, i in enumerate(order):
        out[i] = min(sizes[i], left // (len(sizes) - done))
        left -= out[i]
    return out


def evenly(sample: np.ndarray, limit: int, rng: np.random.Generator) -> np.ndarray:
    """Places of at most `limit` cells, in order, as even over the samples as can be; sample: of each cell."""
    import numpy as np

    members = [np.flatnonzero(sample == name) for name in np.unique(sample)]
    quota = shares([len(own) for own in members], limit)
    chosen = [rng.permutation(own)[:size] for own, size in zip(members, quota, strict=True)]
    return np.sort(np.concatenate(chosen))
