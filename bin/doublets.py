#!/usr/bin/env python3
"""Doublets of one group of samples that shared a lane, by Scrublet (Wolock 2019).

The samples of a group are scored together, on the genes that all of them have, because a doublet's two
cells may come from different samples of its lane. How many doublets there are is estimated from the two modes
of simulated doublets: those called above the threshold that parts them, over the share of simulated ones that
lie above it. As many cells with the highest scores are called. Where there are no two modes, or the threshold
is not plausible, the share expected of the lane is called and the note says so.

Writes GROUP.doublets.csv.gz (sample, barcode, doublet_score, predicted_doublet) and GROUP.doublets.json.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from scipy.special import expit, logit

from cartox import arguments, cells, cli
from cartox.given_thresholds import read_thresholds
from cartox.matrix import read_h5

HEADER = ("sample", "barcode", "doublet_score", "predicted_doublet")
# Below this the neighbours of a simulated doublet say nothing.
MIN_CELLS = 50
N_PCS = 30
# 10x loads so that about 0.8 % of the droplets with a cell hold two per 1,000 cells recovered.
RATE_PER_CELL = 0.008 / 1000
# Scrublet's prior rate; it scales the scores and leaves their order alone.
PRIOR_RATE = 0.06
# A threshold that calls this share and twice the expected rate besides, or more than any lane has, is wrong;
# one that misses nine of ten simulated doublets is noise.
SPARE_RATE = 0.05
MAX_RATE = 0.25
MIN_DETECTABLE = 0.1
# Simulated doublets of one sample that are enough to place the threshold by.
MIN_WITHIN = 100


def main(argv: Sequence[str] | None = None) -> None:
    """Score the group's cells, call doublets, and write scores and account."""
    parser = cli.parser(__doc__)
    parser.add_argument("--group", required=True)
    parser.add_argument("--counts", required=True, nargs="+", type=Path, help="<sample>.h5 of the group")
    parser.add_argument("--doublet_method", choices=["scrublet", "none"], default="scrublet")
    parser.add_argument("--doublet_thresholds", type=Path, help="table (group,threshold) that overrides")
    parser.add_argument("--seed", type=arguments.seed, default=0)
    args = parser.parse_args(argv)

    own = read_thresholds(args.doublet_thresholds).get(args.group) if args.doublet_thresholds else None
    files = cells.by_sample(args.counts, ".h5")
    matrices = {sample: read_h5(path) for sample, path in files.items()}
    keys = [(sample, barcode) for sample, matrix in matrices.items() for barcode in matrix.barcodes]
    n = len(keys)
    account = {
        "group": args.group,
        "samples": list(matrices),
        "n_cells": n,
        "n_doublets": 0,
        "threshold": None,
        "method": "none",
        "estimated_rate": None,
        "note": "",
        "histogram": None,
    }
    score, called = np.full(n, np.nan), np.zeros(n, dtype=bool)
    if args.doublet_method == "none":
        account["note"] = "doublets were not looked for (--doublet_method none)"
    elif n < MIN_CELLS:
        account["note"] = f"{n} cells: too few to score doublets (at least {MIN_CELLS}); none removed"
    else:
        shared = reduce(
            lambda kept, m: kept & set(m.genes), matrices.values(), set(matrices[keys[0][0]].genes)
        )
        genes = [gene for gene in matrices[keys[0][0]].genes if gene in shared]
        counts = sparse.vstack([cells.with_genes(m, genes).counts for m in matrices.values()], format="csr")
        matrices.clear()
        sample = np.array([sample for sample, _ in keys])
        score, called = scrublet_calls(sparse.csr_matrix(counts), sample, args.seed, own, account)
    account["n_doublets"] = int(called.sum())
    text = ["" if np.isnan(s) else f"{s:.6g}" for s in score]
    rows = ((*key, s, int(c)) for key, s, c in zip(keys, text, called, strict=True))
    cells.write_csv_gz(f"{args.group}.doublets.csv.gz", HEADER, rows)
    Path(f"{args.group}.doublets.json").write_text(json.dumps(account, indent=1, allow_nan=False) + "\n")


