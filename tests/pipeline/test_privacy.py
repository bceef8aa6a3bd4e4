"""One real run of a small trial, without a network, whose inputs hold secrets, formulas and scripts."""

from __future__ import annotations

import base64
import csv
import gzip
import io
import os
import re
import shutil
import subprocess
import sys
import zlib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from pipeline_runs import cohort_flags
from scipy import sparse

import simulate_cohort
from cartox.matrices.matrix import CountMatrix, read_counts, write_h5
from cartox.spreadsheet import NUMBER, STARTS

pytestmark = pytest.mark.engine
ROOT = Path(__file__).resolve().parents[2]
SECRET = "Zyxwvsecret"
COLUMNS = ("surname", "birth_date", "ward_qqz", "nurse_qqz", "mrn")
GENE = '=HYPERLINK("https://example.org","CXCL10")'
SET = "@SUM(1+1)*cmd|calc!A0"
MARKUP = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'
QUOTES = "\" onmouseover=alert(1) x='"
AUDIT = """
import os, sys

EVENTS = ["socket." + e for e in "connect getaddrinfo gethostbyname gethostbyaddr sendto".split()]
RECORD = os.environ["AUDIT_RECORD"]


def record(event, args):
    if event in EVENTS and not (event == "socket.connect" and not isinstance(args[1], tuple)):
        with open(RECORD + ".events", "a") as file:
            file.write(f"{event} {args!r} {sys.argv}\\n")


sys.addaudithook(record)
with open(RECORD + ".started", "a") as file:
    file.write("1\\n")
"""


def spoilt(folder: Path) -> list[str]:
    """A trial of 4 patients at 2 time points, with what must not come through; the flags that name it."""
    simulate_cohort.main(["--out", str(folder), "--patients", "4", "--cells", "130"])
    samples = pd.read_csv(folder / "samples.csv", dtype=str)
    samples = samples[samples["timepoint"].isin(["baseline", "D7"])].reset_index(drop=True)
    for path in samples["path"]:
        counts = read_counts(folder / path)
        more = sparse.csr_matrix(np.full((len(counts.barcodes), 1), 4, dtype=np.int32))
        both = sparse.csr_matrix(sparse.hstack([counts.counts, more]))
        genes, ids = np.append(counts.genes, GENE), np.append(counts.gene_ids, GENE)
        write_h5(folder / path, CountMatrix(both, counts.barcodes, genes, ids))
    _as_h5ad(folder / samples.loc[0, "path"])
    samples.loc[0, "path"] = samples.loc[0, "path"].replace(".h5", ".h5ad")
    renamed = folder / "matrices" / "<img src=x onerror=alert(1)>.h5"
    (folder / samples.loc[1, "path"]).rename(renamed)
    samples.loc[1, "path"] = f"matrices/{renamed.name}"
    samples.assign(ward_qqz=f"{SECRET}1", mrn=f"{SECRET}2").to_csv(folder / "samples.csv", index=False)
    clinical = pd.read_csv(folder / "patients.csv", dtype=str, keep_default_na=False)
    clinical = clinical.assign(surname=f"{SECRET}3", birth_date="1961-07-2" + clinical.index.astype(str))
    clinical.to_csv(folder / "patients.csv", index=False)
    serum = pd.read_csv(folder / "serum.csv", dtype=str, keep_default_na=False)
    serum = serum[serum["timepoint"].isin(["baseline", "D7"])].assign(nurse_qqz=f"{SECRET}4, {SECRET}")
    serum.to_csv(folder / "serum.csv", index=False)
    genes = [GENE, "CXCL10", "IFI6", "ISG15", "STAT1", "IRF1", "GBP1", "MX1"]
    sets = [[name, "made up", *genes] for name in (SET, MARKUP.replace("\t", " "))]
    (folder / "sets.gmt").write_text("".join("\t".join(line) + "\n" for line in sets))
    with (folder / "pairs.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["ligand", "receptor"], [GENE, "CD4"], ["CXCL10", GENE], [GENE, GENE]])
    (folder / "contrasts.yml").write_text(
        "- id: tox\n  formula: ~ toxicity\n  term: toxicity\n  where: {timepoint: D7}\n"
        f"  label: >-\n    {QUOTES}\n"
    )
    table = (ROOT / "assets/markers/blood_cart.tsv").read_text().splitlines(keepends=True)
    place = table[0].rstrip("\n").split("\t").index("label")
    rows = [line.split("\t") for line in table]
    for row in rows[1:]:
        row[place] = MARKUP if row[0] == "CD14_Mono" else row[place]
    (folder / "markers.tsv").write_text("".join("\t".join(row) for row in rows))
    return [
        *cohort_flags(folder),
        *("--gene_sets", str(folder / "sets.gmt"), "--ligrec_resource", str(folder / "pairs.csv")),
        *("--markers", str(folder / "markers.tsv"), "--report_note", MARKUP, "--n_permutations", "200"),
        *("--min_cells", "10"),
    ]


def _as_h5ad(path: Path) -> None:
    counts = read_counts(path)
    adata = anndata.AnnData(sparse.csr_matrix(counts.counts, dtype=np.float32))
    adata.obs_names, adata.var_names = counts.barcodes.astype(str), counts.genes.astype(str)
    adata.obs["surname"] = f"{SECRET}5"
    adata.var["ward_qqz"] = f"{SECRET}6"
    adata.uns["nurse_qqz"] = {"mrn": f"{SECRET}7"}
    # a Cell Ranger matrix beside it would be the same content
    adata.write_h5ad(path.with_suffix(".h5ad"))
    path.unlink()


@pytest.fixture(scope="module")
def run(pipeline, tmp_path_factory):
    """The run, with no interface but loopback, and each Python process recording what it looks up."""
    alone = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    if not shutil.which("unshare") or not shutil.which("ip"):
        pytest.skip("needs unshare and ip")
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("the kernel lets no network namespace be made here")
    folder = tmp_path_factory.mktemp("privacy")
    hook = folder / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(AUDIT)
    env = {"PYTHONPATH": str(hook), "AUDIT_RECORD": str(hook / "record")}
    # the cohort lies elsewhere: what is searched is what the run wrote
    flags = spoilt(tmp_path_factory.mktemp("given"))
    done = pipeline(folder / "launch", *flags, env=env, under=alone)
    assert done.code == 0, done.output[-4000:]
    return done


def test_the_run_succeeds_without_a_network_and_no_task_looks_for_one(run, case, tmp_path):
    record = run.results.parents[1] / "hook"
    started = len((record / "record.started").read_text().split())
    events = record / "record.events"
    seen = events.read_text() if events.exists() else ""
    # and a look-up would have been seen
    fired = {**os.environ, "PYTHONPATH": str(record), "AUDIT_RECORD": str(tmp_path / "record")}
    look = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('127.0.0.1', 9))"
    subprocess.run([sys.executable, "-c", look], env=fired, check=True)
    assert "socket.connect" in (tmp_path / "record.events").read_text()
    case("tasks with loopback alone", "no look-up, no connection", seen or f"none, {started} processes")
    assert started >= len(run.tasks)
    assert not seen


