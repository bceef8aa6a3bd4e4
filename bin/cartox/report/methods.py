"""How far the numbers can be trusted, and how they came about: calibration, command, parameters."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from cartox.report import labels
from cartox.report.page import Chapter, Column, Section, esc, folded, records, table

if TYPE_CHECKING:
    from cartox.report.inputs import Inputs


def calibration(inputs: Inputs) -> Chapter | None:
    """False-positive rates with patients permuted; None where nothing was tested."""
    if not len(inputs.calibration):
        return None
    rows = []
    place = {key: i for i, key in enumerate(inputs.contrasts)}
    for row in sorted(records(inputs.calibration), key=lambda r: place.get(r["contrast"], len(place))):
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
    section = Section("calibration_table", "Calibration", table(rows, columns, "Calibration by family"))
    return Chapter("calibration", "Calibration", [section], description=about)


def run(inputs: Inputs) -> Chapter:
    """The command, the version and all parameters."""
    params = dict(inputs.params)
    command, version = without_folders(str(params.pop("command", ""))), params.pop("version", "")
    content = f"<p>cartox {esc(version)}</p>" if version else ""
    if command:
        content += f'<pre class="cx-command"><code>{esc(command)}</code></pre>'
    rows = [{"name": f"--{k}", "value": _value(v)} for k, v in sorted(params.items())]
    columns = (Column("name", "Parameter"), Column("value", "Value"))
    content += folded("Parameters", table(rows, columns, "Parameters of this run")) if rows else ""
    if types := inputs.checks.get("columns"):
        shown = [
            {"table": sheet, "column": name, "type": kind}
            for sheet, found in sorted(types.items())
            for name, kind in sorted(found.items())
        ]
        heads = (Column("table", "Table"), Column("column", "Column"), Column("type", "Read as"))
        content += folded("How the columns were read", table(shown, heads, "Types of the columns given"))
    section = Section("command", "This run", content or "<p>Nothing was recorded.</p>")
    return Chapter("run", "This run", [section], "The command and every parameter, to run it again.")


def _value(value: object) -> str:
    if value is None:
        return ""
    return without_folders(value) if isinstance(value, str) else json.dumps(value)


def without_folders(text: str) -> str:
    """Text with absolute paths cut to the file's name: a report is passed on, folders tell of a machine."""
    return re.sub(r"(?<![\w.…:/])/(?:[^\s/'\"]+/)*([^\s/'\"]+)", r"…/\1", text)
