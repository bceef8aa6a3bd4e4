"""MAP_REFERENCE: planted types are found again, absent ones left unnamed, and shuffled labels say nothing."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import anndata
import cell_steps
import input_checks
import numpy as np
import pandas as pd
import pytest

import check_inputs
import cohort
import map_reference
from cartox.cells.reference_file import check_reference, read_reference
from cartox.cli import InputError

ROOT = Path(__file__).resolve().parents[2]
MARKERS = (
    "cell_type\tlabel\tlineage\tlevel\tcl_id\tpositive\n"
    "alpha\tAlpha cells\talpha\tlineage\tCL:1\tGENE1\n"
    "beta\tBeta cells\tbeta\tlineage\tCL:2\tGENE41\n"
    "gamma\tGamma cells\tgamma\tlineage\tCL:3\tGENE81\n"
)


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    """A finished cohort whose annotation is the planted truth."""
    folder = tmp_path_factory.mktemp("reference")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        cell_steps.run_all(folder)
        Path("markers.tsv").write_text(MARKERS)
        truth = {}
        for name, made in (("A", cell_steps.sample(1)), ("B", cell_steps.sample(2, lift=3))):
            matrix, types = made
            truth |= {(name, b): cell_steps.TYPES[t] for b, t in zip(matrix.barcodes, types, strict=True)}
        table = pd.read_parquet("annotation.parquet")
        table["cell_type"] = [truth[key] for key in zip(table["sample"], table["barcode"], strict=True)]
        table.assign(lineage=table["cell_type"]).to_parquet("annotation.parquet", index=False)
        cell_steps.write_reference(Path("reference.h5ad"))
    return folder


@pytest.fixture
def here(cells, tmp_path, monkeypatch):
    """A copy of the cohort's folder, to spoil."""
    folder = tmp_path / "here"
    shutil.copytree(cells, folder)
    monkeypatch.chdir(folder)
    return folder


def arguments(*more: str, reverse: bool = False) -> list[str]:
    counts = ["A.h5", "B.h5"][:: -1 if reverse else 1]
    names = ("cells", "genes", "annotation")
    tables = [word for name in names for word in (f"--{name}", f"{name}.parquet")]
    files = ["--counts", *counts, *tables, "--markers", "markers.tsv"]
    return [*files, "--reference", "reference.h5ad", "--n_pcs", "10", *more]


def run(*more: str, reverse: bool = False) -> tuple[pd.DataFrame, dict]:
    map_reference.main(arguments(*more, reverse=reverse))
    return pd.read_parquet("reference.parquet"), json.loads(Path("reference.json").read_text())


def rewritten(change) -> None:
    data = anndata.read_h5ad("reference.h5ad")
    changed = change(data)
    (data if changed is None else changed).write_h5ad("reference.h5ad")


def truth() -> np.ndarray:
    return pd.read_parquet("annotation.parquet")["cell_type"].to_numpy()


def test_planted_types_are_found_again_in_another_batch(here):
    table, about = run()
    assert table.columns.tolist() == ["sample", "barcode", "reference_cell_type", "reference_confidence"]
    assert (table["reference_cell_type"] == truth()).mean() >= 0.9
    assert table["reference_confidence"].between(0, 1).all()
    assert about["agreement"] >= 0.95
    assert about["adjusted_rand"] >= 0.9
    assert about["accuracy"] >= 0.9
    assert about["matched"] == {name: name for name in cell_steps.TYPES}
    assert sum(record["n_cells"] for record in about["confusion"]) == len(table)
    assert about["clusters_that_differ"] == []


def test_a_type_that_the_reference_lacks_is_left_unnamed(here):
    cell_steps.write_reference(Path("reference.h5ad"), left_out="gamma")
    table, about = run()
    silent = table["reference_cell_type"] == "Unassigned"
    assert silent[truth() == "gamma"].mean() >= 0.6
    assert silent[truth() != "gamma"].mean() <= 0.1
    found = about["clusters_that_differ"]
    assert [(r["cell_type"], r["reference_cell_type"]) for r in found] == [("gamma", "Unassigned")]


