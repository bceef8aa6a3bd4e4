#!/usr/bin/env python3
"""FDR and power of cartox, a cell-level Wilcoxon test, PyDESeq2 and sctrial on the same simulated cohorts.

CD14+ monocytes at day 7 of the demo trial: half of the patients with toxicity, anakinra balanced over it, one
or two visits of each patient. Genes differ between patients, more so where the spread is strong; visits of a
patient share that. Null cohorts have no effect. In planted ones PLANTED genes, others in each cohort, move by
the scenario's fold, half up and half down. All methods are asked about the same genes: those that cartox
keeps by edgeR's filterByExpr. A call is q ≤ 0.05 of the method's own. Who cannot answer has no row.

    uv sync --group peers                      (pydeseq2 and sctrial, not installed by `make setup`)
    python benchmarks/calibration/peers.py

Writes into --out: peers.csv (a row per cohort and method) and peers_summary.csv (per scenario and method).
A cohort that peers.csv has is not made again, so a run that was cut short goes on.
peers_summary.csv beside this script is of `--nulls 16 --planted 8`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bin"))

from peer_methods import PEERS, Cohort, cartox

from cartox.demo.simulate import sample
from cartox.demo.trial import ACTIVE, TIMEPOINTS, Profiles, load_profiles, stream, trial
from cartox.genes import out_of_bounds
from cartox.labels import Labels
from cartox.matrices.matrix import CountMatrix
from cartox.signals.pathways import gather
from cartox.signals.pseudobulk import pseudobulk
from cartox.statistics.families import benjamini_hochberg

CELL_TYPE, STATE = "CD14_Mono", "activated"
EVERY = 3  # one gene in so many is kept, evenly over expression: PyDESeq2 and sctrial take long
PLANTED = 60
# Counts per 10,000 of a planted gene, as in the demo: frequent ones would move the share of all others.
LEVELS = (0.25, 12)
FDR = 0.05
METHODS = ["cartox", "cartox_p", *PEERS]


@dataclass(frozen=True)
class Scenario:
    """A kind of cohort.

    visits: samples of each patient. spread: times the demo's between patients. fold: log2, of planted genes.
    """

    patients: int
    visits: int = 1
    spread: float = 1.0
    fold: float = 0.8

    @property
    def name(self) -> str:
        """As in the tables: n12_visits1_spread1."""
        return f"n{self.patients}_visits{self.visits}_spread{self.spread:g}"


# With the strong spread a fold of 0.8 is found by nobody at this size: there it is larger.
STRONG = {"spread": 2.5, "fold": 1.6}
SCENARIOS = [Scenario(n) for n in (8, 12, 20, 32)]
SCENARIOS += [Scenario(12, 2), Scenario(12, **STRONG), Scenario(12, 2, **STRONG)]


def kept_genes(profiles: Profiles) -> np.ndarray:
    """Indices of the genes that the cohorts have: one in EVERY, by rank of expression in these cells."""
    return np.sort(np.argsort(-profiles.of(CELL_TYPE, STATE), kind="stable")[::EVERY])


def plan(profiles: Profiles, seed: int, fold: float) -> pd.DataFrame:
    """Effects in the form of assets/demo/effects.tsv: as many genes up as down."""
    means = profiles.of(CELL_TYPE, STATE)
    fit = (means >= LEVELS[0]) & (means <= LEVELS[1]) & ~out_of_bounds(profiles.genes)
    fit &= np.isin(np.arange(len(means)), kept_genes(profiles))
    chosen = stream(seed, 97).choice(np.flatnonzero(fit), PLANTED, replace=False)
    sign = np.where(np.arange(PLANTED) % 2, -1, 1)
    table = pd.DataFrame({"gene": profiles.genes[chosen], "log2fc": sign * fold})
    return table.assign(timepoint=ACTIVE, cell_type=CELL_TYPE, why="planted")


def draw(profiles: Profiles, scenario: Scenario, seed: int, null: bool, cells: int) -> Cohort:
    """A cohort of `cells` cells of the type in each sample."""
    effects = plan(profiles, seed, scenario.fold)
    own = Profiles(profiles.genes, profiles.gene_ids, profiles.dispersion, profiles.means, effects)
    people = trial(scenario.patients, seed)
    t = TIMEPOINTS.index(ACTIVE)
    kept = kept_genes(profiles)
    rows, blocks, bulks = [], [], {}
    for i, patient in enumerate(people["patient"]):
        for visit in range(scenario.visits):
            matrix, known = sample(
                own,
                people,
                i,
                t,
                cells,
                seed,
                null,
                False,
                spread=scenario.spread,
                visit=visit,
                only=CELL_TYPE,
            )
            matrix = CountMatrix(
                sparse.csr_matrix(matrix.counts[:, kept]),
                matrix.barcodes,
                matrix.genes[kept],
                matrix.gene_ids[kept],
            )
            text = [known[name].to_numpy(str) for name in ("barcode", "cell_type", "lineage")]
            name = f"{patient}_V{visit + 1}"
            rows.append((name, patient, f"V{visit + 1}", patient))
            blocks.append(matrix.counts)
            labels = Labels(*text, known["car"].to_numpy() == 1, np.full(len(known), ""))
            bulks[name] = pseudobulk(matrix, labels)
    samples = pd.DataFrame(rows, columns=["sample", "patient", "timepoint", "batch"])
    return Cohort(
        counts=sparse.csr_matrix(sparse.vstack(blocks)),
        sample=np.repeat(np.arange(len(rows)), [block.shape[0] for block in blocks]),
        genes=profiles.genes[kept],
        samples=samples,
        clinical=people[["patient", "toxicity", "anakinra"]],
        bulk=gather(bulks),
        cell_type=CELL_TYPE,
        planted=effects.set_index("gene")["log2fc"] * (not null),
    )


def judge(found: pd.DataFrame, planted: pd.Series) -> dict[str, int]:
    """Counts of one method in one cohort.

    found: estimate, p, q by gene. planted: log2 fold by gene, 0 where nothing is. tests: genes asked about;
    a gene without p or q is not called. false: called, and not planted. found: planted, and called.
    """
    truth = planted.reindex(found.index).fillna(0).to_numpy()
    called = (found["q"] <= FDR).to_numpy()
    wrong = np.sign(found["estimate"].to_numpy()) != np.sign(truth)
    return {
        "tests": len(found),
        "small_p": int((found["p"] < 0.05).sum()),
        "called": int(called.sum()),
        "false": int((called & (truth == 0)).sum()),
        "planted": int((truth != 0).sum()),
        "found": int((called & (truth != 0)).sum()),
        "wrong_sign": int((called & (truth != 0) & wrong).sum()),
    }


def compare(cohort: Cohort, peers: Sequence[str]) -> pd.DataFrame:
    """A row per method that can answer: what `judge` counts, and seconds.

    cartox has two: its own q, and Benjamini–Hochberg over the same p alone (cartox_p), as limma would.
    """
    started = time.monotonic()
    own = cartox(cohort)
    seconds = time.monotonic() - started
    plain = own.assign(q=benjamini_hochberg(own["p"].to_numpy()))
    rows = [
        {"method": name} | judge(table, cohort.planted) | {"seconds": seconds}
        for name, table in (("cartox", own), ("cartox_p", plain))
    ]
    for name in peers:
        if name == "sctrial" and cohort.repeated:
            continue
        started = time.monotonic()
        found = PEERS[name](cohort, own.index)
        rows.append({"method": name} | judge(found, cohort.planted) | {"seconds": time.monotonic() - started})
    return pd.DataFrame(rows)


def summary(cohorts: pd.DataFrame) -> pd.DataFrame:
    """By scenario and method: level and calls in null cohorts, FDR and power in planted ones.

    fpr: share of p < 0.05 among the tests of null cohorts. null_with_call: share of them with a call. fdr:
    mean over planted cohorts of the false among the called (0 where nothing is called). power: share of the
    planted genes called; wrong_sign: how many of those with the wrong sign.
    """
    rows = []
    for (scenario, method), part in cohorts.groupby(["scenario", "method"], sort=False):
        null, planted = part[part["null"] == 1], part[part["null"] == 0]
        rows.append(
            {
                "scenario": scenario,
                "method": method,
                "null_cohorts": len(null),
                "fpr": (null["small_p"] / null["tests"]).mean(),
                "null_with_call": (null["called"] > 0).mean(),
                "null_calls": null["called"].sum(),
                "planted_cohorts": len(planted),
                "called": planted["called"].sum(),
                "false": planted["false"].sum(),
                "fdr": (planted["false"] / planted["called"].clip(lower=1)).mean(),
                "power": planted["found"].sum() / planted["planted"].sum(),
                "wrong_sign": planted["wrong_sign"].sum(),
                "tests": part["tests"].mean(),
                "seconds": part["seconds"].median(),
            }
        )
    table = pd.DataFrame(rows)
    place = {name: i for i, name in enumerate([s.name for s in SCENARIOS] + METHODS)}
    return table.sort_values(["scenario", "method"], key=lambda column: column.map(place), ignore_index=True)


def markdown(table: pd.DataFrame) -> str:
    """The summary for people."""
    lines = [
        "| cohorts | method | null: p < 0.05 | null with a call | planted: FDR | power | wrong signs |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in table.to_dict("records"):
        calls = f"{row['null_with_call'] * row['null_cohorts']:.0f} of {row['null_cohorts']}"
        cells = [row["scenario"], row["method"], f"{row['fpr']:.3f}", calls, f"{row['fdr']:.3f}"]
        cells += [f"{row['power']:.2f}", f"{row['wrong_sign']:.0f} of {row['called'] - row['false']:.0f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def jobs(nulls: int, planted: int, first: int) -> list[tuple[int, int]]:
    """(null, seed) of each repetition, the two kinds evenly mixed. Planted cohorts are twins of null ones."""
    kinds = [((k + 0.5) / nulls, 1, first + k) for k in range(nulls)]
    kinds += [((k + 0.5) / planted, 0, first + k) for k in range(planted)]
    return [(null, seed) for _, null, seed in sorted(kinds)]


def run(
    done: pd.DataFrame, repetitions: Sequence[tuple[int, int]], cells: int, peers: Sequence[str]
) -> Iterator[pd.DataFrame]:
    """Rows of `compare` with scenario, null and seed, a cohort at a time, without those of `done`."""
    profiles = load_profiles(ROOT / "assets/demo")
    known = set(zip(done["scenario"], done["null"], done["seed"], strict=True))
    for null, seed in repetitions:
        for scenario in SCENARIOS:
            if (scenario.name, null, seed) not in known:
                rows = compare(draw(profiles, scenario, seed, bool(null), cells), peers)
                yield rows.assign(scenario=scenario.name, null=null, seed=seed)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nulls", type=int, default=20, help="null cohorts of each scenario")
    parser.add_argument("--planted", type=int, default=10, help="planted cohorts of each scenario")
    parser.add_argument("--cells", type=int, default=150, help="cells of a sample")
    parser.add_argument("--first", type=int, default=1, help="first seed")
    parser.add_argument("--peers", nargs="*", choices=list(PEERS), default=list(PEERS))
    parser.add_argument("--out", type=Path, default=Path("results/calibration"))
    parser.add_argument("--markdown", action="store_true", help="print the summary as a Markdown table")
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "peers.csv"
    cohorts = pd.read_csv(path) if path.is_file() else pd.DataFrame(columns=["scenario", "null", "seed"])
    repetitions = jobs(args.nulls, args.planted, args.first)
    for rows in run(cohorts, repetitions, args.cells, args.peers):
        cohorts = pd.concat([cohorts, rows], ignore_index=True) if len(cohorts) else rows
        cohorts.to_csv(path, index=False, float_format="%.4g")
        print(*rows[["scenario", "null", "seed"]].iloc[0], file=sys.stderr, flush=True)
    asked = pd.MultiIndex.from_frame(cohorts[["null", "seed"]]).isin(repetitions)
    table = summary(cohorts[asked])
    table.to_csv(args.out / "peers_summary.csv", index=False, float_format="%.4g")
    print(markdown(table) if args.markdown else table.to_string(index=False, float_format="%.3f"))


if __name__ == "__main__":
    main()
