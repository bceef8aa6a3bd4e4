"""Cell types by markers beside those by the user's reference: where both agree and where they part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cartox.report import labels
from cartox.report.page import Column, Section, bullets, esc, table

if TYPE_CHECKING:
    from cartox.report.inputs import Inputs
    from cartox.report.labels import Names

LEAST_SHOWN = 0.005  # of a type's cells: a smaller share stays blank

TYPE_COLUMNS = (
    Column("name", "By markers"),
    Column("n_cells", "Cells", "count"),
    Column("agreement", "Agree (%)", "share", "Of the cells that both name, where the names are matched"),
    Column("commonest", "Commonest by reference"),
    Column("share", "Its share (%)", "share"),
    Column("mean_reference_confidence", "Mean probability", "number", "Of the reference's likeliest label"),
)
CLUSTER_COLUMNS = (
    Column("cluster", "Cluster"),
    Column("n_cells", "Cells", "count"),
    Column("name", "By markers"),
    Column("share", "Its share (%)", "share"),
    Column("reference_cell_type", "By reference"),
    Column("reference_share", "Its share (%)", "share"),
)


def section(inputs: Inputs, names: Names) -> Section | None:
    """Agreement, both sets of labels against each other, clusters that differ; None without a reference."""
    about = inputs.reference
    if not about:
        return None
    content = bullets([labels.full_stop(said) for said in (*_said(about), *about["notes"])])
    content += _confusion(about["confusion"], names)
    types = [
        _percent(row, "share", "agreement") | {"name": names.cell_type(row["cell_type"])}
        for row in about["types"]
    ]
    content += table(types, TYPE_COLUMNS, "Agreement by cell type")
    differ = [
        _percent(row, "share", "reference_share") | {"name": names.cell_type(row["cell_type"])}
        for row in about["clusters_that_differ"]
    ]
    if differ:
        content += table(differ, CLUSTER_COLUMNS, "Clusters whose commonest type differs")
    description = (
        "A second opinion, learnt from the reference you gave. No label was changed by it, and neither is "
        "the truth: look at the marker genes where they part."
    )
    return Section("reference", "Against the reference", content, description=description)


def _said(about: dict[str, Any]) -> list[str]:
    said = [
        f"{about['reference']}: {about['n_learnt']:,} of {about['n_reference_cells']:,} cells learnt, "
        f"{len(about['labels'])} labels of column {about['reference_label']}, {about['n_genes_used']:,} genes"
    ]
    if about["accuracy"] is not None:
        said.append(f"Of its own cells it names {100 * about['accuracy']:.0f} % rightly (cross-validated)")
    said.append(
        f"It names {about['n_named']:,} of {about['n_cells']:,} cells; {about['n_far']:,} lie too far "
        "from all that it has"
    )
    if about["agreement"] is not None:
        said.append(
            f"Markers and reference agree in {100 * about['agreement']:.1f} % of the "
            f"{about['n_compared']:,} cells that both name, where names are matched"
        )
    if about["adjusted_rand"] is not None:
        said.append(f"Adjusted Rand index, whatever the names: {about['adjusted_rand']:.2f}")
    if about["unmatched"]:
        listed = ", ".join(about["unmatched"])
        said.append(f"Names that are not in the marker table, so not compared: {listed}")
    if about["matched"] and not about["clusters_that_differ"]:
        said.append("No cluster's commonest type differs")
    return said


def _confusion(cells: list[dict[str, Any]], names: Names) -> str:
    """A row for each type, a column for each label, in it the percent of the type's cells."""
    found = sorted({c["reference_cell_type"] for c in cells}, key=lambda n: (n == "Unassigned", n.lower()))
    columns = [Column("name", "By markers")]
    columns += [Column(f"to_{i}", label, "html") for i, label in enumerate(found)]
    rows = []
    for cell_type in names.in_order({c["cell_type"] for c in cells}):
        share = {c["reference_cell_type"]: c["share"] for c in cells if c["cell_type"] == cell_type}
        row: dict[str, Any] = {"name": names.cell_type(cell_type)}
        for i, label in enumerate(found):
            part = share.get(label, 0.0)
            row[f"to_{i}_sort"] = part
            row[f"to_{i}"] = _shaded(part) if part >= LEAST_SHOWN else " "
        rows.append(row)
    return table(
        rows, columns, "By markers (rows) against by reference (columns), % of a row's cells", tall=True
    )


def _shaded(share: float) -> str:
    # half as dark as can be, so that the number can be read on it in light and dark mode
    return f'<span class="cx-heat" style="--w:{share / 2:.3f}">{esc(f"{100 * share:.0f}")}</span>'


def _percent(row: dict[str, Any], *keys: str) -> dict[str, Any]:
    return row | {key: 100 * row[key] for key in keys if row[key] is not None}
