"""Serum: which features go with which analytes across patients, with every patient to be seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from cartox.columns import FEATURE
from cartox.report import associations, labels, palette
from cartox.report.figures import key as legend
from cartox.report.figures import panel, panels
from cartox.report.findings import result_rows
from cartox.report.page import Chapter, Column, Section, anchor, esc, of_feature, paragraphs, records, table
from cartox.report.patients import titled
from cartox.statistics.serum import AVERAGED, log2_values, paired

if TYPE_CHECKING:
    import pandas as pd

    from cartox.report.inputs import Inputs
    from cartox.report.labels import Names


def chapter(inputs: Inputs, names: Names, top: int) -> Chapter | None:
    """One section per time point, the average of the visits last; None where nothing was correlated."""
    found = inputs.correlations
    values = Values(inputs)
    levels = trajectories(values)
    sections = [Section("serum_levels", "Levels over time", levels)] if levels else []
    if not len(found):
        return Chapter("serum", "Serum", sections) if sections else None
    found = found.assign(strength=-found["rho"].abs()).sort_values(
        ["p_permutation", "strength"], kind="stable"
    )
    for time in labels.timepoint_order(found["timepoint"]):
        part = found[found["timepoint"] == time]
        pictures = scatters(part, values, names)
        content = [paragraphs(sentences(part, values)), _map(part, inputs.fdr, names), pictures]
        heading = "Visits averaged" if time == AVERAGED else f"Serum at {time}"
        sections.append(Section(anchor(f"serum_{time}"), heading, "".join(content) + _rows(part, names, top)))
    about = f"Spearman correlation across patients. Values beyond a limit tie there. {associations.MARKS}"
    return Chapter("serum", "Serum", sections, description=about)


def trajectories(values: Values, most: int = 16) -> str:
    """Each analyte over time, a line for each patient; empty where there is one time point or none."""
    levels = values.analytes if len(values.inputs.analytes) else values.inputs.analytes
    times = labels.timepoint_order(levels["timepoint"])
    if len(times) < 2:
        return ""
    tested = values.inputs.associations
    tested = tested[tested["kind"] == "analyte"].dropna(subset="p").groupby("feature")["p"].min()
    found = sorted(set(levels["analyte"]), key=lambda name: (tested.get(name, 2.0), name))
    term, group, colours = values.groups
    drawn = []
    for analyte in found[:most]:
        part = levels[levels["analyte"] == analyte]
        mean, limit = (
            part.pivot_table(index="patient", columns="timepoint", values=value).reindex(columns=times)
            for value in ("value", "censored")
        )
        fig, ax = panel(2.7, 2.6, labels.cytokine(analyte), ticks=times)
        for patient, line in mean.iterrows():
            seen = line.dropna()
            colour = colours.get(group.get(str(patient), ""), palette.AXIS if not colours else palette.GREY)
            at = [times.index(t) for t in seen.index]
            ax.plot(at, seen, linewidth=1, color=colour, alpha=0.8)
            inside = ["none" if limit.loc[patient, t] > 0 else colour for t in seen.index]
            ax.scatter(at, seen, s=16, c=inside, edgecolors=colour, linewidths=0.9, zorder=3)
        ax.set_ylabel(values.units.get(analyte, ""))
        _levels(ax.yaxis)
        drawn.append((fig, f"{labels.cytokine(analyte)} over time: a line for each patient, by group."))
    about = "A line is a patient; an open dot lies beyond a limit of detection."
    if len(found) > most:
        about += f" {most} of {len(found)} analytes, those that differ most first."
    key = legend({f"{term}: {name}": colour for name, colour in colours.items()}) if colours else ""
    return f"<p>{esc(about)}</p>{key}{panels(drawn, 200)}"


def sentences(part: pd.DataFrame, values: Values) -> list[str]:
    """What one section's correlations are, beyond Spearman's rho at a time point."""
    out = []
    if part["timepoint"].iloc[0] == AVERAGED:
        times = labels.joined(labels.timepoint_order(values.times))
        out.append(f"The mean of each patient over {times}; time points are made alike before averaging.")
    covariates = sorted({name for text in part["covariates"] for name in text.split("+") if name})
    if covariates and part["rho_partial"].notna().any():
        listed = labels.joined(name.replace("_", " ") for name in covariates)
        out.append(f"Adjusted ρ: the correlation with {listed} held fixed.")
    return out


@dataclass
class Values:
    """The values behind the correlations, and the groups that colour their patients."""

    inputs: Inputs

    @cached_property
    def analytes(self) -> pd.DataFrame:
        """log2 levels by patient, time point and analyte."""
        return log2_values(self.inputs.analytes)

    @cached_property
    def times(self) -> list[str]:
        """Time points at which serum and cells were taken."""
        if not len(self.inputs.features):
            return []
        return sorted(set(self.inputs.features["timepoint"].astype(str)) & set(self.analytes["timepoint"]))

    @cached_property
    def units(self) -> dict[str, str]:
        """Unit of each analyte."""
        return dict(zip(self.inputs.analytes["analyte"], self.inputs.analytes["unit"], strict=True))

    def of(self, row: Mapping[str, Any]) -> pd.DataFrame | None:
        """The patients of one correlation; None where its values are not at hand."""
        if not len(self.inputs.features):
            return None
        feature = of_feature(self.inputs.features, row)
        if not len(feature):
            return None
        analyte = self.analytes[self.analytes["analyte"] == row["analyte"]]
        found = paired(feature, analyte, self.times, row["timepoint"])
        return found if len(found) else None

    @cached_property
    def groups(self) -> tuple[str, dict[str, str], dict[str, str]]:
        """Term of the first question with two or three groups of patients: name, patient → group, colours."""
        clinical = self.inputs.clinical
        for contrast in self.inputs.contrasts.values():
            term = str(contrast.get("term", ""))
            if term not in clinical or contrast.get("within"):
                continue
            of = dict(zip(clinical["patient"], clinical[term], strict=True))
            levels = sorted(set(of.values()) - {""})
            if 2 <= len(levels) <= 3:
                colours = palette.of_groups(str(contrast.get("reference") or ""), levels)
                return term.replace("_", " "), of, colours
        return "", {}, {}


def declared(inputs: Inputs, time: str) -> set[tuple[str, ...]]:
    """The declared features of the questions that look at a time point, or at several for the average."""
    rows = inputs.associations[inputs.associations["family"] == "primary"]
    found = set()
    for key, part in rows.groupby("contrast", sort=True):
        times = (inputs.contrasts.get(str(key), {}).get("where") or {}).get("timepoint") or []
        if time in times or len(times) != 1 or time == AVERAGED:
            found |= {tuple(name) for name in part[FEATURE].to_numpy().tolist()}
    return found


def strongest(part: pd.DataFrame, named: set[tuple[str, ...]], most: int = 8) -> pd.DataFrame:
    """The closest analyte of each named feature, then the strongest others, each feature once.

    part: correlations of one section, strongest first.
    """
    import pandas as pd

    each = part[part["rho"].notna()].drop_duplicates(FEATURE)
    first = pd.Series([tuple(key) in named for key in each[FEATURE].to_numpy().tolist()], each.index, bool)
    others = each[~first].drop_duplicates(["feature", "analyte"]).head(4)
    return pd.concat([each[first].head(most), others]).head(most)


def scatters(part: pd.DataFrame, values: Values, names: Names) -> str:
    """A panel per correlation, a dot for each patient."""
    term, group, colours = values.groups
    plain = palette.GREY if colours else palette.BLUE
    drawn, limits = [], False
    for row in records(strongest(part, declared(values.inputs, part["timepoint"].iloc[0]))):
        points = values.of(row)
        if points is None:
            continue
        analyte, numbers = labels.cytokine(row["analyte"]), statistics(row)
        (above, what), unit = titled(row, names), values.units.get(row["analyte"], "")
        under = "\n".join([", ".join(filter(None, [analyte, unit])), *numbers])
        fig, ax = panel(2.7, 3.0, above, under)
        shades = [colours.get(group.get(p, ""), plain) for p in points["patient"]]
        inside = ["none" if c else shade for c, shade in zip(points["censored"], shades, strict=True)]
        ax.scatter(points["analyte"], points["feature"], s=26, c=inside, edgecolors=shades, linewidths=1.1)
        limits |= bool(points["censored"].any())
        ax.set_ylabel(labels.meaning(labels.LEVELS, row))
        _levels(ax.xaxis)
        drawn.append((fig, f"{what} against {analyte}: a dot for each patient. {'; '.join(numbers)}."))
    if not drawn:
        return ""
    about = "A dot is a patient. First the declared features, each with the analyte that it follows most "
    about += "closely, then the strongest others."
    if limits:
        average = part["timepoint"].iloc[0] == AVERAGED
        about += " An open dot: at the limit of detection" + (" at some visit." if average else ".")
    key = legend({f"{term}: {name}": colour for name, colour in colours.items()}) if colours else ""
    return f"<h4>By patient</h4><p>{esc(about)}</p>{key}{panels(drawn, 200)}"


def statistics(row: Mapping[str, Any]) -> list[str]:
    """rho with its interval and p, and the adjusted one where there is such."""
    lines = []
    for name, end, p in (("ρ", "", "p_permutation"), ("adjusted ρ", "_partial", "p_partial")):
        if rho := _with_interval(row, end):
            p_text = f", {labels.p_equals('p', row[p])}" if row[p] == row[p] else ""
            lines.append(f"{name} = {rho}{p_text}")
    return lines


def _with_interval(row: Mapping[str, Any], end: str) -> str:
    """`0.84 (0.51 to 0.97)`, of the plain correlation or (end `_partial`) the adjusted one."""
    rho, low, high = (labels.number(row[f"{name}{end}"]) for name in ("rho", "ci_low", "ci_high"))
    return f"{rho} ({low} to {high})" if low else rho


def _levels(axis: Any) -> None:
    """A log2 axis with concentrations at its ticks."""
    from matplotlib import ticker

    def level(x: float, _: object) -> str:
        return f"{2**x:,.0f}" if x >= 3 else f"{2**x:.2g}"

    axis.set_major_locator(ticker.MaxNLocator(4, integer=True))
    axis.set_major_formatter(ticker.FuncFormatter(level))


def _map(part: pd.DataFrame, fdr: float, names: Names, most: int = 30) -> str:
    row = part["kind"] + "|" + part["cell_type"] + "|" + part["feature"]
    part = part.assign(row=row).drop_duplicates(["row", "analyte"])
    chosen = list(part["row"].unique())[:most]
    rows = part[part["row"].isin(chosen)]
    shown = {
        r["row"]: names.both(r["cell_type"], r["feature"], r["kind"])
        for r in records(rows.drop_duplicates("row"))
    }
    rho, q, p = (associations.wide(rows, chosen, "row", "analyte", v) for v in ("rho", "q", "p_permutation"))
    heads = {a: labels.cytokine(a) for a in rows["analyte"].unique()}
    return associations.grid(
        rho, q, p, fdr, "Spearman's ρ", shown, heads, "Correlation of features with serum analytes."
    )


def _rows(part: pd.DataFrame, names: Names, top: int) -> str:
    best = part.head(top)
    rows = result_rows(best.assign(n_per_group=best["n"].astype(str)), names)
    for row in rows:
        row["analyte"] = labels.cytokine(row["analyte"])
        row |= {"plain": _with_interval(row, ""), "plain_sort": row["rho"]}
        row |= {"adjusted": _with_interval(row, "_partial"), "adjusted_sort": row["rho_partial"]}
    columns = (
        Column("where", "Cell type", "long"),
        Column("what", "Feature", "long"),
        Column("analyte", "Analyte"),
        Column("plain", "ρ (95 % interval)", "html", "Interval from bootstrap samples of patients"),
        Column("p_permutation", "p", "p", "From permuting patients"),
        Column("q", "q", "p", "Corrected over all correlations of this section"),
        Column("adjusted", "Adjusted ρ (interval)", "html", "With the covariates held fixed"),
        Column("p_partial", "Its p", "p"),
        Column("q_partial", "Its q", "p"),
        Column("n", "Patients", "count"),
        Column("note", "Note", "long"),
    )
    return table(rows, columns, f"The {len(rows)} strongest of {len(part):,} correlations", tall=True)
