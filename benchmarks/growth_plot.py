"""The picture of growth: wall, memory and steps against cells, on logarithmic axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from account import GIB
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

# Okabe and Ito's colours, told apart by the colour-blind, and a marker each
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
MARKERS = "os^Dv<>P"
STEPS = 8


def draw(
    measured: Sequence[Mapping[str, Any]], tables: Sequence[Sequence[Mapping[str, Any]]], path: Path
) -> None:
    """Write the picture; the same measurements are the same bytes."""
    mpl.rcParams.update({"svg.hashsalt": "cartox", "font.size": 8})
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    wall, memory, by_step = figure.subplots(1, 3)
    for i, (name, label) in enumerate((("cartox", "cartox"), ("plain", "plain script"))):
        own = [(r["cohort"]["cells"], r[name]) for r in measured if name in r]
        cells = [n for n, _ in own]
        style = {"color": COLOURS[i], "marker": MARKERS[i], "label": label}
        wall.plot(cells, [account["wall"] for _, account in own], **style)
        memory.plot(cells, [account["process_peak"] / GIB for _, account in own], **style)
    largest = sorted((row for row in tables[-1] if "seconds" in row), key=lambda row: -row["seconds"])
    for i, name in enumerate(row["step"] for row in largest[:STEPS]):
        points = [
            (result["cohort"]["cells"], row["seconds"])
            for result, table in zip(measured, tables, strict=True)
            for row in table
            if row["step"] == name and "seconds" in row
        ]
        by_step.plot(*zip(*points, strict=True), color=COLOURS[i], marker=MARKERS[i], label=name)
    titles = ("Wall, s", "Largest process, GiB", "cartox by step, s (sum of tasks)")
    for axes, title in zip((wall, memory, by_step), titles, strict=True):
        axes.set(xscale="log", yscale="log", xlabel="cells", title=title)
        axes.set_xticks([r["cohort"]["cells"] for r in measured], labels=[r["size"] for r in measured])
        axes.minorticks_off()
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.grid(color="#dddddd", linewidth=0.5)
    wall.legend(frameon=False)
    figure.legend(*by_step.get_legend_handles_labels(), loc="outside right center", frameon=False)
    figure.savefig(path, metadata={"Date": None})
