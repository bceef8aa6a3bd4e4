"""Thresholds drawn on each sample's barcodes, ambient RNA taken out, the identity of samples by sex genes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cartox.cells import library
from cartox.report import labels, palette
from cartox.report.figures import figure, key
from cartox.report.page import Column, Section, bullets, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cartox.report.inputs import Inputs

AXES = (("n_counts", "log10 counts"), ("n_genes", "log10 genes"), ("pct_mito", "mitochondrial (%)"))
COLOURS = {"lymphoid": palette.BLUE, "myeloid": palette.ORANGE, "B": palette.GREEN, "cycling": palette.PURPLE}
# Samples drawn: each picture takes about 25 kB of the page.
MOST = 24


def sections(inputs: Inputs) -> list[Section]:
    """Those of the three sections for which QC and the correction left what they need."""
    made = []
    if any(q.get("histograms") for q in inputs.qc):
        made.append(Section("thresholds", "Thresholds", _thresholds(inputs)))
    if inputs.ambient:
        made.append(Section("ambient", "Ambient RNA", _ambient(inputs)))
    if any(q.get("sex_genes") for q in inputs.qc):
        made.append(Section("identity", "Sample identity", _identity(inputs)))
    return made


def _thresholds(inputs: Inputs) -> str:
    order = {"dropped": 0, "flagged": 1}
    able = [q for q in inputs.qc if q.get("histograms")]
    shown = sorted(able, key=lambda q: (order.get(q["status"], 2), q["sample"]))[:MOST]
    used = sorted({name for q in shown for name in q.get("thresholds_by_class") or {}})
    legend = key(
        {"all barcodes": palette.SKY, "bounds of the sample (dashed)": palette.INK}
        | {f"bounds of {name} cells (dotted)": COLOURS[name] for name in used}
    )
    about = (
        "<p>All barcodes of each sample, with the bounds within which cells are kept; flagged samples first."
    )
    if used:
        about += " A class of cells that the sample's bounds would erase in part has bounds of its own."
    if len(able) > MOST:
        about += f" {MOST} of {len(able)} samples are drawn; the bounds of all are in the table of samples."
    pictures = "".join(_pictures(shown))
    remarks = bullets([labels.full_stop(text) for text in library.saturated(inputs.qc)])
    return f'{about}</p>{remarks}{legend}<div class="cx-panels" style="--least:300px">{pictures}</div>'


def _pictures(shown: list[dict]) -> Iterator[str]:
    """A picture for each sample, all with the same axes, which are made once: that takes longest."""
    import numpy as np
    from matplotlib.figure import Figure

    fig, axes = Figure(figsize=(5.4, 1.7)), {}
    for i, (metric, name) in enumerate(AXES):
        axes[metric] = ax = fig.add_axes((0.02 + 0.33 * i, 0.25, 0.29, 0.6))
        ax.spines["left"].set_visible(False)
        ax.yaxis.set_visible(False)
        ax.locator_params(axis="x", nbins=4)
        ax.set_xlabel(name)
        ax.xaxis.set_label_coords(0.5, -0.22)
        if ends := [_ends(q, metric) for q in shown if q["histograms"].get(metric)]:
            ax.set_xlim(min(low for low, _ in ends), max(high for _, high in ends))
    title = fig.text(0.5, 0.9, "", fontsize=8, ha="center")
    for q in shown:
        for metric, ax in axes.items():
            for part in (*ax.patches, *ax.lines, *ax.texts):
                part.remove()
            found = q["histograms"].get(metric)
            if not found:
                ax.text(0.5, 0.5, "not measured", transform=ax.transAxes, ha="center", fontsize=8)
                continue
            edges = np.linspace(found["low"], found["high"], len(found["counts"]) + 1)
            ax.stairs(found["counts"], edges, color=palette.SKY, fill=True)
            ax.set_ylim(0, 1.05 * max([1, *found["counts"]]))
            _lines(ax, metric, q["thresholds"].get(metric), palette.INK, "--")
            for name, bounds in sorted((q.get("thresholds_by_class") or {}).items()):
                if bounds[metric] != q["thresholds"][metric]:
                    _lines(ax, metric, bounds[metric], COLOURS[name], ":")
        mark = {"dropped": " ✕ dropped", "flagged": " ⚑ flagged"}.get(q["status"], "")
        title.set_text(q["sample"] + mark)
        yield figure(fig, _alt(q), 0)


def _ends(q: dict, metric: str) -> tuple[float, float]:
    """The lowest and highest of a sample's values and bounds."""
    found = q["histograms"][metric]
    filled = [i for i, n in enumerate(found["counts"]) if n] or [0]
    step = (found["high"] - found["low"]) / len(found["counts"])
    ends = [found["low"] + step * filled[0], found["low"] + step * (filled[-1] + 1)]
    ends += [_place(metric, bound) for bound in q["thresholds"].get(metric) or [] if bound is not None]
    return min(ends), 1.02 * max(ends)


