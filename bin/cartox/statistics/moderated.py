"""Linear models fitted to many features at once, and Smyth's moderated t.

Smyth 2004 (doi:10.2202/1544-6115.1027), with an intensity trend as in Law et al. 2014. Written here because
the ports of limma on PyPI are heavy or wrong in places; the results are tested against R's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special


@dataclass
class Fit:
    """Least squares fits of many features to one design.

    coefficients: columns × features. unscaled: standard error of each coefficient over the residual standard
    deviation, columns × features. variance: residual variance by feature. df: residual degrees of freedom.
    """

    coefficients: np.ndarray
    unscaled: np.ndarray
    variance: np.ndarray
    df: int


@dataclass
class Moderated:
    """A moderated test of one coefficient, each array by feature."""

    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray
    statistic: np.ndarray
    p: np.ndarray


def fit(values: np.ndarray, design: np.ndarray, weights: np.ndarray | None = None) -> Fit:
    """Ordinary or weighted least squares of each feature (column of `values`) on `design`.

    values, weights: samples × features, no missing value. design: samples × columns of full rank.
    """
    n, k = design.shape
    if weights is None:
        inverse = np.linalg.inv(design.T @ design)
        coefficients = np.linalg.lstsq(design, values, rcond=None)[0]
        unscaled = np.repeat(np.sqrt(np.diag(inverse))[:, None], values.shape[1], axis=1)
        squares = (values - design @ coefficients) ** 2
    else:
        products = (design[:, :, None] * design[:, None, :]).reshape(n, k * k)
        inverse = np.linalg.inv((weights.T @ products).reshape(-1, k, k))
        coefficients = np.einsum("gij,gj->ig", inverse, (weights * values).T @ design)
        unscaled = np.sqrt(np.einsum("gii->ig", inverse))
        squares = weights * (values - design @ coefficients) ** 2
    df = n - k
    return Fit(
        coefficients, unscaled, squares.sum(axis=0) / df if df else np.full(values.shape[1], np.nan), df
    )


def prior(
    variance: np.ndarray, df: np.ndarray | float, covariate: np.ndarray | None = None
) -> tuple[np.ndarray, float]:
    """Prior variance (by feature) and its degrees of freedom, from all features' residual variances.

    Moments of log variances (Smyth 2004, section 6.2). covariate: mean intensity by feature, along which the
    prior variance follows a natural spline. Fewer than three features: no moderation (0 degrees of freedom).
    """
    if len(variance) < 3:
        return np.array(variance, dtype=float), 0.0
    df = np.broadcast_to(np.asarray(df, dtype=float), variance.shape)
    median = np.median(variance)
    floored = np.maximum(variance, 1e-5 * (median if median > 0 else 1.0))
    # most often thousands of features share their degrees of freedom, and these functions are slow
    own = df[0] if (df == df[0]).all() else df
    logs = np.log(floored) + np.log(own / 2) - special.digamma(own / 2)
    basis = _spline(covariate) if covariate is not None else np.ones((len(logs), 1))
    mean = basis @ np.linalg.lstsq(basis, logs, rcond=None)[0]
    spread = np.sum((logs - mean) ** 2) / (len(logs) - basis.shape[1])
    spread -= np.mean(special.polygamma(1, own / 2))
    if spread <= 0:
        return np.exp(mean), np.inf
    half = _trigamma_inverse(spread)
    return np.exp(mean + special.digamma(half) - np.log(half)), 2 * half


def moderate(
    estimate: np.ndarray,
    unscaled: np.ndarray,
    variance: np.ndarray,
    df: np.ndarray | float,
    covariate: np.ndarray | None = None,
    limit: float = np.inf,
) -> Moderated:
    """Moderated t of one coefficient with its 95 % interval and two-sided p, by feature.

    The residual variance of each feature is pulled towards the prior of all, which counts for at most `limit`
    degrees of freedom; the total is at most the sum of the features' own, as in limma.
    """
    error, total = _moderated_error(unscaled, variance, df, covariate, limit)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = estimate / error
    half = special.stdtrit(total, 0.975) * error
    return Moderated(estimate, estimate - half, estimate + half, statistic, _two_sided(statistic, total))


def moderated_p(
    scaled: np.ndarray,
    variance: np.ndarray,
    df: np.ndarray | float,
    covariate: np.ndarray | None = None,
    limit: float = np.inf,
) -> np.ndarray:
    """p of `moderate` alone, of coefficients over their unscaled errors: permutations need no interval."""
    error, total = _moderated_error(np.ones(len(scaled)), variance, df, covariate, limit)
    with np.errstate(divide="ignore", invalid="ignore"):
        return _two_sided(scaled / error, total)


def _moderated_error(
    unscaled: np.ndarray,
    variance: np.ndarray,
    df: np.ndarray | float,
    covariate: np.ndarray | None,
    limit: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Standard error of the coefficient and its degrees of freedom, by feature."""
    df = np.broadcast_to(np.asarray(df, dtype=float), variance.shape)
    before, weight = prior(variance, df, covariate)
    weight = min(weight, limit)
    return unscaled * np.sqrt(posterior(variance, df, before, weight)), np.minimum(df + weight, df.sum())


def _two_sided(statistic: np.ndarray, df: np.ndarray) -> np.ndarray:
    return 2 * special.stdtr(df, -np.abs(statistic))


def posterior(variance: np.ndarray, df: np.ndarray | float, before: np.ndarray, weight: float) -> np.ndarray:
    """Variance of each feature after the prior `before` that counts as `weight` degrees of freedom."""
    return before if np.isinf(weight) else (weight * before + df * variance) / (weight + df)


def _spline(x: np.ndarray) -> np.ndarray:
    """Natural cubic spline basis with intercept, knots at equal quantiles (Hastie et al., section 5.2.1).

    As many columns as limma takes: 2 from three features, 3 from six, 4 from thirty on.
    """
    size = min(1 + (len(x) >= 3) + (len(x) >= 6) + (len(x) >= 30), len(np.unique(x)))
    if size < 2:
        return np.ones((len(x), 1))
    x = (x - x.min()) / np.ptp(x)
    knots = np.quantile(x, np.linspace(0, 1, size))

    def bend(k: int) -> np.ndarray:
        return (np.maximum(x - knots[k], 0) ** 3 - np.maximum(x - knots[-1], 0) ** 3) / (knots[-1] - knots[k])

    curves = [bend(k) - bend(size - 2) for k in range(size - 2) if knots[k] < knots[-2] < knots[-1]]
    return np.column_stack([np.ones_like(x), x, *curves])


def _trigamma_inverse(value: float) -> float:
    """x with trigamma(x) = value, by Newton's method on 1/trigamma (Smyth 2004, appendix)."""
    if value > 1e7:
        return float(1 / np.sqrt(value))
    if value < 1e-6:
        return 1 / value
    x = 0.5 + 1 / value
    for _ in range(50):
        now = special.polygamma(1, x)
        step = now * (1 - now / value) / special.polygamma(2, x)
        x += step
        if -step / x < 1e-8:
            break
    return float(x)
