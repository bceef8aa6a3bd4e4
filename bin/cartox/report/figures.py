"""Figures: axes with margins in inches, drawn once, put into the page as SVG in the page's own colours."""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from cartox.report import palette
from cartox.report.page import esc

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SETTINGS = {
    "svg.hashsalt": "cartox",
    "svg.fonttype": "none",
    "font.size": 10,
    "text.color": palette.INK,
    "axes.edgecolor": palette.AXIS,
    "axes.labelcolor": palette.INK,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    # a fixed place spares the search for one, which lays out all texts again
    "axes.titley": 1.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "xtick.color": palette.AXIS,
    "ytick.color": palette.AXIS,
    "xtick.labelcolor": palette.INK,
    "ytick.labelcolor": palette.INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
}
# Drawn in these, shown in what the style sheet says for light, dark and print.
THEME = {palette.INK: "--cx-ink", palette.AXIS: "--cx-axis", palette.FAINT: "--cx-faint"}
LINE = 1.3 / 72  # inches that a line of text takes, per point of its size


def framed(
    width: float, height: float, left: float, bottom: float, right: float = 0.1, top: float = 0.1
) -> tuple[Figure, Any]:
    """Figure and axes of a given size with given margins, all in inches."""
    from matplotlib.figure import Figure

    across, up = left + width + right, bottom + height + top
    fig = Figure(figsize=(across, up))
    ax = fig.add_axes((left / across, bottom / up, width / across, height / up))
    ax.yaxis.set_label_coords(-(left - 0.22) / width, 0.5)
    # few ticks: each takes a millisecond
    ax.locator_params(nbins=5)
    return fig, ax


def panel(
    width: float = 2.5,
    height: float = 2.6,
    title: str = "",
    xlabel: str = "",
    ticks: Iterable[str] = (),
    left: float = 0.66,
) -> tuple[Figure, Any]:
    """Figure and axes of one panel among several; all of a row have the same size in inches.

    Args:
        width: of the whole panel.
        height: of the whole panel.
        title: above the axes; may have several lines.
        xlabel: below the axes; may have several lines.
        ticks: labels of the horizontal axis at 0, 1, 2, …; numbers where there are none.
        left: room for the vertical axis.
    """
    ticks = list(ticks)
    deep = 8 * LINE * max([1, *(t.count("\n") + 1 for t in ticks)])
    bottom = 0.08 + deep + (8 * LINE * (xlabel.count("\n") + 1) + 0.04 if xlabel else 0.04)
    top = 0.06 + 8 * LINE * (title.count("\n") + 1) if title else 0.08
    fig, ax = framed(width - left - 0.1, height - bottom - top, left, bottom, 0.1, top)
    if ticks:
        ax.set_xticks(range(len(ticks)), ticks)
        ax.set_xlim(-0.6, len(ticks) - 0.4)
    if title:
        # centred over the panel, not the axes, so that long titles fit
        ax.set_title(title, x=(width / 2 - left) / (width - left - 0.1))
    if xlabel:
        fits = widest([xlabel], 8) < width - 0.1
        ax.set_xlabel(xlabel, fontsize=8 if fits else 7)
        middle = 0.5 if widest([xlabel], 8) < width - left else (width / 2 - left) / (width - left - 0.1)
        ax.xaxis.set_label_coords(middle, -(0.1 + deep) / (height - bottom - top))
    return fig, ax


