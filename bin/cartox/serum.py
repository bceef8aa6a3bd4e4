"""Serum analytes, and rank correlation of features with them across patients."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cartox.families import benjamini_hochberg, declared
from cartox.permutation import plan

MIN_PATIENTS = 5
N_BOOTSTRAP = 1000
COLUMNS = ["timepoint", "kind", "cell_type", "feature", "analyte", "rho", "ci_low", "ci_high"]
COLUMNS += ["p_permutation", "q", "n", "note"]


def log2_values(table: pd.DataFrame) -> pd.DataFrame:
    """analytes.csv as patient, timepoint, analyte, value (log2), censored (share); replicates averaged.

    Censored values are at their limit, so that they tie. Values of 0 or less have no logarithm: they are
    taken as half of the analyte's smallest positive value.
    """
    long = table.assign(value=pd.to_numeric(table["value"], errors="coerce")).dropna(subset=["value"])
    if not len(long):
        return pd.DataFrame(columns=["patient", "timepoint", "analyte", "value", "censored"])
    smallest = long["value"].where(long["value"] > 0).groupby(long["analyte"]).transform("min") / 2
    long["value"] = np.log2(long["value"].where(long["value"] > 0, smallest.fillna(1)))
    long["censored"] = long["censored"].fillna("").isin(["left", "right"]).astype(float)
    keys = ["patient", "timepoint", "analyte"]
    return long.groupby(keys, sort=True)[["value", "censored"]].mean().reset_index()


@dataclass
class Correlation:
    """Spearman's rho of analytes (rows) with features (columns), its 95 % interval and permutation p."""

    rho: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray


def ranks(values: np.ndarray) -> np.ndarray:
    """Ranks of each column, ties sharing the mean rank, centred and scaled to length 1 (0 if constant)."""
    from scipy.stats import rankdata

    ranked = rankdata(values, axis=0) - (len(values) + 1) / 2
    length = np.sqrt(np.einsum("ij,ij->j", ranked, ranked))
    return ranked / np.where(length > 0, length, np.inf)


def correlate(
    features: np.ndarray, analytes: np.ndarray, orders: np.ndarray, draws: np.ndarray
) -> Correlation:
    """Rank correlation across patients; features and analytes are patients × columns without missing values.

    orders: rearrangements of patients, without the observed one; p = (b + 1) / (B + 1).
    draws: bootstrap samples of patients (indices); the interval is the central 95 % of their rho, ranks taken
    anew in each (Efron & Tibshirani 1993). NaN where a column is constant.
    """
    ranked, target = ranks(features), ranks(analytes)
    rho = target.T @ ranked
    exceed = np.zeros_like(rho)
    for row in range(len(rho)):
        for start in range(0, len(orders), 1000):
            permuted = target[orders[start : start + 1000], row] @ ranked
            exceed[row] += np.count_nonzero(np.abs(permuted) >= np.abs(rho[row]) - 1e-9, axis=0)
    boot = bootstrapped(features, analytes, draws)
    low, high = np.quantile(boot, [0.025, 0.975], axis=0)
    constant = (np.abs(target).sum(axis=0) == 0)[:, None] | (np.abs(ranked).sum(axis=0) == 0)[None, :]
    parts = (rho, low, high, (exceed + 1) / (len(orders) + 1))
    return Correlation(*(np.where(constant, np.nan, part) for part in parts))


