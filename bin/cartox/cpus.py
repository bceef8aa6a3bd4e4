"""How many CPUs MERGE, CLUSTER and REPORT may use, and work done side by side on them.

While these steps run no other does, and a second CPU is idle. Results must not depend on how many there are.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

# A step asks the scheduler for one: on a cluster that holds tasks to what they asked for, it is one.
AT_MOST = 2

# What forked processes do, where they find it.
_work: list[Callable[[Any], Any]] = []


def available() -> int:
    """CPUs that this process is allowed, at most two; one where the system does not say (macOS)."""
    return min(AT_MOST, len(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else 1


@contextmanager
def forked(work: Callable[[Any], Any]) -> Iterator[Callable[[Any], Future]]:
    """Gives a function that hands an item to a process forked off this one, which does `work` with it.

    The processes share this one's memory as it was, so `work` may be any function; what it takes and gives is
    copied.

    Raises:
        MemoryError: where a process was killed, as the system does when memory runs out.
    """
    _work[:] = [work]
    try:
        with ProcessPoolExecutor(available(), get_context("fork")) as pool:
            yield lambda item: pool.submit(_done, item)
    except BrokenProcessPool:
        raise MemoryError from None
    finally:
        _work.clear()


def _done(item: Any) -> Any:
    return _work[0](item)


def side_by_side(work: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
    """What `work` gives for each item, in their order; by forked processes where a second CPU is idle."""
    if available() == 1:
        yield from map(work, items)
        return
    with forked(work) as submit:
        waiting = deque(submit(item) for item in items)
        while waiting:
            yield waiting.popleft().result()
