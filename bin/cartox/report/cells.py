"""The cells: maps before and after Harmony, marker genes, how sure the types are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cartox.labels import UNNAMED
from cartox.report import certainty, integration, interactive, labels, maps, palette, reference
from cartox.report.figures import colour_bar, figure, framed, key, widest
from cartox.report.page import Chapter, Column, Section, bullets, table

if TYPE_CHECKING:
    import pandas as pd

    from cartox.report.inputs import Inputs
    from cartox.report.labels import Names

SHOWN_GENES = 8  # of a cluster; the table has more


def chapter(inputs: Inputs, names: Names) -> Chapter | None:
    """Maps, mixing and markers; None where no cell was kept."""
    cells = inputs.cells
    if not len(cells) or "cell_type" not in cells:
        return None
    sections = []
    if "umap_1" in cells:
        pictures = umaps(cells, names) + notes(inputs)
        before = int(cells["raw_umap_1"].notna().sum()) if "raw_umap_1" in cells else 0
        drawn = (
            "all cells"
            if before in (0, len(cells))
            else f"{before:,} before Harmony, all {len(cells):,} after"
        )
        many = integration.batches(inputs).capitalize()
        about = f"A dot is a cell ({drawn}). {many} should mix, cell types should not."
        sections.append(Section("umap", "Maps", pictures, description=about))
        sections.append(Section("umap_interactive", "Explore the map", interactive.scatter(cells, names)))
    if judged := integration.section(inputs, names):
        sections.append(judged)
    if len(inputs.dotplot):
        sections.append(Section("markers", "Marker genes", dots(inputs.dotplot, names)))
    if marked := of_clusters(inputs, names):
        sections.append(marked)
    second = reference.section(inputs, names)
    sections += [second] if second else []
    if sure := certainty.section(inputs, names):
        sections.append(sure)
    about = "Which cells there are, and how sure their names are."
    return Chapter("cells", "Cells", sections, description=about)


def umaps(cells: pd.DataFrame, names: Names) -> str:
    """Static pictures of every cell, by cell type, patient, sample and CAR, before and after Harmony."""
    import numpy as np

    sides = [("raw_umap", "before Harmony"), ("umap", "after Harmony")]
    sides = [(k, t) for k, t in sides if f"{k}_1" in cells and cells[f"{k}_1"].notna().any()]
    by = [("cell_type", "Cell type"), ("patient", "Patient"), ("sample", "Sample")]
    if "car" in cells and (cells["car"] > 0).any():
        by.append(("car", "CAR"))
    out = []
    shuffled = cells.iloc[np.random.default_rng(0).permutation(len(cells))]
    for column, title in by:
        colours, shown = _colours(column, shuffled[column], names)
        codes = shuffled[column].map({v: i for i, v in enumerate(colours)}).to_numpy()
        # CAR+ cells last, so that they lie on top
        order = np.argsort(codes, kind="stable") if column == "car" else np.arange(len(codes))
        drawn = []
        for place, side in sides:
            xy = shuffled[[f"{place}_1", f"{place}_2"]].to_numpy()
            at = order[~np.isnan(xy[order, 0])]
            named = _centres(xy[at], shuffled[column].to_numpy()[at], names) if column == "cell_type" else []
            about = f"Map of the cells by {title}, {side}."
            drawn.append(
                maps.picture(xy[at], codes[at], list(colours.values()), named, f"{title}, {side}", about)
            )
        pictures = f'<div class="cx-panels" style="--least:300px">{"".join(drawn)}</div>'
        many = f"<p>{len(shown)} samples; their names are on the map to explore.</p>"
        out.append(pictures + (key({t: colours[v] for v, t in shown.items()}) if len(shown) <= 24 else many))
    return "".join(out)


def _colours(column: str, values: pd.Series, names: Names) -> tuple[dict[Any, str], dict[Any, str]]:
    """Colours by value and display names by value, in the order of the legend."""
    if column == "car":
        return palette.CAR, {1: "CAR+", 0: "CAR not detected"}
    found = names.in_order(values) if column == "cell_type" else sorted(values.unique())
    if column == "cell_type":
        return palette.of_types(found), {v: names.cell_type(v) for v in found}
    return palette.of_many(found), {v: v for v in found}


def _centres(xy: Any, types: Any, names: Names) -> list[tuple[str, float, float]]:
    """Where the names of the types go: the cell nearest to the type's middle."""
    import numpy as np

    out = []
    for name in sorted(set(types) - set(UNNAMED)):
        here = xy[types == name]
        if len(here) >= 0.005 * len(xy):
            near = here[np.argmin(((here - np.median(here, axis=0)) ** 2).sum(1))]
            out.append((names.cell_type(name).replace(" dendritic cells", " DC"), *near.tolist()))
    return out


