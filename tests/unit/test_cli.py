"""How steps are run: arguments, files they hand on, and what they say when the machine fails them."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import numpy as np
import pytest
from builders import counts, h5

from cartox import arguments, cli, files
from cartox.matrices.readers import opened


def ended(main, capsys) -> tuple[int, str]:
    with pytest.raises(SystemExit) as caught:
        cli.run(main)
    return caught.value.code, capsys.readouterr().err


def test_no_memory_is_the_status_that_the_pipeline_tries_again(capsys, case):
    code, said = ended(lambda _argv: np.ones(10**15), capsys)
    case("no memory", "137, out of memory", f"{code}, {said}")
    assert (code, said) == (137, "out of memory\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk that is always full")
def test_a_full_disk_is_told_in_words(capsys, case):
    code, said = ended(lambda _argv: Path("/dev/full").write_text("x"), capsys)
    case("a full disk", "1, no space left", f"{code}, {said}")
    assert code == 1
    assert "no space left on the disk; free some, then run again with -resume" in said


def test_a_fault_of_the_code_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        cli.run(lambda _argv: 1 / 0)
    with pytest.raises(RuntimeError, match="of the code"):
        cli.run(lambda _argv: (_ for _ in ()).throw(RuntimeError("of the code")))


@pytest.mark.parametrize("fault", [MemoryError(), OSError(errno.EIO, "input/output error")])
def test_a_machine_that_fails_while_a_matrix_is_read_is_not_laid_to_the_matrix(tmp_path, fault):
    path = h5(tmp_path / "a.h5", counts())
    with pytest.raises(type(fault)), opened(path):
        raise fault


def test_a_comma_list_keeps_its_order_and_drops_blanks_and_repeats():
    assert arguments.names(" B, A ,,B,\tC") == ["B", "A", "C"]
    assert arguments.names("") == []


def test_json_holds_null_where_a_number_is_not_finite(tmp_path):
    path = tmp_path / "account.json"
    files.write_json(path, {"µ": [1.5, float("nan"), -float("inf")], "n": 3})
    assert json.loads(path.read_text(encoding="utf-8")) == {"µ": [1.5, None, None], "n": 3}
    assert "NaN" not in path.read_text(encoding="utf-8")
