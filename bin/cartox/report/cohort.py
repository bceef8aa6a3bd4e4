"""Who gave what when, and what quality control made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cartox.report import doublets, labels, libraries, palette
from cartox.report.page import Chapter, Column, Section, bullets, esc, table

if TYPE_CHECKING:
    from cartox.report.inputs import Inputs

METRICS = (
    ("n_counts", "Counts per cell"),
    ("n_genes", "Genes per cell"),
    ("pct_mito", "Mitochondrial (%)"),
)


def cohort(inputs: Inputs) -> Chapter:
    """The grid of patients by time points: cells in each, missing and dropped samples visible."""
    content = grid(inputs)
    if inputs.remarks:
        content += "<h4>Remarks</h4>" + bullets([labels.full_stop(remark) for remark in inputs.remarks])
    about = "Cells that passed quality control, for each patient and time point."
    return Chapter("cohort", "Cohort", [Section("grid", "Patients and visits", content)], description=about)


def grid(inputs: Inputs) -> str:
    """The grid as a table: the clinical columns that a contrast uses, then the time points."""
    times = labels.timepoint_order(inputs.samples["timepoint"])
    qc = {q["sample"]: q for q in inputs.qc}
    columns = inputs.clinical_columns()
    clinical = inputs.clinical.set_index("patient")[columns].to_dict("index") if columns else {}
    most = max([q["n_kept"] for q in inputs.qc] + [1])
    given = inputs.samples.groupby(["patient", "timepoint"], sort=True)["sample"].agg(list).to_dict()
    kinds = inputs.kind_names()
    rows = []
    for patient in sorted(inputs.samples["patient"].unique()):
        row = {"patient": patient} | clinical.get(patient, {})
        for time in times:
            parts = [_visit(qc.get(s), most, s, kinds.get(s, "")) for s in given.get((patient, time), [])]
            row[f"t_{time}"] = "".join(parts) or '<span class="cx-missing">missing</span>'
            row[f"t_{time}_sort"] = (
                sum(qc[s]["n_kept"] for s in given.get((patient, time), []) if s in qc) or ""
            )
        rows.append(row)
    heads = [Column("patient", "Patient"), *(Column(c, c.replace("_", " ").capitalize()) for c in columns)]
    heads += [Column(f"t_{t}", t, "html") for t in times]
    return table(rows, heads, "Cells that passed quality control, by patient and time point")


def _visit(qc: dict | None, most: int, sample: str, kind: str) -> str:
    if qc is None:
        return ""
    which = f" <small>{esc(kind)}</small>" if kind else ""
    if qc["status"] == "dropped":
        return f'<span class="cx-dropped" title="{esc(sample)}">dropped{which}</span>'
    width = max(2, round(100 * qc["n_kept"] / most))
    flag = " ⚑" if qc["status"] == "flagged" else ""
    return (
        f'<span class="cx-bar" title="{esc(sample)}" style="--w:{width}%;--c:{palette.SKY}">'
        f"{qc['n_kept']:,}{flag}{which}</span>"
    )


def quality(inputs: Inputs) -> Chapter:
    """QC by sample: table, what was removed and why, distributions; then doublets."""
    sections = [Section("qc_table", "Samples", _qc_table(inputs)), _removed(inputs)]
    sections += libraries.sections(inputs)
    if len(inputs.qc_cells):
        sections.append(_distributions(inputs))
    if inputs.doublets:
        sections.append(Section("doublets", "Doublets", doublets.by_lane(inputs)))
    about = "Which cells were kept in each sample, and why the others were not."
    return Chapter("quality", "Quality control", sections, description=about)


def _qc_table(inputs: Inputs) -> str:
    rows = []
    for q in inputs.qc:
        medians = q.get("medians") or {}
        share = 100 * q["n_kept"] / q["n_barcodes"] if q["n_barcodes"] else None
        rows.append(
            {
                "sample": q["sample"],
                "status": {"ok": "kept", "flagged": "⚑ flagged", "dropped": "✕ dropped"}.get(
                    q["status"], q["status"]
                ),
                "barcodes": q["n_barcodes"],
                "cells": q["n_kept"],
                "share": share,
                "counts": medians.get("n_counts"),
                "genes": medians.get("n_genes"),
                "mito": medians.get("pct_mito"),
                "at_depth": q.get("genes_at_500"),
                "hb": medians.get("pct_hb"),
                "platelet": medians.get("pct_platelet"),
                "why": "; ".join(q["reasons"]),
            }
            | {metric: _limits(metric, *bounds) for metric, bounds in (q.get("thresholds") or {}).items()}
        )
    columns = (
        Column("sample", "Sample"),
        Column("status", "Status"),
        Column("barcodes", "Barcodes", "count"),
        Column("cells", "Cells kept", "count"),
        Column("share", "Kept (%)", "share"),
        Column("counts", "Median counts", "count"),
        Column("genes", "Median genes", "count"),
        Column("mito", "Median mito. (%)", "share"),
        Column("why", "Reasons", "long"),
        Column("n_counts", "Counts allowed", "tight"),
        Column("n_genes", "Genes allowed", "tight"),
        Column("pct_mito", "Mito. allowed (%)", "tight"),
        Column("at_depth", "Genes at 500 counts", "count"),
        Column("hb", "Median haemoglobin (%)", "share"),
        Column("platelet", "Median platelet (%)", "share"),
    )
    return table(rows, columns, "Quality control by sample", tall=True)


def _limits(metric: str, low: float | None, high: float | None) -> str:
    digits = 0 if metric.startswith("n_") else 1
    below = labels.number(float(low), digits) if low else ""
    above = "" if high is None else labels.number(float(high), digits)
    return f"{below}–{above}" if below and above else f"≥ {below}" if below else f"≤ {above}" if above else ""


def _removed(inputs: Inputs) -> Section:
    data = {q["sample"]: {"kept": q["n_kept"]} | dict(q.get("removed") or {}) for q in inputs.qc}
    reasons = list(dict.fromkeys(r for row in data.values() for r in row))
    reasons = ["kept", *sorted(r for r in reasons if r != "kept")]
    colours = palette.of_reasons(reasons)
    categories = {
        r: {"name": esc(labels.REASONS.get(r, r.replace("_", " "))), "color": colours[r]} for r in reasons
    }
    config = {"categories": categories, "pconfig": {"ylab": "Barcodes", "title": "Cells kept and removed"}}
    return Section("removed", "Removed, and why", data, "bargraph", config=config)


def _distributions(inputs: Inputs) -> Section:
    """Box plots of the kept cells' metrics, one tab per metric."""
    cells = inputs.qc_cells[inputs.qc_cells["kept"] == 1]
    data, tabs = [], []
    for metric, name in METRICS:
        if not cells[metric].notna().any():
            continue
        data.append(
            {s: _five(part[metric].dropna().tolist()) for s, part in cells.groupby("sample", sort=True)}
        )
        tabs.append({"name": name, "ylab": name})
    config = {"pconfig": {"title": "Cells that were kept", "data_labels": tabs, "sort_samples": False}}
    about = "Kept cells of each sample; the box holds the middle half."
    return Section("distributions", "Distributions", data, "box", about, config)


def _five(values: list[float]) -> list[float]:
    """At most 201 quantiles of the values: the same box from far less data."""
    import numpy as np

    if len(values) <= 201:
        return [round(v, 3) for v in values]
    return [round(float(v), 3) for v in np.quantile(values, np.linspace(0, 1, 201))]
