"""Which samples belong together: those of a time point and tissue, of a contrast, of a CAR call."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cartox.cli import InputError
from cartox.labels import CAR_CALLS

if TYPE_CHECKING:
    import pandas as pd

    from cartox.contrasts import Contrast


def by_time_and_tissue(samples: pd.DataFrame) -> dict[str, list[str]]:
    """Samples of each time point × tissue (where there is a column `tissue`), sorted."""
    keys = [name for name in ("timepoint", "tissue") if name in samples.columns]
    return {
        ".".join(map(str, key)): sorted(group["sample"]) for key, group in samples.groupby(keys, sort=True)
    }


def with_clinical(samples: pd.DataFrame, clinical: pd.DataFrame | None) -> pd.DataFrame:
    """The samples with their patients' clinical columns; all columns str, '' where missing."""
    if clinical is None or clinical.empty:
        return samples
    return samples.merge(clinical, on="patient", how="left", suffixes=("", "_clinical")).fillna("")


def of_contrast(sheet: pd.DataFrame, contrast: Contrast) -> list[str]:
    """Samples that a contrast is about: those that meet its `where`, and for a change those of its baseline.

    sheet: one row per sample, all columns str. Raises InputError where `where` names an unknown column.
    """
    kept = np.ones(len(sheet), dtype=bool)
    for column, values in contrast.where.items():
        if column not in sheet.columns:
            raise InputError(f"contrast {contrast.id}: where names {column}, which no sheet has")
        wanted = {*values, contrast.baseline} if column == "timepoint" else set(values)
        kept &= sheet[column].isin(wanted - {""}).to_numpy()
    return sorted(sheet["sample"][kept])


def by_car(samples: pd.DataFrame) -> pd.DataFrame:
    """Each sample twice, as `SAMPLE|CAR+` and `SAMPLE|CAR-`, with the call in the column `car`."""
    import pandas as pd

    halves = [samples.assign(sample=samples["sample"] + f"|{call}", car=call) for call in CAR_CALLS]
    return pd.concat(halves, ignore_index=True)
