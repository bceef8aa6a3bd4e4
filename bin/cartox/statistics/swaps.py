"""Samples whose sex genes disagree with their patient's: one of them may be another patient's."""

from __future__ import annotations

import numpy as np
import pandas as pd

MIN_COUNT = 20  # counts of sex genes that a call needs
CLEAR = 0.9  # share of them that is of one sex; between, as after a transplant, nothing is called


def called(sums: pd.DataFrame) -> pd.Series:
    """`female`, `male`, `mixed` or `unclear` (too few counts) by sample.

    Args:
        sums: by sample, counts of XIST and TSIX (`x`) and of the genes of the Y chromosome (`y`).
    """
    total = sums["x"] + sums["y"]
    share = sums["x"] / total.clip(lower=1)
    found = [total < MIN_COUNT, share >= CLEAR, share <= 1 - CLEAR]
    return pd.Series(np.select(found, ["unclear", "female", "male"], "mixed"), sums.index, dtype=object)


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
