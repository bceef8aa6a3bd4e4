"""How far the numbers can be trusted, and how they came about: calibration, command, parameters."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from cartox.columns import BAND, BAND_SHOWN
from cartox.report import labels, palette, remarks
from cartox.report.figures import key as legend
from cartox.report.figures import panel, panels, widest
from cartox.report.page import Chapter, Column, Section, esc, folded, paragraphs, records, table
from cartox.report.patients import wrapped

if TYPE_CHECKING:
    from cartox.report.inputs import Inputs


def calibration(inputs: Inputs) -> Chapter | None:
    """False-positive rates with patients permuted; None where nothing was tested."""
    if not len(inputs.calibration):
        return None
    rows = []
    place = {key: i for i, key in enumerate([*inputs.contrasts, *labels.KINDS])}
    found = inputs.calibration.sort_values(["contrast", "family"], key=lambda c: c.map(place))
    for row in records(found):
        question = inputs.contrasts.get(row["contrast"], {}).get("label") or row["contrast"]
        interval = f"{labels.number(row['ci_low'], 3)} to {labels.number(row['ci_high'], 3)}"
        note = row.get("note")
        verdict = labels.full_stop(note) if isinstance(note, str) and note else "As it should be."
        rows.append(
            row
            | {"question": question, "interval": interval, "interval_sort": row["ci_low"], "verdict": verdict}
            | {"family": labels.KINDS.get(row["family"], row["family"])}
        )
    columns = (
        Column("question", "Question"),
        Column("family", "Family"),
        Column("n_tests", "Features", "count"),
        Column("n_permutations", "Permutations", "count"),
        Column("share_below_0.05", "Share of p < 0.05", "rate"),
        Column("interval", "95 % interval", "html"),
        Column("verdict", "Verdict"),
    )
    about = (
        "With patients permuted over the groups nothing is there to find, so about 5 % of p-values should "
        "fall below 0.05. A share well above it means that p-values of that family are too small. Families "
        "with few features, and designs with few rearrangements of patients, allow no verdict: not judged."
    )
    content = paragraphs(outside(inputs)) + shares(inputs) + table(rows, columns, "Calibration by family")
    section = Section("calibration_table", "By family", content)
    return Chapter("calibration", "Calibration", [section], description=about)


def outside(inputs: Inputs) -> list[str]:
    """What the families outside the band mean, question by question, or that there is none."""
    out = []
    for key, part in inputs.calibration.groupby("contrast", sort=False):
        title = inputs.contrasts.get(str(key), {}).get("label") or str(key)
        out += [f"{title}. {sentence}" for sentence in remarks.miscalibrated(part)]
    judged = int((~inputs.calibration["note"].fillna("").str.startswith("not judged")).sum())
    few = f" ({judged} of {len(inputs.calibration)} can)"
    return out or [f"No family that can be judged{few} is outside {BAND_SHOWN}."]


def shares(inputs: Inputs) -> str:
    """Share of p < 0.05 of each family with its interval, a panel per question; the band is right."""
    found, order = inputs.calibration, list(labels.KINDS)
    families = sorted(set(found["family"]), key=lambda f: (order.index(f) if f in order else len(order), f))
    if not len(found):
        return ""
    most = max(0.12, 1.05 * float(found[["share_below_0.05", "ci_high"]].max().max()))
    drawn, shown = [], [labels.KINDS.get(f) or str(f) for f in families]
    left = widest(shown, 8) + 0.15
    for key in [c for c in inputs.contrasts if c in set(found["contrast"])]:
        title = str(inputs.contrasts[key].get("label") or key)
        text = wrapped(title, 42)
        fig, ax = panel(3.6, 1.2 + 0.24 * len(families), text, "share of p < 0.05", left=left)
        ax.axvspan(*BAND, color=palette.FAINT, alpha=0.6, linewidth=0)
        ax.axvline(0.05, color=palette.GREY, linewidth=1)
        for row in records(found[found["contrast"] == key]):
            y, note = families.index(row["family"]), str(row.get("note") or "")
            colour = palette.VERMILLION if note.startswith("outside") else palette.BLUE
            colour = palette.GREY if note.startswith("not judged") else colour
            ax.hlines(y, row["ci_low"], row["ci_high"], color=colour, linewidth=1.6)
            ax.scatter(row["share_below_0.05"], y, s=34, color=colour, linewidths=0, zorder=3)
        ax.set_yticks(range(len(families)), shown)
        ax.set_ylim(len(families) - 0.5, -0.5)
        ax.set_xlim(0, most)
        drawn.append((fig, f"{title}: share of p below 0.05 with patients permuted, by family."))
    colours = {
        f"within {BAND_SHOWN}": palette.BLUE,
        "outside": palette.VERMILLION,
        "not judged": palette.GREY,
    }
    about = f"The line is the 95 % interval; the band is {BAND_SHOWN}."
    return f"<p>{about}</p>{legend(colours)}{panels(drawn, least=260)}"


def run(inputs: Inputs) -> Chapter:
    """The command, the version and all parameters."""
    params = inputs.params
    command, version = without_folders(str(inputs.run.get("command", ""))), inputs.run.get("version", "")
    content = f"<p>cartox {esc(version)}</p>" if version else ""
    if command:
        content += f'<pre class="cx-command"><code>{esc(command)}</code></pre>'
    rows = [
        {"name": f"<code>--{esc(k)}</code>", "name_sort": k, "value": value_shown(v)}
        for k, v in sorted(params.items())
    ]
    columns = (Column("name", "Parameter", "html"), Column("value", "Value"))
    content += folded("Parameters", table(rows, columns, "Parameters of this run")) if rows else ""
    if types := inputs.checks.get("columns"):
        shown = [
            {"table": sheet, "column": name, "type": kind}
            for sheet, found in sorted(types.items())
            for name, kind in sorted(found.items())
        ]
        heads = (Column("table", "Table"), Column("column", "Column"), Column("type", "Read as"))
        content += folded("How the columns were read", table(shown, heads, "Types of the columns given"))
    section = Section("command", "Command and parameters", content or "<p>Nothing was recorded.</p>")
    return Chapter("run", "This run", [section], "The command and every parameter, to run it again.")


def value_shown(value: object) -> str:
    """A parameter's value as others may read it."""
    if value is None:
        return ""
    # in quotes a path is one, also with spaces
    return without_folders(f'"{value}"')[1:-1] if isinstance(value, str) else json.dumps(value)


# where a path of this machine starts: at the root, at a home, above the folder
START = r"(?:file:/{1,3}|~|\.\.(?=/)|(?=/))"
QUOTED = re.compile(rf"""(['"]){START}[^'"]*/([^'"/]+)\1""")
BARE = re.compile(rf"""(?<![\w.…:/])(?:{START}/?(?:[^\s/'",]+/)+|/)([^\s/'",]+)""")


def without_folders(text: str) -> str:
    """Text with paths of this machine cut to the file's name: a report is passed on, folders tell of people.

    In quotes a path may have spaces. Addresses of the web stay, but not who logs in there.
    """
    text = BARE.sub(r"…/\1", QUOTED.sub(r"\1…/\2\1", text))
    return re.sub(r"(?<=://)[^/@\s]*@", "", text)
