"""What is kept of a contrast besides its rows: values by patient for strip plots, and what was asked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cartox.columns import FEATURE, VALUES
from cartox.contrasts import Contrast
from cartox.statistics.association import Tested
from cartox.statistics.design import Design
from cartox.statistics.stratum import Stratum

SHOWN = 12  # features of each kind whose values are kept for strip plots


def values(
    rows: pd.DataFrame, tested: Sequence[Tested], stratum: Stratum, design: Design | None, name: str
) -> pd.DataFrame:
    """Values by unit of the primary family and of the top features of each kind: values.parquet."""
    ranked = rows[rows["p"].notna()].sort_values(["p", *FEATURE], kind="stable")
    top = ranked.groupby("family", sort=True).head(SHOWN)
    chosen = pd.concat([top, rows[rows["family"] == "primary"]])[FEATURE].drop_duplicates()
    wanted = {tuple(key) for key in chosen.to_numpy().tolist()}
    parts = []
    for one in tested:
        if design is None or one.coefficient is not design.coefficients[0]:
            continue
        block = one.block
        units = design.units.iloc[block.units]
        group = design.groups[block.units] if design.groups is not None else _numbers(units, stratum.term)
        for i, key in enumerate(
            zip([block.kind] * len(block.feature), block.cell_type, block.feature, strict=True)
        ):
            if key in wanted:
                made = dict(zip(FEATURE, key, strict=True))
                made |= {"patient": units["patient"].to_numpy(), "timepoint": units["_visits"].to_numpy()}
                parts.append(
                    pd.DataFrame({"contrast": name, **made, "group": group, "value": block.data[:, i]})
                )
    if not parts:
        return pd.DataFrame(columns=VALUES)
    made = pd.concat(parts, ignore_index=True)[VALUES]
    return made.sort_values([*FEATURE, "patient", "group"], ignore_index=True)


def _numbers(units: pd.DataFrame, term: str) -> np.ndarray:
    """A numeric term's values as text, empty where the term is no plain column."""
    if term not in units.columns:
        return np.full(len(units), "")
    return units[term].map("{:g}".format).to_numpy(dtype=str)


def about(
    contrast: Contrast,
    stratum: Stratum,
    design: Design | None,
    rows: pd.DataFrame,
    notes: list[str],
    fdr: float,
) -> dict:
    """contrast.json: the question, its patients, its floor and what a reader must know."""
    units = design.units if design is not None else stratum.units
    groups = design.groups if design is not None else None
    floors = rows.loc[rows["n"] == rows["n"].max(), "p_floor"].dropna()
    floor = float(floors.min()) if len(floors) else None
    if floor is not None and floor > fdr:
        notes.append(
            f"With these patients no permutation p can fall below {floor:.3g}, "
            f"so nothing can be called at {fdr:g}."
        )
    few = rows["note"].str.startswith("descriptive only")
    if len(rows) and few.all():
        has = "a group has" if groups is not None else "there are"
        notes.append(f"Descriptive only: {has} fewer than three patients.")
    counts = (
        dict(zip(*(x.tolist() for x in np.unique(groups, return_counts=True)), strict=True))
        if groups is not None
        else {}
    )
    meanings = [c.meaning for c in design.coefficients] if design is not None else []
    levels = design.coefficients[0].levels if design is not None else ()
    return {
        "id": contrast.id,
        "label": contrast.label or contrast.id,
        "formula": stratum.formula,
        "term": stratum.term,
        "where": contrast.where,
        "level": stratum.level,
        "baseline": contrast.baseline,
        "within": stratum.within,
        "coefficients": meanings,
        "n": int(units["patient"].nunique()) if len(units) else 0,
        "n_per_group": " ".join(f"{k}:{v}" for k, v in counts.items()),
        "p_floor": floor,
        "reference": levels[0] if levels else "",
        "n_called": int((rows["q"] <= fdr).sum()),
        "notes": notes,
    }
