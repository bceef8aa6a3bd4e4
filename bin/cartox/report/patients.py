"""Figures in which every patient can be seen: by group, and over time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cartox.columns import FEATURE
from cartox.report import labels, palette
from cartox.report.figures import key as legend
from cartox.report.figures import panel, panels
from cartox.report.page import anchor, of_feature, records

EXPLORED = 3  # of each family, named among the findings though they were not declared

if TYPE_CHECKING:
    import pandas as pd

    from cartox.report.inputs import Inputs
    from cartox.report.labels import Names


def place(contrast: str, row: Mapping[str, Any]) -> str:
    """The anchor of a feature's figure."""
    return anchor(f"fig_{contrast}_{row['kind']}_{row['cell_type']}_{row['feature']}")


def explored(results: pd.DataFrame) -> pd.DataFrame:
    """The results on features that were not declared."""
    return results[results["family"] != "primary"]


def standing_out(results: pd.DataFrame, fdr: float) -> pd.DataFrame:
    """What passes the false discovery rate of its family and was not declared, strongest first."""
    place_of = {kind: i for i, kind in enumerate(labels.KINDS)}
    found = explored(results)
    found = found[found["q"] <= fdr].sort_values(["q", "p"], kind="stable")
    return found.sort_values("family", key=lambda f: f.map(place_of).fillna(len(place_of)), kind="stable")


def features_of(rows: pd.DataFrame) -> pd.MultiIndex:
    """The features of some rows."""
    import pandas as pd

    return pd.MultiIndex.from_frame(rows[FEATURE])


def chosen(values: pd.DataFrame, results: pd.DataFrame, fdr: float, most: int = 16) -> list[dict[str, Any]]:
    """The results whose patients are drawn: the primary family, what stands out, the strongest others.

    values: by patient, of the results that have them.
    """
    known = results[results["feature"].isin(values["feature"]) & results["p"].notna()]
    known = known[features_of(known).isin(features_of(values.drop_duplicates(FEATURE)))]
    ranked = known.sort_values("p", kind="stable")
    rank = ranked.groupby("family", sort=False).cumcount().astype(float)
    first = standing_out(results, fdr).groupby("family", sort=False).head(EXPLORED)
    out = features_of(ranked).isin(features_of(first))
    rank = rank.mask(out, -0.5).mask(ranked["family"] == "primary", -1)
    ranked = ranked.assign(rank=rank).sort_values(["rank", "p"], kind="stable").drop_duplicates(FEATURE)
    return records(ranked.head(most).drop(columns="rank"))


def strips(
    values: pd.DataFrame, rows: list[dict[str, Any]], contrast: Mapping[str, Any], names: Names
) -> str:
    """A dot for each patient, by group; rows as `chosen`."""
    drawn = []
    for row in rows:
        part = of_feature(values, row)
        above, what = titled(row, names)
        numbers = f"{labels.p_equals('p', row['p'])}, {labels.p_equals('q', row['q'])}"
        groups = _groups(part, contrast)
        sizes = part["group"].astype(str).value_counts()
        ticks = [wrapped(f"{g} (n={sizes[g]})", 14) for g in groups]
        fig, ax = panel(title=above, xlabel=numbers, ticks=ticks)
        ax.set_ylabel(labels.meaning(labels.AXES, row))
        _strip(ax, part, groups, contrast)
        alt = f"{what}: a dot for each patient, by group. {_medians(part, groups)}{numbers}."
        drawn.append((fig, alt, place(contrast["id"], row)))
    if not drawn:
        return ""
    dot = "a patient under a condition; lines join a patient's" if contrast.get("within") else "a patient"
    grouped = any(_groups(of_feature(values, row), contrast) for row in rows)
    bar = ", the bar a group's median" if grouped else ""
    about = f"A dot is {dot}{bar}. First the primary family, then what stands out, then the strongest others."
    return f"<h4>By patient</h4><p>{about}</p>{panels(drawn)}"


def _medians(part: pd.DataFrame, groups: list[str]) -> str:
    """The groups' medians for those who cannot see them."""
    middle = part.groupby(part["group"].astype(str))["value"].median()
    said = labels.joined(f"{labels.number(float(middle[g]))} for {g}" for g in groups)
    return f"Median {said}. " if groups else ""


