"""What a case of the corpus is: how a good small cohort is spoilt, and what must be said of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builders import Cohort

Before = Callable[[Cohort], Any]
After = Callable[[Path], Any]


@dataclass(frozen=True)
class Case:
    """`before` spoils the cohort's rows, `after` the files written; `flags` are further parameters.

    refused: check_inputs.py ends with 1, and one line of its faults holds all `words`.
    passes: it ends with 0; `words`, if any, stand together in one warning.
    dropped: it ends with 0, and qc.py drops the sample P1_product with a reason that holds all `words`.
    kept: it ends with 0, and qc.py reads the sample P1_product.
    """

    name: str
    words: tuple[str, ...] = ()
    before: Before | None = None
    after: After | None = None
    flags: tuple[str, ...] = ()
    outcome: str = "refused"


def sample(i: int, column: str, value: str) -> Before:
    """Put a value into a row of the sample sheet; row i of the sheet is i + 2."""
    return lambda cohort: cohort.samples[i].__setitem__(column, value)


def patient(i: int, column: str, value: str) -> Before:
    return lambda cohort: cohort.clinical[i].__setitem__(column, value)


def serum(i: int, column: str, value: str) -> Before:
    return lambda cohort: cohort.analytes[i].__setitem__(column, value)


def questions(text: str) -> Before:
    return lambda cohort: setattr(cohort, "contrasts", text)


def edit(name: str, change: Callable[[bytes], bytes]) -> After:
    """Change the bytes of a file after it was written."""

    def do(folder: Path) -> None:
        (folder / name).write_bytes(change((folder / name).read_bytes()))

    return do


def put(name: str, data: bytes | str) -> After:
    """Write a further file, or another in its place."""
    data = data.encode() if isinstance(data, str) else data
    return lambda folder: (folder / name).write_bytes(data)
