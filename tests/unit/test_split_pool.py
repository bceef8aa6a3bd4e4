"""A pool parted by its labels: each sample's cells, and what was left out."""

from __future__ import annotations

import csv
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from builders import counts, h5, parse

import check_inputs
import split_pool
from cartox.cli import InputError
from cartox.matrices.matrix import read_h5

MADE = counts(cells=40)
LABEL = np.array(["P01 D7", "P02_D7", "Doublet", "Negative", "P01 D7", "P02_D7", "P02_D7", "HTO3-maybe"] * 5)


@pytest.fixture
def pool(tmp_path) -> Path:
    obs = pd.DataFrame({"hash.ID": pd.Categorical(LABEL), "n": range(40)}, index=MADE.barcodes)
    var = pd.DataFrame({"gene_ids": MADE.gene_ids}, index=MADE.genes)
    anndata.AnnData(MADE.counts, obs=obs, var=var).write_h5ad(tmp_path / "pool.h5ad")
    return tmp_path / "pool.h5ad"


def test_each_sample_gets_its_cells_and_the_rest_is_left_out_and_counted(pool, tmp_path, capsys):
    out = tmp_path / "pool1"
    split_pool.main([str(pool), "--by", "hash.ID", "--out", str(out), "--leave_out", "HTO3-maybe"])
    said = capsys.readouterr().err
    assert sorted(path.name for path in out.iterdir()) == ["P01_D7.h5", "P02_D7.h5", "samples.csv"]
    for name, label in (("P01_D7", "P01 D7"), ("P02_D7", "P02_D7")):
        read = read_h5(out / f"{name}.h5")
        rows = np.flatnonzero(label == LABEL)
        assert read.barcodes.tolist() == MADE.barcodes[rows].tolist()
        assert (read.counts != MADE.counts[rows]).nnz == 0
        assert read.gene_ids.tolist() == MADE.gene_ids.tolist()
    for label in ("Doublet", "Negative", "HTO3-maybe"):
        assert f"left out: 5 cells of label '{label}'" in said
    rows = list(csv.DictReader((out / "samples.csv").open()))
    assert [(row["sample"], row["batch"], row["path"]) for row in rows] == [
        ("P01_D7", "pool1", "P01_D7.h5"),
        ("P02_D7", "pool1", "P02_D7.h5"),
    ]


def test_the_sheet_passes_the_check_once_it_is_filled_in(pool, tmp_path, monkeypatch):
    out = tmp_path / "pool1"
    split_pool.main([str(pool), "--by", "hash.ID", "--out", str(out)])
    sheet = out / "samples.csv"
    sheet.write_text(sheet.read_text().replace(",,,", ",P01,D7,"))
    monkeypatch.chdir(tmp_path)
    check_inputs.main(["--input", str(sheet)])
    assert len(Path("digests.csv").read_text().splitlines()) == 4


def test_labels_of_a_table_and_cells_that_are_not_in_it(tmp_path, capsys):
    path = h5(tmp_path / "filtered.h5", MADE)
    lines = [f"{b}\t{d}" for b, d in zip(MADE.barcodes[:-3], LABEL[:-3], strict=True)]
    (tmp_path / "donor_ids.tsv").write_text("barcode\tdonor_id\n" + "\n".join(lines) + "\n")
    flags = ["--labels", str(tmp_path / "donor_ids.tsv"), "--by", "donor_id", "--out", str(tmp_path / "o")]
    split_pool.main([str(path), *flags])
    assert "left out: 3 cells of label ''" in capsys.readouterr().err
    assert len(read_h5(tmp_path / "o/P02_D7.h5").barcodes) == 13


def test_parses_folder_of_all_samples_is_parted_by_its_own_table(tmp_path):
    samples = ["P01"] * 25 + ["P02"] * 15
    folder = parse(tmp_path / "all-sample/DGE_filtered", MADE, samples=samples)
    split_pool.main([str(folder), "--by", "sample", "--out", str(tmp_path / "o")])
    assert [len(read_h5(tmp_path / f"o/{name}.h5").barcodes) for name in ("P01", "P02")] == [25, 15]


def test_what_cannot_be_parted_is_told(pool, tmp_path):
    def fault(*flags: str) -> str:
        with pytest.raises(InputError) as caught:
            split_pool.main([*flags, "--out", str(tmp_path / "o")])
        return caught.value.faults[0]

    assert "no column 'hash_ID' of cells; did you mean 'hash.ID'?" in fault(str(pool), "--by", "hash_ID")
    path = h5(tmp_path / "a.h5", MADE)
    assert "give the labels by --labels" in fault(str(path), "--by", "x")
    table = tmp_path / "t.csv"
    table.write_text("barcode,x\nAAA,P01\n")
    assert "no barcode is in the pool (there is 'AAA'" in fault(
        str(path), "--by", "x", "--labels", str(table)
    )
    assert "no column 'y'" in fault(str(path), "--by", "y", "--labels", str(table))
    table.write_text(f"barcode,x\n{MADE.barcodes[0]},P 1\n{MADE.barcodes[1]},p_1\n")
    assert "only in signs or capitals" in fault(str(path), "--by", "x", "--labels", str(table))
    table.write_text(f"barcode,x\n{MADE.barcodes[0]},Doublet\n")
    assert "0 labels of samples" in fault(str(path), "--by", "x", "--labels", str(table))
