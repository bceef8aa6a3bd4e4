"""Reports of cohorts of other kinds: numbers as names, several samples of a visit, terms of three levels."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import report_inputs
from test_report import headings, page_of, plain


def test_what_harmony_mixes_has_its_name(tmp_path: Path) -> None:
    folder = report_inputs.build(tmp_path / "in", patients=2, cells=20)
    judged = json.loads((folder / "integration.json").read_text())
    (folder / "integration.json").write_text(json.dumps(judged | {"harmony_by": "site"}))
    page = plain(page_of(tmp_path))
    assert "Mixing of levels of site and separation of types" in page
    assert "Levels of site should mix" in page and "Lanes among neighbours" not in page


def test_time_points_and_patients_may_be_numbers(tmp_path: Path) -> None:
    folder = report_inputs.build(tmp_path / "in", patients=4, cells=20)
    for name in ("samples.csv", "clinical.csv", "analytes.csv"):
        table = pd.read_csv(folder / name, dtype=str, keep_default_na=False)
        table["patient"] = table["patient"].str.removeprefix("P")
        if "timepoint" in table:
            table["timepoint"] = table["timepoint"].replace({"baseline": "0", "D7": "7"})
        table.to_csv(folder / name, index=False)
    page = page_of(tmp_path)
    assert "Serum" in headings(page)
    assert "IFN-γ" in page


def test_samples_of_one_visit_are_told_apart_by_what_a_question_asks(tmp_path: Path) -> None:
    folder = report_inputs.build(tmp_path / "in", patients=2, cells=60)
    samples = pd.read_csv(folder / "samples.csv", dtype=str)
    product = samples["timepoint"] == "product"
    samples.loc[product, "timepoint"] = "baseline"
    samples = samples.assign(sort=product.map({True: "car_sorted", False: "unsorted"}), site="A")
    samples.to_csv(folder / "samples.csv", index=False)
    assert not page_of(tmp_path).count("car_sorted"), "no question asks for it"
    about = json.loads((folder / "annotate.json").read_text())
    times = samples.set_index("sample")["timepoint"]
    for row in about["car"]["by_sample"]:
        row["timepoint"] = times[row["sample"]]
    (folder / "annotate.json").write_text(json.dumps(about))
    path = sorted(folder.glob("*.contrast.json"))[0]
    contrast = json.loads(path.read_text())
    path.write_text(json.dumps(contrast | {"where": {"sort": ["unsorted"], "site": ["A"]}}))
    page = page_of(tmp_path)
    assert re.search(r'cx-key"><span><i style="background:#\w+"></i>car_sorted</span>', page)
    text = plain(page)
    assert re.search(r"P01_product P01 baseline car_sorted", text)
    assert re.search(r"[\d,]+ car_sorted", text[text.index("Patients and visits") :])


def test_pictures_of_a_term_with_three_levels_are_of_one_comparison_and_say_which(tmp_path: Path) -> None:
    folder = report_inputs.build(tmp_path / "in", patients=4, cells=20)
    path = folder / "tox_d7.associations.csv"
    rows = pd.read_csv(path, keep_default_na=False)
    low = rows.assign(coefficient="low − none", estimate=0.25)
    high = rows.assign(coefficient="high − none", estimate=0.75)
    pd.concat([low, high]).to_csv(path, index=False)
    page = plain(page_of(tmp_path))
    assert "Toxicity at day 7, adjusted for age (high − none alone)" in page
    assert "(low − none alone)" not in page
