"""The report's table of programmes: what they are made of, and what was not tested or not made."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import report_inputs

from cartox.report import molecules
from cartox.report.inputs import read
from cartox.report.labels import Names, cell_type_names

STRATA = [
    {
        "stratum": "product",
        "note": "no tensor: 3 samples with at least half of the cell types, at least 4 are needed",
    },
    {
        "stratum": "D7",
        "note": "",
        "samples": ["P01_D7", "P02_D7", "P03_D7", "P04_D7"],
        "samples_left_out": {"P05_D7": "1 of 4 cell types"},
        "n_pairs": 12,
        "explained_variance": 0.754,
        "factors": [
            {"factor": "factor_1", "stability": 0.98, "stable": True},
            {"factor": "factor_2", "stability": 0.41, "stable": False},
        ],
    },
]


@pytest.fixture
def tables(tmp_path) -> Path:
    report_inputs.build(tmp_path, patients=4, cells=20, outcome=False)
    return tmp_path


def section(folder: Path):
    chapter = molecules.ligrec(read(folder), Names(cell_type_names(None)), 10)
    assert chapter is not None
    return {each.name: each for each in chapter.sections}.get("Communication programmes")


def test_programmes_are_shown_with_what_they_are_made_of(tables):
    loadings = [("pair", "IFNG^IFNGR1_IFNGR2", 0.9), ("pair", "<b>^R", 0.4), ("sender", "CD8_T", 0.8)]
    loadings += [("sender", "NK", 0.6), ("sender", "B", 0.1), ("receiver", "CD14_Mono", 1.0)]
    rows = [("D7", factor, *row) for factor in ("factor_1", "factor_2") for row in loadings]
    frame = pd.DataFrame(rows, columns=["stratum", "factor", "mode", "name", "loading"])
    frame.to_csv(tables / "tensor_loadings.csv", index=False)
    (tables / "tensor.json").write_text(json.dumps({"stable_from": 0.8, "strata": STRATA}))
    shown = section(tables)
    assert shown is not None
    page = shown.data
    assert "Product: no tensor: 3 samples" in page
    assert "D7: 4 samples, 12 pairs; 75 % of the variance explained. Left out, with too few" in page
    assert "P05_D7" in page
    assert "CD8+ T cells 64 %, NK cells 36 %<" in page
    assert "CD14+ monocytes 100 %" in page
    assert "IFNG → IFNGR1+IFNGR2, &lt;b&gt; → R" in page
    assert page.count("<td>yes</td>") == 1
    assert page.count("<td>no: differs between starts</td>") == 1
    assert page.index("Product: no tensor") < page.index("D7: 4 samples"), "in the order of the trial"


def test_without_programmes_there_is_no_section(tables):
    assert section(tables) is None
