#!/usr/bin/env python3
"""Calibration over many simulated trials: null twins and planted cohorts, true labels, from PSEUDOBULK on.

Each cohort goes through PSEUDOBULK, LIGREC, PATHWAYS, FEATURES and ASSOCIATE as the pipeline runs them.
Writes into --out: cohorts.csv (a row per cohort, contrast and family) and summary.csv (a row per family), and
prints the summary. A called feature is false where `cartox.demo.truth.touched` says that nothing planted
reaches it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bin"))

import associate
import features
import ligrec
import ligrec_resource
import pathways
import pseudobulk
from cartox.cells import annotation_summary
from cartox.contrasts import Contrast
from cartox.demo import trial as demo_trial
from cartox.demo import truth as demo_truth
from cartox.demo.simulate import sample
from cartox.matrices.matrix import write_h5
from cartox.signals import gene_sets

SETS = ["hallmark", "reactome", "progeny", "cytosig"]
# Besides the demo's own questions, both estimands of repeated visits. Nothing is planted at baseline, so what
# differs at day 7 differs in the mean of both visits and in the change.
BLOOD = ["baseline", "D7"]
REPEATED = {
    "tox_visits": {"where": {"timepoint": BLOOD}},
    "tox_change": {"where": {"timepoint": BLOOD}, "level": "change", "baseline": "baseline"},
}
INPUTS = ["features.parquet", "pathway_scores.parquet", "pseudobulk.h5ad"]


@contextlib.contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Work in a folder, as a step does, and come back."""
    before = Path.cwd()
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def questions() -> list[Contrast]:
    """The demo's contrasts, and those of repeated visits with day 7's declared features."""
    own = {asked["id"]: asked for asked in yaml.safe_load(demo_truth.contrasts())}
    for asked in own.values():
        asked["where"] = {column: [value] for column, value in asked["where"].items()}
    own |= {name: own["tox_day7"] | {"id": name} | change for name, change in REPEATED.items()}
    return [Contrast(**asked) for asked in own.values()]


def truth(profiles: demo_trial.Profiles, null: bool) -> pd.DataFrame:
    """What is true of each of the questions, as `cartox.demo.truth.truth`."""
    table = demo_truth.truth(profiles, null=null)
    late = table[table["contrast"] == "tox_day7"]
    return pd.concat([table, *(late.assign(contrast=name) for name in REPEATED)], ignore_index=True)


def prepare(folder: Path, seed: int, null: bool, patients: int, cells: int) -> None:
    """Simulate one cohort and run the steps before ASSOCIATE; a folder that has their products is kept."""
    if all((folder / name).is_file() for name in INPUTS):
        return
    profiles = demo_trial.load_profiles(ROOT / "assets/demo")
    people = demo_trial.trial(patients, seed)
    with inside(folder):
        ligrec_resource.main([])
        rows, states = [], []
        for i, patient in enumerate(people["patient"]):
            for t, timepoint in enumerate(demo_trial.TIMEPOINTS):
                matrix, known = sample(profiles, people, i, t, cells, seed, null, False)
                name = f"{patient}_{timepoint}"
                rows.append((name, patient, timepoint, f"L{i + 1:02d}"))
                labels = known.rename(columns={"state": "cell_state"})
                labels[["barcode", "cell_type", "lineage", "car"]].to_csv("labels.csv", index=False)
                states.append(annotation_summary.states(labels.assign(sample=name)))
                write_h5("counts.h5", matrix)
                given = ["--sample", name, "--counts", "counts.h5", "--labels", "labels.csv"]
                pseudobulk.main(given)
        pairs = ["--resource", "lr_resource.csv", "--car_features", demo_trial.CAR]
        ligrec.main(["--expression", *sorted(map(str, Path().glob("*.expression.npz"))), *pairs])
        pd.concat(states).to_csv("states.csv", index=False)
        sheet = pd.DataFrame(rows, columns=["sample", "patient", "timepoint", "batch"])
        sheet.sort_values("sample").to_csv("samples.csv", index=False)
        people[[c for c in people if not str(c).startswith("_")]].to_csv("clinical.csv", index=False)
        serum = demo_trial.serum(people, seed, null)
        serum["censored"] = np.where(serum["value"].str.startswith("<"), "left", "")
        serum["value"] = serum["value"].str.removeprefix("<")
        serum.drop(columns="lloq").to_csv("analytes.csv", index=False)
        asked = questions()
        for contrast in asked:
            contrast.write(Path())
        truth(profiles, null).to_csv("truth.csv", index=False)
        gather([contrast.id for contrast in asked])


def gather(asked: list[str]) -> None:
    """PATHWAYS and FEATURES of the samples whose files are in the working folder, for these contrasts."""

    def files(pattern: str) -> list[str]:
        return sorted(map(str, Path().glob(pattern)))

    car = ["--car_features", demo_trial.CAR]
    sheets = ["--samples", "samples.csv", "--clinical", "clinical.csv"]
    contrasts = [f"{name}.json" for name in asked]
    pathways.main([*sheets, "--pseudobulk", *files("*.pseudobulk.h5"), "--contrasts", *contrasts, *car])
    tables = [
        "--composition",
        *files("*.composition.csv"),
        "states.csv",
        "--ligrec",
        *files("*.ligrec.csv.gz"),
    ]
    features.main(["--samples", "samples.csv", *tables, "--pathways", "pathway_scores.parquet", *car])


