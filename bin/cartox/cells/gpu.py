"""Harmony and nearest neighbours on a GPU, by rapids-singlecell and cuML, for --device gpu.

Results are those of the same methods, not the same numbers: sums on a GPU differ in their last bits. Not
verified: no GPU was to be had.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cartox.cli import InputError


def require(library: str) -> Any:
    """The library, which needs a GPU. Raises InputError where either is missing."""
    import importlib

    try:
        return importlib.import_module(library)
    except Exception as error:  # a library of CUDA may fail in any way where there is no GPU
        raise InputError(
            f"--device gpu: {library} could not be loaded ({error}); use the profile gpu with an image that "
            "has rapids-singlecell, on a machine with a GPU, or --device cpu"
        ) from error


def harmonised(values: np.ndarray, batch: np.ndarray, seed: int) -> np.ndarray:
    """As `cartox.cells.harmonised`: components, cells × components, with batches brought together."""
    import pandas as pd

    rapids, anndata = require("rapids_singlecell"), require("anndata")
    obs = pd.DataFrame({"batch": pd.Categorical(batch)})
    adata = anndata.AnnData(obs=obs)
    adata.obsm["X_pca"] = values.astype(np.float64)
    rapids.pp.harmony_integrate(adata, "batch", ridge_lambda=1.0, random_state=seed)
    return on_host(adata.obsm["X_pca_harmony"])


def nearest(values: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """As `cartox.cells.neighbours.nearest`, exact at any size."""
    from cartox.cells.neighbours import others

    neighbors = require("cuml.neighbors")
    values = np.ascontiguousarray(values - values.mean(axis=0), dtype=np.float32)
    model = neighbors.NearestNeighbors(n_neighbors=k + 1, algorithm="brute").fit(values)
    return others(lambda block: on_host(model.kneighbors(block, return_distance=False)), values, k)


def on_host(array: Any) -> np.ndarray:
    """An array of the GPU, or of the host already, as one of numpy."""
    return np.asarray(array.get() if hasattr(array, "get") else array)
