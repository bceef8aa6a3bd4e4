"""Run CHECK_INPUTS on inputs with faults and take the faults."""

from __future__ import annotations

from pathlib import Path

import pytest

import check_inputs
from cartox.cli import InputError


def faults(flags: list[str]) -> list[str]:
    """The faults found, as raised and as written; nothing else may have been written."""
    with pytest.raises(InputError) as caught:
        check_inputs.main(flags)
    assert Path("faults.txt").read_text().splitlines() == caught.value.faults
    assert not Path("samples.csv").exists()
    return caught.value.faults


def only(flags: list[str]) -> str:
    """The one fault found."""
    found = faults(flags)
    assert len(found) == 1, found
    return found[0]
