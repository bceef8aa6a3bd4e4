"""Damaged and made-up files: whatever the bytes, a reader gives counts or says in words what is wrong.

Derandomised, so that the suite is stable; CARTOX_FUZZ=20000 tries that many random examples of each.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import shutil
import tarfile
import zipfile
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from builders import Cohort, archive, counts, fry, h5, h5_v2, mex, parse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import check_inputs
from cartox import sheets
from cartox.cells.markers import read_markers
from cartox.cli import InputError
from cartox.inputs import contrasts, formulas, questions
from cartox.inputs.cohort import check_analytes, check_clinical, check_samples
from cartox.inputs.given_labels import read_given
from cartox.inputs.given_thresholds import read_thresholds
from cartox.inputs.staged import _peek
from cartox.matrices.matrix import CountMatrix, read_counts
from cartox.signals.gene_sets import read_gmt, read_signature
from cartox.signals.ligrec import read_resource

LONG = int(os.environ.get("CARTOX_FUZZ", "0"))
FORMS = ("v2.h5", "v3.h5", "csr.h5ad", "csc.h5ad", "dense.h5ad")
FORMS += ("mex", "mex.tar.gz", "mex.zip", "plain.tar", "parse", "fry")
RULES = {
    path.stem.removeprefix("schema_"): json.loads(path.read_text())
    for path in check_inputs.SCHEMAS.glob("*.json")
}


def examples(few: int) -> settings:
    unchecked = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(
        max_examples=LONG or few,
        deadline=10_000,
        derandomize=not LONG,
        database=None,
        suppress_health_check=unchecked,
    )


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small matrix in every form."""
    folder, made = tmp_path_factory.mktemp("good"), counts(cells=8)
    h5_v2(folder / "v2.h5", made)
    h5(folder / "v3.h5", made)
    obs = pd.DataFrame({"type": pd.Categorical(["a", "b"] * 4)}, index=made.barcodes)
    var = pd.DataFrame({"feature_name": pd.Categorical(made.genes)}, index=made.gene_ids)
    values = {"csr": made.counts, "csc": made.counts.tocsc(), "dense": made.counts.toarray()}
    for name, x in values.items():
        anndata.AnnData(x, obs=obs, var=var).write_h5ad(folder / f"{name}.h5ad")
    archive(folder / "mex.tar.gz", mex(folder / "mex", made))
    with tarfile.open(folder / "plain.tar", "w") as tar:
        tar.add(mex(folder / "plain", made, packed=False), "s")
    with zipfile.ZipFile(folder / "mex.zip", "w") as packed:
        for part in sorted((folder / "mex").iterdir()):
            packed.write(part, part.name)
    parse(folder / "parse", made)
    fry(folder / "fry", made, [made.counts] * 3)
    for part in (folder / "fry/alevin").iterdir():
        shutil.move(part, folder / "fry" / part.name)
    shutil.rmtree(folder / "fry/alevin")
    return folder


def holds(path: Path) -> None:
    """The file is read as sound counts, or refused in words, by the peek and by the reading of all."""
    for read in (_peek, read_counts):
        try:
            matrix = read(path)
        except InputError as error:
            assert error.faults and all(len(fault) < 600 and fault.isprintable() for fault in error.faults)
            continue
        if isinstance(matrix, CountMatrix):
            matrix.counts.check_format(full_check=True)
            assert matrix.counts.shape == (len(matrix.barcodes), len(matrix.genes))
            assert matrix.counts.dtype == np.int32 and (matrix.counts.data > 0).all()
            assert len(set(matrix.genes.tolist())) == len(matrix.genes)


def spoilt(data: bytes, seed: int) -> bytes:
    """A few bytes flipped, zeroed, cut out, doubled or added, or the end cut off."""
    rng, out = random.Random(seed), bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5, 30))):
        at, kind = rng.randrange(max(1, len(out))), rng.randrange(6)
        if kind == 0:
            out = out[:at]
        elif kind == 1:
            out[at : at + rng.choice((1, 4, 8))] = rng.randbytes(rng.choice((1, 4, 8)))
        elif kind == 2:
            out[at : at + 8] = rng.choice((b"\xff" * 8, bytes(8), b"\x7f" + b"\xff" * 7))
        elif kind == 3:
            del out[at : at + rng.randrange(1, 64)]
        elif kind == 4:
            out[at:at] = out[at : at + rng.randrange(1, 64)]
        else:
            out[at : at + 1] = bytes([(out[at] if at < len(out) else 0) ^ (1 << rng.randrange(8))])
    return bytes(out)


