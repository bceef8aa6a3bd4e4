"""Batches that cannot be told from what a question asks about."""

from __future__ import annotations

import re

import pandas as pd

from cartox.contrasts import Contrast
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
    samples: pd.DataFrame, clinical: pd.DataFrame, contrasts: list[Contrast], column: str
) -> list[dict[str, str]]:
    """What to do about each contrast whose tested column is aliased with Harmony's batches.

    samples, clinical: the checked sheets, all columns str; clinical may be empty. column: --harmony_by.
    Returns contrast, column (the tested one) and advice, in the order of the contrasts' ids.
    """
    sheet = with_clinical(samples, clinical)
    sheet = sheet.assign(batch=sheet["sample"]) if "batch" not in sheet else sheet
    out = []
    for contrast in sorted(contrasts, key=lambda c: c.id):
        used = sheet[sheet["sample"].isin(of_contrast(sheet, contrast))]
        if contrast.level == "change":
            used = used[used["timepoint"] != contrast.baseline]
        named = set(re.findall(r"[^\W\d]\w*", contrast.term)) & set(sheet.columns)
        for tested in sorted(named - {column, "patient", "sample"}):
            known = used[used[tested] != ""]
            if aliased(known[column], known[tested], known["patient"]):
                out.append({"contrast": contrast.id, "column": tested, "advice": _words(column, tested)})
    return out


def _words(column: str, tested: str) -> str:
    what, one, many = f"{column} (--harmony_by)", column, f"the levels of {column}"
    if column == "batch":
        what, one, many = column, "lane", "lanes"
    return (
        f"Every {what} holds one level of {tested}: Harmony may take away differences by {tested}, or leave "
        f"those of the {one}. Types and their shares stand on its space; expression is tested on counts, "
        f"which it does not correct, so that {one} and effect stay mixed there. Compare with --integration "
        f"none, and if samples can be run again, spread the levels of {tested} over {many}."
    )
