"""Permutations: counted, floored, exact where they can be, and calibrated with covariates."""

from __future__ import annotations

import time
import tracemalloc
from itertools import combinations

import numpy as np
import pytest
from scipy.stats import ttest_ind
from threadpoolctl import threadpool_limits

from cartox.statistics.moderated import fit, moderate
from cartox.statistics.permutation import Permuter, plan


@pytest.mark.parametrize(
    ("n", "count", "floor"), [(3, 20, 0.1), (4, 70, 2 / 70), (5, 252, 2 / 252), (6, 924, 2 / 924)]
)
def test_floor_of_two_equal_groups(n, count, floor):
    made = plan(np.repeat([0, 1], n), None, 100, 0)
    assert made.exact
    assert len(made.orders) == count - 1
    assert made.floor == pytest.approx(floor)


def test_unequal_groups_have_no_mirror():
    made = plan(np.repeat([0, 1], [3, 4]), None, 100, 0)
    assert made.floor == pytest.approx(1 / 35)


def test_pairs_are_flipped_within_patients():
    made = plan(np.tile([0, 1], 8), np.repeat(np.arange(8), 2), 100, 0)
    assert len(made.orders) == 2**8 - 1
    assert made.floor == pytest.approx(2 / 2**8)
    assert (made.orders // 2 == np.repeat(np.arange(8), 2)).all()


def test_orders_are_permutations_that_give_distinct_namings():
    term = np.array([0, 1, 1, 2, 0, 1])
    made = plan(term, None, 100, 0)
    assert (np.sort(made.orders, axis=1) == np.arange(6)).all()
    named = {tuple(row) for row in term[made.orders]}
    assert len(named) == len(made.orders) == 59
    assert tuple(term) not in named


def test_many_rearrangements_are_drawn():
    made = plan(np.repeat([0, 1], [7, 13]), None, 500, 0)
    assert not made.exact
    assert len(made.orders) == 500
    assert made.floor == pytest.approx(1 / 501)


def test_without_covariates_it_is_the_exact_test():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(8, 2))
    values[:4] += 1
    term = np.repeat([0.0, 1.0], 4)
    permuter = Permuter(values, np.column_stack([np.ones(8), term]), 1)
    chosen = [np.isin(np.arange(8), c) for c in combinations(range(8), 4)]
    t = np.array([np.abs(ttest_ind(values[m], values[~m]).statistic) for m in chosen])
    observed = np.abs(ttest_ind(values[:4], values[4:]).statistic)
    expected = (t >= observed * (1 - 1e-9)).mean(axis=0)
    np.testing.assert_allclose(permuter.p(plan(term, None, 100, 0)), expected)


@pytest.mark.parametrize("covariates", ["", "b", "bc", "x"])
def test_level_is_kept_with_covariates(covariates):
    """b: a coin, c: normal, x: normal and correlated with the term."""
    rng = np.random.default_rng(2)
    term = np.repeat([0.0, 1.0], 6)
    below, parametric = [], []
    for _ in range(200):
        columns = [np.ones(12)]
        for kind in covariates:
            columns.append(
                rng.permutation(np.tile([0, 1], 6))
                if kind == "b"
                else rng.normal(size=12) + term * (kind == "x")
            )
        design = np.column_stack([*columns, term])
        values = rng.normal(size=(12, 40))
        if np.linalg.matrix_rank(design) < design.shape[1]:
            continue
        below.append(Permuter(values, design, design.shape[1] - 1).p(plan(term, None, 100, 3)) <= 0.05)
        model = fit(values, design)
        test = moderate(model.coefficients[-1], model.unscaled[-1], model.variance, model.df)
        parametric.append(test.p <= 0.05)
    assert 0.04 <= np.mean(below) <= 0.06
    assert 0.04 <= np.mean(parametric) <= 0.06


def test_max_t_controls_the_family():
    rng = np.random.default_rng(3)
    term = np.repeat([0.0, 1.0], 6)
    design = np.column_stack([np.ones(12), term])
    made = plan(term, None, 100, 0)
    p = np.array([Permuter(rng.normal(size=(12, 5)), design, 1, limit=0).max_t(made) for _ in range(200)])
    assert (p.min(axis=1) <= 0.05).mean() <= 0.09
    assert (p >= Permuter(rng.normal(size=(12, 5)), design, 1).p(made).min() * 0).all()


def test_max_t_is_westfall_and_youngs_step_down():
    rng = np.random.default_rng(8)
    term = np.repeat([0.0, 1.0], [5, 4])
    values = rng.normal(size=(9, 4)) + np.outer(term, [0.5, 2.5, 0.0, 1.5])
    made = plan(term, None, 10_000, 0)
    found = Permuter(values, np.column_stack([np.ones(9), term]), 1, limit=0).max_t(made)

    def squared(labels: np.ndarray) -> np.ndarray:
        return ttest_ind(values[labels == 1], values[labels == 0]).statistic ** 2

    observed, permuted = squared(term), np.array([squared(term[order]) for order in made.orders])
    expected, before = {}, 0.0
    for feature in sorted(range(4), key=lambda j: -observed[j]):
        left = [j for j in range(4) if j not in expected]
        as_large = sum(row[left].max() >= observed[feature] * (1 - 1e-9) for row in permuted)
        expected[feature] = before = max(before, (as_large + 1) / (len(made.orders) + 1))
    np.testing.assert_allclose(found, np.maximum([expected[j] for j in range(4)], made.floor))
    assert len(set(found)) > 2


def test_ten_thousand_features_and_permutations_in_seconds():
    """Processor time of one thread, so that what else runs on the machine hardly counts."""
    rng = np.random.default_rng(4)
    term = np.repeat([0.0, 1.0], [7, 13])
    design = np.column_stack([np.ones(20), rng.integers(0, 2, 20), term])
    values = rng.normal(size=(20, 10_000))
    tracemalloc.start()
    with threadpool_limits(1):
        start = time.process_time()
        p = Permuter(values, design, 2).p(plan(term, None, 10_000, 0))
        seconds = time.process_time() - start
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seconds < 10
    assert peak < 0.5e9
    assert 0.04 < (p < 0.05).mean() < 0.06


def test_a_feature_without_variation_has_no_p():
    term = np.repeat([0.0, 1.0], 4)
    values = np.column_stack([np.zeros(8), np.arange(8.0)])
    p = Permuter(values, np.column_stack([np.ones(8), term]), 1).p(plan(term, None, 100, 0))
    assert np.isnan(p[0])
    assert not np.isnan(p[1])


def test_power_of_one_declared_test():
    """6 against 6 patients, a covariate, an effect of 1.5 SD, moderated among 60 features."""
    rng = np.random.default_rng(5)
    term = np.repeat([0.0, 1.0], 6)
    design = np.column_stack([np.ones(12), np.tile([0, 1], 6), term])
    found, found_permuted = [], []
    made = plan(term, None, 100, 0)
    for _ in range(150):
        values = rng.normal(size=(12, 60))
        values[:, 0] += 1.5 * term
        model = fit(values, design)
        test = moderate(model.coefficients[-1], model.unscaled[-1], model.variance, model.df)
        found.append(test.p[0] < 0.05)
        found_permuted.append(Permuter(values, design, 2).p(made)[0] <= 0.05)
    assert np.mean(found) >= 0.65
    assert np.mean(found_permuted) >= 0.6
