"""Types of command-line arguments with bounds, so that a script refuses a value in words."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable


def number(kind: type, low: float, high: float = math.inf) -> Callable[[str], float]:
    """A type for argparse: int or float from `low` to `high`, both within."""
    word = "a whole number" if kind is int else "a number"

    def read(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        # a value that is no number is not within either
        if not low <= value <= high or math.isinf(value):
            upper = f" and at most {high:,.15g}" if high < math.inf else ""
            raise argparse.ArgumentTypeError(f"{text!r} must be {word} of at least {low:,.15g}{upper}")
        return value

    return read


def seed(text: str) -> int:
    """A type for argparse: what NumPy's older generators take as a seed."""
    return int(number(int, 0, 2**32 - 1)(text))


def names(text: str) -> list[str]:
    """A type for argparse: the names of a comma list, each once, in their order."""
    return list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
