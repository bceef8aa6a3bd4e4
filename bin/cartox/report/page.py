"""Pieces of HTML: escaped text, sortable tables, and the sections that MultiQC is given."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cartox.report import labels
from cartox.spreadsheet import harmless

if TYPE_CHECKING:
    import pandas as pd

SORT = """<script>
document.addEventListener("click", (event) => {
  const button = event.target.closest(".cx-table th button");
  if (!button) return;
  const head = button.closest("th"), body = head.closest("table").tBodies[0];
  const column = head.cellIndex, up = head.getAttribute("aria-sort") !== "ascending";
  const value = (row) => row.cells[column].dataset.v ?? row.cells[column].textContent;
  const compare = (a, b) => {
    const x = value(a), y = value(b);
    if (x === "" || y === "") return (x === "") - (y === "");
    const order = isNaN(x) || isNaN(y) ? x.localeCompare(y, undefined, {numeric: true}) : x - y;
    return up ? order : -order;
  };
  [...body.rows].sort(compare).forEach((row) => body.append(row));
  head.parentNode.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
});
// on a narrow screen a row is a card and each value needs its heading; legends go below their plots, and a
// long one goes altogether: its colours are those of the maps
window.addEventListener("load", () => document.querySelectorAll(".cx-table").forEach((table) => {
  const heads = [...table.tHead.rows[0].cells].map((head) => head.textContent);
  for (const row of table.tBodies[0].rows) [...row.cells].forEach((cell, i) => (cell.dataset.h = heads[i]));
}));
if (innerWidth < 700) {
  const legend = {orientation: "h", x: 0, y: -0.12, yanchor: "top"};
  const below = () => document.querySelectorAll(".js-plotly-plot").forEach((plot) => {
    if (plot.data?.[0]?.type !== "bar") return;
    const keys = plot.data.length <= 8 ? {legend} : {showlegend: false};
    Plotly.relayout(plot, {...keys, "margin.r": 10, "xaxis.title.text": ""});
  });
  window.addEventListener("load", () => setTimeout(below, 1500));
  document.addEventListener("click", () => setTimeout(below, 500));
}
</script>"""


def esc(value: object) -> str:
    """Text made safe for HTML content and attributes."""
    return html.escape(str(value), quote=True)


def anchor(name: str) -> str:
    """A name as an anchor of the page that scripts can select: letters, digits, - and _ only."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)


SHOWN: dict[str, Callable[[float], str]] = {
    "count": lambda value: labels.number(value, 0),
    "share": lambda value: labels.number(value, 1),
    "number": labels.number,
    "rate": lambda value: labels.number(value, 3),
    "p": labels.p_value,
}


@dataclass(frozen=True)
class Column:
    """A table's column: the row's key, the heading, how it is shown and what it means.

    `form` is text, tight (text in one line), long (text that takes room), one of `SHOWN`, or html (already
    safe, its sort value under `<key>_sort`).
    """

    key: str
    title: str
    form: str = "text"
    help: str = ""


def _cell(row: Mapping[str, Any], column: Column, first: bool) -> str:
    """A cell; the first names its row."""
    value = row.get(column.key, "")
    value = "" if _empty(value) else harmless(value) if isinstance(value, str) else value
    kind, shown = "", esc(value)
    if column.form == "html":
        kind, shown = f' class="cx-html" data-v="{esc(row.get(f"{column.key}_sort", ""))}"', value
    elif column.form == "tight" or (column.form == "long" and len(str(value)) > 24):
        kind = f' class="cx-{column.form}"'
    elif column.form in SHOWN and not isinstance(value, str):
        kind = f' class="cx-num" data-v="{float(value)!r}" title="{float(value):.6g}"'
        shown = esc(SHOWN[column.form](float(value)))
    return f'<th scope="row"{kind}>{shown}</th>' if first else f"<td{kind}>{shown}</td>"


def _empty(value: object) -> bool:
    return value is None or value == "" or value != value


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """A frame's rows as mappings."""
    return [{str(k): v for k, v in row.items()} for row in frame.to_dict("records")]


def of_feature(frame: pd.DataFrame, row: Mapping[str, Any]) -> pd.DataFrame:
    """The rows of one feature: kind, cell type and feature as in `row`."""
    same = frame["feature"] == row["feature"]  # the column that leaves fewest
    part = frame[same]
    return part[(part["kind"] == row["kind"]) & (part["cell_type"] == row["cell_type"])]


def _heading(column: Column) -> str:
    side = ' class="cx-num"' if column.form in SHOWN else ""
    tip = f' title="{esc(column.help)}"' if column.help else ""
    return f'<th scope="col"{side}{tip}><button type="button">{esc(column.title)}</button></th>'


def table(
    rows: Iterable[Mapping[str, Any]], columns: Sequence[Column], caption: str, tall: bool = False
) -> str:
    """An HTML table that sorts when a heading is pressed; `tall` ones scroll inside their own frame.

    A column that is empty in every row is left out.
    """
    rows = list(rows)
    columns = [c for c in columns if not rows or any(not _empty(row.get(c.key)) for row in rows)]
    head = "".join(_heading(c) for c in columns)
    body = "\n".join(
        "<tr>" + "".join(_cell(row, c, i == 0) for i, c in enumerate(columns)) + "</tr>" for row in rows
    )
    frame = "cx-frame cx-tall" if tall else "cx-frame"
    return (
        f'<div class="{frame}" tabindex="0" role="region" aria-label="{esc(caption)}">'
        f'<table class="cx-table"><caption><span>{esc(caption)}</span></caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def paragraphs(sentences: Iterable[str]) -> str:
    """Plain sentences, one paragraph each, escaped."""
    return "".join(f"<p>{esc(s)}</p>" for s in sentences)


def bullets(items: Sequence[str]) -> str:
    """A list of plain sentences, escaped; empty for none."""
    return "<ul>" + "".join(f"<li>{esc(i)}</li>" for i in items) + "</ul>" if items else ""


def folded(summary: str, content: str) -> str:
    """Content behind a heading that opens it; `content` is HTML."""
    return f'<details class="cx-details"><summary>{esc(summary)}</summary>{content}</details>'


@dataclass(frozen=True)
class Section:
    """One section of the report.

    `data` is HTML for plot type html, otherwise what MultiQC's plot of that type takes; `config`
    holds the plot's own settings (`pconfig`, `categories`, …).
    """

    id: str
    name: str
    data: Any
    plot_type: str = "html"
    description: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Chapter:
    """Sections under one heading of the side bar."""

    id: str
    name: str
    sections: Sequence[Section]
    description: str = ""
