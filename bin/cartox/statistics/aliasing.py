"""Batches that cannot be told from what a question asks about."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pandas as pd

from cartox.strata import of_contrast, with_clinical


def aliased(batch: pd.Series, level: pd.Series, patient: pd.Series) -> bool:
    """Whether every batch holds one level though batches are shared by patients (rows: samples or units).

    Where each patient, or each sample, is a batch of its own, that every batch holds one level is how a trial
    is made, and says nothing.
    """
    by_batch = level.groupby(batch).nunique()
    shared = len(by_batch) > 1 and patient.groupby(batch).nunique().max() > 1
    return bool(shared and len(set(level)) > 1 and (by_batch == 1).all())


def advice(
    samples: pd.DataFrame, clinical: pd.DataFrame, contrasts: list[Mapping], column: str
) -> list[dict[str, str]]:
    """What to do about each contrast whose tested column is aliased with Harmony's batches.

    samples, clinical: the checked sheets, all columns str; clinical may be empty. column: --harmony_by.
    Returns contrast, column (the tested one) and advice, in the order of the contrasts' ids.
    """
    sheet = with_clinical(samples, clinical)
    sheet = sheet.assign(batch=sheet["sample"]) if "batch" not in sheet else sheet
    out = []
    for contrast in sorted(contrasts, key=lambda c: str(c["id"])):
        used = sheet[sheet["sample"].isin(of_contrast(sheet, contrast))]
        if contrast.get("level") == "change":
            used = used[used["timepoint"] != str(contrast.get("baseline") or "")]
        named = set(re.findall(r"[^\W\d]\w*", str(contrast["term"]))) & set(sheet.columns)
        for tested in sorted(named - {column, "patient", "sample"}):
            known = used[~used[tested].isin(["", "NA"])]
            if aliased(known[column], known[tested], known["patient"]):
                out.append(
                    {"contrast": str(contrast["id"]), "column": tested, "advice": _words(column, tested)}
                )
    return out


def _words(column: str, tested: str) -> str:
    what = column if column == "batch" else f"{column} (--harmony_by)"
    return (
        f"Every {what} holds one level of {tested}: Harmony may take away differences by {tested}, or leave "
        "those of the lane. Types and their shares stand on its space; expression is tested on counts, which "
        "it does not correct, so that lane and effect stay mixed there. Compare with --integration none, and "
        f"if samples can be run again, spread the levels of {tested} over lanes."
    )
