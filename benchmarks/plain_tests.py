"""Tests over patients, all features of a table at once: what statsmodels and scipy give one by one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import scipy.stats


def regress(x: np.ndarray, y: pd.DataFrame) -> pd.DataFrame:
    """Least squares of every column on the design, whose first column is tested."""
    freedom = len(y) - np.linalg.matrix_rank(x)
    inverse = np.linalg.pinv(x.T @ x)
    beta = inverse @ x.T @ y.to_numpy()
    variance = ((y.to_numpy() - x @ beta) ** 2).sum(axis=0) / freedom
    t = beta[0] / np.sqrt(variance * inverse[0, 0])
    p = 2 * scipy.stats.t.sf(np.abs(t), freedom)
    table = pd.DataFrame({"feature": y.columns, "estimate": beta[0], "t": t, "p": p}).dropna()
    return table.assign(q=scipy.stats.false_discovery_control(table["p"]))


def spearman(y: pd.DataFrame, analytes: pd.DataFrame) -> pd.DataFrame:
    """Spearman's correlation of every column with every analyte, over the patients."""
    tables = []
    for name, values in analytes.items():
        known = values.notna().to_numpy()
        ranks = scipy.stats.rankdata(y[known], axis=0), scipy.stats.rankdata(values[known])
        ranks, other = ((r - r.mean(axis=0)) / r.std(axis=0) for r in ranks)
        rho, n = other @ ranks / len(other), len(other)
        p = 2 * scipy.stats.t.sf(np.abs(rho) * np.sqrt((n - 2) / np.maximum(1 - rho**2, 1e-12)), n - 2)
        tables.append(pd.DataFrame({"feature": y.columns, "analyte": name, "rho": rho, "p": p}))
    return pd.concat(tables).dropna()