def test_shuffled_labels_say_nothing(here):
    def shuffle(data):
        label = data.obs["cell_type"].to_numpy()
        data.obs["cell_type"] = pd.Categorical(np.random.default_rng(0).permutation(label))

    sure = run()[0]["reference_confidence"].mean()
    rewritten(shuffle)
    table, about = run()
    assert table["reference_confidence"].mean() < sure - 0.3
    assert about["accuracy"] <= 0.5
    assert (about["adjusted_rand"] or 0) <= 0.1
    assert any("cross-validated" in note for note in about["notes"])


def test_neither_the_order_of_files_nor_the_form_of_the_reference_matters(here):
    table, about = run()
    again, about_again = run(reverse=True)
    pd.testing.assert_frame_equal(table, again)
    assert about == about_again

    def logged(data):
        # to another total than cartox's, in columns, with the counts' place unused
        total = np.asarray(data.X.sum(axis=1))
        data.X = data.X.multiply(5000 / total).log1p().tocsc()

    rewritten(logged)
    other, about_other = run()
    assert about_other["values"] == "log-normalised"
    assert (other["reference_cell_type"] == table["reference_cell_type"]).mean() >= 0.99


def test_names_are_matched_by_label_and_ontology_or_not_at_all(here):
    names = {"alpha": "ALPHA CELLS", "beta": "cl:2", "gamma": "something, else"}
    rewritten(lambda data: _rename(data, names))
    table, about = run()
    assert about["matched"] == {"ALPHA CELLS": "alpha", "cl:2": "beta"}
    assert about["unmatched"] == ["something, else"]
    assert about["n_compared"] < about["n_both_named"]
    assert about["agreement"] >= 0.95
    assert set(table["reference_cell_type"]) >= set(names.values())


def _rename(data, names):
    data.obs["cell_type"] = pd.Categorical(data.obs["cell_type"].astype(str).map(names))


def test_rare_and_missing_labels_are_not_learnt_and_it_is_said(here):
    def spoil(data):
        label = data.obs["cell_type"].astype(str).to_numpy()
        label[:4], label[4:9] = "rare", "unknown"
        data.obs["cell_type"] = pd.Categorical(label)

    rewritten(spoil)
    table, about = run()
    assert not {"rare", "unknown"} & set(table["reference_cell_type"])
    assert any("rare (4)" in note for note in about["notes"])
    assert any(note.startswith("5 cells") for note in about["notes"])


def test_too_few_variable_genes_name_nothing_and_stop_nothing(here):
    genes = pd.read_parquet("genes.parquet")
    variable = genes.loc[genes["highly_variable"], "gene"]
    rewritten(lambda data: data[:, ~data.var_names.isin(variable[10:])].copy())
    table, about = run()
    assert set(table["reference_cell_type"]) == {"Unassigned"}
    assert about["agreement"] is None
    assert any("nothing was mapped" in note for note in about["notes"])


def test_the_cohort_file_holds_what_the_reference_says(here):
    table, _about = run()
    cohort.main([*cell_steps.cohort_arguments(), "--reference", "reference.parquet"])
    obs = anndata.read_h5ad("cohort.h5ad").obs
    assert (obs["reference_cell_type"].astype(str).to_numpy() == table["reference_cell_type"]).all()
    assert np.allclose(obs["reference_confidence"], table["reference_confidence"])


