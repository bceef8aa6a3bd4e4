"""Samples of one patient whose sex genes disagree: one of them may be another patient's."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from cartox.genes import SEX_GENES
from cartox.measures import column

FEMALE = {"XIST", "TSIX"}
MIN_COUNT = 20  # counts of sex genes that a call needs
CLEAR = 0.9  # share of them that is of one sex; between, as after a transplant, nothing is called


def sexes(path: Path) -> pd.Series:
    """Sex by sample (`female`, `male`) from pseudobulk.h5ad, without samples that are not clear."""
    import h5py

    file: Any
    with h5py.File(path, "r") as file:
        names = column(file, "obs", "sample")
        genes = column(file, "var", str(file["var"].attrs["_index"]))
        stored = file["X"]
        parts = stored["data"][:], stored["indices"][:], stored["indptr"][:]
        counts = sparse.csr_matrix(parts, shape=(len(names), len(genes)))
    of = {sex: np.isin(genes, sorted(own)) for sex, own in (("f", FEMALE), ("m", SEX_GENES - FEMALE))}
    sums = pd.DataFrame({sex: np.asarray(counts[:, own].sum(axis=1)).ravel() for sex, own in of.items()})
    sums = sums.groupby(names).sum().sort_index()
    sums = sums[sums.sum(axis=1) >= MIN_COUNT]
    share = sums["f"] / sums.sum(axis=1)
    calls = pd.Series(np.select([share >= CLEAR, share <= 1 - CLEAR], ["female", "male"], ""), sums.index)
    return calls[calls != ""]


def possible_swaps(path: Path, samples: pd.DataFrame, patients: Collection[str]) -> list[str]:
    """A sentence for each of these patients whose samples (sample, patient) are of both sexes."""
    calls = sexes(path)
    known = samples[samples["sample"].isin(calls.index) & samples["patient"].isin(set(patients))]
    notes = []
    for patient, own in known.sort_values("sample").groupby("patient", sort=True):
        named = {
            sex: own.loc[(calls[own["sample"]] == sex).to_numpy(), "sample"] for sex in ("female", "male")
        }
        if all(len(found) for found in named.values()):
            said = "; ".join(f"{', '.join(found)} {sex}" for sex, found in named.items())
            notes.append(f"Possible sample swap in {patient}: by sex genes {said}.")
    return notes