def _place(metric: str, bound: float) -> float:
    """Where a bound lies on its axis."""
    from math import log10

    return bound if metric == "pct_mito" else log10(max(bound, 1))


def _lines(ax, metric: str, bounds: list[float | None] | None, colour: str, style: str) -> None:
    for bound in bounds or []:
        if bound is not None:
            ax.axvline(_place(metric, bound), color=colour, linewidth=1, linestyle=style)


def _alt(q: dict) -> str:
    kept = f"{q['n_kept']:,} of {q['n_barcodes']:,} barcodes kept"
    return f"Counts, genes and mitochondrial share of the barcodes of {q['sample']} with the bounds; {kept}."


def _ambient(inputs: Inputs) -> str:
    rows = [
        {
            "sample": a["sample"],
            "corrected": "corrected" if a["corrected"] else "not corrected",
            "contamination": None if a["contamination"] is None else 100 * a["contamination"],
            "interval": "–".join(f"{100 * bound:.0f}" for bound in a["interval"] or []),
            "removed": 100 * a["removed"],
            "empty": a["n_empty"],
            "note": labels.full_stop(a["note"]) if a["note"] else "",
        }
        for a in inputs.ambient
    ]
    columns = (
        Column("sample", "Sample"),
        Column("corrected", "Counts"),
        Column("contamination", "Ambient (%)", "share"),
        Column("interval", "Interval (%)", "tight"),
        Column("removed", "Removed (%)", "share"),
        Column("empty", "Empty droplets", "count"),
        Column("note", "Why not", "long"),
    )
    n = sum(a["corrected"] for a in inputs.ambient)
    about = (
        f"<p>Ambient RNA was estimated from empty droplets and taken out (SoupX) in {n} of "
        f"{labels.plural(len(rows), 'sample')}; the others keep their counts. "
    )
    if 0 < n < len(rows):
        about += "Corrected samples are not quite like the others: compare arms that hold both with care. "
    return (
        about + "All that follows stands on these counts.</p>" + table(rows, columns, "Ambient RNA by sample")
    )


def _identity(inputs: Inputs) -> str:
    """Disagreements alone: who agrees is not told to be of either sex."""
    import pandas as pd

    from cartox.statistics import swaps

    counted = {q["sample"]: q["sex_genes"] for q in inputs.qc if q.get("sex_genes")}
    sums = pd.DataFrame(counted).T
    wrong, both = swaps.identity(sums, inputs.samples, inputs.clinical)
    calls = swaps.called(sums)
    judged = int(calls.isin(["female", "male"]).sum())
    text = (
        f"<p>Sex genes (XIST; genes of the Y chromosome) are clear in {judged} of {len(sums)} samples"
        + (". " if wrong else "; no sample disagrees with its patient's others. ")
        + "A swap between patients of one sex cannot be seen so.</p>"
    )
    return text + bullets([*wrong, *both])
