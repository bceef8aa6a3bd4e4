"""Ligand–receptor pairs: what cells say to each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cartox.report import labels, palette, programmes
from cartox.report.associations import first_coefficient, slanted, which
from cartox.report.figures import colour_bar, figure, framed
from cartox.report.page import Chapter, Column, Section, esc, folded, records, table
from cartox.report.wording import compared

if TYPE_CHECKING:
    import pandas as pd

    from cartox.report.inputs import Inputs
    from cartox.report.labels import Names


def ligrec(inputs: Inputs, names: Names, top: int) -> Chapter | None:
    """Pairs that differ by contrast, and within each stratum liana's ranking and the programmes."""
    sections = []
    tested = inputs.associations[(inputs.associations["kind"] == "ligrec") & inputs.associations["p"].notna()]
    if len(tested):
        about = "Size: −log10 p. Colour: estimate. A ring: passes the false discovery rate asked for."
        picture = contrast_dots(tested, inputs, names)
        sections.append(Section("ligrec_contrasts", "By question", picture, description=about))
    if inputs.ranks:
        order = labels.timepoint_order(inputs.ranks)
        tables = {key: _ranking(key, inputs.ranks[key], names, top) for key in order}
        few = len(tables) <= 3
        content = "".join(t if few else folded(k.replace("_", " "), t) for k, t in tables.items())
        about = (
            "liana's ranking, for orientation: how strong and how specific a pair is within a time point and "
            "tissue. It says nothing about outcome."
        )
        sections.append(Section("ligrec_ranking", "Ranking", content, description=about))
    found = programmes.section(inputs, names)
    sections += [found] if found else []
    about = "Ligands that a cell type expresses, with the receptors that another does: RNA, not protein."
    return Chapter("ligrec", "Ligand–receptor", sections, description=about) if sections else None


def contrast_dots(tested: pd.DataFrame, inputs: Inputs, names: Names, most: int = 20) -> str:
    """The strongest pairs × pairs of cell types, a panel per contrast."""
    import numpy as np

    out = []
    for key in (c for c in inputs.contrasts if c in set(tested["contrast"])):
        several = tested[tested["contrast"] == key]
        part = first_coefficient(several)
        best = part.sort_values("p").head(most * 2)
        pairs, types = (
            list(dict.fromkeys(best["feature"]))[:most],
            list(dict.fromkeys(best["cell_type"]))[:14],
        )
        best = part[part["feature"].isin(pairs) & part["cell_type"].isin(types)]
        below, beside = [names.cell_type(t) for t in types], [names.feature(f, "ligrec") for f in pairs]
        fig, ax = framed(
            # wide and high enough for the legend above and the words beside the bar of colours
            max(0.4 * len(types), 1.8),
            max(0.26 * len(pairs), 1.9),
            *slanted(below, beside, 0.4),
            right=1.0,
            top=0.4,
        )
        limit = max(float(best["estimate"].abs().max()), 1e-6)
        edge = np.where(best["q"] <= inputs.fdr, palette.INK, "none")
        image = ax.scatter(
            best["cell_type"].map({t: i for i, t in enumerate(types)}),
            best["feature"].map({f: i for i, f in enumerate(pairs)}),
            s=18 + 40 * -np.log10(best["p"].clip(lower=1e-6)),
            c=best["estimate"],
            cmap=palette.DIVERGING,
            vmin=-limit,
            vmax=limit,
            edgecolors=list(edge),
            linewidths=1.2,
        )
        ax.set_xticks(range(len(types)), below, rotation=40, ha="right", rotation_mode="anchor")
        ax.set_yticks(range(len(pairs)), beside)
        ax.set_xlim(-0.7, len(types) - 0.3)
        ax.set_ylim(len(pairs) - 0.4, -0.6)
        ax.set_axisbelow(True)
        ax.grid(color=palette.FAINT, linewidth=0.5)
        ax.spines[:].set_visible(False)
        colour_bar(fig, image, ax, labels.UNITS["ligrec"])
        sizes = [(p, 18 + 40 * -np.log10(p)) for p in (0.05, 0.001)]
        keys = [
            ax.scatter([], [], s=s, color=palette.AXIS, linewidths=0, label=f"p = {p:g}") for p, s in sizes
        ]
        ax.legend(handles=keys, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, fontsize=8)
        title = str(inputs.contrasts.get(str(key), {}).get("label") or key) + which(several, names)
        out.append(
            f"<h4>{esc(title)}</h4><p>{esc(compared(inputs.contrasts.get(str(key), {})))}</p>"
            + figure(fig, f"Ligand–receptor pairs by cell types: {title}", paper=True)
        )
    return "".join(out)


def _ranking(stratum: str, rank: pd.DataFrame, names: Names, top: int) -> str:
    if not len(rank):
        return f"<p>{esc(stratum)}: too few cells of two types to rank pairs.</p>"
    by = ["magnitude_rank", "specificity_rank"]
    rank = rank.sort_values(by, kind="stable").head(top)
    rows = [
        row
        | {
            "pair": names.feature(f"{row['ligand']}^{row['receptor']}", "ligrec"),
            "from": names.cell_type(row["source"]),
            "to": names.cell_type(row["target"]),
        }
        for row in records(rank)
    ]
    columns = [Column("from", "From"), Column("to", "To"), Column("pair", "Ligand → receptor")]
    columns += [Column("lr_means", "Mean expression", "number")]
    columns += [Column(c, c.replace("_", " ").capitalize(), "p") for c in by]
    return table(rows, columns, f"{stratum.replace('_', ' ')}: the {len(rows)} strongest pairs", tall=True)
