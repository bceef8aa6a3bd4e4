"""How many CPUs a gathered step may use: it runs while no other does, so a second one would be idle."""

from __future__ import annotations

import os

# A step asks the scheduler for one: on a cluster that holds tasks to what they asked for, it is one.
AT_MOST = 2


def available() -> int:
    """CPUs that this process is allowed, at most two; one where the system does not say (macOS).

    Results must not depend on it.
    """
    return min(AT_MOST, len(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else 1
