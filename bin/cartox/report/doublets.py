"""Doublets by lane: how many, by which threshold, and the scores behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cartox.report import labels, palette
from cartox.report.figures import key, panel, panels
from cartox.report.page import Column, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

    from cartox.report.inputs import Inputs


def by_lane(inputs: Inputs) -> str:
    """The table of lanes, and the histogram of scores of each with its threshold."""
    rows = [
        {
            "group": d["group"],
            "samples": ", ".join(d["samples"]),
            "cells": d["n_cells"],
            "doublets": d["n_doublets"],
            "rate": 100 * d["n_doublets"] / d["n_cells"] if d["n_cells"] else None,
            "threshold": d.get("threshold"),
            "method": d.get("method", ""),
            "note": d.get("note") or "",
        }
        for d in inputs.doublets
    ]
    columns = (
        Column("group", "Lane"),
        Column("samples", "Samples", "long"),
        Column("cells", "Cells", "count"),
        Column("doublets", "Doublets", "count"),
        Column("rate", "Rate (%)", "share"),
        Column("threshold", "Threshold", "number"),
        Column("method", "Method"),
        Column("note", "Note", "long"),
    )
    about = "<p>Predicted doublets are left out of all that follows.</p>"
    if number := kept(inputs):
        about = (
            f"<p>{labels.plural(number, 'predicted doublet')} kept, as asked (--doublet_action flag): part "
            "of all that follows, marked in cohort.h5ad (predicted_doublet).</p>"
        )
    return about + table(rows, columns, "Doublets by lane", tall=True) + _histograms(inputs)


def kept(inputs: Inputs) -> int:
    """How many of the cells that all else stands on are predicted doublets (--doublet_action flag)."""
    if "predicted_doublet" not in inputs.cells:
        return 0
    return int(inputs.cells["predicted_doublet"].sum())


def scored(inputs: Inputs) -> list[dict]:
    """The lanes in which doublets were looked for."""
    return [lane for lane in inputs.doublets if lane.get("method") not in (None, "none")]


def left(inputs: Inputs) -> str:
    """What became of the cells that passed quality control, in words that go on after their number."""
    if number := kept(inputs):
        return f"{number:,} of them are predicted doublets, kept as asked"
    if not scored(inputs):
        return "no doublets were taken out"
    return f"{len(inputs.cells):,} remain without doublets"


def _histograms(inputs: Inputs, most: int = 24) -> str:
    colours = {"observed": palette.BLUE, "simulated": palette.ORANGE}
    lanes = [d for d in inputs.doublets if (d.get("histogram") or {}).get("edges")][:most]
    if not lanes:
        return ""
    legend = key(colours | {"threshold (dashed)": palette.INK})
    return legend + panels(_pictures(lanes, colours))


def _pictures(lanes: list[dict], colours: dict[str, str]) -> Iterator[tuple[Figure, str]]:
    """A panel for each lane, all with the same axes, which are made once: that takes longest."""
    fig, ax = panel(2.5, 1.8, "lane", "doublet score", left=0.2)
    ax.yaxis.set_visible(False)
    ax.spines["left"].set_visible(False)
    ends = [(d["histogram"]["edges"][0], d["histogram"]["edges"][-1]) for d in lanes]
    ax.set_xlim(min(low for low, _ in ends), max(high for _, high in ends))
    for d in lanes:
        for part in (*ax.patches, *ax.lines):
            part.remove()
        edges, top = d["histogram"]["edges"], 0.0
        for name, colour in colours.items():
            counts = d["histogram"].get(name) or []
            if len(counts) == len(edges) - 1:
                shares = [c / (sum(counts) or 1) for c in counts]
                top = max(top, *shares)
                ax.stairs(shares, edges, color=colour)
        if d.get("threshold") is not None:
            ax.axvline(d["threshold"], color=palette.INK, linewidth=1, linestyle="--")
        ax.set_ylim(0, 1.05 * top or 1)
        ax.title.set_text(d["group"])
        yield fig, f"Doublet scores of {d['group']}, observed and simulated, with the threshold."
