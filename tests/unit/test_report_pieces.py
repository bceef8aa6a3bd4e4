"""Names, numbers and colours of the report, and its tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from cartox.report import labels, page, palette

ROOT = Path(__file__).resolve().parents[2]


def test_names_for_people() -> None:
    names = labels.Labels(labels.cell_type_names(ROOT / "assets" / "markers" / "blood_cart.tsv"))
    assert names.cell_type("CD8_T^CD14_Mono") == "CD8+ T cells → CD14+ monocytes"
    assert names.feature("HALLMARK_TNFA_SIGNALING_VIA_NFKB") == "TNF-α signaling via NF-κB (Hallmark)"
    assert names.feature("CYTOSIG_IL4") == "IL-4 response (CytoSig)"
    assert names.feature("PROGENY_JAK_STAT") == "JAK-STAT activity (PROGENy)"
    assert names.feature("IFNG^IFNGR1_IFNGR2", "ligrec") == "IFNG → IFNGR1+IFNGR2"
    assert names.both("", "IL6", "analyte") == "IL-6"
    times = ["baseline", "product", "D7", "D28"]
    assert labels.timepoint_order(sorted(times)) == times


SHOWN = [
    (0.25, "0.25"),
    (0.0421, "0.042"),
    (0.0004, "0.0004"),
    (3.14e-5, "3.1 × 10⁻⁵"),
    (1e-60, "< 10⁻⁶"),
    (1.0, "1.00"),
]


@pytest.mark.parametrize(("value", "text"), SHOWN)
def test_p_values_for_people(value: float, text: str) -> None:
    assert labels.p_value(value) == text


def test_cell_types_have_colours_of_their_own() -> None:
    colours = palette.of_types([*palette.CELL_TYPES, "New_A", "New_B"])
    assert palette.of_types(["CD14_Mono"])["CD14_Mono"] == colours["CD14_Mono"]
    assert colours["New_A"] != colours["New_B"]
    assert palette.of_groups("no", ["yes", "no"]) == {"no": palette.BLUE, "yes": palette.VERMILLION}


def test_empty_columns_are_left_out() -> None:
    columns = (page.Column("a", "First"), page.Column("note", "Note"))
    assert "Note" not in page.table([{"a": 1, "note": ""}, {"a": 2, "note": None}], columns, "caption")
    assert "Note" in page.table([{"a": 1, "note": ""}, {"a": 2, "note": "said"}], columns, "caption")
