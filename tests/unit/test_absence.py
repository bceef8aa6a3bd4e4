"""Types by absence: cells that lack a gene are told from cells that hide it, and none is invented."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cartox.cells import absence, truncated
from cartox.cells.markers import read_markers
from cartox.cli import InputError
from cartox.labels import UNASSIGNED

TABLE = Path(__file__).resolve().parents[2] / "assets/markers/blood_cart.tsv"
RATE, SIZE = 8e-4, 2.5


def cohort(lacking: dict[str, float], seed: int = 0, rate: float = RATE, n: int = 600):
    """CD8A and CD4 counts of cells called CD8_T in samples of which the share `lacking` has no CD8A."""
    rng = np.random.default_rng(seed)
    sample = np.repeat(list(lacking), n)
    totals = rng.lognormal(np.log(4000), 0.4, len(sample)).round()
    truth = rng.random(len(sample)) < np.repeat(list(lacking.values()), n)
    mean = rate * totals
    cd8a = np.where(truth, 0, rng.negative_binomial(SIZE, SIZE / (SIZE + mean)))
    counts = {"CD8A": cd8a, "CD4": np.zeros(len(sample), dtype=int)}
    return counts, totals, sample, np.full(len(sample), "CD8_T", dtype=object), truth


def test_cells_that_lack_the_gene_are_found_where_a_sample_has_them():
    *data, truth = cohort({"few": 0.0, "half": 0.5, "most": 0.8})
    called, posterior, account = absence.call(*data, read_markers(TABLE))
    lacks, sample = called == "DN_T", data[2]
    assert lacks[truth].mean() >= 0.9
    assert truth[lacks].mean() >= 0.85
    assert not lacks[sample == "few"].any()
    assert (posterior[lacks] > 0.5).all() and (posterior[~lacks] == 1).all()
    shares = {found.sample: found.share for found in account}
    assert shares["half"] == pytest.approx(0.5, abs=0.06)
    assert shares["most"] == pytest.approx(0.8, abs=0.06)
    assert {found.gene for found in account} == {"CD8A"}, "no cell was called CD4_T"


def test_drop_out_alone_invents_no_cell():
    """A third of the cells are without the gene, as its counts above zero foretell."""
    for seed in range(10):
        *data, _ = cohort({"a": 0.0, "b": 0.0}, seed, rate=3e-4)
        assert (data[0]["CD8A"] == 0).mean() > 0.3
        called, _, account = absence.call(*data, read_markers(TABLE))
        assert (called == "DN_T").mean() <= 0.01
        assert len(account) == 2


def test_cells_with_the_other_gene_few_cells_and_unmeasured_genes_are_left():
    counts, totals, sample, cell_type, _ = cohort({"half": 0.5})
    counts["CD4"] += 1
    markers = read_markers(TABLE)
    assert (absence.call(counts, totals, sample, cell_type, markers)[0] == "CD8_T").all()
    few = np.arange(20)
    small = {gene: values[few] for gene, values in counts.items()}
    assert absence.call(small, totals[few], sample[few], cell_type[few], markers)[2] == []
    del counts["CD4"]
    assert (absence.call(counts, totals, sample, cell_type, markers)[0] == "CD8_T").all()
    unnamed = np.full(len(totals), UNASSIGNED, dtype=object)
    assert (absence.call(cohort({"half": 0.5})[0], totals, sample, unnamed, markers)[0] == UNASSIGNED).all()


def test_a_gene_that_most_cells_hide_is_not_asked():
    *data, _ = cohort({"shallow": 0.5}, rate=5e-5)
    called, _, account = absence.call(*data, read_markers(TABLE))
    assert account == [] and (called == "CD8_T").all()


def test_the_fit_of_positive_counts_equals_statsmodels_and_finds_the_truth():
    from statsmodels.discrete.truncated_model import TruncatedLFNegativeBinomialP

    counts, totals, *_ = cohort({"a": 0.3, "b": 0.0}, n=2000)
    seen = counts["CD8A"] > 0
    rate, size = truncated.fit(counts["CD8A"][seen], totals[seen])
    assert rate == pytest.approx(RATE, rel=0.08) and size == pytest.approx(SIZE, rel=0.25)
    peer = TruncatedLFNegativeBinomialP(
        counts["CD8A"][seen], np.ones((seen.sum(), 1)), offset=np.log(totals[seen]), truncation=0
    ).fit(disp=False, start_params=[np.log(RATE), 0.4])
    constant, alpha = np.asarray(peer.params)
    assert rate == pytest.approx(np.exp(constant), rel=1e-3)
    assert size == pytest.approx(1 / alpha, rel=1e-2)


def test_a_gene_that_defines_no_other_type_is_a_fault(tmp_path):
    path = tmp_path / "markers.csv"
    path.write_text(
        'cell_type,lineage,positive,absent\nT,T,CD3D,\nCD8,T,CD8A:4,\nCD4,T,CD4,\nDN,T,CD3E,"CD8A,CD4"\n'
    )
    with pytest.raises(InputError, match=r"absent of DN: CD4 defines no other type of T"):
        read_markers(path)
