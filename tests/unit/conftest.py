"""Fixtures of the unit tests."""

from __future__ import annotations

import pytest
from builders import Cohort


@pytest.fixture
def cohort(tmp_path, monkeypatch) -> Cohort:
    """A sound small cohort to spoil; the current folder is an empty one beside it."""
    (tmp_path / "given").mkdir()
    (tmp_path / "task").mkdir()
    monkeypatch.chdir(tmp_path / "task")
    return Cohort(tmp_path / "given")
