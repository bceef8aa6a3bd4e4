"""How sure the cell types are: clusters whose own markers disagree, sub-clusters, types by absence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cartox.report.page import Column, Section, table

if TYPE_CHECKING:
    from cartox.report.inputs import Inputs
    from cartox.report.labels import Names


def section(inputs: Inputs, names: Names) -> Section | None:
    """Clusters, sub-clusters and types by absence; None where the annotation tells of no cluster."""
    told = inputs.annotate
    if not told.get("clusters"):
        return None
    content = _clusters(told["clusters"], names)
    if told.get("subclusters"):
        content += _subclusters(told["subclusters"], names)
    if any(found["n_called"] for found in told.get("absence") or []):
        content += _absence(told["absence"], names)
    about = (
        "Each cell is named by its own and its neighbours' markers. A cluster's own markers are a second "
        "opinion: where they name another type, or the commonest type is far from all of the cluster, read "
        "results on that type with care."
    )
    return Section("certainty", "How sure the types are", content, description=about)


def _clusters(clusters: list[dict], names: Names) -> str:
    rows = [
        {
            "cluster": record["cluster"],
            "n": record["n_cells"],
            "cell_type": names.cell_type(record["cell_type"]),
            "share": 100 * record["share"],
            "by_markers": names.cell_type(record["by_markers"]) + ("" if record["agrees"] else " ⚑"),
            "confidence": record["mean_confidence"],
        }
        for record in clusters
    ]
    columns = (
        Column("cluster", "Cluster"),
        Column("n", "Cells", "count"),
        Column("cell_type", "Commonest type of its cells"),
        Column("share", "Share (%)", "share"),
        Column("by_markers", "By the cluster's markers"),
        Column("confidence", "Mean confidence", "number"),
    )
    return table(rows, columns, "Calls of cells and of clusters (⚑: they differ)", tall=True)


def _subclusters(subclusters: list[dict], names: Names) -> str:
    rows = [
        {
            "subcluster": record["subcluster"],
            "n": record["n_cells"],
            "cell_type": names.cell_type(record["cell_type"]),
            "type_share": 100 * record["cell_type_share"],
            "state": names.cell_type(record["cell_state"]) if record["cell_state"] else "none stands out",
            "state_share": 100 * record["cell_state_share"],
        }
        for record in subclusters
    ]
    columns = (
        Column("subcluster", "Sub-cluster"),
        Column("n", "Cells", "count"),
        Column("cell_type", "Commonest type"),
        Column("type_share", "Share (%)", "share"),
        Column("state", "Commonest state"),
        Column("state_share", "Share (%)", "share"),
    )
    return table(rows, columns, "T cells and myeloid cells, clustered among themselves", tall=True)


def _absence(absence: list[dict], names: Names) -> str:
    rows = [
        {
            "cell_type": names.cell_type(record["cell_type"]),
            "sample": record["sample"],
            "sister": names.cell_type(record["sister"]),
            "n": record["n_cells"],
            "share": 100 * record["share"],
            "called": record["n_called"],
        }
        for record in absence
        if record["n_called"]
    ]
    columns = (
        Column("cell_type", "Type"),
        Column("sample", "Sample"),
        Column("sister", "Among"),
        Column("n", "Cells", "count"),
        Column("share", "Estimated share (%)", "share"),
        Column("called", "Called", "count"),
    )
    caption = "Types called by a gene that is absent, such as double-negative T cells (no CD8A, no CD4)"
    about = (
        "A cell without a count of the gene may express it all the same, so a sample is asked whether more "
        "cells lack it than drop-out explains: that share is estimated, the likely ones are called."
    )
    return f"<p>{about}</p>{table(rows, columns, caption, tall=True)}"
