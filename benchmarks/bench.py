#!/usr/bin/env python3
"""Measure cartox and the plain script on one cohort, in one call: wall, CPU, memory, by step and in all.

Writes results/bench/<size>/bench.json and prints the table. Sizes: 2k, 20k, 100k, 400k, 1M; or demo, the
trial of `make demo`, on which the share of the wall that is not our computation is measured instead.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
from account import GIB, aligned, by_process, cells_of, ratios, read_tasks, side_by_side
from machine import described
from make_cohort import SIZES, write_cohort
from measure import Account, measure
from overheads import PROBED, measured, told

ROOT = Path(__file__).resolve().parents[1]
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "bin"))
FILES = {"input": "samples.csv", "clinical": "patients.csv", "analytes": "serum.csv"}
FILES["contrasts"] = "contrasts.yml"


def make(size: str, cohort: Path, jobs: int) -> dict[str, Any]:
    """The cohort's numbers; makes it where it is not there yet."""
    facts = cohort / "cohort.json"
    if not facts.exists():
        print(f"bench: making the cohort in {cohort}", flush=True)
        if size == "demo":
            import simulate_cohort

            simulate_cohort.main(["--out", str(cohort)])
            made: dict[str, Any] = {}
        else:
            made = write_cohort(cohort, *SIZES[size], jobs)
        facts.write_text(json.dumps(made, indent=1) + "\n")
    return json.loads(facts.read_text())


def engine() -> str:
    """The engine that `make` installed, or the one on PATH."""
    own = ROOT / ".engine" / "nextflow"
    found = str(own) if own.exists() else shutil.which("nextflow")
    if not found:
        sys.exit("no engine: run `make setup` first")
    return found


def checked(name: str, account: Account, log: Path) -> Account:
    """The account, or the end of it all where the command failed."""
    if account.code:
        sys.exit(f"bench: {name} failed ({account.code}):\n{log.read_text()[-3000:]}")
    print(f"bench: {name} took {account.wall:.0f} s", flush=True)
    return account


def run_cartox(cohort: Path, place: Path, memory: str, probe: bool) -> dict[str, Any]:
    """What one run of the pipeline took, from nothing."""
    for folder in ("launch", "cartox"):
        shutil.rmtree(place / folder, ignore_errors=True)
    launch = place / "launch"
    launch.mkdir()
    command = [engine(), "-log", "nextflow.log", "run", ROOT, "-c", HERE / "bench.config", "-profile", "venv"]
    for flag, name in FILES.items():
        command += [f"--{flag}", cohort / name]
    command += ["--car_features", "FMC63-CD19SCFV", "--max_memory", memory, "--outdir", place / "cartox"]
    log = place / "cartox.log"
    with log.open("w") as output:
        account = measure([*command, "-ansi-log", "false"], launch, PROBED if probe else None, output)
    checked("cartox", account, log)
    tasks = read_tasks(place / "cartox/run/trace.tsv", account.folders)
    result = {key: value for key, value in asdict(account).items() if key not in ("code", "folders")}
    # the largest process may be the engine's Java; a task's is what needs a machine
    result |= {"tree_process_peak": account.process_peak, "process_peak": int(tasks["peak"].max())}
    result["engine_cpu"] = account.cpu - float(tasks["cpu"].sum())
    result |= {"tasks": len(tasks), "processes": by_process(tasks)}
    if probe:
        cores = len(os.sched_getaffinity(0))
        result["overheads"] = measured(tasks, account.wall, cores)
    return result


def run_plain(cohort: Path, place: Path) -> dict[str, Any]:
    """What the script took."""
    shutil.rmtree(place / "plain", ignore_errors=True)
    log, out = place / "plain.log", place / "plain"
    command = [sys.executable, HERE / "plain_script.py", "--cohort", cohort, "--out", out]
    with log.open("w") as output:
        account = checked("the plain script", measure(command, None, None, output), log)
    result = {key: value for key, value in asdict(account).items() if key not in ("code", "folders")}
    steps = json.loads((out / "steps.json").read_text())
    result["process_peak"] = max(account.process_peak, *(step["peak"] for step in steps))
    return {**result, "steps": steps}


def summary(result: dict[str, Any]) -> str:
    """The table by step, and in all."""
    cartox, plain = result["cartox"], result.get("plain")
    lines = [aligned(cells_of(side_by_side(cartox["processes"], plain["steps"] if plain else [])))]
    for name, account in (("cartox", cartox), ("plain script", plain)):
        if account:
            lines.append(
                f"{name:13} wall {account['wall']:.0f} s, CPU {account['cpu']:.0f} s, "
                f"largest process {account['process_peak'] / GIB:.2f} GiB, "
                f"all at one time {account['tree_peak'] / GIB:.2f} GiB"
            )
    if plain:
        shown = ", ".join(f"{key.replace('_', ' ')} {value:.2f}" for key, value in result["ratios"].items())
        lines.append(f"cartox / plain script: {shown}")
    if "overheads" in cartox:
        lines.append(told(cartox["overheads"]))
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=[*SIZES, "demo"], default="20k")
    parser.add_argument("--place", type=Path, default=ROOT / "results/bench", help="a folder, for all sizes")
    parser.add_argument("--plain", choices=["yes", "no"], default="yes", help="run the script too")
    parser.add_argument("--overheads", action="store_true", help="also what is not our computation")
    parser.add_argument(
        "--max_memory", help="of a task, such as '16.GB'; default: nine tenths of the machine"
    )
    parser.add_argument("--jobs", type=int, default=2, help="processes that make the cohort")
    parser.add_argument("--keep", action="store_true", help="keep the work folder and the results")
    args = parser.parse_args(argv)

    demo = args.size == "demo"
    place = args.place / args.size
    place.mkdir(parents=True, exist_ok=True)
    cohort = place.resolve() / "cohort"
    memory = args.max_memory or f"{int(psutil.virtual_memory().total / GIB * 0.9)}.GB"
    result: dict[str, Any] = {"size": args.size, "cohort": make(args.size, cohort, args.jobs)}
    result["machine"] = described(place)
    result["cartox"] = run_cartox(cohort, place.resolve(), memory, args.overheads or demo)
    if not args.keep:
        shutil.rmtree(place / "launch")
    if args.plain == "yes" and not demo:
        result["plain"] = run_plain(cohort, place.resolve())
        result["ratios"] = ratios(result["cartox"], result["plain"])
    if not args.keep:
        for folder in ("cartox", "plain"):
            shutil.rmtree(place / folder, ignore_errors=True)
    (place / "bench.json").write_text(json.dumps(result, indent=1) + "\n")
    print(summary(result))


if __name__ == "__main__":
    main()