def written(run) -> Iterator[tuple[str, bytes]]:
    """All that the run wrote, by name: files of results and of tasks, unpacked where they are packed."""
    launch = run.results.parent
    yield "stdout", run.output.encode()
    for path in sorted(launch.rglob("*")):
        # links of a work folder are its inputs
        if path.is_symlink() or not path.is_file() or ".cache" in path.parts:
            continue
        name, data = str(path.relative_to(launch)), path.read_bytes()
        yield name, data
        if path.suffix == ".gz":
            yield name, gzip.decompress(data)
        elif path.suffix == ".parquet":
            yield name, pd.read_parquet(path).to_csv().encode()
        elif h5py.is_hdf5(path):
            yield name, "\n".join(_hdf5_text(path)).encode()
        elif path.suffix == ".html":
            for packed in re.findall(rb"[A-Za-z0-9+/=]{400,}", data):
                yield name, _unpacked(packed)


def _hdf5_text(path: Path) -> Iterator[str]:
    with h5py.File(path) as file:
        found: list[str] = []

        def visit(name: str, item: h5py.Group | h5py.Dataset) -> None:
            found.extend((name, repr(dict(item.attrs))))
            if isinstance(item, h5py.Dataset) and item.dtype.kind in "OS":
                found.append(repr(np.unique(item[()]).tolist()))

        file.visititems(visit)
        yield from found


def _unpacked(packed: bytes) -> bytes:
    try:
        data = base64.b64decode(packed)
        return zlib.decompress(data, 47)
    except (ValueError, zlib.error):
        return data if len(packed) % 4 == 0 else b""


def test_columns_that_nothing_asks_for_are_found_nowhere(run, case):
    wanted = [word.encode() for word in (SECRET, *(c for c in COLUMNS if c != "mrn"), "1961-07-2")]
    found, searched = set(), 0
    for name, data in written(run):
        searched += 1
        # the code of the steps is no output: its list of words is what finds such columns
        found |= {f"{word.decode()} in {name}" for word in wanted if word in data}
    case("secrets in columns, obs, var, uns", "found nowhere", sorted(found) or f"in none of {searched}")
    assert searched > 100
    assert not found
    page = (run.results / "report.html").read_text()
    assert "looks like personal data" in page
    assert "columns that nothing asks for are left out" in page


def test_no_cell_of_any_csv_is_run_by_a_spreadsheet(run, case):
    bad, escaped, tables = [], set(), 0
    for path in sorted(run.results.rglob("*.csv*")):
        tables += 1
        text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for row in csv.reader(io.StringIO(text.decode(), newline="")):
            bad += [(path.name, cell) for cell in row if cell.startswith(STARTS) and not NUMBER.match(cell)]
            escaped |= {cell for cell in row if cell.startswith("'")}
    case("formulas in names", "no cell starts as one", bad[:3] or f"none in {tables} tables")
    assert not bad
    # what was planted did come through, as text
    assert {f"'{GENE}", f"'{SET}"} <= escaped
    assert any("^" in cell for cell in escaped), "no pair with the planted gene was scored"


class Page(HTMLParser):
    """Tags that a browser would make of the page: handlers, and what it would load."""

    def __init__(self) -> None:
        super().__init__()
        self.handlers: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.handlers += [f"{tag} {k}={v}" for k, v in attrs if k.startswith("on") and "alert(1)" in str(v)]
        source = given.get("src") or (given.get("href") if tag == "link" else None)
        if source and not source.startswith(("data:", "#")):
            self.loads.append(f"{tag} {source}")


def test_names_labels_and_notes_are_text_in_the_report(run, case):
    text = (run.results / "report.html").read_text()
    page = Page()
    page.feed(text)
    raw = [word for word in ("<script>alert(1)", "<img src=x", '" onmouseover=alert') if word in text]
    case(
        "scripts in labels, names, note",
        "none rendered, nothing loaded",
        raw + page.handlers + page.loads or "none",
    )
    assert not raw
    assert not page.handlers
    assert not page.loads
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "onmouseover=alert(1)" in text