@pytest.mark.parametrize("form", FORMS)
@given(seed=st.integers(0, 2**48))
@examples(40)
def test_spoilt_bytes(good, tmp_path, form, seed):
    source, path = good / form, tmp_path / form
    if not source.is_dir():
        path.write_bytes(spoilt(source.read_bytes(), seed))
        return holds(path)
    path.mkdir(exist_ok=True)
    parts = sorted(source.iterdir())
    for i, part in enumerate(parts):
        data = part.read_bytes()
        if i == seed % len(parts):
            # the packed bytes, or the text in them
            packed = seed % 2
            if packed or part.suffix != ".gz":
                data = spoilt(data, seed)
            else:
                data = gzip.compress(spoilt(gzip.decompress(data), seed), 1)
        (path / part.name).write_bytes(data)
    return holds(path)


VALUES = st.one_of(
    st.integers(-3, 2**62),
    st.floats(),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.lists(st.integers(-5, 2**62), max_size=9),
    st.lists(st.floats(width=32), min_size=1, max_size=40),
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=4), min_size=1, max_size=30
    ),
)


@pytest.mark.parametrize("form", [form for form in FORMS if ".h5" in form])
@given(draw=st.data())
@examples(25)
def test_spoilt_structure_of_hdf5(good, tmp_path, form, draw):
    path = tmp_path / form
    path.write_bytes((good / form).read_bytes())
    with h5py.File(path, "a") as file:
        places: list[str] = []
        file.visit(places.append)
        for place in draw.draw(st.lists(st.sampled_from(places), min_size=1, max_size=2, unique=True)):
            if place not in file:
                continue
            kind, value = draw.draw(st.sampled_from("xagvi")), draw.draw(VALUES)
            item = file[place]
            if kind == "a":
                name = draw.draw(st.sampled_from(["_index", "shape", "encoding-type", "h5sparse_format"]))
                try:
                    item.attrs[name] = value
                except (TypeError, ValueError, OSError):
                    item.attrs.pop(name, None)
                continue
            if kind == "i" and isinstance(item, h5py.Dataset) and item.shape and item.dtype.kind in "iuf":
                item[draw.draw(st.integers(0, item.shape[0] - 1))] = draw.draw(st.integers(-9, 120))
                continue
            del file[place]
            if kind == "g":
                file.create_group(place)
            elif kind == "v":
                try:
                    file[place] = value
                except (TypeError, ValueError, OSError):
                    file[place] = 0
    holds(path)


LINES = st.lists(
    st.one_of(
        st.sampled_from(
            ["30 8 3", "8 30 3", "% comment", "1 1 5", "30 8 -1", "31 9 1", "1 1 nan", "1 1 1e99"]
        ),
        st.text(st.characters(codec="utf-8"), max_size=12),
        st.tuples(st.integers(-2, 40), st.integers(-2, 40), st.integers(-2, 2**40)).map(
            lambda row: " ".join(map(str, row))
        ),
    ),
    max_size=8,
)


@given(head=st.sampled_from(["integer", "real", "pattern", "complex", "integer general"]), lines=LINES)
@examples(60)
def test_made_up_matrix_market(good, tmp_path, head, lines):
    path = tmp_path / "m.tar"
    text = "\n".join([f"%%MatrixMarket matrix coordinate {head}", *lines])
    with tarfile.open(path, "w") as tar:
        for part in ("barcodes.tsv", "features.tsv"):
            tar.add(good / "plain" / part, part)
        member, data = tarfile.TarInfo("matrix.mtx"), text.encode()
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
    holds(path)


CELL = st.one_of(
    st.sampled_from(
        ["P1", "D7", "", "NA", "a.h5", "<5", ">1e400", "1e999", "٣", '"', "=1+1", "\u202ex", "0"]
    ),
    st.text(max_size=6),
)
NAME = st.one_of(
    st.sampled_from(
        ["sample", "patient", "timepoint", "path", "batch", "raw_path", "analyte", "value", "unit"]
    ),
    CELL,
)
SHEET = st.builds(
    lambda header, rows, end: end.join(",".join(row) for row in [header, *rows]),
    st.lists(NAME, max_size=8),
    st.lists(st.lists(CELL, max_size=8), max_size=5),
    st.sampled_from(["\n", "\r\n", "\r"]),
)


@given(data=st.one_of(SHEET.map(str.encode), st.binary(max_size=80), st.text(max_size=80).map(str.encode)))
@examples(150)
def test_sheets(tmp_path, data):
    path, faults = tmp_path / "s.csv", sheets.Faults()
    path.write_bytes(data)
    samples = sheets.read_table(path, faults)
    for name, check in (("input", check_samples), ("clinical", check_clinical), ("analytes", check_analytes)):
        table = sheets.read_table(path, faults)
        if table and name == "input":
            check(table, RULES[name], ["P1"], faults)
        elif table:
            check(table, RULES[name], samples, None if name == "analytes" else ["P1"], faults)
    assert samples or faults.lines
    assert all(line.isprintable() for line in faults.lines)


