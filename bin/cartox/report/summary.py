"""What a user wants to know when a run ends, in a few lines: numbers and questions, no sample by name."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from cartox.report import doublets, labels

if TYPE_CHECKING:
    import pandas as pd

    from cartox.report.inputs import Inputs

WIDTH = 11


def text(inputs: Inputs) -> str:
    """The lines, each with its subject in front."""
    lines = [("samples", samples(inputs)), ("cells", cells(inputs))]
    lines += [("findings" if i == 0 else "", line) for i, line in enumerate(findings(inputs))]
    if remarks := len(inputs.remarks):
        lines.append(("warnings", f"{remarks}, told in the report"))
    return "".join(f"{name:<{WIDTH}}{line}\n" for name, line in lines)


def samples(inputs: Inputs) -> str:
    """How many samples came in, and what became of them."""
    status = Counter(q["status"] for q in inputs.qc)
    patients = labels.plural(len(set(inputs.samples["patient"])), "patient")
    kept = len(inputs.qc) - status["dropped"]
    fate = f"{kept} kept ({status['flagged']} flagged), {status['dropped']} dropped"
    return f"{len(inputs.samples)} of {patients}: {fate}"


def cells(inputs: Inputs) -> str:
    """Barcodes, cells that passed, and those that are left without doublets."""
    passed, seen = inputs.passed
    told = f"{passed:,} of {seen:,} barcodes passed quality control"
    return f"{told}; {doublets.left(inputs)}" if len(inputs.cells) else told


def findings(inputs: Inputs) -> list[str]:
    """A line for each question: what stands out of what was tested."""
    if not inputs.contrasts:
        return ["nothing was asked (--contrasts)"]
    level = f"q ≤ {inputs.fdr:g}"
    out = []
    for key in inputs.contrasts:
        rows = inputs.associations[inputs.associations["contrast"] == key]
        declared = rows["family"] == "primary"
        parts = [
            f"{counted(part, inputs.fdr)} {what}"
            for part, what in ((rows[declared], "declared"), (rows[~declared], "others"))
            if part["q"].notna().any()
        ]
        out.append(f"{key}: {', '.join(parts)} with {level}" if parts else f"{key}: nothing could be tested")
    return out


def counted(rows: pd.DataFrame, fdr: float) -> str:
    """`3 of 41`: features called, of those tested."""
    tested = rows["q"].dropna()
    return f"{int((tested <= fdr).sum()):,} of {len(tested):,}"
