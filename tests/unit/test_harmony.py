"""HARMONY: agrees with R's, mixes batches, passes one batch through, refuses rows that do not match."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import harmony
from cartox.cells.harmonised import harmonised
from cartox.cli import InputError


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    batch = np.repeat(["L1", "L2"], 150)
    values = rng.normal(size=(300, 5)) + 6 * rng.integers(0, 2, 300)[:, None] * [1, 0, 0, 0, 0]
    values[150:] += [0, 2, 0, 0, 0]
    np.save("pca.npy", values.astype(np.float32))
    cells = {"sample": np.repeat(["A", "B"], 150), "barcode": np.arange(300).astype(str), "batch": batch}
    pd.DataFrame(cells).to_parquet("cells.parquet")
    Path("samples.csv").write_text("sample,tissue\nA,blood\nB,blood\n")


def run(*flags: str) -> tuple[np.ndarray, dict]:
    harmony.main(["--pca", "pca.npy", "--cells", "cells.parquet", "--samples", "samples.csv", *flags])
    return np.load("harmony.npy", allow_pickle=False), json.loads(Path("harmony.json").read_text())


def test_batches_come_together_and_runs_agree():
    before = np.load("pca.npy")
    after, account = run()
    assert after.dtype == np.float32 and after.shape == before.shape and account["corrected"]
    gap = [abs(v[:150, 1].mean() - v[150:, 1].mean()) for v in (before, after)]
    assert gap[1] < gap[0] / 4
    assert np.array_equal(after, run()[0])


@pytest.mark.parametrize(
    ("flags", "note"),
    [
        (["--harmony_by", "tissue"], "all cells have the same tissue: nothing to integrate"),
        (["--integration", "none"], "not integrated (--integration none)"),
    ],
)
def test_nothing_to_integrate_passes_through(flags, note):
    after, account = run(*flags)
    assert np.array_equal(after, np.load("pca.npy")) and account["note"] == note


def test_unknown_column_and_other_rows_are_refused():
    with pytest.raises(InputError, match="--harmony_by lane: the sample sheet has no such column"):
        run("--harmony_by", "lane")
    np.save("pca.npy", np.load("pca.npy")[:-1])
    with pytest.raises(InputError, match=r"pca.npy: 299 rows, but cells.parquet has 300"):
        run()


@pytest.mark.real
def test_agrees_with_harmony_in_r(shared):
    folder = shared("data/harmony")
    tables = [pd.read_csv(folder / f"pbmc_3500_{name}.tsv.gz", sep="\t") for name in ("pcs", "meta")]
    wanted = pd.read_csv(folder / "pbmc_3500_pcs_harmonized.tsv.gz", sep="\t").to_numpy()
    found = harmonised(tables[0].to_numpy(), tables[1]["donor"].to_numpy(), 0)
    r = [np.corrcoef(found[:, i], wanted[:, i])[0, 1] for i in range(wanted.shape[1])]
    assert min(r) >= 0.99