def notes(inputs: Inputs) -> str:
    """The annotation's notes."""
    return bullets([labels.full_stop(str(n)) for n in inputs.annotate.get("notes") or []])


def of_clusters(inputs: Inputs, names: Names) -> Section | None:
    """The highest genes of each cluster, beside the type that most of its cells got; None without any."""
    found = inputs.cluster_markers
    if not len(found):
        return None
    genes = found[found["rank"] <= SHOWN_GENES].groupby("cluster")
    text = {c: ", ".join(f"{r.gene} ({r.auc:.2f})" for r in rows.itertuples()) for c, rows in genes}
    rows = [
        {
            "cluster": record["cluster"],
            "cell_type": names.cell_type(record["cell_type"]),
            "n": record["n_cells"],
            "genes": text.get(record["cluster"], "none"),
        }
        for record in inputs.annotate.get("clusters") or []
    ]
    columns = (
        Column("cluster", "Cluster"),
        Column("cell_type", "Commonest type of its cells"),
        Column("n", "Cells", "count"),
        Column("genes", "Highest genes (AUC)", "long"),
    )
    about = (
        "The genes that tell a cluster from each other one, whatever the marker table says. In brackets the "
        "AUC: the chance that a cell of the cluster has more of the gene than a cell of another one of the "
        "same sample; 0.5 is no difference. There is no p, as cells of one patient are no replicates. More "
        "genes: annotation/cluster_markers.csv."
    )
    content = table(rows, columns, "Genes that mark each cluster", tall=True)
    return Section("cluster_markers", "Genes that mark each cluster", content, description=about)


def dots(dotplot: pd.DataFrame, names: Names) -> str:
    """Marker genes by cell type: size is the share of cells, colour the mean."""
    from matplotlib.lines import Line2D

    types = names.in_order(dotplot["cell_type"])
    dotplot = dotplot.sort_values(
        "marker_of", key=lambda s: s.map({t: i for i, t in enumerate(types)}), kind="stable"
    )
    genes = list(dict.fromkeys(dotplot["gene"]))
    points = dotplot.drop_duplicates(["cell_type", "gene"])
    beside, left = [names.cell_type(t) for t in types], 0.2
    left += widest(beside, 8)
    fig, ax = framed(max(4, 0.2 * len(genes)), 0.26 * len(types), left, widest(genes, 8) + 0.15, 1.0, 0.5)
    image = ax.scatter(
        points["gene"].map({g: i for i, g in enumerate(genes)}),
        points["cell_type"].map({t: i for i, t in enumerate(types)}),
        s=points["fraction"] * 90,
        c=points["mean"],
        cmap=palette.SEQUENTIAL,
        linewidths=0,
    )
    ax.set_xticks(range(len(genes)), genes, rotation=90, style="italic")
    ax.set_yticks(range(len(types)), beside)
    ax.set_xlim(-0.7, len(genes) - 0.3)
    ax.set_ylim(len(types) - 0.4, -0.6)
    ax.set_axisbelow(True)
    ax.grid(color=palette.FAINT, linewidth=0.5)
    colour_bar(fig, image, ax, "mean log expression")
    keys = [
        Line2D([], [], marker="o", ls="", color=palette.AXIS, markersize=(f * 90) ** 0.5, label=f"{f:.0%}")
        for f in (0.25, 0.5, 1.0)
    ]
    ax.legend(
        handles=keys,
        title="cells expressing",
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=3,
        frameon=False,
        fontsize=8,
        title_fontsize=8,
    )
    return figure(fig, "Dot plot of marker genes by cell type.", narrow=900, paper=True)
