"""What Harmony did: mixing of lanes and types before and after, and warnings of what may be lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cartox.report import labels
from cartox.report.page import Column, Section, bullets, esc, table

if TYPE_CHECKING:
    from cartox.report.inputs import Inputs
    from cartox.report.labels import Names

MEASURES = (
    ("ilisi", "{batches} among neighbours"),
    ("silhouette_batch", "{batches} mixed within types"),
    ("clisi", "Types among neighbours"),
    ("silhouette_type", "Types apart"),
)
ABOUT = (
    "Among neighbours: the effective number of {batches} or types in a cell's neighbourhood (LISI, median); "
    "{batches} should be many, types near 1. Mixed within types: 1 − |silhouette|, 1 where they mix. "
    "Types apart: silhouette, from −1 to 1. Each before Harmony, then after."
)


def section(inputs: Inputs, names: Names) -> Section | None:
    """The warnings, then a row for all cells and one for each type; None where it was not judged."""
    found = inputs.integration
    if not found:
        return None
    told = [names.in_text(remark) for remark in remarks(inputs)]
    if not told and found["corrected"]:
        told = ["No warning: no two types were mixed that were apart, and no group of one batch was lost."]
    content = bullets(told)
    if not found["corrected"]:
        content += "<p>Not corrected by Harmony: before and after are the same.</p>"
    rows: dict[str, dict] = {}
    for record in found["measures"]:
        name = record["cell_type"]
        title = names.cell_type(name) if name else "All cells"
        row = rows.setdefault(name, {"what": title, "n_cells": record["n_cells"]})
        row[record["measure"]] = " → ".join(labels.number(record[side]) for side in ("before", "after"))
    columns = [Column("what", "Cell type"), Column("n_cells", "Cells looked at", "count")]
    many = batches(inputs)
    columns += [Column(key, title.format(batches=many.capitalize()), "tight") for key, title in MEASURES]
    caption = f"Mixing of {many} and separation of types, before → after Harmony"
    content += table(list(rows.values()), columns, caption, tall=True) if rows else ""
    content += (
        f"<p>{esc(ABOUT.format(batches=many))}</p>"
        if rows
        else "<p>Too few named cells to measure mixing.</p>"
    )
    return Section("integration", "Integration", content)


def batches(inputs: Inputs) -> str:
    """What Harmony mixes, in a word or three."""
    by = str(inputs.integration.get("harmony_by") or "batch")
    return "lanes" if by == "batch" else f"levels of {by}"


def remarks(inputs: Inputs) -> list[str]:
    """Warnings of over-correction, and advice on contrasts that lanes are aliased with."""
    found = inputs.integration
    advised: dict[str, list[str]] = {}
    for record in found.get("aliased", []):
        advised.setdefault(record["advice"], []).append(record["contrast"])
    told = [f"{labels.joined(ids)}: {advice}" for advice, ids in advised.items()]
    return [*found.get("warnings", []), *told]
