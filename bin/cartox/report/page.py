"""Pieces of HTML: escaped text, sortable tables, figures, and the sections that MultiQC is given."""

from __future__ import annotations

import base64
import html
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cartox.report import labels
from cartox.spreadsheet import harmless

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

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


def _cell(row: Mapping[str, Any], column: Column) -> str:
    value = row.get(column.key, "")
    value = "" if _empty(value) else harmless(value) if isinstance(value, str) else value
    if column.form == "html":
        return f'<td class="cx-html" data-v="{esc(row.get(f"{column.key}_sort", ""))}">{value}</td>'
    if column.form == "tight":
        return f'<td class="cx-tight">{esc(value)}</td>'
    if column.form == "long":
        return f'<td class="cx-long">{esc(value)}</td>' if len(str(value)) > 24 else f"<td>{esc(value)}</td>"
    if column.form == "text" or isinstance(value, str):
        return f"<td>{esc(value)}</td>"
    text = esc(SHOWN[column.form](float(value)))
    return f'<td class="cx-num" data-v="{float(value)!r}" title="{float(value):.6g}">{text}</td>'


def _empty(value: object) -> bool:
    return value is None or value == "" or value != value


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """A frame's rows as mappings."""
    return [{str(k): v for k, v in row.items()} for row in frame.to_dict("records")]


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
    body = "\n".join("<tr>" + "".join(_cell(row, c) for c in columns) + "</tr>" for row in rows)
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


def panel(width: float = 2.5, height: float = 2.6) -> tuple[Figure, Any]:
    """Figure and axes of one panel among several; all of a row have the same size in inches."""
    from matplotlib import pyplot as plt

    fig, ax = plt.subplots(figsize=(width, height), layout="constrained")
    ax.tick_params(labelsize=8)
    ax.spines[["top", "right"]].set_visible(False)
    return fig, ax


def panels(drawn: Iterable[tuple[Figure, str]], form: str = "svg", least: int = 160) -> str:
    """Panels with their texts for those who cannot see them, as many in a row as there is room for.

    Args:
        drawn: figures made by `panel`, each with its text.
        form: as in `figure`.
        least: smallest width in pixels on a narrow screen.
    """
    pictures = "".join(figure(f, alt, form, 0) for f, alt in drawn)
    return f'<div class="cx-panels" style="--least:{least}px">{pictures}</div>'


def key(colours: Mapping[str, str]) -> str:
    """A legend: what each colour means."""
    items = (f'<span><i style="background:{c}"></i>{esc(name)}</span>' for name, c in colours.items())
    return f'<p class="cx-key">{" ".join(items)}</p>'


def figure(fig: Figure, alt: str, form: str = "svg", narrow: int = 640) -> str:
    """A matplotlib figure inside the page, closed afterwards.

    Args:
        fig: the figure.
        alt: what it shows, for those who cannot see it.
        form: svg for few marks, png (256 colours) for many.
        narrow: smallest width in pixels; narrower screens scroll it sideways. 0 for a panel, which keeps
            its margins, so that panels in a row have one size.
    """
    from matplotlib import pyplot as plt

    out = io.BytesIO()
    box: dict[str, Any] = {"bbox_inches": "tight"} if narrow else {}
    if form == "svg":
        fig.savefig(out, format="svg", metadata={"Date": None, "Creator": None}, **box)
        mime, content = "image/svg+xml", out.getvalue()
        points = re.search(rb'width="([\d.]+)pt"', content)
        width = round(float(points[1]) * 96 / 72) if points else 0
    else:
        from PIL import Image

        fig.savefig(out, format="png", dpi=110, **box)
        image = Image.open(out).convert("RGB").quantize(256, dither=Image.Dither.NONE)
        small = io.BytesIO()
        image.save(small, "png", optimize=True)
        mime, content, width = "image/png", small.getvalue(), round(image.width * 96 / 110)
    plt.close(fig)
    data = base64.b64encode(content).decode()
    wide = " cx-wide" if min(narrow, width) > 400 else ""
    return (
        f'<figure class="cx-figure{wide}"{" tabindex=0" if wide else ""}>'
        f'<img alt="{esc(alt)}" style="width:{width}px;min-width:{min(narrow, width)}px;max-width:100%" '
        f'src="data:{mime};base64,{data}"></figure>'
    )


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
