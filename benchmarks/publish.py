#!/usr/bin/env python3
"""Write docs/performance.md and its picture from measurements that were kept.

`publish.py 20k 100k` first keeps what `make bench` last measured at these sizes, in benchmarks/results; with
no size the page is made anew from what is there. The prose is in performance_template.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

from account import GIB, cells_of, markdown, side_by_side
from limits import exponents, limit
from make_cohort import SIZES
from overheads import STATES, outside

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks/results"
TEMPLATE = ROOT / "benchmarks/performance_template.md"
Result = Mapping[str, Any]
ALIKE = 1.3  # ratio of two machines' speeds up to which their times are compared


def keep(size: str, place: Path, results: Path) -> None:
    """Take over one measurement."""
    results.mkdir(exist_ok=True)
    (results / f"{size}.json").write_text((place / size / "bench.json").read_text())


def load(results: Path) -> tuple[list[Result], Result | None]:
    """The measurements by size, and that of the demo where there is one."""
    found = {size: results / f"{size}.json" for size in (*SIZES, "demo")}
    read = {size: json.loads(path.read_text()) for size, path in found.items() if path.exists()}
    demo = read.pop("demo", None)
    return list(read.values()), demo


def steps(result: Result) -> list[dict[str, Any]]:
    """The table by step."""
    return side_by_side(result["cartox"]["processes"], result.get("plain", {}).get("steps", []))


def in_all(measured: Sequence[Result]) -> str:
    """A row for each size."""
    lines = [["cells", "samples", "cartox: wall s", "CPU s", "GiB", "script: wall s", "CPU s", "GiB"]]
    lines[0] += ["wall ratio", "CPU ratio", "GiB ratio"]
    for result in measured:
        row = [f"{result['cohort']['cells']:,}", str(result["cohort"]["samples"])]
        for name in ("cartox", "plain"):
            own = result.get(name)
            figures = (own["wall"], own["cpu"], own["process_peak"] / GIB) if own else ()
            row += [f"{a:.0f}" for a in figures[:2]] + [f"{a:.2f}" for a in figures[2:]] if own else [""] * 3
        ratios = result.get("ratios", {})
        row += [f"{ratios[k]:.2f}" if k in ratios else "" for k in ("wall", "cpu", "process_peak")]
        lines.append(row)
    return markdown(lines)


def machines(measured: Sequence[Result]) -> str:
    """A line for each measurement: when, on what, of which code."""
    lines = []
    for result in measured:
        m = result["machine"]
        told = f"; {m['note']}" if m.get("note") else ""
        lines.append(
            f"- {result['size']}: {m['date']}, {m['cpu']}, {m['cores']} cores, {m['memory'] / GIB:.0f} GiB, "
            f"{m['gflops']:.0f} Gflop/s; load before it {m['load']}; commit `{m['commit']}`{told}"
        )
    packages = measured[-1]["machine"]["packages"]
    versions = ", ".join(f"{name} {version}" for name, version in packages.items())
    return "\n".join([*lines, "", f"The script's libraries: {versions}."])


def alike(a: Result, b: Result) -> bool:
    """Whether times were measured on machines of one name and about one speed, which may differ twofold."""
    if a["machine"]["cpu"] != b["machine"]["cpu"]:
        return False
    speeds = sorted(result["machine"]["gflops"] for result in (a, b))
    return speeds[1] < ALIKE * speeds[0]


def growth(measured: Sequence[Result]) -> str:
    """Exponents from 100,000 cells on, between each size and the next smaller one of a like machine.

    Where there is none, its neighbour in size stands there, and no exponent of times.
    """
    large = [result for result in measured if result["cohort"]["cells"] >= 100_000]
    if len(large) < 2:
        return "*Not measured yet: it takes two sizes from 100,000 cells on.*"
    pairs = [
        (next((a for a in reversed(large[:place]) if alike(a, b)), large[place - 1]), b)
        for place, b in enumerate(large)
        if place
    ]
    found = [exponents(steps(a), steps(b), b["cohort"]["cells"] / a["cohort"]["cells"]) for a, b in pairs]
    head = ["step"]
    for a, b in pairs:
        head += [f"{what}, {a['size']} to {b['size']}" for what in ("CPU time", "memory")]
    lines = [head]
    for name in found[-1]:
        row = [name]
        for pair, table in zip(pairs, found, strict=True):
            known = {"cpu": name in table and alike(*pair), "peak": name in table}
            row += [f"{table[name][key]:.2f}" if known[key] else "" for key in ("cpu", "peak")]
        lines.append(row)
    return markdown(lines)


def dominates(result: Result) -> str:
    """The steps that take most, at one size."""
    table = [row for row in steps(result) if "seconds" in row]
    total = sum(row["seconds"] for row in table)
    by_time = sorted(table, key=lambda row: -row["seconds"])[:3]
    by_peak = sorted(table, key=lambda row: -row["peak"])[:2]
    times = ", ".join(f"{row['step']} ({row['seconds'] / total:.0%})" for row in by_time)
    peaks = ", ".join(f"{row['step']} ({row['peak'] / GIB:.1f} GiB)" for row in by_peak)
    return f"At {result['cohort']['cells']:,} cells, of the tasks' seconds: {times}. Of memory: {peaks}."


def limits(measured: Sequence[Result]) -> str:
    """What the machine itself would need, by size."""
    lines = [["cells", "read GB", "written GB", "s to move them", "PCA Gflop", "exact kNN Gflop"]]
    lines[0] += ["s to compute both", "wall s"]
    for result in measured:
        own = limit(result)
        row = [f"{result['cohort']['cells']:,}", *(f"{own[k] / 1e9:.2f}" for k in ("read", "written"))]
        row += [f"{own['moving']:.1f}", *(f"{own[k] / 1e9:,.0f}" for k in ("pca", "knn"))]
        lines.append([*row, f"{own['computing']:.1f}", f"{result['cartox']['wall']:.0f}"])
    return markdown(lines)


def overheads(demo: Result | None) -> str:
    """What is not our computation, on the demo."""
    if demo is None:
        return "*Not measured yet.*"
    own = demo["cartox"]["overheads"]
    shares = ", ".join(f"{name} {own['wall'][name]:.0%}" for name in STATES)
    machine = demo["machine"]
    return (
        f"On the demo ({machine['date']}, {machine['cpu']}, {machine['cores']} cores): {shares}. "
        f"**Not our computation: {outside(own):.0%} of the wall.**"
    )


def many_patients(results: Path) -> str:
    """What ASSOCIATE took by patients and features."""
    path = results / "associate.json"
    if not path.exists():
        return "*Not measured yet.*"
    told = json.loads(path.read_text())
    lines = [["patients", "features tested", "wall s", "CPU s", "GiB"]]
    for row in told["rows"]:
        sizes = [f"{row['patients']:,}", f"{row['tested']:,}", f"{row['wall']:.0f}", f"{row['cpu']:.0f}"]
        lines.append([*sizes, f"{row['process_peak'] / GIB:.2f}"])
    m = told["machine"]
    return f"{markdown(lines)}\n\n{m['date']}, {m['cpu']}, {m['cores']} cores; commit `{m['commit']}`."


def page(measured: Sequence[Result], demo: Result | None, results: Path = RESULTS) -> str:
    """The whole page."""
    by_step = [f"### {r['cohort']['cells']:,} cells\n\n{markdown(cells_of(steps(r)))}" for r in measured]
    return Template(TEMPLATE.read_text()).substitute(
        in_all=in_all(measured),
        machines=machines(measured),
        by_step="\n\n".join(by_step),
        growth=growth(measured),
        dominates=dominates(measured[-1]),
        limits=limits(measured),
        overheads=overheads(demo),
        many_patients=many_patients(results),
    )


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sizes", nargs="*", metavar="SIZE", help="measurements to keep")
    parser.add_argument("--place", type=Path, default=ROOT / "results/bench", help="where they are")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--docs", type=Path, default=ROOT / "docs")
    args = parser.parse_args(argv)
    for size in args.sizes:
        keep(size, args.place, args.results)
    measured, demo = load(args.results)
    if not measured:
        parser.error(f"no measurement in {args.results}; name the size of one that `make bench` made")
    from growth_plot import draw

    (args.docs / "images").mkdir(parents=True, exist_ok=True)
    draw(measured, [steps(result) for result in measured], args.docs / "images/performance.svg")
    (args.docs / "performance.md").write_text(page(measured, demo, args.results))


if __name__ == "__main__":
    main()
