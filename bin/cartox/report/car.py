"""CAR+ cells in the report: shares by patient and time with intervals, false calls, and what depth hides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cartox.report import labels, palette
from cartox.report.figures import figure, framed, key
from cartox.report.page import Chapter, Column, Section, bullets, esc, table

if TYPE_CHECKING:
    from cartox.report.inputs import Inputs


def chapter(inputs: Inputs) -> Chapter | None:
    """CAR+ cells; None where none were looked for or found."""
    if "car" not in inputs.cells or not (inputs.cells["car"] > 0).any():
        return None
    return Chapter("car_chapter", "CAR+ cells", [Section("car", "By sample", body(inputs))])


def body(inputs: Inputs) -> str:
    """Sentences, a picture of the shares, a table by sample and the lanes with a higher threshold."""
    told = inputs.annotate.get("car") or {}
    kinds = inputs.kinds()
    own = kinds.to_dict("index")
    rows = [row | own.get(row["sample"], {}) for row in told.get("by_sample") or [] if row["n_t"]]
    if not rows:
        return "<p>No T cells were found.</p>"
    times = labels.timepoint_order({row["timepoint"] for row in rows})
    rows.sort(key=lambda row: (times.index(row["timepoint"]), row["patient"], row["sample"]))
    return (
        _about(told)
        + _picture(rows, times, inputs.kind_names())
        + _table(rows, [*map(str, kinds)])
        + _raised(told)
    )


def _about(told: dict[str, Any]) -> str:
    """How many calls are expected false, and how many cells are too shallow to tell."""
    said = ["A T cell without CAR counts need not lack the CAR: detection depends on depth."]
    calls = told.get("calls")
    if calls:
        said.append(
            f"A T cell is called CAR- only where a CAR+ cell of its depth would be found with probability "
            f"{told['detectable']:g} or more: {calls['CAR+']:,} CAR+, {calls['CAR-']:,} CAR-, "
            f"{calls['undetermined']:,} undetermined."
        )
    false = told.get("false_positive_rate")
    if false:
        said.append(
            f"Of {false['n']:,} cells that have no CAR (other types, and samples named as without), "
            f"{100 * false['fpr']:.2f} % reach the threshold (95 % interval {100 * false['low']:.2f} to "
            f"{100 * false['high']:.2f} %): as large a share of T cells may be called CAR+ falsely."
        )
    else:
        said.append("Too few cells without CAR were seen to estimate how many calls are false.")
    return f"<p>{esc(' '.join(said))}</p>"


def _picture(rows: list[dict[str, Any]], times: list[str], kind_of: dict[str, str]) -> str:
    """CAR+ share of T cells by time point: a dot and exact interval for each sample, its kinds apart."""
    import numpy as np

    kind = [kind_of.get(row["sample"], "") for row in rows]
    several = len(set(kind)) > 1
    colours = palette.of_groups("", sorted(set(kind))) if several else {kind[0]: palette.VERMILLION}
    fig, ax = framed(1.0 + 1.2 * len(times), 2.8, 0.66, 0.3)
    for x, time in enumerate(times):
        part = [(k, row) for k, row in zip(kind, rows, strict=True) if row["timepoint"] == time]
        part.sort(key=lambda pair: pair[0])
        place = x + (np.linspace(-0.3, 0.3, len(part)) if len(part) > 1 else np.zeros(1))
        share, low, high = (
            np.array([100 * row[value] for _, row in part]) for value in ("rate_t", "car_low", "car_high")
        )
        colour = [colours[k] for k, _ in part]
        ax.vlines(place, low, high, color=colour, alpha=0.5, linewidth=1.2)
        ax.scatter(place, share, s=22, color=colour, linewidths=0, zorder=3)
        for k in dict.fromkeys(k for k, _ in part):
            these = [i for i, (other, _) in enumerate(part) if other == k]
            among = place[these]
            ax.hlines(
                np.median(share[these]),
                among.min() - 0.03,
                among.max() + 0.03,
                color=palette.INK,
                linewidth=1.6,
            )
    ax.set_xticks(range(len(times)), times)
    ax.set_ylabel("CAR+ of T cells (%)")
    ax.set_ylim(bottom=-1)
    words = (
        "CAR+ share of T cells by time point, a dot and its 95 % interval for each sample; lines are medians."
    )
    return (key(colours) if several else "") + figure(fig, words, narrow=max(360, 80 * len(times)))


def _table(rows: list[dict[str, Any]], kinds: list[str]) -> str:
    shown = [
        row
        | {
            "share": 100 * row["rate_t"],
            "interval": f"{100 * row['car_low']:.2f}–{100 * row['car_high']:.2f}",
            "corrected": None if row["rate_corrected"] is None else 100 * row["rate_corrected"],
        }
        for row in rows
    ]
    columns = (
        Column("sample", "Sample"),
        Column("patient", "Patient"),
        Column("timepoint", "Time point"),
        *(Column(column, column.replace("_", " ").capitalize()) for column in kinds),
        Column("n_t", "T cells", "count"),
        Column("n_car", "CAR+", "count"),
        Column("n_undetermined", "Undetermined", "count"),
        Column("share", "CAR+ (%)", "share"),
        Column("interval", "95 % interval"),
        Column("corrected", "Corrected for depth (%)", "share"),
    )
    return table(
        shown, columns, "CAR+ T cells by sample; the interval is over cells, not patients", tall=True
    )


def _raised(told: dict[str, Any]) -> str:
    """Lanes in which ambient RNA asked for more than the usual CAR counts."""
    lanes = [n for n in told.get("by_batch") or [] if str(n.get("note", "")).startswith("raised")]
    return bullets([f"Lane {n['batch']}: at least {n['threshold']} CAR counts ({n['note']})." for n in lanes])