def test_the_report_shows_both_against_each_other(here):
    from cartox.report import reference
    from cartox.report.inputs import read
    from cartox.report.labels import Names

    assert reference.section(read(ROOT / "tests/data/report"), Names({})) is None
    cell_steps.write_reference(Path("reference.h5ad"), left_out="gamma")
    names = {"alpha": "alpha", "beta": "<b>beta</b>"}
    rewritten(lambda data: _rename(data, names))
    run()
    for path in (ROOT / "tests/data/report").iterdir():
        shutil.copy(path, here)
    section = reference.section(read(here), Names({"gamma": "Gamma cells"}))
    assert section is not None
    page = section.data
    assert "By markers (rows) against by reference (columns)" in page
    assert "Clusters whose commonest type differs" in page
    assert "Gamma cells" in page
    assert "not compared: &lt;b&gt;beta&lt;/b&gt;" in page
    assert "<b>beta" not in page
    assert re.search(r"agree in \d+\.\d % of the \d+ cells", page)


def faults(column: str = "cell_type", genes: set[str] | None = None) -> str:
    with pytest.raises(InputError) as caught:
        check_reference(Path("reference.h5ad"), column, genes)
    return "\n".join(caught.value.faults)


def test_all_faults_of_a_reference_are_told_at_once(here):
    def scaled(data):
        data.X = data.X.toarray() - 1.5
        data.obs["celltype"] = data.obs.pop("cell_type")

    check_reference(Path("reference.h5ad"), "cell_type", set(cell_steps.GENES))
    rewritten(scaled)
    told = faults(genes={f"mouse{i}" for i in range(500)}).splitlines()
    assert len(told) == 3
    assert all(line.startswith("reference.h5ad: ") for line in told)
    assert "negative" in told[0]
    assert "celltype" in told[1]
    assert "--reference_label" in told[1]
    assert "only 0 of its 400 genes" in told[2]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: setattr(d, "X", d.X * 30.5), "neither counts nor log-normalised"),
        (lambda d: _rename(d, dict.fromkeys(cell_steps.TYPES, "one")), "1 cell types with at least 10 cells"),
        (lambda d: d.obs.__setitem__("cell_type", d.obs_names.to_numpy()), "0 cell types"),
        (lambda d: d[:12].copy(), "0 cell types"),
    ],
)
def test_a_reference_that_teaches_nothing_is_refused(here, change, words):
    rewritten(change)
    assert words in faults()


def test_a_file_that_is_no_h5ad_is_refused(here):
    shutil.copy("A.h5", "reference.h5ad")
    assert "Cell Ranger HDF5" in faults()
    Path("reference.h5ad").write_text("barcode,cell_type\n")
    assert "a text file, not an .h5ad" in faults()


def test_the_check_of_inputs_tells_the_faults_of_a_reference_with_all_others(here):
    sheet = "sample,patient,timepoint,path\nA,P1,D7,given/A.h5\nB,P2,D7,given/C.h5\n"
    Path("sheet.csv").write_text(sheet)
    Path("samples.csv").unlink()
    flags = ["--input", "sheet.csv", "--reference", "reference.h5ad", "--reference_label"]
    told = input_checks.faults([*flags, "celltype"])
    assert len(told) == 2
    assert "given/C.h5" in told[0]
    assert "reference.h5ad: no column 'celltype' in obs" in told[1]
    Path("sheet.csv").write_text(sheet.replace("C.h5", "B.h5"))
    check_inputs.main([*flags, "cell_type"])
    checks = json.loads(Path("checks.json").read_text())
    assert "reference.h5ad" in [entry["file"] for entry in checks["inputs"]]


def test_old_and_nullable_forms_of_the_column_are_read(here):
    import h5py

    label = anndata.read_h5ad("reference.h5ad").obs["cell_type"]
    with h5py.File("reference.h5ad", "a") as file:
        del file["obs/cell_type"]
        file["obs/cell_type"] = label.cat.codes.to_numpy()
        file["obs/__categories/cell_type"] = label.cat.categories.to_numpy().astype("S")
    assert set(read_reference(Path("reference.h5ad"), "cell_type", 0).label) == set(cell_steps.TYPES)


def test_pickled_content_is_refused(here):
    import pickle

    import h5py

    with h5py.File("reference.h5ad", "a") as file:
        file["uns/model"] = np.void(pickle.dumps({"a": 1}))
    assert "'uns/model'" in faults()