TABLES = {
    "markers.tsv": (read_markers, b"cell_type\tlineage\tlevel\tpositive\nT\tT\tlineage\tCD3E:2,CD3D\n"),
    "labels.csv": (read_given, b"sample,barcode,cell_type\nP1,AC-1,T\nP1,AG-1,B\n"),
    "thresholds.csv": (read_thresholds, b"group,threshold\nL1,0.2\n"),
    "pairs.csv": (read_resource, b"ligand,receptor\nIFNG,IFNGR1_IFNGR2\n"),
    "sets.gmt": (read_gmt, b"SET\tabout\tCXCL10\tSTAT1\n"),
    "signature.tsv": (read_signature, b"source\ttarget\tweight\nA\tCXCL10\t1.5\n"),
    "signature.tsv.gz": (read_signature, gzip.compress(b"source\ttarget\tweight\nA\tB\t1.5\n", mtime=0)),
}


@pytest.mark.parametrize("name", TABLES)
@given(seed=st.integers(0, 2**48))
@examples(60)
def test_tables_of_later_steps(tmp_path, name, seed):
    reader, data = TABLES[name]
    path = tmp_path / name
    path.write_bytes(spoilt(data, seed))
    try:
        reader(path)
    except InputError as error:
        assert error.faults


SCALARS = [
    "tox",
    "~ age + toxicity",
    "toxicity",
    "{timepoint: D7}",
    "[D7]",
    "!!python/name:os.system",
    "&a",
    "*a",
]
SCALARS += ["<<", "|", "~ age*age", "~ (age)^3", "change", "[[", "- x", "? y", "null"]
SCALAR = st.one_of(st.sampled_from(SCALARS), st.text(max_size=12))
KEYS = st.sampled_from(["id", "formula", "term", "where", "level", "baseline", "focus", "label", "<<", "x"])
YAML = st.one_of(
    st.lists(st.lists(st.tuples(KEYS, SCALAR), min_size=1, max_size=6), min_size=1, max_size=3).map(
        lambda items: "\n".join(
            "- " + "\n  ".join(f"{key}: {value}" for key, value in item) for item in items
        ).encode()
    ),
    st.text(st.sampled_from("-:{}[]&*!|>'\"% \n#?,a~1"), max_size=40).map(str.encode),
    st.binary(max_size=60),
)


@given(data=YAML)
@examples(200)
def test_yaml_of_questions(tmp_path, data):
    path, faults = tmp_path / "c.yml", sheets.Faults()
    path.write_bytes(data)
    entries = questions.read_yaml(path, faults)
    assert entries or faults.lines
    if entries:
        rows = [{"sample": "a", "patient": "P1", "timepoint": "D7", "age": "5", "toxicity": "yes"}]
        view = contrasts.View(rows, list(rows[0]))
        made = contrasts.check_contrasts(entries, RULES["contrasts"], view, ["D7"], faults)
        assert faults.lines or made
        assert all(contrast["id"].isprintable() for contrast in made)


WORDS = [
    "age",
    "toxicity",
    "C(age)",
    "log(age)",
    "poly(age, 2)",
    "bs(age, df=99999)",
    "a.b",
    "'x'",
    "é",
    "0",
    "1",
]
WORDS += [
    "+",
    "-",
    "*",
    ":",
    "/",
    "^2",
    "**3",
    "(",
    ")",
    "~",
    " ",
    "%in%",
    "|",
    "lambda: 0",
    "__import__('os')",
]


@given(parts=st.lists(st.one_of(st.sampled_from(WORDS), st.text(max_size=4)), min_size=1, max_size=14))
@examples(400)
def test_formulas(parts):
    try:
        terms = formulas.formula_terms("~ " + " ".join(parts))
    except ValueError as error:
        assert len(str(error)) < 400
    else:
        assert all(columns for columns in terms.values())


@given(draw=st.data())
@examples(12)
def test_a_whole_cohort_of_spoilt_sheets(tmp_path_factory, draw):
    folder = tmp_path_factory.mktemp("cohort")
    old = Path.cwd()
    os.chdir(folder)
    try:
        flags = Cohort(folder).write()
        for name in draw.draw(st.sets(st.sampled_from([flags[i] for i in (1, 3, 5, 7)]), min_size=1)):
            data = Path(name).read_bytes()
            Path(name).write_bytes(spoilt(data, draw.draw(st.integers(0, 2**48))))
        try:
            check_inputs.main(flags)
        except InputError as error:
            assert error.faults
    finally:
        os.chdir(old)
