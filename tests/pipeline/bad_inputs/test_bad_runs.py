"""Bad inputs that the engine itself meets: paths it stages, sheets it reads, values of parameters."""

from __future__ import annotations

import os
import re
from pathlib import Path

import anndata
import bad_matrices
import h5py
import numpy as np
import pandas as pd
import pytest
from builders import Cohort, h5_v2
from pipeline_runs import cohort_flags

import simulate_cohort
from cartox.matrices.matrix import read_counts, write_h5

pytestmark = pytest.mark.engine
TRACE = re.compile(r"Traceback|\bat (nextflow|groovy|java)\.|Exception|-- Check script|No such variable")


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    (tmp_path / "given").mkdir()
    return Cohort(tmp_path / "given")


def refused(run, case, name: str, *told: str, tasks: tuple[str, ...] = ()) -> None:
    """The run ended with all of these messages, no trace, nothing executed and no report."""
    case(name, "1, " + " … ".join(told), f"{run.code}, " + " … ".join(t for t in told if t in run.output))
    assert run.code == 1, run.output[-3000:]
    for words in told:
        assert words in run.output, run.output[-3000:]
    assert not TRACE.search(run.output), run.output[-3000:]
    assert "No sample has a usable cell" not in run.output
    assert run.submitted() == list(tasks), run.tasks
    assert not (run.results / "report.html").exists()
    assert not list(run.results.parents[1].rglob("hacked"))


def test_hostile_paths_in_the_sheet(pipeline, cohort, tmp_path, case):
    os.mkfifo(cohort.folder / "pipe.h5")
    (cohort.folder / "ring.h5").symlink_to("ring.h5")
    (cohort.folder / "gone.h5").symlink_to("nowhere.h5")
    (cohort.folder / "zero.h5").symlink_to("/dev/zero")
    (cohort.folder / "empty").mkdir()
    odd = (
        "pipe.h5",
        "ring.h5",
        "gone.h5",
        "zero.h5",
        "empty",
        "$(touch hacked).h5",
        "nowhere://x/`touch hacked`",
    )
    for row, path in zip(cohort.samples, odd, strict=False):
        row["path"] = path
    cohort.samples[7] |= {"sample": "a;$(touch hacked)", "path": "P*.h5"}
    run = pipeline(tmp_path / "launch", *cohort.write())
    told = [
        "row 2, column 'path'",
        "row 3, column 'path': no file 'ring.h5'",
        "row 4, column 'path': no file 'gone.h5'",
        "row 5, column 'path'",
        "row 6, column 'path': empty: no matrix.mtx",
        "row 7, column 'path': no file '$(touch hacked).h5'",
        "row 8, column 'path': no file 'nowhere://x/`touch hacked`'",
        "row 9, column 'path': no file 'P*.h5'",
        "row 9, column 'sample': 'a;$(touch hacked)'",
    ]
    refused(run, case, "hostile paths", *told, tasks=("CHECK_INPUTS",))


def test_odd_names_that_are_sound(pipeline, cohort, tmp_path, case):
    """Files whose names a shell would take apart, a folder with a ring of links, a sheet with a BOM."""
    odd = (
        "a b.h5",
        "c;touch hacked.h5",
        "$(touch hacked).h5",
        "d'e\"f.h5",
        "<script>.h5",
        "[g]*.h5",
        "-h.h5",
    )
    for row, name in zip(cohort.samples, odd, strict=False):
        (cohort.folder / row["path"]).rename(cohort.folder / name)
        row["path"] = '"' + name.replace('"', '""') + '"'
    bad_matrices.loop_inside(cohort.folder / "odd")
    cohort.samples[7]["path"] = "odd"
    sheet = cohort.folder / "$(touch hacked) [x]*.csv"
    for row in cohort.samples:
        row["note"] = '"two\nlines"'
    cohort.write()
    sheet.write_bytes(b"\xef\xbb\xbf" + (cohort.folder / "samples.csv").read_bytes().replace(b"\n", b"\r\n"))
    flags = ["--input", str(sheet), *cohort.flags()[2:], "--min_counts", "100000"]
    run = pipeline(tmp_path / "launch", *flags)
    case("odd names that are sound", "1, No sample has a usable cell", f"{run.code}, {run.output[-200:]}")
    assert run.code == 1
    assert "No sample has a usable cell" in run.output
    assert "have faults" not in run.output and not TRACE.search(run.output), run.output[-3000:]
    # every matrix was staged and judged
    assert len(run.submitted("QC")) == 8
    assert not list(tmp_path.rglob("hacked"))


@pytest.mark.parametrize(
    ("name", "make", "told"),
    [
        ("folder as sheet", Path.mkdir, "is a folder, not a file; check the path"),
        ("pipe as sheet", os.mkfifo, "is no regular file; check the path"),
        ("ring of links as sheet", lambda p: p.symlink_to(p.name), "no such file; check the path"),
    ],
)
def test_what_is_no_sheet(pipeline, tmp_path, case, name, make, told):
    sheet = tmp_path / "$(touch hacked).csv"
    make(sheet)
    run = pipeline(
        tmp_path / "launch", "--input", str(sheet), "--clinical", str(sheet), "--markers", str(sheet)
    )
    told_of = [f"--{flag} {sheet}: {told}" for flag in ("input", "clinical", "markers")]
    refused(run, case, name, *told_of)


