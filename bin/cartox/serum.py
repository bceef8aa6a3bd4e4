"""Serum analytes, and rank correlation of features with them across patients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

MIN_PATIENTS = 5
N_BOOTSTRAP = 1000


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
    boot = np.array([ranks(analytes[rows]).T @ ranks(features[rows]) for rows in draws])
    low, high = np.quantile(boot, [0.025, 0.975], axis=0)
    constant = (np.abs(target).sum(axis=0) == 0)[:, None] | (np.abs(ranked).sum(axis=0) == 0)[None, :]
    parts = (rho, low, high, (exceed + 1) / (len(orders) + 1))
    return Correlation(*(np.where(constant, np.nan, part) for part in parts))
