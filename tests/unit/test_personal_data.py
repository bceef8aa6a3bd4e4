"""Personal data in sheets, formulas in names, files that lead elsewhere, and code that could run them."""

from __future__ import annotations

import ast
import json
import pickle
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from builders import counts, h5
from input_checks import faults

import check_inputs
from cartox.cli import InputError
from cartox.inputs.given_labels import read_given
from cartox.matrices.matrix import read_counts

BIN = Path(__file__).resolve().parents[2] / "bin"


@pytest.mark.parametrize(
    ("column", "value", "what"),
    [
        ("patient", "Smith_John", "a person's name"),
        ("patient", "Smith, John", "a person's name"),
        ("patient", "123-45-6789", "a social security number"),
        ("timepoint", "2024-03-17", "a date"),
        ("timepoint", "17.03.2024", "a date"),
        ("batch", "17-Mar-2024", "a date"),
        ("sample", "a.b@clinic.org", "an e-mail address"),
        ("tissue", "+44 20 7946 0958", "a telephone number"),
    ],
)
def test_personal_values_are_refused_and_not_printed(cohort, case, capsys, column, value, what):
    cohort.samples[0][column] = f'"{value}"'
    found = faults(cohort.write())
    case(f"{what} in {column}", "refused, not printed", found[0])
    assert any(f"column '{column}': it looks like {what}" in line for line in found)
    assert value not in "\n".join(found) + capsys.readouterr().err


def test_harmless_names_pass(cohort):
    for row, name in zip(cohort.samples, ("Bone_Marrow", "2024", "P01.D7", "B-1"), strict=False):
        row["batch"] = name
    cohort.samples = [{**row, "tissue": "Bone_Marrow", "gene_name": "g"} for row in cohort.samples]
    check_inputs.main(cohort.write())
    assert "personal" not in Path("checks.json").read_text()


def test_personal_columns_that_nothing_asks_for_are_told_by_position(cohort):
    for row in cohort.clinical:
        row["surname"] = "Zyxwv"
        row["seen"] = "1961-07-21"
    check_inputs.main(cohort.write())
    text = Path("checks.json").read_text()
    said = "\n".join(json.loads(text)["warnings"])
    assert "column 4 looks like personal data (by its name)" in said
    assert "column 5 looks like personal data (a date by its shape)" in said
    assert not any(word in text + Path("clinical.csv").read_text() for word in ("surname", "Zyxwv", "1961"))


@pytest.mark.parametrize("kind", ["external link", "virtual", "external storage", "opaque", "object"])
def test_hdf5_that_leads_elsewhere_or_needs_unpickling_is_refused(tmp_path, case, kind):
    path = h5(tmp_path / "a.h5", counts())
    other = h5(tmp_path / "b.h5", counts(seed=1))
    with h5py.File(path, "a") as file:
        size = file["matrix/data"].shape
        if kind == "opaque":
            file["extra"] = np.array([b"ab"], dtype="V2")
        elif kind == "object":
            file.create_dataset("extra", (1,), dtype=h5py.vlen_dtype(np.uint8))
        else:
            del file["matrix/data"]
        if kind == "external link":
            file["matrix/data"] = h5py.ExternalLink(str(other), "matrix/data")
        elif kind == "virtual":
            layout = h5py.VirtualLayout(size, np.int32)
            layout[:] = h5py.VirtualSource(str(other), "matrix/data", size)
            file["matrix"].create_virtual_dataset("data", layout)
        elif kind == "external storage":
            file["matrix"].create_dataset("data", size, np.int32, external=[(str(other), 0, size[0] * 4)])
    with pytest.raises(InputError) as caught:
        read_counts(path)
    case(kind, "refused", caught.value.faults[0])
    assert "save the raw counts alone as a new file" in str(caught.value)


@pytest.mark.parametrize("kind", ["pickled bytes", "unknown encoding"])
def test_h5ad_with_what_would_need_unpickling_is_refused_and_soft_links_within_are_read(tmp_path, case, kind):
    made = counts()
    path = tmp_path / "a.h5ad"
    anndata.AnnData(
        made.counts, obs=pd.DataFrame(index=made.barcodes), var=pd.DataFrame(index=made.genes)
    ).write_h5ad(path)
    with h5py.File(path, "a") as file:
        file["uns/again"] = h5py.SoftLink("/X")
    assert read_counts(path).counts.nnz == made.counts.nnz
    with h5py.File(path, "a") as file:
        if kind == "pickled bytes":
            file["uns/model"] = np.frombuffer(pickle.dumps({"a": 1}), np.uint8)
        else:
            file["uns"].create_group("model").attrs["encoding-type"] = "my-own"
    with pytest.raises(InputError) as caught:
        read_counts(path)
    case(kind, "refused", caught.value.faults[0])
    assert "'uns/model'" in str(caught.value)


def test_labels_that_a_spreadsheet_runs_are_refused(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("sample,barcode,cell_type\nP1,A,=1+1\n")
    with pytest.raises(InputError, match="not allowed"):
        read_given(path)


def test_nothing_is_unpickled_or_evaluated():
    found = []
    for path in sorted(BIN.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            bad = {"pickle", "joblib", "dill", "cloudpickle", "shelve", "marshal"} & {
                name.split(".")[0] for name in names
            }
            if isinstance(node, ast.Call):
                call = ast.unparse(node.func)
                given = {k.arg: ast.unparse(k.value) for k in node.keywords}
                bad |= {call} & {"eval", "exec", "os.system", "pd.read_pickle"}
                bad |= {
                    f"{k}={v}" for k, v in given.items() if k in ("allow_pickle", "shell") and v == "True"
                }
                if call == "np.load" and given.get("allow_pickle") != "False":
                    bad.add(call)
                if call in ("yaml.load", "yaml.unsafe_load"):
                    bad.add(call)
            found += [(path.name, name) for name in bad]
    assert not found