def widest(texts: Iterable[str], size: float) -> float:
    """Width in inches of the widest of some texts, set in points of a size."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=size)
    lines = {line for text in texts for line in text.split("\n")}
    return max(
        (text_to_path.get_text_width_height_descent(line, font, False)[0] / 72 for line in lines), default=0
    )


def colour_bar(fig: Figure, image: Any, ax: Axes, unit: str, most: float = 2.5) -> None:
    """A bar of colours right of the axes, in the margin that `framed` left there (an inch)."""
    across, up = fig.get_size_inches()
    box = ax.get_position()
    tall = min(most / up, box.height)
    place = (box.x1 + 0.12 / across, box.y1 - tall, 0.12 / across, tall)
    bar = fig.colorbar(image, cax=fig.add_axes(place))
    bar.set_label(unit, fontsize=8)
    bar.ax.yaxis.set_label_coords(5.4, 0.5)
    bar.outline.set_visible(False)


def panels(drawn: Iterable[tuple[Figure, str] | tuple[Figure, str, str]], least: int = 200) -> str:
    """Panels with their texts for those who cannot see them, as many in a row as there is room for.

    On a narrow screen small ones are one row that scrolls sideways.

    Args:
        drawn: figures made by `panel`, each with its text, and its anchor where links lead to it.
        least: smallest width in pixels on a narrow screen.
    """
    pictures = "".join(figure(fig, alt, 0, False, *place) for fig, alt, *place in drawn)
    row = ' cx-row" tabindex="0" role="group" aria-label="Panels' if least < 300 else ""
    return f'<div class="cx-panels{row}" style="--least:{least}px">{pictures}</div>'


def key(colours: Mapping[str, str]) -> str:
    """A legend: what each colour means."""
    shown = {name: f"var({THEME[c]})" if c in THEME else c for name, c in colours.items()}
    items = (f'<span><i style="background:{c}"></i>{esc(name)}</span>' for name, c in shown.items())
    return f'<p class="cx-key">{" ".join(items)}</p>'


def figure(fig: Figure, alt: str, narrow: int = 640, paper: bool = False, place: str = "") -> str:
    """A matplotlib figure inside the page.

    Args:
        fig: the figure.
        alt: what it shows, for those who cannot see it.
        narrow: smallest width in pixels; narrower screens scroll it sideways. 0 for a panel.
        paper: on white also in dark mode, for scales of colours that are made for it.
        place: its anchor, where links lead to it.
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    out = io.StringIO()
    # savefig would draw everything twice
    FigureCanvasSVG(fig).print_svg(out, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    width = round(float(fig.get_size_inches()[0]) * 96)
    return framed_svg(_inside(out.getvalue()), alt, width, narrow, paper, place)


def framed_svg(svg: str, alt: str, width: int, narrow: int, paper: bool = False, place: str = "") -> str:
    """An SVG element as a figure of the page, at most `width` pixels wide."""
    wide = " cx-wide" if min(narrow, width) > 400 else ""
    style = f"width:{width}px;min-width:{min(narrow, width)}px;max-width:100%"
    named = svg.replace("<svg", f'<svg role="img" aria-label="{esc(alt)}" style="{style}"', 1)
    focus = f' tabindex="0" role="group" aria-label="{esc(alt)}"' if wide else ""
    here = f' id="{esc(place)}" tabindex="-1"' if place else ""
    return f'<figure class="cx-figure{wide}{" cx-paper" if paper else ""}"{here}{focus}>{named}</figure>'


def _inside(svg: str) -> str:
    """A drawn figure as an element of the page: its names its own, its neutral colours the page's."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>|<defs>\s*<style.*?</defs>", "", body, flags=re.DOTALL)
    body = re.sub(r'(<svg) xmlns:xlink="[^"]*" width="[^"]*" height="[^"]*"', r"\1", body, count=1)
    body = re.sub(r'<g id="cx-(\w+)">', r'<g class="cx-\1">', body)
    body = re.sub(r'<g id="[^"]*"', "<g", body)
    own = f"f{zlib.crc32(body.encode()):08x}"
    body = re.sub(r'(id="|url\(#|href="#)(?=[a-zA-Z])', rf"\1{own}", body)
    for drawn, name in THEME.items():
        body = body.replace(drawn.lower(), f"var({name})")
    body = re.sub(r"(font-size: [\d.]+px); font-family: [^;\"]*", r"\1", body)
    body = re.sub(r">\s+<", "><", re.sub(r"<!--.*?-->", "", body, flags=re.DOTALL)).strip()
    return re.sub(r"<[^>]+>", lambda tag: _short(tag[0]), body)


def _short(tag: str) -> str:
    """A tag without what does not show: line ends, a third decimal, no rotation."""
    tag = re.sub(r"(\d\.\d\d)\d+", r"\1", tag.replace("\n", ""))
    return re.sub(r' transform="rotate\(-0 [^"]*"|; fill: var\(--cx-ink\)(?=")', "", tag)
