"""How time and memory grow with the cells, and what the machine itself would need for the work."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

N_HVG, N_PCS = 2000, 30


def exponents(
    small: Sequence[Mapping[str, Any]], large: Sequence[Mapping[str, Any]], factor: float
) -> dict[str, dict[str, float]]:
    """By step: e such that CPU time (and peak memory) grew as cells to the e, where cells grew by `factor`.

    CPU time, as a step's wall depends on what else runs.
    """
    before = {row["step"]: row for row in small if "seconds" in row}
    return {
        row["step"]: {
            key: math.log(max(row[key], 1e-2) / max(before[row["step"]][key], 1e-2)) / math.log(factor)
            for key in ("cpu", "peak")
        }
        for row in large
        if row["step"] in before and "seconds" in row
    }


def limit(result: Mapping[str, Any]) -> dict[str, float]:
    """Bytes that the tasks moved, operations of PCA and kNN, and the seconds that these need at least.

    PCA by the covariance of the variable genes, as if no entry were zero, and its eigenvectors (about 9 n^3);
    nearest neighbours by all distances, which an index does with fewer.
    """
    cells, machine = result["cohort"]["cells"], result["machine"]
    processes = result["cartox"]["processes"]
    read, written = (float(sum(row[key] for row in processes)) for key in ("read", "written"))
    pca = 2.0 * cells * N_HVG**2 + 9.0 * N_HVG**3
    knn = 2.0 * cells**2 * N_PCS
    return {
        "read": read,
        "written": written,
        "moving": read / 1e6 / machine["read_mb_s"] + written / 1e6 / machine["written_mb_s"],
        "pca": pca,
        "knn": knn,
        "computing": (pca + knn) / 1e9 / machine["gflops"],
    }
