"""Batches brought together by Harmony, as HARMONY and MAP_REFERENCE do it."""

from __future__ import annotations

import numpy as np


def harmonised(values: np.ndarray, batch: np.ndarray, seed: int) -> np.ndarray:
    """Components (cells × components) with the batches brought together by Harmony (Korsunsky 2019).

    lamb=1 is what R's Harmony does by default; harmonypy 2 has another default.
    """
    import harmonypy
    import pandas as pd

    obs = pd.DataFrame({"batch": batch})
    result = harmonypy.run_harmony(values, obs, ["batch"], lamb=1, random_state=seed, verbose=False)
    out = np.asarray(result.Z_corr)
    if out.shape != values.shape or not np.isfinite(out).all():
        raise RuntimeError(f"Harmony returned {out.shape} for {values.shape}, or values that are not finite")
    return out
