"""Each bad input gives one clear message with its place, or the graceful path that docs/usage.md tells."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import resource
import sys
from pathlib import Path

import bad_matrices
import bad_sheets
import pytest
from bad_cases import Case
from builders import Cohort

import check_inputs
import qc
from cartox import cli

CASES = {case.name: case for case in [*bad_sheets.CASES, *bad_matrices.CASES]}
MEMORY = 3 << 30  # bytes that a script may take beyond what its libraries have
SECONDS = 20
OPEN = ["--min_counts", "0", "--min_genes", "0", "--qc_mode", "none"]


def _child(main, flags: list[str], said: Path) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY, hard))
    with said.open("w", encoding="utf-8", buffering=1) as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
        sys.stdout = sys.stderr = stream
        # as the command does, in a fork: the libraries are there already
        cli.run(lambda _argv: main(flags))


def run(main, flags: list[str]) -> tuple[int | None, str]:
    """Exit code and output of a script, held to MEMORY and SECONDS; None where it was still running."""
    said = Path("said.txt")
    # the libraries are imported before, once for all cases
    child = multiprocessing.get_context("fork").Process(target=_child, args=(main, flags, said))
    child.start()
    child.join(SECONDS)
    code = child.exitcode
    if code is None:
        child.kill()
        child.join()
    return code, said.read_text()


@pytest.fixture(scope="module", autouse=True)
def libraries():
    import formulaic  # noqa: F401
    import jsonschema  # noqa: F401
    import pandas  # noqa: F401
    import scipy.io  # noqa: F401
    import yaml  # noqa: F401


def everything_in(folder: Path) -> set[str]:
    return {str(path) for path in folder.rglob("*") if "said" not in path.name}


def judged(bad: Case, cohort: Cohort) -> tuple[int | None, str]:
    """What qc.py does with the sample that was spoilt."""
    matrix = cohort.folder / cohort.samples[0]["path"]
    code, said = run(qc.main, ["--sample", "P1_product", "--matrix", str(matrix), *OPEN])
    if code != 0:
        return code, said
    summary = json.loads(Path("P1_product.qc.json").read_text())
    assert (summary["status"] != "dropped") == Path("P1_product.h5").exists()
    return code, f"{'dropped' if summary['status'] == 'dropped' else 'kept'}: {' '.join(summary['reasons'])}"


@pytest.mark.parametrize("name", CASES)
def test_bad_input(tmp_path, monkeypatch, case, name):
    bad = CASES[name]
    (tmp_path / "given").mkdir()
    (tmp_path / "task").mkdir()
    monkeypatch.chdir(tmp_path / "task")
    cohort = Cohort(tmp_path / "given")
    if bad.before:
        bad.before(cohort)
    flags = cohort.write()
    if bad.after:
        bad.after(cohort.folder)
    before = everything_in(tmp_path)
    code, said = run(check_inputs.main, [*flags, *(f.format(folder=cohort.folder) for f in bad.flags)])
    expected = "1, " + " … ".join(bad.words) if bad.outcome == "refused" else f"0, {bad.outcome}"
    line = next((line for line in said.splitlines() if all(word in line for word in bad.words)), "")
    if bad.outcome in ("dropped", "kept") and code == 0:
        code, said = judged(bad, cohort)
        line = said if said.startswith(bad.outcome) and all(word in said for word in bad.words) else ""
    with contextlib.suppress(IndexError):
        case(name, expected, f"{code}, {line or said.splitlines()[-1]}")
    assert code == (1 if bad.outcome == "refused" else 0), said[-1500:]
    assert line or not (bad.words or bad.outcome in ("dropped", "kept")), said[-1500:]
    assert "Traceback" not in said
    assert "\x1b" not in said and "\u202e" not in said
    assert len(line) < 700
    written = {Path(path).name for path in everything_in(tmp_path) - before}
    assert not {"hacked", "escaped"} & written
    assert not Path("/tmp/cartox_escaped").exists()
    if bad.outcome == "refused":
        assert written == {"faults.txt"}, "nothing else is written"
        assert Path("faults.txt").read_text(encoding="utf-8").splitlines()
