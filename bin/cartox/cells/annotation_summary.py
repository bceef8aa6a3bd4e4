"""What the report shows of an annotation: types, clusters and marker dot plot."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cartox.cells.marker_expression import MarkerExpression
from cartox.cells.markers import Marker
from cartox.labels import UNNAMED

TOP = 4  # markers of each type in the dot plot


def types(table: pd.DataFrame, markers: list[Marker]) -> list[dict]:
    """One record a type, commonest first: names, number and share of cells, mean confidence."""
    label = {m.cell_type: m.label for m in markers}
    records = [
        {
            "cell_type": str(name),
            "label": label.get(str(name), str(name)),
            "lineage": str(group["lineage"].mode()[0]),
            "cl_id": str(group["cl_id"].iloc[0]),
            "n_cells": len(group),
            "fraction": round(len(group) / len(table), 6),
            "mean_confidence": round(float(group["confidence"].mean()), 4),
        }
        for name, group in table.groupby("cell_type", sort=True)
    ]
    return sorted(records, key=lambda r: (-r["n_cells"], r["cell_type"]))


def states(table: pd.DataFrame) -> pd.DataFrame:
    """Cells and CAR+ cells of each sample by state, as rows of a composition table with level `state`.

    table: annotation (sample, cell_type, lineage, cell_state, car). Columns: sample, cell_type (the state),
    lineage (of its cells, joined by |), n_cells, n_car, level.
    """
    cells = table[table["cell_state"] != ""]
    cells = cells.assign(lineage=cells["lineage"].where(~cells["cell_type"].isin(UNNAMED), ""))
    groups = cells.groupby(["sample", "cell_state"], sort=True)
    counted = groups.agg(
        lineage=("lineage", lambda names: "|".join(sorted(set(names) - {""}))),
        n_cells=("car", "size"),
        n_car=("car", "sum"),
    )
    return counted.rename_axis(index={"cell_state": "cell_type"}).reset_index().assign(level="state")


def clusters(table: pd.DataFrame) -> list[dict]:
    """One record a cluster: its commonest type, that type's share, and the type by the cluster's markers.

    A low share, or markers that name another type (`agrees` false), says that the cells' calls are less sure
    than their confidence.
    """
    records = []
    for name, group in table.groupby("cluster", sort=False):
        counts = group["cell_type"].value_counts().sort_index()
        best = str(counts.idxmax())
        records.append(
            {
                "cluster": str(name),
                "n_cells": len(group),
                "cell_type": best,
                "share": round(float(counts[best] / len(group)), 4),
                "by_markers": str(group["cluster_type"].iloc[0]),
                "agrees": bool(best == group["cluster_type"].iloc[0]),
                "mean_confidence": round(float(group["confidence"].mean()), 4),
            }
        )
    return sorted(records, key=lambda r: (-r["n_cells"], r["cluster"]))


def subclusters(table: pd.DataFrame) -> list[dict]:
    """One record a sub-cluster of T or myeloid cells: its commonest type and state, and their shares."""
    records = []
    for name, group in table[table["subcluster"] != ""].groupby("subcluster", sort=True):
        record = {"subcluster": str(name), "n_cells": len(group)}
        for column in ("cell_type", "cell_state"):
            counts = group[column].value_counts().sort_index()
            record[column] = str(counts.idxmax())
            record[f"{column}_share"] = round(float(counts.max() / len(group)), 4)
        records.append(record)
    return sorted(records, key=lambda r: (r["subcluster"].split(".")[0], -r["n_cells"], r["subcluster"]))


def dotplot(expression: MarkerExpression, cell_type: np.ndarray, markers: list[Marker]) -> pd.DataFrame:
    """Mean log1p CP10k and fraction expressing, for every type present × the best markers of those types.

    A type's markers are those of its positive genes whose mean in it exceeds the mean over the other types
    most; genes are listed once, in the order of the marker table.
    """
    present = sorted(set(cell_type))
    groups = [expression.own[cell_type == name] for name in present]
    mean = np.array([group.mean(axis=0) for group in groups])
    fraction = np.array([(group > 0).mean(axis=0) for group in groups])
    chosen: dict[str, str] = {}
    lineages = {m.lineage for m in markers if m.cell_type in present}
    for marker in markers:
        rows = [
            present.index(m.cell_type)
            for m in markers
            if m.cell_type in present
            and (m is marker or (marker.level == "lineage" and m.lineage == marker.cell_type))
        ]
        if marker.level not in ("lineage", "type") or not rows or marker.lineage not in lineages:
            continue
        others = [i for i in range(len(present)) if i not in rows]
        lead = mean[rows].mean(axis=0) - (mean[others].mean(axis=0) if others else 0)
        genes = [gene for gene in marker.positive if gene in expression.column and gene not in chosen]
        ranked = sorted(genes, key=lambda gene: (-round(float(lead[expression.column[gene]]), 6), gene))
        chosen |= {gene: marker.cell_type for gene in ranked[:TOP] if lead[expression.column[gene]] > 0}
    records = [
        (name, gene, round(float(mean[i, j]), 5), round(float(fraction[i, j]), 5), of)
        for i, name in enumerate(present)
        for gene, of in chosen.items()
        for j in [expression.column[gene]]
    ]
    return pd.DataFrame(records, columns=["cell_type", "gene", "mean", "fraction", "marker_of"])