def titled(row: Mapping[str, Any], names: Names) -> tuple[str, str]:
    """A panel's title, broken into lines, and the same in one line."""
    where = names.cell_type(row["cell_type"]) if row["cell_type"] else labels.KINDS.get(row["kind"], "")
    feature = names.feature(row["feature"], row["kind"])
    return wrapped(f"{where}\n{feature}"), f"{where}, {feature}"


def wrapped(text: str, width: int = 32) -> str:
    """Text broken into lines for a panel's title."""
    import textwrap

    return "\n".join(line for part in text.split("\n") for line in textwrap.wrap(part, width))


def _groups(part: pd.DataFrame, contrast: Mapping[str, Any]) -> list[str]:
    """The groups, the reference first; none where the term is a number."""
    import pandas as pd

    numeric = pd.to_numeric(part["group"], errors="coerce")
    if numeric.notna().all() and numeric.nunique() > 4:
        return []
    reference = str(contrast.get("reference") or "")
    return sorted(set(part["group"].astype(str)), key=lambda g: (g != reference, g))


def _strip(ax: Any, part: pd.DataFrame, groups: list[str], contrast: Mapping[str, Any]) -> None:
    import numpy as np
    import pandas as pd

    place: dict[str, list[tuple[float, float]]] = {}
    if not groups:
        numbers = pd.to_numeric(part["group"])
        ax.scatter(numbers, part["value"], s=26, color=palette.BLUE, alpha=0.85, linewidths=0)
        for patient, across, up in zip(part["patient"], numbers, part["value"], strict=True):
            place.setdefault(patient, []).append((across, up))
    colours = palette.of_groups(str(contrast.get("reference") or ""), groups)
    for x, group in enumerate(groups):
        y = part[part["group"].astype(str) == group].sort_values("patient")
        at = x + (np.linspace(-0.18, 0.18, len(y)) if len(y) > 1 else np.zeros(1))
        ax.scatter(at, y["value"], s=26, color=colours[group], alpha=0.85, linewidths=0)
        ax.hlines(y["value"].median(), x - 0.28, x + 0.28, color=palette.INK, linewidth=1.6)
        for patient, across, up in zip(y["patient"], at.tolist(), y["value"], strict=True):
            place.setdefault(patient, []).append((across, up))
    for points in place.values():
        if len(points) > 1:
            ax.plot(*zip(*sorted(points), strict=True), color=palette.GREY, linewidth=0.8, zorder=0)


def over_time(
    inputs: Inputs, results: pd.DataFrame, contrast: Mapping[str, Any], names: Names, most: int = 8
) -> str:
    """Each primary feature and what else stands out over time, a line for each patient, by group."""
    import pandas as pd

    times = labels.timepoint_order(inputs.samples["timepoint"])
    term = str(contrast.get("term", ""))
    groups = inputs.clinical.set_index("patient")[term] if term in inputs.clinical else None
    if len(times) < 2 or groups is None or not len(inputs.features) or len(set(groups)) > len(palette.GROUPS):
        return ""
    primary = results[results["family"] == "primary"]
    primary = pd.concat([primary, standing_out(results, inputs.fdr).head(most)])
    known = inputs.features[inputs.features["feature"].isin(primary["feature"])]
    found = []
    for row in records(primary):
        part = of_feature(known, row)
        found += [(row, part)] if len(part) else []
    found = [(row, part) for row, part in found if len(set(part["timepoint"])) > 1][:most]
    times = [t for t in times if any(t in set(part["timepoint"]) for _, part in found)]
    if not found:
        return ""
    colours = palette.of_groups(str(contrast.get("reference") or ""), sorted(groups[groups != ""].unique()))
    drawn = []
    for row, part in found:
        above, what = titled(row, names)
        fig, ax = panel(title=above, ticks=times)
        ax.set_ylabel(labels.meaning(labels.LEVELS, row))
        mean = part.pivot_table(index="patient", columns="timepoint", values="value").reindex(columns=times)
        for patient, line in mean.iterrows():
            if colour := colours.get(groups.get(patient, "")):
                seen = line.dropna()
                place = [times.index(t) for t in seen.index]
                ax.plot(place, seen, marker="o", markersize=3.5, linewidth=1, color=colour, alpha=0.8)
        drawn.append((fig, f"{what}: a line for each patient over time, by group."))
    key = legend({f"{term.replace('_', ' ')}: {g}": c for g, c in colours.items()})
    return f"<h4>Over time</h4><p>A line is a patient.</p>{key}{panels(drawn)}"
