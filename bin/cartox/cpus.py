"""How many CPUs MERGE, CLUSTER and REPORT may use: while they run no other does, and a second is idle."""

from __future__ import annotations

import os

# A step asks the scheduler for one: on a cluster that holds tasks to what they asked for, it is one.
AT_MOST = 2


def available() -> int:
    """CPUs that this process is allowed, at most two; one where the system does not say (macOS).

    Results must not depend on it.
    """
    return min(AT_MOST, len(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else 1