def test_parameters_that_no_step_could_use(pipeline, cohort, tmp_path, case):
    wrong = {
        "seed": "99999999999",
        "nmads": "nan",
        "min_genes": "-1",
        "car_features": "$(touch hacked)",
        "doublet_group": "a;b",
        "max_memory": "lots",
        "fdr": "1e9",
        "cell_labels": "../nowhere.csv",
    }
    flags = [word for flag, value in wrong.items() for word in (f"--{flag}", value)]
    run = pipeline(tmp_path / "launch", *cohort.write(), *flags)
    refused(run, case, "wrong parameters", *(f"--{flag} {value}: " for flag, value in wrong.items()))


def test_sheets_that_the_engine_cannot_read(pipeline, cohort, tmp_path, case):
    flags = cohort.write()
    (cohort.folder / "samples.csv").write_bytes(b"sample,patient\n\xff\xfe\0\n")
    (cohort.folder / "patients.csv").write_bytes(b"PK\x03\x04")
    (cohort.folder / "contrasts.yml").write_text("- !!python/object/apply:os.system ['touch hacked']\n")
    (cohort.folder / "m.tsv").write_text("cell_type\tpositive\nT\t\n")
    (cohort.folder / "pairs.csv").write_text("ligand\nA\n")
    (cohort.folder / "sets.gmt").write_text("SET\n")
    given = {"markers": "m.tsv", "ligrec_resource": "pairs.csv"}
    more = [word for flag, name in given.items() for word in (f"--{flag}", str(cohort.folder / name))]
    sets = ["--gene_sets", f"hallmark,{cohort.folder}/sets.gmt,halmark,`touch hacked`"]
    run = pipeline(tmp_path / "launch", *flags, *more, *sets)
    told = [
        "samples.csv, row 2: it holds NUL bytes",
        "patients.csv: it is an Excel file",
        "contrasts.yml, line 1: it uses a YAML tag",
        "m.tsv, line 2, positive: T has no positive marker",
        "pairs.csv: no column receptor",
        "sets.gmt, line 1: a set is",
        "'halmark': no such file",
        "'`touch hacked`': no such file",
    ]
    refused(run, case, "sheets and tables that are none", *told, tasks=("CHECK_INPUTS",))


@pytest.mark.parametrize("text", ["", ",,,\n,,\n", "sample\n", '"a\nb', "\ufeff"])
def test_sheets_without_content(pipeline, tmp_path, case, text):
    (tmp_path / "samples.csv").write_text(text)
    run = pipeline(tmp_path / "launch", "--input", str(tmp_path / "samples.csv"))
    refused(run, case, f"sheet {text!r}", "samples.csv", tasks=("CHECK_INPUTS",))


def test_a_trial_with_samples_of_every_odd_kind_is_finished_and_says_so(pipeline, tmp_path, case):
    """One cell, no cell, damage deep inside, a symbol twice, Cell Ranger 2, float64: reasons are told."""
    folder = tmp_path / "given"
    simulate_cohort.main(["--out", str(folder), "--patients", "4", "--cells", "90"])
    lines = (folder / "samples.csv").read_text().splitlines()
    rows = [dict(zip(lines[0].split(","), line.split(","), strict=True)) for line in lines[1:]]
    day7 = [row for row in rows if row["timepoint"] == "D7"]
    (old, whole, twice, _), others = day7, [row for row in rows if row["timepoint"] == "product"]
    made = read_counts(folder / old["path"])
    old["path"] = "v2.h5"
    h5_v2(folder / "v2.h5", made)
    as_float = read_counts(folder / whole["path"])
    obs, var = pd.DataFrame(index=as_float.barcodes), pd.DataFrame(index=as_float.genes)
    whole["path"] = "float.h5ad"
    anndata.AnnData(as_float.counts.astype(np.float64), obs=obs, var=var).write_h5ad(folder / "float.h5ad")
    same = read_counts(folder / twice["path"])
    same.genes = same.genes.astype("U40")
    same.genes[-1], same.genes[-2] = same.genes[0], "<script>alert(1)</script>"
    write_h5(folder / "twice.h5", same)
    twice["path"] = "twice.h5"
    full = read_counts(folder / others[0]["path"])
    write_h5(folder / "one.h5", full.select(np.array([0])))
    write_h5(folder / "none.h5", full.select(np.array([], dtype=int)))
    write_h5(folder / "deep.h5", full)
    with h5py.File(folder / "deep.h5", "a") as file:
        file["matrix/indices"][-1] = 10**6
    for row, name in zip(others, ("one", "none", "deep"), strict=False):
        row["path"] = f"{name}.h5"
    kept = [*day7, *others[:3]]
    text = [",".join(lines[0].split(","))] + [",".join(row.values()) for row in kept]
    (folder / "samples.csv").write_text("\n".join(text) + "\n")
    run = pipeline(tmp_path / "launch", *cohort_flags(folder)[:2], "--integration", "none")
    case("a trial of odd samples", "0, three dropped", f"{run.code}, {len(run.tasks)} tasks")
    assert run.code == 0, run.output[-3000:]
    report = (run.results / "report.html").read_text()
    for row, reason in zip(others, ("only 1 cells pass QC", "holds no barcode", "damaged"), strict=False):
        assert row["sample"] in report
        assert reason in report, row
    assert "<script>alert(1)</script>" not in report
    obs = anndata.read_h5ad(run.results / "cohort.h5ad", backed="r").obs
    assert set(obs["sample"]) == {row["sample"] for row in day7}
