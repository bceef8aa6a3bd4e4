"""The speed benchmark's accounts by step and moment, and the page that it writes."""

from __future__ import annotations

import json
import sys

import many_patients
import overheads
import pandas as pd
import publish
import pytest
from account import by_process, cells_of, markdown, ratios, read_tasks, side_by_side
from measure import measure
from steps import Steps

MIB = 2**20
TRACE = (
    "name\tworkdir\tsubmit\tcomplete\tduration\trealtime\t%cpu\tpeak_rss\trchar\twchar\n"
    "QC (A)\t/w/a\t1000\t4000\t3000\t2000\t50.0\t1000\t100\t10\n"
    "QC (B)\t/w/b\t1000\t6000\t5000\t4000\t100.0\t-\t100\t10\n"
    "COHORT\t/w/c\t6000\t9000\t3000\t3000\t100.0\t5000\t300\t200\n"
    "NEW_STEP\t/w/d\t6000\t7000\t1000\t1000\t100.0\t50\t1\t1\n"
)


@pytest.fixture
def tasks(tmp_path) -> pd.DataFrame:
    (tmp_path / "trace.tsv").write_text(TRACE)
    return read_tasks(tmp_path / "trace.tsv", {"/w/b": 7000, "/w/c": 2000})


def test_a_step_has_its_own_peak(tmp_path, capsys):
    step = Steps()
    with step("large"):
        held = bytearray(300 * MIB)
    del held
    with step("small"):
        pass
    step.write(tmp_path / "steps.json")
    large, small = json.loads((tmp_path / "steps.json").read_text())
    assert (large["step"], small["step"]) == ("large", "small")
    assert large["peak"] - small["peak"] > 250 * MIB


def test_steps_stand_side_by_side_and_none_is_lost(tasks):
    processes = by_process(tasks)
    steps = [
        {"step": "imports", "seconds": 4.0, "cpu": 3.0, "peak": 100},
        {"step": "read and QC", "seconds": 5.0, "cpu": 10.0, "peak": 14_000},
    ]
    table = {row["step"]: row for row in side_by_side(processes, steps)}
    assert list(table) == ["imports", "read and QC", "h5ad", "NEW_STEP"]
    row = table["read and QC"]
    assert (row["tasks"], row["seconds"], row["longest"], row["cpu"]) == (2, 6, 4, 5)
    assert (row["read"], row["written"]) == (200, 20)
    assert (row["ratio_cpu"], row["ratio_peak"]) == (0.5, 0.5)
    lines = cells_of(list(table.values()))
    assert {len(line) for line in lines} == {len(lines[0])}
    assert len(markdown(lines).splitlines()) == len(lines) + 1


def test_each_moment_of_the_wall_is_shared_once(tasks, tmp_path):
    # one task tells what its process did; of the others nothing is known
    folder = tmp_path / "task"
    folder.mkdir()
    spans = {"began": 2.0, "ended": 5.0, "imports": [(2.0, 3.0)], "compiled": [(4.0, 4.5)]}
    (folder / ".spans.1.json").write_text(json.dumps(spans))
    alone = tasks.iloc[[1]].assign(folder=str(folder))
    found = overheads.measured(alone, wall=8.0, cores=2)
    assert found["wall"] == {
        "engine": 3 / 8,
        "staging": 2 / 8,
        "imports": 1 / 8,
        "compiled": 0.5 / 8,
        "computing": 1.5 / 8,
    }
    assert found["cores"]["no task"] == pytest.approx(1 - 5 / 16, abs=1e-4)
    assert overheads.outside(found) == pytest.approx(1 - 1.5 / 8, abs=1e-4)
    both = overheads.measured(pd.concat([alone, tasks.iloc[[0]]]), wall=8.0, cores=2)
    # the other task is under way from second 1 to 4, half of which is shared with computing and imports
    assert both["wall"]["computing"] == pytest.approx((1.5 - 0.5) / 8, abs=1e-4)
    assert sum(both["wall"].values()) == pytest.approx(1, abs=1e-3)


def test_the_probe_hears_of_imports_and_computing(tmp_path):
    code = "import time, pandas; time.sleep(0.3)"
    account = measure([sys.executable, "-c", code], tmp_path, overheads.PROBED)
    assert account.code == 0
    (path,) = tmp_path.glob(".spans.*.json")
    told = json.loads(path.read_text())
    imports = sum(b - a for a, b in told["imports"])
    assert 0.05 < imports < told["ended"] - told["began"] - 0.3 + 0.01


def test_measurements_of_many_patients_stand_beside_each_other(tmp_path, capsys):
    for patients in (24, 16, 24):
        size = ["--patients", str(patients), "--features", "40", "--n_permutations", "100"]
        many_patients.main([*size, "--place", str(tmp_path)])
    publish.keep("associate", tmp_path, tmp_path / "kept")
    _head, _rule, first, second, *_ = publish.many_patients(tmp_path / "kept").splitlines()
    assert first.startswith("| 16 | ") and second.startswith("| 24 | ")
    assert "not measured" in publish.many_patients(tmp_path).lower()


def test_the_page_has_all_measurements_and_growth(tasks, tmp_path):
    def result(size: str, cells: int, factor: int) -> dict:
        rows = by_process(tasks)
        for row in rows:
            row.update({key: row[key] * factor for key in ("seconds", "cpu", "peak")})
        account = {"wall": 10.0 * factor, "cpu": 15.0, "process_peak": 2**30, "tree_peak": 2**31}
        machine = {"date": "2026-01-01", "cpu": "a CPU", "cores": 2, "memory": 2**34, "load": 0.1}
        machine |= {"commit": "abc", "packages": {"scanpy": "1"}, "gflops": 100.0}
        machine |= {"read_mb_s": 1000, "written_mb_s": 100}
        found = {"size": size, "cohort": {"cells": cells, "samples": 4}, "machine": machine}
        found["cartox"] = {**account, "processes": rows}
        if size == "100k":
            step = {"step": "read and QC", "seconds": 5.0, "cpu": 10.0, "peak": 2**30}
            found["plain"] = {**account, "wall": 40.0, "steps": [step]}
            found["ratios"] = ratios(found["cartox"], found["plain"])
        return found

    (tmp_path / "results").mkdir()
    for found in (result("100k", 100_000, 1), result("400k", 400_000, 4)):
        (tmp_path / f"results/{found['size']}.json").write_text(json.dumps(found))
    publish.main(["--results", str(tmp_path / "results"), "--docs", str(tmp_path)])
    page = (tmp_path / "performance.md").read_text()
    assert "| 100,000 | 4 | 10 | 15 | 1.00 | 40 | 15 | 1.00 | 0.25 | 1.00 | 1.00 |" in page
    assert "| read and QC | 1.00 | 1.00 |" in page
    assert "$" not in page
    # on another machine, 400k gives no growth of times, and 1M grows from 100k
    other = result("400k", 400_000, 4)
    other["machine"]["cpu"] = "another CPU"
    for found in (other, result("1M", 1_000_000, 10)):
        (tmp_path / f"results/{found['size']}.json").write_text(json.dumps(found))
    publish.main(["--results", str(tmp_path / "results"), "--docs", str(tmp_path)])
    page = (tmp_path / "performance.md").read_text()
    assert "| CPU time, 100k to 1M |" in page
    assert "| read and QC |  | 1.00 | 1.00 | 1.00 |" in page
    assert (tmp_path / "images/performance.svg").read_text().startswith("<?xml")
