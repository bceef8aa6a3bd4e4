"""The samples a contrast is about, and how their values become one row per patient.

Units are patients, or patient × condition where the tested term varies within patients.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from cartox.columns import SAMPLES
from cartox.contrasts import Contrast
from cartox.files import typed
from cartox.labels import CAR_CALLS
from cartox.statistics.aliasing import aliased
from cartox.statistics.design import variables
from cartox.strata import of_contrast, with_clinical


@dataclass
class Stratum:
    """Samples of a contrast (sorted; columns of both sheets, `_unit`, `_baseline`) and its model.

    level: patient or change. within: the term is tested within patients. adjust: values are
    made alike over time points before they are averaged. units: one row per unit, with the
    columns that the formula may use. notes: sentences.
    """

    samples: pd.DataFrame
    units: pd.DataFrame
    formula: str
    term: str
    level: str
    within: bool
    adjust: bool
    notes: list[str] = field(default_factory=list)


def select(samples: pd.DataFrame, clinical: pd.DataFrame, contrast: Contrast) -> Stratum:
    """Samples and units of a contrast. samples, clinical: all columns str, missing values ''."""
    sheet = with_clinical(samples, clinical)
    sheet = sheet[sheet["sample"].isin(of_contrast(sheet, contrast))]
    sheet = sheet.sort_values("sample", ignore_index=True)
    baseline, change = contrast.baseline, contrast.level == "change"
    sheet["_baseline"] = (sheet["timepoint"] == baseline) & change
    for column in sheet.columns.difference([*SAMPLES, "_baseline"]):
        sheet[column] = typed(sheet[column])
    notes: list[str] = []
    formula, term = contrast.formula, contrast.term
    varying = _varying(sheet, term)
    within = bool(varying) and ("patient" in variables(formula) or _mostly(sheet, varying))
    if within and "patient" not in variables(formula):
        formula += " + patient"
    if not within:
        formula, said = _without_time(formula, term, sheet[~sheet["_baseline"]])
        notes += said
    keys = ["patient", *(varying if within else [])]
    sheet["_unit"] = sheet[keys].astype(str).agg("|".join, axis=1)
    used = sheet[~sheet["_baseline"]]
    if change:
        paired = used["patient"].isin(sheet.loc[sheet["_baseline"], "patient"])
        if not paired.all():
            lost = sorted(used.loc[~paired, "patient"].unique())
            notes.append(f"Without a {baseline} sample, so without a change: {', '.join(lost)}.")
        if alone := sorted(set(sheet["patient"]) - set(used["patient"])):
            notes.append(f"With a {baseline} sample alone, so without a change: {', '.join(alone)}.")
        used = used[paired]
    if within and len(varying) and len(used):
        kept, note = _informative(used, varying)
        used, notes = used[kept], notes + note
    units = _units(used)
    if contrast.car:  # sorted as text CAR+ would be the reference
        units["car"] = pd.Categorical(units["car"], list(reversed(CAR_CALLS)))
    if not within and varying:
        several = used.groupby("patient")[varying].nunique().max(axis=1) > 1
        moved = sorted(several.index[several])
        units = units[~units["patient"].isin(moved)].reset_index(drop=True)
        if moved:
            notes.append(f"Left out, as {term} changes between their samples: {', '.join(moved)}.")
    sheet = sheet[sheet["_unit"].isin(units["_unit"]) | sheet["_baseline"]].reset_index(drop=True)
    adjust = "timepoint" not in variables(f"~ 0 + {term}")
    return Stratum(sheet, units, formula, term, contrast.level, within, adjust, notes + _batches(units, term))


def _without_time(formula: str, term: str, used: pd.DataFrame) -> tuple[str, list[str]]:
    """The formula without an additive time point where patients have several, and a sentence that says so."""
    from formulaic import Formula

    terms = [str(t) for t in Formula.from_spec(formula)]
    timed = {t: variables(f"~ 0 + {t}") for t in terms if "timepoint" in variables(f"~ 0 + {t}")}
    several = used[["patient", "timepoint"]].drop_duplicates().duplicated("patient").any()
    asked = "timepoint" in variables(f"~ 0 + {term}")
    if not timed or not several or asked or any(named != {"timepoint"} for named in timed.values()):
        return formula, []
    note = (
        "timepoint is left out of the formula, as visits are made alike over time points and then averaged."
    )
    return formula + "".join(f" - {t}" for t in timed), [note]


def _varying(sheet: pd.DataFrame, term: str) -> list[str]:
    """Columns of the term with several values in some patient."""
    used = sheet[~sheet["_baseline"]]
    columns = sorted(variables(f"~ 0 + {term}") & set(used.columns))
    levels = used.groupby("patient")[columns].nunique()
    return [c for c in columns if levels[c].max() > 1]


def _mostly(sheet: pd.DataFrame, varying: list[str]) -> bool:
    """Whether the term varies in most patients: a condition, not an arm that a few patients changed."""
    levels = sheet[~sheet["_baseline"]].groupby("patient")[varying].nunique()
    return bool(varying) and all(np.mean(levels[c] > 1) > 0.5 for c in varying)


def _informative(used: pd.DataFrame, varying: list[str]) -> tuple[np.ndarray, list[str]]:
    """Samples of patients seen at two levels or more: others tell nothing about a difference within."""
    levels = used.groupby("patient")[varying].nunique().max(axis=1)
    alone = sorted(levels.index[levels < 2])
    note = [f"Left out, as seen in one condition only: {', '.join(alone)}."] if alone else []
    return ~used["patient"].isin(alone).to_numpy(), note


def _units(used: pd.DataFrame) -> pd.DataFrame:
    """One row per unit, sorted: the single value of each column, the mean of a number, else missing."""
    rows = []
    for unit, part in used.groupby("_unit", sort=True):
        row: dict[str, object] = {"_unit": unit, "_visits": "+".join(sorted(part["timepoint"].unique()))}
        for column in part.columns.difference(["_unit", "sample", "_baseline"]):
            values = part[column].dropna().unique()
            if len(values) == 1:
                row[column] = values[0]
            elif len(values) > 1 and pd.api.types.is_numeric_dtype(part[column]):
                row[column] = float(part[column].mean())
            else:
                row[column] = None
        rows.append(row)
    return pd.DataFrame(
        rows, columns=["_unit", "_visits", *used.columns.difference(["_unit", "sample", "_baseline"])]
    )


def _batches(units: pd.DataFrame, term: str) -> list[str]:
    """A sentence where every shared batch holds one level of the term: batch effects pass for its effect."""
    columns = sorted(variables(f"~ 0 + {term}") & set(units.columns))
    if "batch" not in units or len(columns) != 1 or columns[0] == "batch" or units["batch"].isna().any():
        return []
    if aliased(units["batch"], units[columns[0]], units["patient"]):
        return [
            f"Every batch holds one level of {columns[0]}: a batch effect cannot be told from its effect."
        ]
    return []


def averaging(samples: pd.DataFrame, change: bool, adjust: bool) -> tuple[list[str], np.ndarray]:
    """Weights that turn values of samples into values of units: (units, units × samples).

    Samples of one unit and time point are averaged; a change is minus the patient's mean at baseline (of the
    same unit where it was seen there); with `adjust`, time points that not all units share are made alike by
    the ordinary least squares `value ~ unit + timepoint`; then each unit's visits are averaged.
    """
    visits = samples[~samples["_baseline"]]
    if change:
        visits = visits[visits["patient"].isin(samples.loc[samples["_baseline"], "patient"])]
    units = sorted(visits["_unit"].unique())
    keys = visits["_unit"] + "|" + visits["timepoint"]
    names = sorted(keys.unique())
    mean = np.zeros((len(names), len(samples)))
    for i, name in enumerate(names):
        members = visits.index[keys == name]
        mean[i, members] = 1 / len(members)
        if change:
            before = samples["_baseline"] & (samples["patient"] == visits.loc[members[0], "patient"])
            same = before & (samples["_unit"] == visits.loc[members[0], "_unit"])
            before = (same if same.any() else before).to_numpy()
            mean[i, before] -= 1 / before.sum()
    first = visits.loc[[visits.index[keys == name][0] for name in names]]
    member = (first["_unit"].to_numpy()[None, :] == np.array(units)[:, None]).astype(float)
    member /= member.sum(axis=1, keepdims=True) if len(units) else 1
    times = pd.get_dummies(first["timepoint"]).to_numpy(float)
    if adjust and times.shape[1] > 1:
        own = times - (member.T > 0).astype(float) @ (member @ times)
        effects = np.linalg.pinv(own) @ (np.eye(len(names)) - (member.T > 0).astype(float) @ member)
        mean = mean - (times - times.mean(axis=0)) @ effects @ mean
    return units, member @ mean
