"""The trend along which variances are shrunk: a natural cubic spline, as wide as limma's."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from formulaic.transforms.cubic_spline import natural_cubic_spline
from scipy import special

from cartox.statistics.moderated import prior

DF = 4  # with which logs of variances scatter far more than here: all that is left is the trend


def trend(covariate: np.ndarray, logs: np.ndarray) -> np.ndarray:
    """The logs of the prior variances less the logs' own bias."""
    before, weight = prior(np.exp(logs), DF, covariate)
    assert weight == np.inf
    return np.log(before) - np.log(DF / 2) + special.digamma(DF / 2)


def projected(basis: np.ndarray, logs: np.ndarray) -> np.ndarray:
    return basis @ np.linalg.lstsq(basis, logs, rcond=None)[0]


@pytest.mark.parametrize(("n", "columns"), [(3, 2), (5, 2), (6, 3), (29, 3), (30, 4), (200, 4)])
def test_trend_is_a_natural_spline_with_knots_at_quantiles(n, columns):
    rng = np.random.default_rng(n)
    covariate, logs = rng.exponential(size=n) - 3, rng.normal(size=n) / 10
    knots = np.quantile(covariate, np.linspace(0, 1, columns))
    basis = np.column_stack([np.ones(n), covariate])
    if columns > 2:
        spline = natural_cubic_spline(
            pd.Series(covariate), knots=list(knots[1:-1]), lower_bound=knots[0], upper_bound=knots[-1]
        )
        basis = np.column_stack([np.ones(n), pd.DataFrame(spline)])
    assert np.linalg.matrix_rank(basis) == columns
    np.testing.assert_allclose(trend(covariate, logs), projected(basis, logs), atol=1e-9)


def test_no_trend_is_wider_than_the_values_of_its_covariate():
    rng = np.random.default_rng(0)
    logs = rng.normal(size=40) / 10
    np.testing.assert_allclose(trend(np.ones(40), logs), logs.mean(), atol=1e-9)
    two = np.repeat([0.0, 1.0], 20)
    wanted = np.repeat([logs[:20].mean(), logs[20:].mean()], 20)
    np.testing.assert_allclose(trend(two, logs), wanted, atol=1e-9)


def test_without_a_covariate_the_prior_is_the_mean():
    logs = np.random.default_rng(0).normal(size=40) / 10
    np.testing.assert_allclose(
        np.log(prior(np.exp(logs), DF)[0]) - np.log(DF / 2) + special.digamma(DF / 2), logs.mean()
    )


def test_two_features_are_not_moderated_and_three_are():
    variance = np.array([1.0, 2.0, 3.0])
    own, weight = prior(variance[:2], DF)
    assert own.tolist() == [1.0, 2.0] and weight == 0
    assert prior(variance, DF)[1] == np.inf


def test_tiny_variances_are_lifted_to_a_part_of_the_median():
    few = np.array([1e-30, 2.0, 2.0, 2.0, 2.2])
    lifted = np.array([2e-5, 2.0, 2.0, 2.0, 2.2])
    assert prior(few, DF)[1] == prior(lifted, DF)[1] < np.inf
    np.testing.assert_array_equal(prior(few, DF)[0], prior(lifted, DF)[0])


def test_degrees_of_freedom_may_differ_by_feature():
    variance = np.array([0.5, 1.0, 2.0, 4.0, 9.0])
    np.testing.assert_array_equal(prior(variance, np.full(5, 3.0))[0], prior(variance, 3)[0])
    assert prior(variance, np.array([3, 3, 3, 3, 30]))[1] != prior(variance, 3)[1]