def scrublet_calls(
    counts: sparse.csr_matrix, sample: np.ndarray, seed: int, own: float | None, account: dict
) -> tuple[np.ndarray, np.ndarray]:
    """Scores (0 to 1) and calls of each cell; threshold, method, note and histogram go into the account.

    sample: of each cell. Cells are scored against doublets simulated from any two cells, but the threshold is
    placed by those of one sample: whoever parts the samples of a lane by tags or genotypes takes most of the
    others out, and two samples of a lane are easier to tell apart than two cells of one.
    Scrublet runs on log counts without centring or scaling of genes: nothing is densified, and on demuxlet's
    doublets (Kang 2018) its AUROC is 0.91 against 0.83 with its defaults. Neighbours are exact, because
    approximate ones depend on the number of CPUs.
    """
    import scrublet

    cells.one_thread()
    n = len(counts.indptr) - 1
    model = scrublet.Scrublet(counts, expected_doublet_rate=PRIOR_RATE, random_state=seed)
    try:
        score, predicted = model.scrub_doublets(
            use_approx_neighbors=False,
            log_transform=True,
            mean_center=False,
            normalize_variance=False,
            n_prin_comps=min(N_PCS, n // 2),
            verbose=False,
        )
    except (ValueError, IndexError, np.linalg.LinAlgError) as error:
        account["note"] = f"Scrublet could not score this group ({error}); none removed"
        return np.full(n, np.nan), np.zeros(n, dtype=bool)
    parents: Any = model.doublet_parents_
    within = sample[parents[:, 0]] == sample[parents[:, 1]]
    simulated = model.doublet_scores_sim_
    simulated = simulated[within] if within.sum() >= MIN_WITHIN else simulated
    account["method"] = "scrublet"
    if own is not None:
        threshold, account["note"] = own, "threshold given by the user"
    elif reason := implausible(predicted is not None, score, simulated, split := parting(simulated)):
        rate = min(RATE_PER_CELL * n, MAX_RATE)
        threshold = float(np.quantile(score, 1 - rate))
        account["method"] = "expected rate"
        account["note"] = f"{reason}; the {100 * rate:.1f} % with the highest scores were called instead"
    else:
        rate = min(float(np.mean(score > split) / np.mean(simulated > split)), MAX_RATE)
        threshold = min(float(np.quantile(score, 1 - rate)), split)
        account["estimated_rate"] = float(f"{rate:.4g}")
    called = score > threshold
    account["threshold"] = float(f"{threshold:.6g}")
    account["histogram"] = histogram(score, simulated)
    return score, called


def parting(simulated: np.ndarray) -> float:
    """The score that parts simulated doublets into hidden and detectable ones (Otsu 1979, of logits).

    Scrublet's own search takes the histogram's last dip, which often lies too high: with doublets made from
    cells of three samples at 3 and 8 %, it found a third of them, and this split found half, as precisely.
    """
    from skimage.filters import threshold_otsu

    bounded = np.clip(simulated, 1e-6, 1 - 1e-6)
    return float(expit(threshold_otsu(logit(bounded))))


def implausible(two_modes: bool, score: np.ndarray, simulated: np.ndarray, threshold: float) -> str:
    """Why an automatic threshold cannot be used; empty where it can."""
    if not two_modes or np.ptp(simulated) == 0:
        return "scores of simulated doublets have no two modes"
    most = min(SPARE_RATE + 2 * RATE_PER_CELL * len(score), MAX_RATE)
    if (rate := float(np.mean(score > threshold))) > most:
        return f"the automatic threshold would call {100 * rate:.0f} % of the cells"
    if (share := float(np.mean(simulated > threshold))) < MIN_DETECTABLE:
        return f"the automatic threshold finds only {100 * share:.0f} % of simulated doublets"
    return ""


def histogram(score: np.ndarray, simulated: np.ndarray) -> dict:
    """Counts of observed cells and of simulated doublets in 50 equal bins of the score from 0 to 1."""
    edges = np.linspace(0, 1, 51)
    return {
        "edges": [round(float(edge), 2) for edge in edges],
        "observed": np.histogram(np.clip(score, 0, 1), edges)[0].tolist(),
        "simulated": np.histogram(np.clip(simulated, 0, 1), edges)[0].tolist(),
    }


if __name__ == "__main__":
    cli.run(main)