def bootstrapped(features: np.ndarray, analytes: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """rho of each bootstrap sample, draws × analytes × features; 0 where a sample has no variation.

    How often each patient was drawn gives all ranks of a sample by one matrix product.
    """
    n = len(features)
    counts = np.array([np.bincount(rows, minlength=n) for rows in draws], dtype=float)

    def resampled(values: np.ndarray) -> np.ndarray:
        below = (values[None] < values[:, None]) + 0.5 * (values[None] == values[:, None])
        ranked = np.tensordot(counts, below, axes=(1, 1)) - n / 2
        ranked *= np.sqrt(counts)[:, :, None]
        length = np.sqrt(np.einsum("bik,bik->bk", ranked, ranked))[:, None, :]
        return ranked / np.where(length > 1e-9, length, np.inf)

    target = resampled(analytes).transpose(0, 2, 1)
    step = max(1, 4_000_000 // (len(draws) * n))
    parts = [target @ resampled(features[:, i : i + step]) for i in range(0, features.shape[1], step)]
    return np.concatenate(parts, axis=2)


def chosen(features: pd.DataFrame, focus: list[dict]) -> pd.DataFrame:
    """Rows of features.parquet to correlate: few kinds in full, pairs only where declared."""
    text = ["patient", "timepoint", "sample", "cell_type", "kind", "feature"]
    rows = features[features["kind"].isin(["pathway", "composition", "car", "ligrec"])].astype(
        dict.fromkeys(text, str)
    )
    keys = [rows[name].to_numpy(dtype=str) for name in ("kind", "cell_type", "feature")]
    pairs = (keys[0] == "ligrec") & (declared(focus, *keys) >= 0)
    types = (keys[0] == "composition") & (keys[2] == "clr")
    return rows[pairs | types | np.isin(keys[0], ["pathway", "car"])]


def correlations(
    features: pd.DataFrame, analytes: pd.DataFrame, n_permutations: int, seed: int
) -> pd.DataFrame:
    """Rows of correlations.csv: every feature with every analyte of the same time point.

    analytes: of `log2_values`. Values of one patient and time point are averaged. q is Benjamini–Hochberg
    over all pairs of a time point; fewer than MIN_PATIENTS patients have rho alone.
    """
    parts = []
    for timepoint in sorted(set(features["timepoint"]) & set(analytes["timepoint"])):
        here = features[features["timepoint"] == timepoint]
        wide = here.pivot_table(index="patient", columns=["kind", "cell_type", "feature"], values="value")
        of = analytes[analytes["timepoint"] == timepoint]
        serum = of.pivot_table(index="patient", columns="analyte", values="value")
        share = of.pivot_table(index="patient", columns="analyte", values="censored")
        rows = [
            _pairs(
                wide.loc[patients, columns],
                serum.loc[patients, names],
                share.loc[patients, names],
                n_permutations,
                seed,
            )
            for patients, columns, names in _complete(wide, serum)
        ]
        if rows:
            part = pd.concat(rows, ignore_index=True).assign(timepoint=timepoint)
            parts.append(part.assign(q=benjamini_hochberg(part["p_permutation"].to_numpy(float))))
    if not parts:
        return pd.DataFrame(columns=COLUMNS)
    order = ["timepoint", "kind", "cell_type", "feature", "analyte"]
    return pd.concat(parts)[COLUMNS].sort_values(order, ignore_index=True)


def _complete(wide: pd.DataFrame, serum: pd.DataFrame) -> Iterator[tuple[list[str], np.ndarray, np.ndarray]]:
    """Patients, features and analytes (masks) without missing values, one group per pattern of patients."""
    patients = sorted(set(wide.index) & set(serum.index))
    seen = [np.unique(t.loc[patients].notna().to_numpy(), axis=1, return_inverse=True) for t in (wide, serum)]
    for i, features in enumerate(seen[0][0].T):
        for j, analytes in enumerate(seen[1][0].T):
            both = [p for p, here in zip(patients, features & analytes, strict=True) if here]
            if len(both) > 2:
                yield both, seen[0][1].ravel() == i, seen[1][1].ravel() == j


def _pairs(
    wide: pd.DataFrame, serum: pd.DataFrame, censored: pd.DataFrame, n_permutations: int, seed: int
) -> pd.DataFrame:
    """Rows of features × analytes that were measured in the same patients."""
    n = len(wide)
    rng = np.random.default_rng(seed)
    orders = plan(np.arange(n), None, n_permutations, seed).orders
    draws = rng.integers(0, n, (N_BOOTSTRAP, n))
    made = correlate(wide.to_numpy(float), serum.to_numpy(float), orders, draws)
    grid = np.indices(made.rho.shape).reshape(2, -1)
    rows = wide.columns.to_frame(index=False).iloc[grid[1]].reset_index(drop=True)
    rows["analyte"] = serum.columns.to_numpy(dtype=str)[grid[0]]
    for name, values in (
        ("rho", made.rho),
        ("ci_low", made.low),
        ("ci_high", made.high),
        ("p_permutation", made.p),
    ):
        rows[name] = values.ravel()
    few = f"fewer than {MIN_PATIENTS} patients: no p" if n < MIN_PATIENTS else ""
    if few:
        rows[["ci_low", "ci_high", "p_permutation"]] = np.nan
    share = (censored > 0).mean().to_numpy()[grid[0]]
    limit = np.where(share > 0, [f"{100 * s:.0f} % of values at the limit of detection" for s in share], "")
    constant = np.where(rows["rho"].isna(), "no variation", "")
    words = zip(limit, constant, strict=True)
    rows["note"] = ["; ".join(part for part in (few, *said) if part) for said in words]
    return rows.assign(n=n)
