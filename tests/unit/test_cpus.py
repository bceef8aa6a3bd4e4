"""Work side by side: in order, whatever the CPUs; faults and kills of a forked process are told as in one."""

from __future__ import annotations

import os
import signal

import pytest

from cartox import cpus
from cartox.cli import InputError


@pytest.mark.parametrize("n", [1, 2, 3])
def test_results_stand_in_the_order_of_the_items(monkeypatch, n):
    monkeypatch.setattr(cpus, "available", lambda: n)
    factor = 3  # of this function alone: what is forked sees it all the same
    assert list(cpus.side_by_side(lambda i: factor * i, range(20))) == [3 * i for i in range(20)]
    assert list(cpus.side_by_side(lambda i: i, [])) == []


@pytest.mark.parametrize("n", [1, 2])
def test_faults_of_the_input_arrive_whole(monkeypatch, n):
    monkeypatch.setattr(cpus, "available", lambda: n)

    def refuse(item):
        raise InputError([f"{item}: damaged", "and empty"])

    with pytest.raises(InputError) as found:
        list(cpus.side_by_side(refuse, ["S1", "S2"]))
    assert "S1: damaged" in str(found.value)
    assert "and empty" in str(found.value)


def test_a_killed_process_is_memory_that_ran_out(monkeypatch):
    monkeypatch.setattr(cpus, "available", lambda: 2)
    with pytest.raises(MemoryError):
        list(cpus.side_by_side(lambda _: os.kill(os.getpid(), signal.SIGKILL), [1, 2]))


def test_at_most_two_cpus_are_used(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    assert cpus.available() == 2
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5}, raising=False)
    assert cpus.available() == 1
