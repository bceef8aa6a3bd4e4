"""What a reader of a question must know beside its results: each guard as a plain sentence."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from cartox.report import labels
from cartox.report.page import bullets, esc, records
from cartox.report.wording import small

if TYPE_CHECKING:
    import pandas as pd

    from cartox.report.inputs import Inputs
    from cartox.report.labels import Names

OPENINGS = {
    "not tested": "Not tested",
    "not testable": "Not testable",
    "descriptive only": "Described, not tested",
}
MANY = re.compile(r"Expression in (.+) not tested: (.+)")


def of_question(contrast: Mapping[str, Any], inputs: Inputs, names: Names) -> list[str]:
    """All remarks on one question: on its patients and design, on its families' p, on what was not tested."""
    results = inputs.associations[inputs.associations["contrast"] == contrast["id"]]
    notes = _together(str(n) for n in contrast.get("notes") or [])
    out = [names.in_text(labels.full_stop(n)) for n in notes]
    out += miscalibrated(inputs.calibration[inputs.calibration["contrast"] == contrast["id"]])
    return out + _untested(results, names)


def listed(remarks: list[str], most: int = 0) -> str:
    """The remarks as a list; beyond `most` (0: all) their number, as the question's own section has them."""
    if not remarks:
        return ""
    over = len(remarks) - most if most and len(remarks) > most else 0
    shown = remarks[: len(remarks) - over]
    rest = [f"And {labels.plural(over, 'more remark')}, with the figures for this question."] if over else []
    return f"<p>{esc('To keep in mind:')}</p>" + bullets(shown + rest)


def _together(notes: Iterable[str]) -> list[str]:
    """The notes in their order; those that say the same of several cell types become one, at the end."""
    out, same = [], {}
    for note in notes:
        if found := MANY.fullmatch(note):
            same.setdefault(found[2], []).append(found[1])
        else:
            out.append(note)
    return out + [f"Expression in {labels.joined(types)} not tested: {why}" for why, types in same.items()]


def miscalibrated(calibration: pd.DataFrame) -> list[str]:
    """A sentence for each family whose p-values are off where nothing is to be found."""
    out = []
    for row in records(calibration):
        if str(row.get("note", "")).startswith("outside"):
            family, share = labels.KINDS.get(row["family"], row["family"]), row["share_below_0.05"]
            sense = "too small: read them with care" if share > 0.05 else "too large: effects may be missed"
            out.append(
                f"{family}: p-values are {sense} ({100 * share:.1f} % below 0.05 with patients permuted); "
                "rely on the permutation p."
            )
    return out


def _untested(results: pd.DataFrame, names: Names) -> list[str]:
    """A sentence for each reason why rows have no p: how many of what, where, or the one row by name."""
    out = []
    untested = results[results["p"].isna() & (results["note"] != "")]
    for note, rows in untested.groupby("note", sort=True):
        which = _named(rows, names)
        known, _, why = str(note).partition(": ")
        opening = OPENINGS.get(known, "Not tested")
        reason = labels.full_stop(names.in_text(why if known in OPENINGS else str(note)))
        out.append(f"{opening}: {which}. {reason}")
    return out


def _named(rows: pd.DataFrame, names: Names, most: int = 3) -> str:
    """`CD14+ monocytes: CXCL10`, or `6,034 genes in CD14+ monocytes`."""
    if len(rows) == 1:
        (row,) = records(rows)
        return names.both(row["cell_type"], row["feature"], row["kind"])
    parts = []
    for kind, part in rows.groupby("kind", sort=True):
        what = labels.KINDS.get(str(kind), str(kind))
        types = [names.cell_type(name) for name in part["cell_type"].unique() if name]
        over = f" and {len(types) - most} more" if len(types) > most else ""
        where = f" in {', '.join(types[:most])}{over}" if types else ""
        parts.append(f"{len(part):,} × {small(what)}{where}")
    return "; ".join(parts)
