"""Communication programmes: ligand–receptor scores of a stratum's samples as a tensor, and its factors.

Tensor-cell2cell (Armingol 2022, doi:10.1038/s41467-022-31369-2): samples × pairs × senders × receivers are
taken apart into a few non-negative factors, each a set of pairs between some senders and some receivers, with
a loading for every sample. The outcome is not looked at, so the loadings can be tested like any feature.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

from cartox.cli import InputError

KEY = ["sample", "source", "target", "ligand", "receptor"]
MODES = ["sample", "pair", "sender", "receiver"]

# A cell type or a pair is used where at least this share of the samples has it; a sample, where it has this
# share of the cell types.
SHARE = 0.5
MIN_SAMPLES, MIN_TYPES, MIN_PAIRS = 4, 2, 10
# Bounds time: a start then takes up to 25 s, or five minutes where entries are missing. Memory: 0.7 GB.
MAX_ENTRIES = 1_000_000
# A sample's loading is missing where its cell types carry less than this share of the factor.
COVERED = 0.5
# Mean similarity over seeds. As a product over four modes it is a congruence of 0.95 in each, from which on
# factors count as equal (Lorenzo-Seva & ten Berge 2006, doi:10.1027/1614-2241.2.2.57).
STABLE = 0.8
# Multiplicative updates are slow: cell2cell's defaults (100, 1e-6) stop before starts that meet have met.
N_ITER, TOLERANCE = 1000, 1e-8


@dataclass
class Tensor:
    """Scores of a stratum.

    data: samples × pairs × senders × receivers, 0 where both types are there and the pair is not expressed,
    missing where a type has too few cells in the sample. Senders and receivers are the same `types`.
    """

    samples: list[str]
    pairs: list[str]
    types: list[str]
    data: np.ndarray


@dataclass
class Run:
    """One factorisation.

    loadings: of samples, pairs, senders and receivers, each elements × rank. Columns have unit length; those
    of samples are missing where not covered. coverage: samples × rank. error: sum of squares left over.
    """

    loadings: list[np.ndarray]
    coverage: np.ndarray
    error: float
    converged: bool


def read(paths: Sequence[Path], samples: Sequence[str]) -> pd.DataFrame:
    """Tables of LIGREC as one: sample, source, target, ligand, receptor, lr_means.

    Raises:
        InputError: every fault: a missing column, a sample that the sheet does not name, a score that is
            missing or negative, a pair listed twice.
    """
    faults, parts = [], []
    for path in sorted(paths, key=lambda path: path.name):
        part = pd.read_csv(path, dtype=str, keep_default_na=False)
        if missing := [name for name in [*KEY, "lr_means"] if name not in part.columns]:
            faults.append(f"{path.name}: no column {' and no column '.join(missing)}")
            continue
        part = part[[*KEY, "lr_means"]].assign(lr_means=pd.to_numeric(part["lr_means"], errors="coerce"))
        if unknown := sorted(set(part["sample"]) - set(samples)):
            faults.append(f"{path.name}: the sheet has no sample {', '.join(unknown)}")
        if not (part["lr_means"] >= 0).all():
            faults.append(f"{path.name}: lr_means is negative or no number in some row")
        parts.append(part)
    if faults:
        raise InputError(faults)
    scores = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    if twice := sorted(set(scores.loc[scores[KEY].duplicated(), "sample"])):
        raise InputError(f"A pair is listed twice between the same cell types in {', '.join(twice)}")
    return scores.astype({"lr_means": float})


def build(scores: pd.DataFrame, members: Sequence[str], rank: int) -> tuple[Tensor | None, dict]:
    """The tensor of a stratum's samples, None where there is too little, and what was used and left out."""
    mine = scores[scores["sample"].isin(members)]
    sides = [mine[["sample", side]].set_axis(["sample", "type"], axis=1) for side in ("source", "target")]
    seen = pd.concat(sides).drop_duplicates()
    present = pd.crosstab(seen["sample"], seen["type"]).gt(0).reindex(sorted(members), fill_value=False)
    kept = _usable(present)
    samples, types = list(kept.index), list(kept.columns)
    mine = mine[mine["sample"].isin(samples) & mine["source"].isin(types) & mine["target"].isin(types)]
    mine = mine.assign(pair=mine["ligand"] + "^" + mine["receptor"])
    often = mine.groupby("pair")["sample"].nunique().loc[lambda n: n >= SHARE * len(samples)].index
    there = kept.to_numpy(dtype=float)
    room = max(MIN_PAIRS, rank, MAX_ENTRIES // max(1, len(samples) * len(types) ** 2))
    pairs = sorted(often)
    if len(pairs) > room:
        pairs = sorted(_most_varied(mine[mine["pair"].isin(often)], there.T @ there, types)[:room])
    about = {
        "samples": samples,
        "samples_left_out": {
            str(name): f"{int(row.reindex(types).sum())} of {len(types)} cell types"
            for name, row in present.iterrows()
            if name not in samples
        },
        "cell_types": types,
        "cell_types_left_out": [name for name in present.columns if name not in types],
        "n_pairs": len(pairs),
        "n_pairs_rare": int(mine["pair"].nunique()) - len(often),
        "n_pairs_over_limit": len(often) - len(pairs),
        "note": "",
    }
    for found, least, what in (
        (samples, MIN_SAMPLES, f"samples with {MIN_TYPES} or more and at least half of the cell types"),
        (pairs, MIN_PAIRS, "pairs in at least half of the samples"),
    ):
        if len(found) < max(least, rank):
            about["note"] = f"no tensor: {len(found)} {what}, at least {max(least, rank)} are needed"
            return None, about
    observed = kept.to_numpy()[:, None, :, None] & kept.to_numpy()[:, None, None, :]
    values = np.repeat(np.where(observed, 0.0, np.nan), len(pairs), axis=1)
    mine = mine[mine["pair"].isin(pairs)]
    place = [
        pd.Index(names).get_indexer(pd.Index(mine[column]))
        for names, column in ((samples, "sample"), (pairs, "pair"), (types, "source"), (types, "target"))
    ]
    values[tuple(place)] = mine["lr_means"]
    about["share_missing"] = float(1 - observed.mean())
    return Tensor(samples, pairs, types, values), about


def _usable(present: pd.DataFrame) -> pd.DataFrame:
    """Samples × cell types, so that each type is in half of the samples and each has half of the types."""
    while True:
        kept = present.loc[:, present.mean() >= SHARE]
        enough = (kept.sum(axis=1) >= MIN_TYPES) & (kept.mean(axis=1) >= SHARE)
        if enough.all():
            return kept
        present = present.loc[enough]


def _most_varied(scores: pd.DataFrame, together: np.ndarray, types: list[str]) -> list[str]:
    """Pairs by their variance between samples, summed over types, most first.

    together: types × types, samples that have both. A sample without a row has both types and a score of 0.
    """
    squares = scores.assign(square=scores["lr_means"] ** 2)
    sums = squares.groupby(["pair", "source", "target"])[["lr_means", "square"]].sum().reset_index()
    index = pd.Index(types)
    n = together[tuple(index.get_indexer(pd.Index(sums[side])) for side in ("source", "target"))]
    variance = (sums["square"] / n - (sums["lr_means"] / n) ** 2).groupby(sums["pair"]).sum()
    return list(variance.sort_index().sort_values(ascending=False, kind="stable").index)


def factorise(tensor: Tensor, rank: int, seed: int) -> Run:
    """Non-negative CP decomposition from a random start; missing entries are masked."""
    from cell2cell.tensor import PreBuiltTensor

    observed = ~np.isnan(tensor.data)
    names = [tensor.samples, tensor.pairs, tensor.types, tensor.types]
    mask = None if observed.all() else observed.astype(float)
    made: Any = PreBuiltTensor(tensor.data, order_names=names, order_labels=MODES, mask=mask)
    made.compute_tensor_factorization(
        rank=rank, init="random", random_state=seed, n_iter_max=N_ITER, tol=TOLERANCE
    )
    samples, *others = (made.factors[mode].to_numpy() for mode in MODES)
    # not made.explained_variance_, which compares a masked tensor with itself
    error = float(np.sum((made.tl_object.to_tensor() - tensor.data)[observed] ** 2))
    # what of a factor lies between cell types that the sample has: nothing speaks for the rest
    there = observed.any(axis=(1, 3)).astype(float)
    coverage = (there @ others[1] ** 2) * (there @ others[2] ** 2)
    samples = np.where(coverage >= COVERED, samples, np.nan)
    return Run([samples, *others], coverage, error, len(made.factorization_errors_) < N_ITER)


def similarity(first: Run, other: Run) -> np.ndarray:
    """Of each factor of `first`, its likeness (0–1) to its match in `other`.

    The product over the four modes of the cosine between loadings (factor match score: Acar 2011,
    doi:10.1002/cem.1335), matched so that the sum is largest.
    """
    product = np.ones((1, 1))
    for a, b in zip(first.loadings, other.loadings, strict=True):
        product = product * (_unit(a).T @ _unit(b))
    return product[linear_sum_assignment(-product)]


def _unit(loadings: np.ndarray) -> np.ndarray:
    """Columns of length one; what is missing, or a factor of nothing, is 0."""
    filled = np.nan_to_num(loadings)
    length = np.linalg.norm(filled, axis=0)
    return filled / np.where(length > 0, length, 1)


def stratum_factors(
    tensor: Tensor, rank: int, seeds: Sequence[int]
) -> tuple[pd.DataFrame, pd.DataFrame, dict]:
    """Factors of the best of several starts: rows of tensor.csv and tensor_loadings.csv, and a summary.

    `value` is the sample's loading over the root mean square of the factor's loadings. `stability` is the
    mean similarity to the factor's match from each other start.
    """
    runs = [factorise(tensor, rank, seed) for seed in seeds]
    best = min(range(len(runs)), key=lambda i: runs[i].error)
    chosen = runs[best]
    others = [similarity(chosen, run) for i, run in enumerate(runs) if i != best]
    stability = np.mean(others, axis=0)
    names = [f"factor_{i + 1}" for i in range(rank)]
    loading = chosen.loadings[0]
    size = np.sqrt(np.nansum(loading**2, axis=0) / np.maximum((~np.isnan(loading)).sum(axis=0), 1))
    value = loading / np.where(size > 0, size, 1)
    rows = pd.DataFrame(
        {
            "sample": tensor.samples * rank,
            "factor": np.repeat(names, len(tensor.samples)),
            "value": value.T.ravel(),
            "coverage": chosen.coverage.T.ravel(),
            "stability": np.repeat(stability, len(tensor.samples)),
            "stable": np.repeat((stability >= STABLE).astype(int), len(tensor.samples)),
        }
    )
    parts = []
    for mode, elements, of in zip(
        MODES[1:], (tensor.pairs, tensor.types, tensor.types), chosen.loadings[1:], strict=True
    ):
        for factor, column in zip(names, of.T, strict=True):
            part = pd.DataFrame({"factor": factor, "mode": mode, "name": elements, "loading": column})
            parts.append(part.sort_values(["loading", "name"], ascending=[False, True]))
    values = tensor.data[~np.isnan(tensor.data)]
    summary = {
        "explained_variance": float(1 - chosen.error / np.sum((values - values.mean()) ** 2)),
        "n_converged": sum(run.converged for run in runs),
        "factors": [
            {"factor": name, "stability": float(s), "stable": bool(s >= STABLE)}
            for name, s in zip(names, stability, strict=True)
        ],
    }
    return rows, pd.concat(parts, ignore_index=True), summary
