"""Associations with outcome: a chapter with each question's heat map, strip plots and table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cartox.report import labels, palette, patients, remarks
from cartox.report.figures import colour_bar, figure, framed, panel, panels, widest
from cartox.report.findings import RESULT_COLUMNS, result_rows
from cartox.report.page import Chapter, Column, Section, anchor, esc, folded, table
from cartox.report.wording import compared, groups_text, where_text

if TYPE_CHECKING:
    import pandas as pd

    from cartox.report.inputs import Inputs
    from cartox.report.labels import Names

MARKS = "● passes the false discovery rate asked for; ○ permutation p below 0.05 only."


def chapter(inputs: Inputs, names: Names, top: int) -> Chapter | None:
    """One section per contrast; None where nothing was tested.

    Args:
        inputs: the run's tables.
        names: display names.
        top: rows shown per family in the table of all results.
    """
    sections = []
    for key, contrast in inputs.contrasts.items():
        results = inputs.associations[inputs.associations["contrast"] == key]
        notes = remarks.of_question(contrast, inputs, names)
        if not len(results) and not notes:
            continue
        values = inputs.by_patient[inputs.by_patient["contrast"] == key]
        content = [
            model_line(contrast),
            remarks.listed(notes),
            patients.strips(values, patients.chosen(values, results, inputs.fdr), contrast, names),
            patients.over_time(inputs, results, contrast, names),
            volcanoes(results, inputs.fdr, names),
            all_results(results, top, names),
            beside_logit(results, names),
        ]
        title = str(contrast.get("label") or key)
        sections.append(Section(anchor(f"contrast_{key}"), esc(title), "".join(content)))
    return Chapter("associations", "Associations", sections) if sections else None


def pathways(inputs: Inputs, names: Names) -> Chapter | None:
    """A heat map for each question; None where no pathway was tested."""
    sections = []
    for key, contrast in inputs.contrasts.items():
        results = inputs.associations[inputs.associations["contrast"] == key]
        if content := heat_map(results, inputs.fdr, names):
            title = str(contrast.get("label") or key)
            content = f"<p>{esc(compared(contrast))}</p>{content}"
            sections.append(Section(anchor(f"pathways_{key}"), esc(title), content))
    about = "Scores of gene sets by cell type: how the term tested moves them. "
    about += f"{MARKS} Red: estimate above 0; blue: below; grey: not tested."
    return Chapter("pathways", "Pathways", sections, description=about) if sections else None


def model_line(contrast: Mapping[str, Any]) -> str:
    """The model, the samples it used and the smallest p that it can give."""
    formula, term = esc(contrast.get("formula", "")), esc(contrast.get("term", ""))
    within = bool(contrast.get("within"))
    floor = labels.p_value(contrast.get("p_floor"))
    least = f" The smallest permutation p is {esc(floor)}, and q is never below it." if floor else ""
    sizes = esc(groups_text(contrast.get("n_per_group") or "", within) or contrast.get("n", ""))
    where = esc(f" {where_text(contrast)}".rstrip())
    asked = f"Model <code>{formula}</code>, term <code>{term}</code>{where}. Patients: {sizes}."
    return f"<p>{asked} {esc(compared(contrast))}{least}</p>"


def all_results(results: pd.DataFrame, top: int, names: Names) -> str:
    """The strongest results of each family as one sortable table."""
    rest = results[(results["family"] != "primary") & results["p"].notna()].sort_values("p")
    if not len(rest):
        return ""
    best = rest.groupby("family", sort=False).head(top).sort_values(["q", "p"])
    rows = result_rows(best, names)
    for row in rows:
        row["kind_name"] = labels.KINDS.get(row["kind"], row["kind"])
    columns = (Column("kind_name", "Family"), *RESULT_COLUMNS)
    shown = f"{len(best):,} of {len(rest):,} that were tested"
    caption = f"The {top} strongest of each family, {shown}; all are in associations.csv"
    return table(rows, columns, caption, tall=True)


def beside_logit(results: pd.DataFrame, names: Names) -> str:
    """Composition as propeller tests it, beside the log-ratio; for comparison, so it is folded."""
    rows = results[(results["kind"] == "composition") & results["p"].notna()]
    if "logit_p" not in rows or not rows["logit_p"].notna().any():
        return ""
    rows = first_coefficient(rows).sort_values("p", kind="stable")
    columns = (
        Column("where", "Cell type"),
        Column("estimate", "Log ratio", "number", "Difference against the median type: the test that counts"),
        Column("p", "Its p", "p"),
        Column("q", "Its q", "p"),
        Column("logit_estimate", "Logit", "number", "Difference in the logit of the share (propeller)"),
        Column("logit_p", "Its p", "p"),
    )
    about = "A share falls when another type expands, so the logit calls types that did not change."
    caption = "Log ratio to the median type, and logit of the share" + which(results, names)
    made = table(result_rows(rows, names), columns, caption)
    return folded("Composition: for comparison, propeller's logit", f"<p>{about}</p>{made}")


def heat_map(results: pd.DataFrame, fdr: float, names: Names, most: int = 32) -> str:
    """Pathways by cell type, coloured by the moderated t, marked where significant."""
    rows = first_coefficient(results[(results["kind"] == "pathway") & results["statistic"].notna()])
    if not len(rows):
        return ""
    declared = list(rows.loc[rows["family"] == "primary", "feature"].unique())
    order = rows.sort_values("p")["feature"].unique()
    chosen = list(dict.fromkeys([*declared, *order]))[:most]
    rows = rows[rows["feature"].isin(chosen)]
    values, q, p = (
        wide(rows, chosen, "feature", "cell_type", v) for v in ("statistic", "q", "p_permutation")
    )
    return grid(
        values,
        q,
        p,
        fdr,
        "moderated t",
        {f: names.feature(f, "pathway") for f in chosen},
        {c: names.cell_type(c) for c in rows["cell_type"].unique()},
        f"Heat map of pathways by cell type{which(results, names)}; the values are in the table of results.",
    )


def first_coefficient(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of one comparison, where the term has several (a factor with three levels has two)."""
    if "coefficient" not in rows or not len(rows):
        return rows
    return rows[rows["coefficient"] == rows["coefficient"].min()]


