"""A contrast as CHECK_INPUTS wrote it and every later step reads it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from cartox.files import write_json


@dataclass(frozen=True)
class Contrast:
    """One question; docs/usage.md says what each key means.

    where: values kept by column. baseline: a time point, '' where none is needed. focus: {feature, kind?,
    cell_type?} for each declared feature. within: whether the term varies within patients in the sheets.
    car: whether CAR+ cells are compared with CAR- cells.
    """

    id: str
    formula: str
    term: str
    label: str = ""
    where: dict[str, list[str]] = field(default_factory=dict)
    level: str = "patient"
    baseline: str = ""
    focus: list[dict[str, str]] = field(default_factory=list)
    within: bool = False
    car: bool = False

    @classmethod
    def read(cls, path: Path) -> Contrast:
        """Read contrasts/<id>.json."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    def write(self, folder: Path) -> None:
        """Write <id>.json into the folder."""
        write_json(folder / f"{self.id}.json", vars(self))