def test(name: str, fdr: float = 0.05) -> pd.DataFrame:
    """Run ASSOCIATE on one contrast of the working folder: its rows."""
    given = ["--features", INPUTS[0], "--pathway_scores", INPUTS[1], "--pseudobulk", INPUTS[2]]
    given += ["--samples", "samples.csv", "--clinical", "clinical.csv", "--analytes", "analytes.csv"]
    associate.main([f"--contrast={name}.json", *given, f"--fdr={fdr}"])
    return pd.read_csv(f"{name}.associations.csv", low_memory=False)


def examine(folder: Path, fdr: float = 0.05) -> pd.DataFrame:
    """Run ASSOCIATE on all questions of a prepared cohort: `judge` of its rows."""
    with inside(folder):
        tables = [test(contrast.id, fdr) for contrast in questions()]
        truth = pd.read_csv("truth.csv", keep_default_na=False)
    return judge(pd.concat(tables, ignore_index=True), truth, fdr)


def judge(rows: pd.DataFrame, truth: pd.DataFrame, fdr: float = 0.05) -> pd.DataFrame:
    """What the truth says of the rows of associations.csv: a row per contrast and family.

    tests, p, p_permutation (how many below 0.05), called, untouched (called, and false), right (declared and
    called with the planted sign; of `declared`), opposite (called with the sign opposite to the planted one;
    of `signed`, the called ones whose sign the truth knows).
    """
    net = gene_sets.load(SETS, ROOT / "assets/gene_sets")
    members = {str(name): set(part["target"]) for name, part in net.groupby("source")}
    rows = rows[rows["p"].notna()].copy()
    key = ["contrast", "kind", "cell_type", "feature"]
    signs = dict(zip(truth[key].itertuples(index=False, name=None), truth["direction"], strict=True))
    keys = rows[key].fillna("").itertuples(index=False, name=None)
    planted = np.array([signs.get(name, 0) for name in keys])
    rows["called"] = rows["q"] <= fdr
    rows["untouched"] = False
    called = rows["called"].to_numpy()
    rows.loc[called, "untouched"] = ~demo_truth.touched(rows[called], truth, members)
    primary = (rows["family"] == "primary").to_numpy()
    rows["declared"] = primary & (planted != 0)
    rows["right"] = rows["declared"] & called & (np.sign(rows["estimate"]) == planted)
    rows["signed"] = called & (planted != 0)
    rows["opposite"] = rows["signed"] & (np.sign(rows["estimate"]) == -planted)
    rows["p"], rows["p_permutation"] = rows["p"] < 0.05, rows["p_permutation"] <= 0.05
    sums = ["p", "p_permutation", "called", "untouched", "declared", "right", "signed", "opposite"]
    made = rows.groupby(["contrast", "family"])[sums].sum().astype(int)
    made.insert(0, "tests", rows.groupby(["contrast", "family"]).size())
    return made.reset_index()


def summary(cohorts: pd.DataFrame) -> pd.DataFrame:
    """By null or planted and family: mean shares of small p, cohorts with a call, calls and false ones."""
    rows = []
    for (null, family), part in cohorts.groupby(["null", "family"], sort=True):
        sums = part.groupby("seed")[["tests", "p", "p_permutation", "called", "untouched"]].sum()
        rows.append(
            {
                "null": null,
                "family": family,
                "cohorts": len(sums),
                "tests": sums["tests"].mean(),
                "share_p": (sums["p"] / sums["tests"]).mean(),
                "share_p_permutation": (sums["p_permutation"] / sums["tests"]).mean(),
                "cohorts_with_a_call": (sums["called"] > 0).sum(),
                "called": sums["called"].sum(),
                "untouched": sums["untouched"].sum(),
                "declared": part["declared"].sum(),
                "right": part["right"].sum(),
                "signed": part["signed"].sum(),
                "opposite": part["opposite"].sum(),
            }
        )
    return pd.DataFrame(rows)


def one(folder: Path, seed: int, null: bool, patients: int, cells: int) -> pd.DataFrame:
    """Rows of `examine` for one cohort, with columns null and seed."""
    started = time.monotonic()
    prepare(folder, seed, null, patients, cells)
    made = examine(folder).assign(null=int(null), seed=seed)
    print(f"{folder.name}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    return made


def run(
    work: Path, nulls: int, planted: int, patients: int, cells: int, first: int, jobs: int = 1
) -> pd.DataFrame:
    """Rows of `one` for cohorts of consecutive seeds, `jobs` at a time."""
    asked = [
        (work / f"{'null' if null else 'planted'}_{patients}_{cells}_{seed}", seed, null, patients, cells)
        for null, count in ((True, nulls), (False, planted))
        for seed in range(first, first + count)
    ]
    if jobs == 1:
        return pd.concat([one(*cohort) for cohort in asked], ignore_index=True)
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        return pd.concat(pool.map(one, *zip(*asked, strict=True)), ignore_index=True)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nulls", type=int, default=20, help="null cohorts")
    parser.add_argument("--planted", type=int, default=8, help="planted cohorts")
    parser.add_argument("--patients", type=int, default=12)
    parser.add_argument("--cells", type=int, default=300, help="cells of a sample")
    parser.add_argument("--first", type=int, default=101, help="first seed")
    parser.add_argument("--jobs", type=int, default=1, help="cohorts at a time")
    parser.add_argument("--out", type=Path, default=Path("results/trials"))
    parser.add_argument("--work", type=Path, help="keep cohorts here, and reuse those that are there")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        work = args.work.resolve() if args.work else Path(folder)
        cohorts = run(work, args.nulls, args.planted, args.patients, args.cells, args.first, args.jobs)
    cohorts.to_csv(args.out / "cohorts.csv", index=False)
    table = summary(cohorts)
    table.to_csv(args.out / "summary.csv", index=False, float_format="%.4g")
    print(table.to_string(index=False, float_format="%.3f"))


if __name__ == "__main__":
    main()