def which(rows: pd.DataFrame, names: Names) -> str:
    """For a caption: the comparison that `first_coefficient` leaves, where there are several."""
    several = sorted(c for c in set(rows["coefficient"]) if c) if "coefficient" in rows else []
    return f" ({names.in_text(several[0])} alone)" if len(several) > 1 else ""


def wide(rows: pd.DataFrame, order: list[str], index: str, columns: str, values: str) -> pd.DataFrame:
    """Rows as a matrix, rows in the order given; combinations that are absent are missing."""
    return rows.pivot_table(index=index, columns=columns, values=values, dropna=False).reindex(order)


def grid(
    values: pd.DataFrame,
    q: pd.DataFrame,
    p: pd.DataFrame,
    fdr: float,
    unit: str,
    row_names: Mapping[str, str],
    column_names: Mapping[str, str],
    alt: str,
) -> str:
    """A diverging heat map with significance marks; missing values are grey.

    Args:
        values: rows × columns, drawn.
        q: same shape; at most `fdr` is marked ●.
        p: same shape; below 0.05 is marked ○.
        fdr: the level asked for.
        unit: what the colours mean.
        row_names: display names of the rows.
        column_names: display names of the columns.
        alt: text for those who cannot see it.
    """
    import matplotlib as mpl
    import numpy as np

    matrix, q_values, p_values = (table.to_numpy(float) for table in (values, q, p))
    limit = max(1.0, float(np.nanquantile(np.abs(matrix), 0.99))) if np.isfinite(matrix).any() else 1.0
    n_rows, n_columns = matrix.shape
    below = [column_names[c] for c in values.columns]
    beside = [labels.shortened(row_names[r]) for r in values.index]
    fig, ax = framed(0.42 * n_columns, 0.24 * n_rows, *slanted(below, beside, 0.42), right=1.0)
    cmap = mpl.colormaps[palette.DIVERGING].with_extremes(bad=palette.FAINT)
    sides = [np.arange(n + 1) - 0.5 for n in (n_columns, n_rows)]
    shown = np.ma.masked_invalid(matrix)
    image = ax.pcolormesh(*sides, shown, cmap=cmap, vmin=-limit, vmax=limit, edgecolors="white", linewidth=1)
    ax.invert_yaxis()
    ax.set_xticks(range(n_columns), below, rotation=40, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(n_rows), beside)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    for (i, j), value in np.ndenumerate(matrix):
        mark = "●" if q_values[i, j] <= fdr else "○" if p_values[i, j] < 0.05 else ""
        if mark and math.isfinite(value):
            dark = abs(value) > 0.65 * limit
            ax.text(j, i, mark, ha="center", va="center", fontsize=8, color="white" if dark else palette.INK)
    colour_bar(fig, image, ax, unit)
    return figure(fig, alt, paper=True)


def slanted(below: list[str], beside: list[str], step: float) -> tuple[float, float]:
    """Margins, left and bottom, for names beside rows and slanted ones below columns `step` inches apart."""
    out = [0.77 * widest([name], 8) - step * i for i, name in enumerate(below)]
    return max(widest(beside, 8) + 0.2, *out), 0.2 + 0.65 * widest(below, 8)


def volcanoes(results: pd.DataFrame, fdr: float, names: Names, most: int = 8) -> str:
    """Gene expression by cell type: estimate against p, significant genes named."""
    import numpy as np

    genes = first_coefficient(results[(results["kind"] == "expression") & results["p"].gt(0)])
    types = [str(t) for t, part in genes.groupby("cell_type") if len(part) >= 50][:most]
    if not types:
        return ""
    drawn = []
    for name in types:
        part = genes[genes["cell_type"] == name].sort_values("p")
        hit = (part["q"] <= fdr).to_numpy()
        title = f"{names.cell_type(name)} ({hit.sum()} of {len(part):,})"
        fig, ax = panel(title=title.replace(" (", "\n("), xlabel="log2 fold change")
        x, y = part["estimate"].to_numpy(), -np.log10(part["p"].to_numpy())
        ax.scatter(x[~hit], y[~hit], s=5, color=palette.GREY, linewidths=0, rasterized=True)
        many = len(part) > 300 and int(hit.sum()) > 300
        for side, colour in ((hit & (x > 0), palette.UP), (hit & (x <= 0), palette.DOWN)):
            ax.scatter(x[side], y[side], s=9, color=colour, linewidths=0, rasterized=many)
        named: list[float] = []
        for gene, gx, gy in list(zip(part["feature"], x, y, strict=True))[: int(hit.sum())]:
            clear = all(abs(gy - above) > 0.08 * y.max() for above in named)
            if clear and len(named) < 5:
                side = {"xytext": (2, 2)} if gx < 0.4 * x.max() else {"xytext": (-2, 2), "ha": "right"}
                ax.annotate(gene, (gx, gy), fontsize=7, textcoords="offset points", **side)
                named.append(gy)
        ax.axvline(0, color=palette.FAINT, linewidth=0.8, zorder=0)
        ax.set_ylabel("−log10 p")
        drawn.append((fig, f"Genes of {title}: estimate against p."))
    about = f"Coloured and counted: q ≤ {fdr:g}; red: higher with the term tested, blue: lower."
    return f"<h4>Genes by cell type</h4><p>{about}</p>{panels(drawn)}"
