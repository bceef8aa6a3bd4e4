"""Normalisation, filtering and the moderated t against R's results, and at their edges."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cartox.signals.edger import filter_by_expr, log_cpm, tmm_factors
from cartox.statistics.families import benjamini_hochberg
from cartox.statistics.moderated import fit, moderate, prior
from cartox.statistics.voom import voom


@pytest.fixture(scope="module")
def kang(shared):
    """Counts (samples × genes), genes, the donor-paired design and R's tables."""
    counts = pd.read_csv(shared("oracle/kang_pb_mono_counts.tsv.gz"), sep="\t", index_col=0)
    samples = pd.read_csv(shared("oracle/kang_pb_mono_coldata.tsv"), sep="\t", index_col=0, dtype=str)
    samples = samples.loc[counts.columns]
    donors = pd.get_dummies(samples["donor"], drop_first=True).to_numpy(float)
    design = np.column_stack([np.ones(len(samples)), donors, samples["condition"] == "stim"])
    limma = pd.read_csv(shared("oracle/kang_mono_limma_voom_donor_paired.tsv.gz"), sep="\t", index_col=0)
    edger = pd.read_csv(shared("oracle/kang_mono_edgeR_samples.tsv"), sep="\t", index_col=0)
    return counts.to_numpy().T, counts.index, design, limma, edger.loc[counts.columns]


def test_the_same_genes_pass_as_in_edger(kang):
    counts, genes, design, limma, _ = kang
    assert set(genes[filter_by_expr(counts, design)]) == set(limma.index)


def test_tmm_factors_are_edgers(kang):
    counts, _, design, _, edger = kang
    kept = counts[:, filter_by_expr(counts, design)]
    np.testing.assert_allclose(tmm_factors(kept), edger["norm.factors"], rtol=1e-6)


def test_voom_and_moderated_t_are_limmas(kang):
    counts, genes, design, limma, edger = kang
    kept = filter_by_expr(counts, design)
    values, weights = voom(counts[:, kept], edger["norm.factors"].to_numpy(), design)
    model = fit(values, design, weights)
    result = moderate(model.coefficients[-1], model.unscaled[-1], model.variance, model.df)
    limma = limma.loc[genes[kept]]
    np.testing.assert_allclose(result.estimate, limma["logFC"], atol=1e-6)
    np.testing.assert_allclose(result.statistic, limma["t"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(result.p, limma["P.Value"], rtol=1e-4)
    called = benjamini_hochberg(result.p) <= 0.05
    assert np.array_equal(called, limma["adj.P.Val"].to_numpy() <= 0.05)


def test_log_cpm_is_edgers_formula():
    counts = np.array([[10, 0, 90], [40, 20, 140]])
    library = np.array([100.0, 200.0])
    added = 2 * library / 150
    expected = np.log2((counts + added[:, None]) / (library + 2 * added)[:, None] * 1e6)
    np.testing.assert_allclose(log_cpm(counts), expected)
    assert not np.allclose(log_cpm(counts, np.array([0.5, 2.0])), expected)


def test_tmm_ignores_depth_and_undoes_composition():
    rng = np.random.default_rng(1)
    shares = rng.gamma(1.0, size=2000)
    counts = np.round(np.outer([2e5, 8e5], shares / shares.sum()))
    np.testing.assert_allclose(tmm_factors(counts), 1, atol=0.02)
    counts[1, :100] += 5_000  # a few genes take 5e5 more of the second library
    factors = tmm_factors(counts)
    effective = factors * counts.sum(axis=1)
    assert effective[1] / effective[0] == pytest.approx(4, rel=0.05)


def test_an_empty_sample_has_no_factor():
    with pytest.raises(ValueError, match="without counts"):
        tmm_factors(np.array([[1, 2], [0, 0]]))


def test_prior_recovers_what_the_variances_were_drawn_with():
    rng = np.random.default_rng(2)
    true = 0.5 * 8 / rng.chisquare(8, 20_000)
    observed = true * rng.chisquare(5, 20_000) / 5
    variance, df = prior(observed, 5)
    assert df == pytest.approx(8, rel=0.1)
    assert variance[0] == pytest.approx(0.5, rel=0.05)


def test_prior_follows_the_trend():
    rng = np.random.default_rng(3)
    level = rng.uniform(0, 10, 5000)
    observed = np.exp(-level / 3) * rng.chisquare(6, 5000) / 6
    variance, df = prior(observed, 6, level)
    np.testing.assert_allclose(np.log(variance), -level / 3, atol=0.15)
    assert df > 50


def test_weighted_fit_equals_least_squares_on_scaled_rows():
    rng = np.random.default_rng(4)
    design = np.column_stack([np.ones(9), np.arange(9) % 2, rng.normal(size=9)])
    values, weights = rng.normal(size=(9, 3)), rng.uniform(0.5, 2, (9, 3))
    model = fit(values, design, weights)
    for g in range(3):
        root = np.sqrt(weights[:, g])
        expected, squares, *_ = np.linalg.lstsq(design * root[:, None], values[:, g] * root, rcond=None)
        np.testing.assert_allclose(model.coefficients[:, g], expected)
        assert model.variance[g] == pytest.approx(squares[0] / 6)


def test_propellers_logit_test_on_kang(shared):
    """Phipson 2022: logit of shares, patients as blocks; R moderates robustly, which t hardly shows."""
    cells = pd.read_csv(shared("oracle/kang18_full_16samples_x_8celltypes.csv"), index_col=0)
    expected = pd.read_csv(shared("oracle/kang_full_propeller_logit_paired.tsv"), sep="\t", index_col=0)
    counts = cells[expected.index].to_numpy(float) + 0.5
    share = counts / counts.sum(axis=1, keepdims=True)
    patient = pd.get_dummies(cells["ind"]).to_numpy(float)
    design = np.column_stack([patient, cells["stim"] == "stim"]).astype(float)
    model = fit(np.log(share / (1 - share)), design)
    result = moderate(model.coefficients[-1], model.unscaled[-1], model.variance, model.df)
    assert np.corrcoef(result.statistic, expected["Tstatistic"])[0, 1] >= 0.99
    called = benjamini_hochberg(result.p) <= 0.05
    assert (called == (expected["FDR"] <= 0.05).to_numpy()).all()
    np.testing.assert_array_equal(np.sign(result.estimate), np.sign(expected["Tstatistic"]))
