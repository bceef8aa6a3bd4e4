"""From the pipeline's trace and the script's steps to tables by step, and their ratios."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

# what stands beside what: name, the pipeline's processes, the script's steps
GROUPS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("imports", (), ("imports",)),
    ("read and QC", ("CHECK_INPUTS", "QC"), ("read and QC",)),
    ("ambient RNA", ("AMBIENT",), ()),
    ("doublets", ("DOUBLETS",), ("doublets",)),
    ("merge, HVG, PCA", ("MERGE",), ("merge, HVG, PCA",)),
    ("Harmony", ("HARMONY",), ("Harmony",)),
    ("neighbours, UMAP, Leiden", ("CLUSTER", "LAYOUT"), ("neighbours, UMAP, Leiden",)),
    ("integration judged", ("INTEGRATION",), ()),
    ("markers of clusters", ("CLUSTER_MARKERS",), ("markers of clusters",)),
    ("annotation, CAR", ("ANNOTATE",), ("annotation",)),
    ("pseudobulk, pathways", ("PSEUDOBULK", "PATHWAYS"), ("pseudobulk and pathways",)),
    ("ligand-receptor", ("LIGREC_RESOURCE", "LIGREC", "LIGREC_RANK"), ("ligand-receptor",)),
    ("tests", ("FEATURES", "ASSOCIATE", "CORRELATE"), ("tests",)),
    ("h5ad", ("COHORT",), ("h5ad",)),
    ("report, figures", ("REPORT",), ("figures",)),
)
SUMS = ("seconds", "cpu", "read", "written")
GIB = 2**30


def read_tasks(trace: Path, folders: Mapping[str, int]) -> pd.DataFrame:
    """A row for each task of a raw trace, in seconds and bytes.

    The engine looks at a task's memory once a second at best, and never for some short ones; so the peak is
    the larger of its figure and that of the process that measure.py saw in the task's folder.
    """
    raw = pd.read_csv(trace, sep="\t", na_values="-")
    seen = raw["workdir"].map(dict(folders)).fillna(0)
    seconds = raw["realtime"].fillna(0) / 1000
    return pd.DataFrame(
        {
            "process": raw["name"].str.split(" ").str[0].str.split(":").str[-1],
            "seconds": seconds,
            "duration": raw["duration"].fillna(0) / 1000,
            "cpu": seconds * raw["%cpu"].fillna(0) / 100,
            "peak": raw["peak_rss"].fillna(0).clip(lower=seen),
            "read": raw["rchar"].fillna(0),
            "written": raw["wchar"].fillna(0),
            "submit": raw["submit"] / 1000,
            "complete": raw["complete"] / 1000,
            "folder": raw["workdir"],
        }
    )


def by_process(tasks: pd.DataFrame) -> list[dict[str, Any]]:
    """A row for each process, in the order in which they first began."""
    rows = []
    for name, own in tasks.sort_values("submit").groupby("process", sort=False):
        row: dict[str, Any] = {"process": name, "tasks": len(own), "longest": round(own["seconds"].max(), 2)}
        row |= {key: round(float(own[key].sum()), 2) for key in SUMS}
        rows.append({**row, "peak": int(own["peak"].max())})
    return rows


def side_by_side(
    processes: Sequence[dict[str, Any]], steps: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """A row for each group of steps; a process that no group has gets its own row."""
    grouped = {process for _, own, _ in GROUPS for process in own}
    others = [(row["process"], (row["process"],), ()) for row in processes if row["process"] not in grouped]
    table = []
    for name, own, theirs in (*GROUPS, *others):
        mine = [row for row in processes if row["process"] in own]
        plain = [row for row in steps if row["step"] in theirs]
        if not mine and not plain:
            continue
        row: dict[str, Any] = {"step": name}
        if mine:
            row |= {"tasks": sum(r["tasks"] for r in mine), "longest": max(r["longest"] for r in mine)}
            row |= {key: sum(r[key] for r in mine) for key in SUMS} | {"peak": max(r["peak"] for r in mine)}
        if plain:
            row |= {f"plain_{key}": sum(r[key] for r in plain) for key in ("seconds", "cpu")}
            row["plain_peak"] = max(r["peak"] for r in plain)
        if mine and plain:
            row |= {f"ratio_{key}": row[key] / max(row[f"plain_{key}"], 0.01) for key in ("cpu", "peak")}
        table.append(row)
    return table


def ratios(cartox: Mapping[str, Any], plain: Mapping[str, Any]) -> dict[str, float]:
    """Cartox over the script: wall, CPU, the largest process, and all that was resident at one time."""
    return {key: round(cartox[key] / plain[key], 3) for key in ("wall", "cpu", "process_peak", "tree_peak")}


COLUMNS = (
    # title, key, factor, format
    ("tasks", "tasks", 1, "{:.0f}"),
    ("sum s", "seconds", 1, "{:.1f}"),
    ("longest s", "longest", 1, "{:.1f}"),
    ("CPU s", "cpu", 1, "{:.1f}"),
    ("peak GiB", "peak", GIB, "{:.2f}"),
    ("script s", "plain_seconds", 1, "{:.1f}"),
    ("script CPU s", "plain_cpu", 1, "{:.1f}"),
    ("script GiB", "plain_peak", GIB, "{:.2f}"),
    ("CPU ratio", "ratio_cpu", 1, "{:.2f}"),
    ("peak ratio", "ratio_peak", 1, "{:.2f}"),
)


def cells_of(table: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """The table as text, its head first; columns in which nothing stands are left out."""
    columns = [column for column in COLUMNS if any(column[1] in row for row in table)]
    lines = [["step", *(title for title, *_ in columns)]]
    for row in table:
        values = [form.format(row[key] / by) if key in row else "" for _, key, by, form in columns]
        lines.append([row["step"], *values])
    return lines


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """The text in columns for a terminal."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rows = []
    for first, *rest in lines:
        padded = (value.rjust(width) for value, width in zip(rest, widths[1:], strict=True))
        rows.append("  ".join([first.ljust(widths[0]), *padded]).rstrip())
    return "\n".join(rows)


def markdown(lines: Sequence[Sequence[str]]) -> str:
    """The text as a table of a page."""
    head, *rows = lines
    rule = ["---", *["--:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *rows))
