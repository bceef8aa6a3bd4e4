"""Names, numbers and colours of the report, and its tables."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import report_inputs
from matplotlib.figure import Figure
from PIL import Image

from cartox.report import (
    cells,
    figures,
    inputs,
    labels,
    manuscript,
    maps,
    page,
    palette,
    remarks,
    serum,
    wording,
)

ROOT = Path(__file__).resolve().parents[2]
NAMES = labels.Names(labels.cell_type_names(None))


def test_names_for_people() -> None:
    names = labels.Names(labels.cell_type_names(ROOT / "assets" / "markers" / "blood_cart.tsv"))
    assert names.cell_type("CD8_T^CD14_Mono") == "CD8+ T cells → CD14+ monocytes"
    assert names.feature("HALLMARK_TNFA_SIGNALING_VIA_NFKB") == "TNF-α signaling via NF-κB (Hallmark)"
    assert names.feature("CYTOSIG_IL4") == "IL-4 response (CytoSig)"
    assert names.feature("PROGENY_JAK_STAT") == "JAK-STAT activity (PROGENy)"
    assert names.feature("IFNG^IFNGR1_IFNGR2", "ligrec") == "IFNG → IFNGR1+IFNGR2"
    assert names.both("", "IL6", "analyte") == "IL-6"
    long = "Gene and protein expression by JAK STAT signaling after interleukin 12 stimulation (Reactome)"
    assert labels.shortened(long) == "Gene and protein expression by J… (Reactome)"
    assert labels.shortened(long[:44]) == long[:44]
    assert labels.shortened("x" * 50) == "x" * 43 + "…"
    assert labels.shortened(f"set ({'x' * 50})") == f"s… ({'x' * 50})"
    times = ["baseline", "product", "D7", "D28"]
    assert labels.timepoint_order(sorted(times)) == times


@pytest.mark.parametrize(
    "times",
    [
        ["D-5", "D0", "D7"],
        ["-5", "0", "28"],
        ["Day-1", "Day-7"],
        ["pre", "W-1", "D0", "W2", "M6"],
        ["D_1", "D_7"],
    ],
)
def test_days_before_the_infusion_come_first(times: list[str]) -> None:
    assert labels.timepoint_order(sorted(times)) == times


@pytest.mark.parametrize("comma", ["\t", ","])
def test_a_marker_table_of_either_form_names_the_types(tmp_path: Path, comma: str) -> None:
    path = tmp_path / "markers.csv"
    rows = [("cell_type", "label", "positive"), ("Blast", "Leukaemic blasts", "CD34"), ("NK", "", "NKG7")]
    path.write_text("\n".join(comma.join(row) for row in rows) + "\n", encoding="utf-8-sig")
    names = labels.Names(labels.cell_type_names(path))
    assert (names.cell_type("Blast"), names.cell_type("NK")) == ("Leukaemic blasts", "NK cells")


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


def test_a_figure_is_drawn_once_in_the_colours_of_the_page(monkeypatch) -> None:
    drawn = []
    draw = Figure.draw
    monkeypatch.setattr(Figure, "draw", lambda self, renderer: drawn.append(1) or draw(self, renderer))
    found = []
    with mpl.rc_context(figures.SETTINGS):
        for title in ("first", "p = 0.000123"):
            fig, ax = figures.panel(title=title, ticks=["no", "yes"])
            ax.scatter([0, 1], [0.123456, 2], color=palette.BLUE)
            found.append(figures.figure(fig, 'what "it" shows', 0))
    assert len(drawn) == 2
    one, two = found
    assert 'role="img" aria-label="what &quot;it&quot; shows"' in one
    assert "p = 0.000123" in two, "numbers that are read keep their digits"
    assert palette.BLUE.lower() in one and palette.INK not in one and "var(--cx-axis)" in one
    names = [re.findall(r' id="([^"]+)"', svg) for svg in found]
    assert names[0] and not set(names[0]) & set(names[1]), "no name twice in the page"
    for ids, svg in zip(names, found, strict=True):
        assert set(re.findall(r'(?:href="|url\()#([^")]+)', svg)) <= set(ids)


def test_later_cells_lie_on_top() -> None:
    xy = np.array([[0.0, 0.0], [1.0, 1.0], [1.0, 1.0]])
    svg = maps.picture(xy, np.array([0, 0, 1]), ["#ff0000", "#00ff00"], [("<T>", 1.0, 1.0)], "title", "alt")
    code = re.search(r"base64,([^\"]+)", svg)
    assert code and "&lt;T&gt;" in svg
    image = np.asarray(Image.open(io.BytesIO(base64.b64decode(code[1]))).convert("RGBA"))
    colours = {tuple(pixel) for pixel in image[image[:, :, 3] > 0]}
    assert colours == {(255, 0, 0, 255), (0, 255, 0, 255)}
    red, green = ((image[:, :, i] == 255) & (image[:, :, 3] > 0) for i in (0, 1))
    assert red.sum() == green.sum(), "one dot of each: the last of two in a place hides the other"
    assert np.argwhere(green)[:, 0].mean() < np.argwhere(red)[:, 0].mean(), "up is up"


CLAIMS = [
    ("expression", "CD14_Mono", "CXCL10", "In CD14+ monocytes at D7, expression of CXCL10 is higher"),
    ("pathway", "CD8_T", "CYTOSIG_IL4", "In CD8+ T cells at D7, the IL-4 response (CytoSig) is higher"),
    (
        "pathway",
        "B",
        "HALLMARK_NOTCH_SIGNALING",
        "In B cells at D7, the Notch signaling (Hallmark) is higher",
    ),
    (
        *("ligrec", "CD8_T^B", "IFNG^IFNGR1_IFNGR2"),
        "From CD8+ T cells to B cells at D7, expression of the pair IFNG → IFNGR1+IFNGR2 is higher",
    ),
    ("composition", "CD8_T", "clr", "At D7, the share of CD8+ T cells is higher"),
    ("car", "T", "car_fraction", "At D7, the CAR+ fraction of T cells is higher"),
    ("car", "T_CM", "car_state", "At D7, the share of T CM among CAR+ T cells is higher"),
    ("analyte", "", "IL6", "At D7, serum IL-6 is higher"),
    ("tensor", "D7", "factor_2", "At D7, the loading on communication programme 2 is higher"),
]


@pytest.mark.parametrize(("kind", "cell_type", "feature", "claim"), CLAIMS)
def test_a_result_is_a_sentence(kind: str, cell_type: str, feature: str, claim: str) -> None:
    names = labels.Names(labels.CELL_TYPES)
    row = {
        "kind": kind,
        "cell_type": cell_type,
        "feature": feature,
        "estimate": 1.0,
        "n_per_group": "no:3 yes:3",
    }
    contrast = {"term": "C(toxicity)", "where": {"timepoint": ["D7"]}, "reference": "no"}
    sentence = wording.claim(row, contrast, names)
    assert sentence == f"{claim} where toxicity is yes than where it is no"
    other = wording.claim(row | {"estimate": -1.0}, contrast | {"level": "change", "where": {}}, names)
    assert "he change of " in other and " since baseline is lower where" in other


def test_a_slope_is_told_as_one() -> None:
    names = labels.Names(labels.CELL_TYPES)
    row = {
        "kind": "composition",
        "cell_type": "CD8_T",
        "feature": "clr",
        "n_per_group": "",
        "n": 4,
        "note": "",
    }
    row |= {"coefficient": "per unit of months", "estimate": 0.0404, "ci_low": -0.003, "ci_high": 0.0702}
    row |= dict.fromkeys(("p", "p_permutation", "p_floor", "q"), 0.25)
    contrast = {"term": "months", "where": {"sort": ["car_sorted"]}}
    told = wording.no_difference(row, contrast, names)
    place = "Among the samples (sort car_sorted)"
    assert told == f"{place}, no trend with months could be shown in the share of CD8+ T cells"
    assert wording.claim(row, contrast, names) == f"{place}, the share of CD8+ T cells rises with months"
    numbers = "per unit of months 0.040 (95 % interval −0.003 to 0.070); p = 0.25"
    assert numbers in wording.statistics(row)


def test_analytes_without_p_come_by_name(tmp_path: Path) -> None:
    report_inputs.build(tmp_path, patients=4, cells=5)
    levels = pd.read_csv(tmp_path / "analytes.csv")
    one = levels[levels["analyte"] == "IL6"]
    names = [f"IL{i}" for i in range(10, 20)]
    pd.concat([one.assign(analyte=name) for name in names]).to_csv(tmp_path / "analytes.csv", index=False)
    rows = pd.read_csv(tmp_path / "tox_d7.associations.csv", keep_default_na=False)
    untested = [rows[rows["kind"] == "analyte"].head(1).assign(feature=name, p="") for name in names]
    pd.concat([rows, *untested]).to_csv(tmp_path / "tox_d7.associations.csv", index=False)
    drawn = serum.trajectories(serum.Values(inputs.read(tmp_path)))
    assert re.findall(r'aria-label="(\S+) over time', drawn) == [f"IL-{i}" for i in range(10, 20)]


@pytest.mark.parametrize(
    ("meanings", "said"),
    [
        (["yes − no"], "Estimates are yes − no: above 0, higher where toxicity is yes."),
        (["per unit of months"], "Estimates are per unit of months."),
        (["2 − 1", "3 − 1"], "Estimates are 2 − 1 and 3 − 1."),
        ([], ""),
    ],
)
def test_a_question_says_which_way_its_estimates_go(meanings: list[str], said: str) -> None:
    assert wording.compared({"term": "C(toxicity)", "coefficients": meanings}) == said


def test_what_could_not_be_tested_is_counted_by_kind_and_cell_type() -> None:
    note = "descriptive only: 2 patients with both"
    rows = [("expression", "CD14_Mono", f"G{i}") for i in range(1200)] + [("car", "T", "car_fraction")] * 2
    table = pd.DataFrame(rows, columns=["kind", "cell_type", "feature"])
    table = table.assign(contrast="tox", p=np.nan, note=note)
    empty = pd.DataFrame(columns=["contrast"])
    told = remarks.of_question({"id": "tox"}, SimpleNamespace(associations=table, calibration=empty), NAMES)
    assert told == [
        "Described, not tested: 2 × CAR+ cells in T cells; 1,200 × genes in CD14+ monocytes. "
        "2 patients with both."
    ]


def test_a_cell_type_within_a_remark_goes_by_its_display_name() -> None:
    names = labels.Names(labels.cell_type_names(ROOT / "assets" / "markers" / "blood_cart.tsv"))
    said = names.in_text("Expression in gdT and CD14_Mono^pDC not tested: the data of T are too few")
    cells = "γδ T cells and CD14+ monocytes → Plasmacytoid dendritic cells"
    assert said == f"Expression in {cells} not tested: the data of T are too few"


def test_genes_that_mark_each_cluster_stand_beside_its_commonest_type(tmp_path: Path) -> None:
    report_inputs.build(tmp_path, patients=2, cells=20)
    read = inputs.read(tmp_path)
    read.cluster_markers = found = read.cluster_markers[read.cluster_markers["cluster"] != "1"]
    names = labels.Names({})
    section = cells.of_clusters(read, names)
    assert section is not None
    assert "within samples" in manuscript.chapter(read).sections[0].data
    for record in read.annotate["clusters"]:
        rows = found[found["cluster"] == record["cluster"]]
        genes = ", ".join(f"{row.gene} ({row.auc:.2f})" for row in rows.itertuples()) or "none"
        row = re.search(rf"<tr><th[^>]*>{record['cluster']}</th>.*?</tr>", section.data)[0]
        assert re.findall(r">([^<>]+)<", row)[1:] == [
            names.cell_type(record["cell_type"]),
            str(record["n_cells"]),
            genes,
        ]
