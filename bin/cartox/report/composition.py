"""Composition: cells of each type by sample, and how far the term tested moves each type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cartox.labels import MIXED, UNASSIGNED
from cartox.report import labels, palette
from cartox.report.associations import first_coefficient, which
from cartox.report.figures import key as legend
from cartox.report.figures import panel, panels, widest
from cartox.report.page import Chapter, Section, esc, records
from cartox.report.patients import wrapped
from cartox.report.wording import compared, plain

if TYPE_CHECKING:
    import pandas as pd

    from cartox.report.inputs import Inputs
    from cartox.report.labels import Names


def chapter(inputs: Inputs, names: Names) -> Chapter | None:
    """Stacked bars by sample, then estimates by question; None where no cell was named."""
    if not len(inputs.cells) or "cell_type" not in inputs.cells:
        return None
    sections = [bars(inputs, names)]
    if drawn := estimates(inputs, names):
        sections.append(Section("composition_tested", "By question", drawn))
    return Chapter("composition_chapter", "Composition", sections, "How samples differ in their cells.")


def estimates(inputs: Inputs, names: Names) -> str:
    """The estimate and interval of each cell type, a panel per question; empty where none was tested."""
    tested = inputs.associations
    tested = tested[(tested["kind"] == "composition") & tested["p"].notna()]
    types = names.in_order(tested["cell_type"])
    shown = [names.cell_type(t) for t in types]
    left, drawn = widest(shown, 8) + 0.15, []
    for key, contrast in inputs.contrasts.items():
        part = tested[tested["contrast"] == key]
        if not len(part):
            continue
        title = str(contrast.get("label") or key) + which(part, names)
        text = wrapped(title, 44) + "\n" + wrapped(compared(contrast), 44)
        fig, ax = panel(left + 2.2, 1.0 + 0.2 * len(types), text, labels.UNITS["composition"], left=left)
        ax.axvline(0, color=palette.FAINT, linewidth=1, zorder=0)
        for row in records(first_coefficient(part)):
            y = types.index(row["cell_type"])
            colour = palette.UP if row["estimate"] > 0 else palette.DOWN
            colour = colour if row["q"] <= inputs.fdr else palette.GREY
            ax.hlines(y, row["ci_low"], row["ci_high"], color=colour, linewidth=1.8)
            ax.scatter(row["estimate"], y, s=30, color=colour, linewidths=0, zorder=3)
        ax.set_yticks(range(len(types)), shown)
        ax.set_ylim(len(types) - 0.5, -0.5)
        alt = f"Composition, {plain(contrast.get('term', ''))}: estimate and 95 % interval of each cell type."
        drawn.append((fig, alt))
    if not drawn:
        return ""
    colours = {"higher": palette.UP, "lower": palette.DOWN, f"q > {inputs.fdr:g}": palette.GREY}
    about = "Estimate and 95 % interval of each type's log ratio to the median type."
    return f"<p>{esc(about)}</p>{legend(colours)}{panels(drawn, 300)}"


def bars(inputs: Inputs, names: Names) -> Section:
    """Cells of each type by sample, as stacked bars."""
    cells = inputs.cells
    counts = cells.pivot_table(
        index="sample", columns="cell_type", values="barcode", aggfunc="count", fill_value=0
    )
    sheet = inputs.samples.set_index("sample").to_dict("index")
    times = labels.timepoint_order(inputs.samples["timepoint"])
    order = sorted(counts.index, key=lambda s: (times.index(sheet[s]["timepoint"]), sheet[s]["patient"], s))
    kinds = list(counts.sum().sort_values(ascending=False).index)
    colours = palette.of_types(kinds)
    data = {str(s): row for s, row in counts.loc[order, kinds].to_dict("index").items()}
    config = {
        "categories": {t: {"name": esc(names.cell_type(t)), "color": colours[t]} for t in kinds},
        "pconfig": {
            "title": "Cell types by sample",
            "ylab": "Cells",
            "sort_samples": False,
            "cpswitch_c_active": False,
        },
    }
    about = f"Samples in order of time point and patient; colours as in the maps. {_unassigned(counts)}"
    return Section("composition", "By sample", data, "bargraph", about, config)


def _unassigned(counts: pd.DataFrame, most: int = 5) -> str:
    """How many cells have no type, and in which samples that is a tenth or more."""
    if UNASSIGNED not in counts:
        return "Every cell has a type." + _mixed(counts)
    share = (counts[UNASSIGNED] / counts.sum(axis=1)).sort_values(ascending=False, kind="stable")
    high = [f"{name} {100 * value:.0f} %" for name, value in share.items() if value >= 0.1]
    more = f" and {len(high) - most} more" if len(high) > most else ""
    where = f"; a tenth or more in {', '.join(high[:most])}{more}" if high else ""
    total = 100 * counts[UNASSIGNED].sum() / counts.to_numpy().sum()
    return f"Unassigned: {total:.1f} % of all cells{where}.{_mixed(counts)}"


def _mixed(counts: pd.DataFrame) -> str:
    if MIXED not in counts:
        return ""
    share = 100 * counts[MIXED].sum() / counts.to_numpy().sum()
    return f" Mixed, with the markers of two lineages: {share:.1f} %; they are in no test."
