"""Annotation held against the reference: how often they agree, where they part. Neither is the truth."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cartox.cells.markers import Marker
from cartox.labels import UNASSIGNED, UNNAMED


def matched(labels: list[str], markers: list[Marker]) -> dict[str, Marker]:
    """The row of the marker table of each reference label that is its name, its readable label or its id.

    Capitals do not matter. Labels that are none of these are left out: nothing is guessed.
    """
    known: dict[str, Marker] = {}
    # of rows that share an id the first, the broader one, counts
    for marker in (m for m in markers if m.level in ("lineage", "type")):
        for name in (marker.cell_type, marker.label, marker.cl_id):
            known.setdefault(name.casefold(), marker)
    return {label: known[label.casefold()] for label in labels if label and label.casefold() in known}


def agreed(table: pd.DataFrame, same: dict[str, Marker]) -> np.ndarray:
    """Whether both say the same, row by row: 1, 0, or NaN where one says nothing or names are not matched.

    table: cell_type, lineage, reference_cell_type. A lineage agrees with its types.
    """
    label = table["reference_cell_type"].map({name: m.cell_type for name, m in same.items()})
    out = ((label == table["cell_type"]) | (label == table["lineage"])).astype(float).to_numpy()
    out[label.isna().to_numpy() | table["cell_type"].isin(UNNAMED).to_numpy()] = np.nan
    return out


def compare(table: pd.DataFrame, markers: list[Marker], labels: list[str]) -> dict:
    """What reference.json and the report say of the two.

    table: sample, barcode, cluster, cell_type, lineage, reference_cell_type, reference_confidence. labels:
    those of the reference that were learnt.
    """
    from sklearn.metrics import adjusted_rand_score

    same = matched(labels, markers)
    table = table.assign(agreed=agreed(table, same))
    both = table[~table["cell_type"].isin(UNNAMED) & (table["reference_cell_type"] != UNASSIGNED)]
    enough = len(both) > 1 and min(both["cell_type"].nunique(), both["reference_cell_type"].nunique()) > 1
    return {
        "n_cells": len(table),
        "n_named": int((table["reference_cell_type"] != UNASSIGNED).sum()),
        "n_both_named": len(both),
        "n_compared": int(table["agreed"].notna().sum()),
        "agreement": _share(table["agreed"]),
        "adjusted_rand": round(float(adjusted_rand_score(both["cell_type"], both["reference_cell_type"])), 4)
        if enough
        else None,
        "matched": {label: marker.cell_type for label, marker in sorted(same.items())},
        "unmatched": sorted(set(labels) - set(same)),
        "confusion": _confusion(table),
        "types": [
            {
                "cell_type": str(name),
                **_group(group, "reference_cell_type"),
                "agreement": _share(group["agreed"]),
            }
            for name, group in table.groupby("cell_type", sort=True)
        ],
        "clusters_that_differ": clusters(table, same),
    }


def clusters(table: pd.DataFrame, same: dict[str, Marker]) -> list[dict]:
    """Clusters whose commonest type by markers is not the one by reference, most cells first.

    `Unassigned` may be a cluster's commonest; between names that are not matched nothing is said.
    """
    records = []
    for name, group in table.groupby("cluster", sort=True):
        by_markers = _group(group, "cell_type")
        by_reference = _group(group, "reference_cell_type")
        commonest = pd.DataFrame(
            {"cell_type": [by_markers["commonest"]], "reference_cell_type": [by_reference["commonest"]]}
        )
        own = group.loc[group["cell_type"] == by_markers["commonest"], "lineage"]
        said = agreed(commonest.assign(lineage=own.iloc[0]), same)[0]
        one_silent = (by_markers["commonest"] in UNNAMED) != (by_reference["commonest"] == UNASSIGNED)
        if said == 0 or one_silent:
            records.append(
                {
                    "cluster": str(name),
                    "n_cells": len(group),
                    "cell_type": by_markers["commonest"],
                    "share": by_markers["share"],
                    "reference_cell_type": by_reference["commonest"],
                    "reference_share": by_reference["share"],
                }
            )
    return sorted(records, key=lambda r: (-r["n_cells"], r["cluster"]))


def _confusion(table: pd.DataFrame) -> list[dict]:
    """Cells by type and reference label, and their share of the type's cells."""
    counts = {str(name): g["reference_cell_type"].value_counts() for name, g in table.groupby("cell_type")}
    return [
        {
            "cell_type": str(cell_type),
            "reference_cell_type": str(label),
            "n_cells": int(n),
            "share": round(float(n / whole), 6),
        }
        for cell_type, whole in table["cell_type"].value_counts().sort_index().items()
        for label, n in counts[str(cell_type)].sort_index().items()
    ]


def _group(group: pd.DataFrame, column: str) -> dict:
    counts = group[column].value_counts().sort_index()
    best = counts.index.tolist()[int(counts.to_numpy().argmax())]
    return {
        "n_cells": len(group),
        "commonest": str(best),
        "share": round(float(counts.max() / len(group)), 4),
        "mean_reference_confidence": round(float(group["reference_confidence"].mean()), 4),
    }


def _share(values: pd.Series) -> float | None:
    return round(float(values.mean()), 4) if values.notna().any() else None
