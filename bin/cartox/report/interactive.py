"""A map of cells to explore: at most 10,000 of them, drawn by the Plotly that MultiQC brings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from cartox.report import palette

if TYPE_CHECKING:
    import pandas as pd

    from cartox.report.labels import Names

MOST = 10_000
SCRIPT = """<script>
window.addEventListener("load", () => {
  const d = JSON.parse(document.getElementById("cx-map-data").textContent);
  const by = document.getElementById("cx-map-by"), side = document.getElementById("cx-map-side");
  const draw = () => {
    const group = d.by[by.value], xy = d.place[side.value];
    const traces = group.names.map((name, g) => {
      const rows = group.codes.flatMap((code, i) => (code === g && xy[0][i] !== null ? [i] : []));
      return {
        type: "scatter", mode: "markers", name, hovertemplate: "%{text}<extra>%{fullData.name}</extra>",
        x: rows.map((i) => xy[0][i] / 100), y: rows.map((i) => xy[1][i] / 100),
        text: rows.map((i) => d.by.sample.names[d.by.sample.codes[i]]),
        marker: {size: 3.5, color: group.colours[g], opacity: 0.8},
      };
    });
    const axis = {visible: false, zeroline: false};
    Plotly.react("cx-map", traces, {
      xaxis: axis, yaxis: axis, margin: {l: 5, r: 5, t: 32, b: 5}, hovermode: "closest",
      paper_bgcolor: "white", plot_bgcolor: "white",
      legend: {itemsizing: "constant", orientation: innerWidth < 700 ? "h" : "v"},
    }, {responsive: true, displaylogo: false});
  };
  by.addEventListener("change", draw);
  side.addEventListener("change", draw);
  draw();
});
</script>"""


def scatter(cells: pd.DataFrame, names: Names) -> str:
    """The HTML of the map, its data inside it."""
    placed = cells[cells[["umap_1", "raw_umap_1"]].notna().all(axis=1)] if "raw_umap_1" in cells else cells
    drawn = placed.sample(MOST, random_state=0).sort_index() if len(placed) > MOST else placed
    by = {}
    for column, title in (("cell_type", "Cell type"), ("patient", "Patient"), ("timepoint", "Time point")):
        found = names.in_order(drawn[column]) if column == "cell_type" else sorted(drawn[column].unique())
        colours = palette.of_types(found) if column == "cell_type" else palette.of_many(found)
        shown = [names.cell_type(v) if column == "cell_type" else v for v in found]
        by[column] = _coded(drawn[column], found, shown, [colours[v] for v in found]) | {"title": title}
    samples = sorted(drawn["sample"].unique())
    by["sample"] = _coded(drawn["sample"], samples, samples, list(palette.of_many(samples).values()))
    by["sample"]["title"] = "Sample"
    if "car" in drawn and (drawn["car"] > 0).any():
        by["car"] = _coded(
            drawn["car"].clip(upper=1), [0, 1], ["CAR not detected", "CAR+"], list(palette.CAR.values())
        )
        by["car"]["title"] = "CAR"
    sides = {"umap": "after Harmony", "raw_umap": "before Harmony"}
    sides = {k: t for k, t in sides.items() if f"{k}_1" in drawn and drawn[f"{k}_1"].notna().any()}
    place = {k: [_hundredths(drawn[f"{k}_{i}"]) for i in (1, 2)] for k in sides}
    data = json.dumps({"by": by, "place": place}, separators=(",", ":")).replace("<", "\\u003c")
    shown = (
        f"<p>{len(drawn):,} of {len(cells):,} cells, drawn at random.</p>" if len(drawn) < len(cells) else ""
    )
    colour = _select("cx-map-by", "Colour by", {k: v["title"] for k, v in by.items()})
    side = _select("cx-map-side", "Map", sides)
    return (
        f'{shown}<p>{colour} {side}</p><div id="cx-map" class="cx-map" role="figure" '
        'aria-label="Map of cells; the composition gives their numbers"></div>'
        f'<script type="application/json" id="cx-map-data">{data}</script>{SCRIPT}'
    )


def _select(key: str, title: str, options: dict[str, str]) -> str:
    items = "".join(f'<option value="{k}">{v}</option>' for k, v in options.items())
    style = "form-select form-select-sm d-inline w-auto"
    return f'<label>{title} <select id="{key}" class="{style}">{items}</select></label>'


def _hundredths(values: pd.Series) -> list[int | None]:
    """Coordinates as whole hundredths, short to write; None where a cell has no place."""
    return [None if v != v else round(100 * v) for v in values.tolist()]


def _coded(values: pd.Series, found: list, shown: list[str], colours: list[str]) -> dict:
    code = {v: i for i, v in enumerate(found)}
    return {"names": shown, "colours": colours, "codes": values.map(code).tolist()}
