"""Samples whose sex genes disagree with their patient's: one of them may be another patient's."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from cartox.genes import FEMALE_GENES, SEX_GENES
from cartox.statistics.measures import column

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
    of = {
        sex: np.isin(genes, sorted(own))
        for sex, own in (("x", FEMALE_GENES), ("y", SEX_GENES - FEMALE_GENES))
    }
    sums = pd.DataFrame({sex: np.asarray(counts[:, own].sum(axis=1)).ravel() for sex, own in of.items()})
    calls = called(sums.groupby(names).sum().sort_index())
    return calls[calls.isin(["female", "male"])]


def called(sums: pd.DataFrame) -> pd.Series:
    """`female`, `male`, `mixed` or `unclear` (too few counts) by sample.

    Args:
        sums: by sample, counts of XIST and TSIX (`x`) and of the genes of the Y chromosome (`y`).
    """
    total = sums["x"] + sums["y"]
    share = sums["x"] / total.clip(lower=1)
    found = [total < MIN_COUNT, share >= CLEAR, share <= 1 - CLEAR]
    return pd.Series(np.select(found, ["unclear", "female", "male"], "mixed"), sums.index, dtype=object)


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


def identity(
    sums: pd.DataFrame, samples: pd.DataFrame, clinical: pd.DataFrame
) -> tuple[list[str], list[str]]:
    """Disagreements of sex genes, and samples of both sexes, as sentences; patients are judged by themselves.

    Args:
        sums: counts `x` and `y` by sample, as for `called`.
        samples: sample, patient.
        clinical: patient, and `sex` or `gender` where the user gave it and a contrast uses it.

    Returns:
        Disagreements (within a patient, or with the clinical table), and samples with the genes of both
        sexes. Nothing is said of the others: sex is a personal datum.
    """
    calls = {str(sample): str(call) for sample, call in called(sums).items()}
    sheet = sorted(zip(samples["sample"].astype(str), samples["patient"].astype(str), strict=True))
    of = {sample: patient for sample, patient in sheet if sample in calls}
    wrong = []
    for patient in sorted(set(of.values())):
        named = {sex: [s for s in of if of[s] == patient and calls[s] == sex] for sex in ("female", "male")}
        if all(named.values()):
            said = "; ".join(f"{_counted(sums, own)} {sex}" for sex, own in named.items())
            wrong.append(f"Possible sample swap in {patient}: by sex genes {said}.")
    given = _clinical_sex(clinical)
    for sample, patient in of.items():
        call = calls[sample]
        if call in ("female", "male") and given.get(patient, call) != call:
            wrong.append(
                f"{_counted(sums, [sample])} of {patient} is {call} by sex genes, {given[patient]} in the "
                "clinical table: a swapped sample, a wrong entry, or blood of a donor."
            )
    both = [
        f"{_counted(sums, [sample])} has the genes of both sexes: chimaerism, as after a transplant, "
        "or mixed samples."
        for sample in of
        if calls[sample] == "mixed"
    ]
    return wrong, both


def _counted(sums: pd.DataFrame, names: list) -> str:
    return ", ".join(f"{s} (XIST {sums.loc[s, 'x']}, Y {sums.loc[s, 'y']})" for s in names)


def _clinical_sex(clinical: pd.DataFrame) -> dict[str, str]:
    words = {"f": "female", "female": "female", "woman": "female", "m": "male", "male": "male", "man": "male"}
    columns = [c for c in clinical.columns if c.lower() in ("sex", "gender")]
    if not columns:
        return {}
    given = clinical[columns[0]].astype(str).str.strip().str.lower()
    pairs = zip(clinical["patient"].astype(str), given, strict=True)
    return {patient: words[word] for patient, word in pairs if word in words}
