"""MAP_REFERENCE on Kang's control donors: four, with the authors' labels, are the reference for four."""

from __future__ import annotations

import json
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import map_reference
import merge
import qc
from cartox.matrices.matrix import read_h5

TABLE = Path(__file__).resolve().parents[2] / "assets/markers/blood_cart.tsv"
MYELOID = ("CD14+Mono", "FCGR3A+Mono", "Dendritic")

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def donors(shared, tmp_path_factory) -> tuple[Path, pd.DataFrame]:
    """QC and MERGE of four donors in a folder with the four others as ref.h5ad; the authors' labels."""
    folder = tmp_path_factory.mktemp("kang")
    root = shared("data/kang")
    sheet = pd.read_csv(root / "samples.csv").query("condition == 'ctrl'").assign(batch="ctrl")
    truth = pd.read_csv(root / "cells_ctrl.csv", keep_default_na=False)
    truth = truth[(truth["demuxlet"] == "SNG") & (truth["cell_type"] != "NA")]
    samples = sorted(sheet["sample"])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        sheet.drop(columns="path").to_csv("samples.csv", index=False)
        for row in sheet.itertuples():
            qc.main(["--sample", str(row.sample), "--matrix", str(root / str(row.path)), "--qc_mode", "none"])
        reference([(read_h5(f"{s}.h5"), truth[truth["sample"] == s]) for s in samples[:4]]).write_h5ad(
            "ref.h5ad"
        )
        files = [
            name for s in samples[4:] for name in ("--counts", f"{s}.h5", "--cells", f"{s}.cells.csv.gz")
        ]
        counts, tables = files[1::4], files[3::4]
        merge.main(["--counts", *counts, "--cells", *tables, "--samples", "samples.csv"])
    return folder, truth


def reference(parts) -> anndata.AnnData:
    """Cells of (matrix, table of labels) as one AnnData."""
    rows, names = [], []
    for matrix, table in parts:
        label = table.set_index("barcode")["cell_type"]
        kept = np.isin(matrix.barcodes, label.index)
        rows.append(matrix.counts[kept])
        names += label[matrix.barcodes[kept]].tolist()
    obs = pd.DataFrame({"cell_type": pd.Categorical(names)}, index=pd.RangeIndex(len(names)).astype(str))
    counts = sparse.csr_matrix(sparse.vstack(rows)).astype(np.float32)
    return anndata.AnnData(counts, obs, pd.DataFrame(index=pd.Index(parts[0][0].genes)))


def compared(donors, monkeypatch, tmp_path, left_out: tuple[str, ...] = ()) -> tuple[pd.DataFrame, dict]:
    """What the reference says of the other donors' cells, beside the authors (`authors`)."""
    folder, truth = donors
    monkeypatch.chdir(tmp_path)
    data = anndata.read_h5ad(folder / "ref.h5ad")
    data[~data.obs["cell_type"].isin(left_out)].copy().write_h5ad("ref.h5ad")
    cells = pd.read_parquet(folder / "cells.parquet")
    # the annotation is measured elsewhere; here the authors' labels stand for it
    authors = cells.merge(truth, on=["sample", "barcode"], how="left")["cell_type"].fillna("Unassigned")
    table = cells[["sample", "barcode"]].assign(cluster="0", cell_type=authors, lineage=authors)
    table.to_parquet("annotation.parquet")
    files = [f"--{name}={folder / name}.parquet" for name in ("cells", "genes")]
    counts = [str(folder / f"{sample}.h5") for sample in sorted(set(cells["sample"]))]
    own = ["--annotation", "annotation.parquet", "--reference", "ref.h5ad", "--markers", str(TABLE)]
    map_reference.main(["--counts", *counts, *files, *own])
    found = pd.read_parquet("reference.parquet").assign(authors=authors)
    return found[authors != "Unassigned"], json.loads(Path("reference.json").read_text())


def test_labels_of_four_donors_name_the_cells_of_four_others(donors, monkeypatch, tmp_path):
    """Measured: 0.90. A model cross-validated on all donors' labels has 0.91."""
    table, about = compared(donors, monkeypatch, tmp_path)
    assert len(table) >= 850
    called = table["reference_cell_type"]
    assert (called == table["authors"]).mean() >= 0.87
    assert (called == "Unassigned").mean() <= 0.05
    recall = {name: (called == name)[table["authors"] == name].mean() for name in set(table["authors"])}
    assert min(recall[name] for name in ("CD14+Mono", "CD4T", "B")) >= 0.9
    assert min(recall[name] for name in ("NK", "FCGR3A+Mono")) >= 0.65
    assert about["adjusted_rand"] >= 0.75
    assert about["accuracy"] >= 0.85


def test_monocytes_are_not_forced_into_a_reference_without_any(donors, monkeypatch, tmp_path):
    table, _about = compared(donors, monkeypatch, tmp_path, left_out=MYELOID)
    silent = table["reference_cell_type"] == "Unassigned"
    absent = table["authors"].isin(MYELOID)
    assert silent[absent].mean() >= 0.9
    assert silent[~absent & (table["authors"] != "Megakaryocyte")].mean() <= 0.05
