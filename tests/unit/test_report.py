"""The report: one page that opens offline and says what was found, what was not asked and what was lost."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import shutil
import signal
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
import report_inputs

import report
from cartox import cli, columns, cpus
from cartox.report import build, inputs

ROOT = Path(__file__).resolve().parents[2]
STYLE = ROOT / "assets" / "multiqc"
NOTE = "This cohort is simulated: no patient is real."
HOSTILE = "<img src=x onerror=alert(1)>"


def page_of(folder: Path) -> str:
    """The page made from the tables in `folder`/in."""
    places = {"inputs": "in", "out": "mqc", "report": "report.html"}
    argv = [part for flag, name in places.items() for part in (f"--{flag}", str(folder / name))]
    argv += ["--config", str(STYLE / "multiqc_config.yml"), "--css", str(STYLE / "cartox.css")]
    argv += ["--markers", str(ROOT / "assets" / "markers" / "blood_cart.tsv")]
    report.main(argv)
    return (folder / "report.html").read_text()


@pytest.fixture(scope="module")
def full(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("full")
    report_inputs.build(folder / "in", markup=HOSTILE, note=NOTE)
    page_of(folder)
    return folder


@pytest.fixture(scope="module")
def page(full: Path) -> str:
    return (full / "report.html").read_text()


@pytest.fixture(scope="module")
def bare(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("bare")
    report_inputs.build(folder / "in", patients=4, cells=20, outcome=False)
    return page_of(folder)


def headings(page: str) -> list[str]:
    """The chapters' names in the order of the page."""
    return [re.sub(r"\s+", " ", h).strip() for h in re.findall(r"<h2[^>]*>(.*?)</h2>", page, re.DOTALL)]


def plain(page: str) -> str:
    """The page's text without scripts, styles and tags."""
    page = re.sub(r"<(script|style|svg)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_chapters_in_reading_order(page: str) -> None:
    expected = [
        "Findings",
        "Associations",
        "Cohort",
        "Quality control",
        "Cells",
        "Pathways",
        "Ligand–receptor",
    ]
    expected += ["Composition", "CAR+ cells", "Serum", "Calibration", "Methods"]
    expected += ["This run", "Software Versions"]
    assert headings(page) == expected


def test_chapters_are_the_same_by_one_process_or_several(full: Path, monkeypatch) -> None:
    read = inputs.read(full / "in")
    made = []
    for n in (1, 3):
        monkeypatch.setattr(cpus, "available", lambda n=n: n)
        made.append(build.chapters(read, None, 25))
    assert len(made[0]) > 10 and made[0] == made[1]


def test_a_process_that_is_killed_asks_for_memory(full: Path, monkeypatch) -> None:
    monkeypatch.setattr(cpus, "available", lambda: 2)
    monkeypatch.setattr(build.serum, "chapter", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(MemoryError):
        build.chapters(inputs.read(full / "in"), None, 25)


def test_note_comes_first(page: str) -> None:
    text = plain(page[page.index('class="mainpage"') :])
    assert text.index(NOTE) < text.index("Report generated") < text.index("Findings")


def test_primary_finding_in_words(page: str) -> None:
    text = plain(page)
    claim = "the interferon gamma response (Hallmark) is higher where toxicity is yes than where it is no."
    assert f"Found In CD14+ monocytes at D7, {claim} Figure" in text
    numbers = "Difference in score 3.00 (95 % interval 2.10 to 3.90); p = 0.0004; permutation p = 0.008"
    assert f"{numbers} (the smallest this design can give: 0.008); q = 0.016; patients: 3 no, 3 yes." in text
    null = "In CD14+ monocytes at D7, no difference could be shown in expression of CXCL10. Figure"
    assert null in text[text.index("Tested, and no difference shown") :]
    assert "of 3 declared features, 1 differs; of 49 explored, none stands out at q ≤ 0.05." in text


def test_what_stands_beside_a_finding(page: str) -> None:
    text = plain(page)
    crossed = "Interaction with age: 0.10 (95 % interval −0.50 to 0.70; p = 0.70)"
    assert f"{crossed}: the data neither show nor exclude that the effect depends on age." in text
    assert "Closest serum analyte at D7: IFN-γ, ρ = " in text
    assert "6 patients; with age held fixed, ρ = 0.30, p = 0.30." in text


def test_correlations_show_every_patient_and_the_adjusted_rho(page: str) -> None:
    part = page[page.index('id="mqc-section-wrapper-serum_D7"') : page.index('id="calibration_table"')]
    text = plain(part)
    assert "Adjusted ρ: the correlation with age held fixed." in text
    assert "0.30 (−0.40 to 0.80)" in text, "the adjusted rho in the table"
    assert (
        "The mean of each patient over baseline and D7; time points are made alike before averaging." in text
    )
    shown = re.findall(r'<svg [^>]*aria-label="([^"]*: a dot for each patient[^"]*)"', part)
    first = "CD14+ monocytes, Interferon gamma response (Hallmark) against "
    assert sum(alt.startswith(first) for alt in shown) == 2, "the declared feature, at D7 and averaged"
    assert all("adjusted ρ = 0.30 (−0.40 to 0.80), p = 0.30" in alt for alt in shown)
    assert "An open dot: at the limit of detection." in text and "at some visit." in text
    assert "toxicity: no" in text and "toxicity: yes" in text
    pictures = re.findall(r"<svg.*?</svg>", part)
    assert pictures and not any("P01" in picture for picture in pictures), "figures hold no patient's code"


def test_families_that_are_new_have_a_name_or_their_own(tmp_path: Path) -> None:
    folder = report_inputs.build(tmp_path / "in", patients=6, cells=5)
    path = folder / "tox_d7.associations.csv"
    rows = pd.read_csv(path, keep_default_na=False)
    one = rows[rows["kind"] == "composition"].head(1)
    more = [
        one.assign(kind="car", family="car", cell_type="T_CM", feature="car_state", q=0.01),
        one.assign(kind="tensor", family="tensor", cell_type="D7", feature="factor_2", q=0.02),
        one.assign(kind="novel_kind", family="novel_kind", cell_type="D7", feature="thing", q=0.03),
    ]
    logit = rows["kind"] == "composition"
    rows["logit_estimate"], rows["logit_p"] = rows["estimate"].where(logit), rows["p"].where(logit) / 100
    pd.concat([rows, *more]).to_csv(path, index=False)
    values = pd.read_parquet(folder / "tox_d7.values.parquet")
    like = values[values["kind"] == "composition"].drop_duplicates("patient")
    drawn = [like.assign(**part[["kind", "cell_type", "feature"]].iloc[0]) for part in more]
    pd.concat([values, *drawn]).to_parquet(folder / "tox_d7.values.parquet")

    page = page_of(tmp_path)
    text = plain(page)
    assert "Central memory T cells: share of CAR+ T cells" in text
    assert "D7: programme 2" in text and "D7: thing" in text and "novel_kind" in text
    assert 'aria-label="Central memory T cells, share of CAR+ T cells: a dot for each patient' in page
    folded = "Composition: for comparison, propeller&#x27;s logit"
    assert page.count(folded) == 1
    assert "logit" not in plain(page[: page.index(folded)]), "the logit is no finding"


def test_calibration_is_drawn_and_judged_in_words(tmp_path: Path, page: str) -> None:
    assert "Toxicity at day 7, adjusted for age&lt;img" in page[page.index('id="calibration_table"') :]
    assert "share of p below 0.05 with patients permuted, by family" in page
    assert "No family that can be judged (5 of 5 can) is outside 0.03–0.07." in plain(page)


def test_integration_is_judged(page: str) -> None:
    page = plain(page)
    assert "Mixing of lanes and separation of types" in page and "1.40 → 3.90" in page
    assert page.count("lay apart before Harmony") >= 2  # in the section and among the remarks
    assert "tox: Every batch holds one level of toxicity." in page


def test_flagged_doublets_are_told(tmp_path: Path) -> None:
    folder = report_inputs.build(tmp_path / "in", patients=2, cells=20)
    cells = pd.read_parquet(folder / "cells.parquet").assign(predicted_doublet=0)
    cells.loc[:6, "predicted_doublet"] = 1
    cells.to_parquet(folder / "cells.parquet", index=False)
    page = plain(page_of(tmp_path))
    assert "7 of them are predicted doublets, kept as asked" in page
    assert "7 predicted doublets kept, as asked" in page


def test_lost_samples_are_told(page: str) -> None:
    text = plain(page)
    assert "Sample P01_D7 was dropped: failed or shallow library: the median barcode has 3 UMI." in text
    assert "Sample P02_baseline was kept but flagged" in text
    assert "missing" in text and "P06 has no D7 sample" in text


def test_only_asked_columns_appear(page: str) -> None:
    assert "Toxicity" in plain(page)
    assert "ZZTOP" not in page and "Initials" not in page


def test_page_needs_nothing_else(page: str) -> None:
    outside = []

    class Loads(HTMLParser):
        def handle_starttag(self, tag, attrs):
            given = dict(attrs)
            source = given.get("src") or (given.get("href") if tag == "link" else None)
            if source and not source.startswith("data:"):
                outside.append((tag, source))

    Loads().feed(page)
    assert outside == []
    assert "@import" not in re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)


def test_no_path_of_the_machine(full: Path, page: str) -> None:
    parts = [page]
    for text in re.findall(r"[A-Za-z0-9+/=]{400,}", page):
        try:
            content = base64.b64decode(text)
            parts.append(
                (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content).decode("latin1")
            )
        except ValueError:
            continue
    for part in parts:
        assert str(full) not in part and str(ROOT) not in part and str(Path.home()) + "/" not in part
        assert "/home/someone" not in part and "/data/trial" not in part
    assert "nextflow run …/cartox --input …/samples.csv" in plain(page)


def test_markup_of_users_is_escaped(page: str) -> None:
    assert HOSTILE not in page
    assert page.count("&lt;img src=x") >= 5


def test_without_outcome(bare: str) -> None:
    text = plain(bare)
    assert "No clinical data and contrasts were given, so nothing was tested against outcome." in text
    assert "No serum analytes were given" in text
    assert not {"Associations", "Serum", "Calibration"} & set(headings(bare))
    assert {"Cohort", "Cells"} <= set(headings(bare))


def test_questions_of_other_designs(tmp_path: Path) -> None:
    folder = report_inputs.build(tmp_path / "in", patients=4, cells=10)
    contrast = json.loads((folder / "tox_d7.contrast.json").read_text())
    table = pd.read_csv(folder / "tox_d7.associations.csv", keep_default_na=False)
    values = pd.read_parquet(folder / "tox_d7.values.parquet")

    # a numeric term; one whose only primary feature was not measured; one that nothing could be tested for
    numeric = table.assign(contrast="by_age", n_per_group="", coefficient="per unit of age")
    numeric.to_csv(folder / "by_age.associations.csv", index=False)
    values.assign(contrast="by_age", group=[str(40 + 7 * (i % 4)) for i in range(len(values))]).to_parquet(
        folder / "by_age.values.parquet"
    )
    missing = table.head(1).assign(
        contrast="lost", family="primary", note="not tested: not measured here", p=None, q=None, estimate=None
    )
    missing.to_csv(folder / "lost.associations.csv", index=False)
    table.head(0).to_csv(folder / "none.associations.csv", index=False)
    about = {"by_age": {"term": "age", "n_per_group": "", "reference": ""}, "lost": {}}
    about["none"] = {
        "label": "Not possible",
        "notes": ["Not tested: one group"],
        "p_floor": None,
        "where": {},
    }
    for name, changes in about.items():
        (folder / f"{name}.contrast.json").write_text(json.dumps(contrast | {"id": name} | changes))

    text = plain(page_of(tmp_path))
    assert "In CD14+ monocytes at D7, the interferon gamma response (Hallmark) rises with age." in text
    assert re.search(r"Could not be tested In [^.]+\. Not tested: not measured here\.", text)
    assert re.search(
        "Not possible .* Nothing could be tested for this question. .* Not tested: one group.", text
    )


def test_questions_keep_their_order_and_say_what_is_off(tmp_path: Path) -> None:
    folder = report_inputs.build(tmp_path / "in", patients=4, cells=20)
    contrast = json.loads((folder / "tox_d7.contrast.json").read_text())
    table = pd.read_csv(folder / "tox_d7.associations.csv", keep_default_na=False)
    paired = table[table["family"] != "primary"].assign(contrast="asked_first", q=0.5)
    paired.to_csv(folder / "asked_first.associations.csv", index=False)
    about = {"id": "asked_first", "label": "Asked first", "within": True, "n_per_group": "ctrl:4 stim:4"}
    about["notes"] = ["Expression in CD16_Mono not tested: too few samples"]
    (folder / "asked_first.contrast.json").write_text(json.dumps(contrast | about))
    pd.DataFrame(
        [("asked_first", "pathway", 400, 200, 0.11, 0.1, 0.12, "outside 0.03–0.07")],
        columns=columns.CALIBRATION,
    ).to_csv(folder / "asked_first.calibration.csv", index=False)
    checks = json.loads((folder / "checks.json").read_text())
    (folder / "checks.json").write_text(json.dumps(checks | {"contrasts": ["asked_first", "tox_d7"]}))

    text = plain(page_of(tmp_path))
    for remark in ("only 90 genes are in every sample", "all cells have the same batch"):
        assert remark in text.lower(), "what MERGE and HARMONY remarked"
    other = contrast.get("label") or "tox_d7"
    findings = text[text.index("What was asked") :]
    assert findings.index("Asked first") < findings.index(other)
    assert "Patients: 4, each with ctrl and stim." in findings
    assert "In no family does a feature stand out at q ≤ 0.05." in findings
    assert "Expression in CD16+ monocytes not tested" in findings
    off = "Pathways: p-values are too small: read them with care (11.0 % below 0.05 with patients permuted); "
    off += "rely on the permutation p."
    assert off in findings
    assert f"Asked first. {off}" in text[text.index("With patients permuted over the groups") :]


def test_car_calls_say_how_sure_they_are(tmp_path: Path) -> None:
    folder = report_inputs.build(tmp_path / "in", patients=2, cells=60)
    about = json.loads((folder / "annotate.json").read_text())
    false = {"lanes": 2, "n": 400, "n_positive": 2, "fpr": 0.005, "low": 0.0006, "high": 0.0179}
    about["car"]["false_positive_rate"] = false
    lane = {"batch": "lane_P01", "threshold": 2, "note": "raised from 1: 1.5% of non-T cells reach 1"}
    about["car"]["by_batch"] = [lane]
    (folder / "annotate.json").write_text(json.dumps(about))
    text = plain(page_of(tmp_path))
    assert "0.50 % reach the threshold (95 % interval 0.06 to 1.79 %)" in text
    counts = about["car"]["calls"]
    assert (
        f"{counts['CAR+']:,} CAR+, {counts['CAR-']:,} CAR-, {counts['undetermined']:,} undetermined" in text
    )
    record = about["car"]["by_sample"][0]
    assert f"{100 * record['car_low']:.2f}–{100 * record['car_high']:.2f}" in text
    assert "Lane lane_P01: at least 2 CAR counts (raised from 1" in text


def test_clusters_say_how_sure_the_types_are(tmp_path: Path) -> None:
    folder = report_inputs.build(tmp_path / "in", patients=2, cells=20)
    about = json.loads((folder / "annotate.json").read_text())
    cluster = {"cluster": "0", "n_cells": 21, "cell_type": "CD8_T", "share": 0.57, "mean_confidence": 0.8}
    about["clusters"] = [cluster | {"by_markers": "NK", "agrees": False}]
    about["subclusters"] = [
        {"subcluster": "T.0", "n_cells": 9, "cell_type": "CD8_T", "cell_type_share": 0.9}
        | {"cell_state": "", "cell_state_share": 0.6}
    ]
    lacking = {"cell_type": "DN_T", "sister": "CD8_T", "gene": "CD8A", "likelihood_ratio": 30.0}
    about["absence"] = [lacking | {"sample": "P01_D7", "n_cells": 90, "share": 0.31, "n_called": 25}]
    (folder / "annotate.json").write_text(json.dumps(about))
    text = plain(page_of(tmp_path))
    assert re.search(r"0 21 CD8\+ T cells 57[.0-9]* NK cells ⚑ 0\.80?", text)
    assert re.search(r"T\.0 9 CD8\+ T cells 90[.0-9]* none stands out 60", text)
    assert "P01_D7 CD8+ T cells 90 31" in text


def test_many_unnamed_cells_are_told(tmp_path: Path) -> None:
    folder = report_inputs.build(tmp_path / "in", patients=2, cells=20)
    table = pd.read_parquet(folder / "annotation.parquet")
    names = table["cell_type"].astype(str).where(table.index % 4 > 0, "Unassigned")
    table.assign(cell_type=names).to_parquet(folder / "annotation.parquet", index=False)
    text = plain(page_of(tmp_path))
    assert re.search(r"\d+ % of the cells could not be given a type \(Unassigned\)", text)
    assert re.search(r"Unassigned: [\d.]+ % of all cells; a tenth or more in P\d+_\w+ \d+ %", text)


def test_size(full: Path) -> None:
    assert (full / "report.html").stat().st_size < 6_000_000


def test_samples_and_qc_are_enough(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "tests" / "data" / "report", tmp_path / "in")
    text = plain(page_of(tmp_path))
    assert "Sample B was dropped: fewer than 10 usable cells." in text


def test_without_samples_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(cli.InputError, match=r"samples\.csv"):
        page_of(tmp_path)


def test_cells_in_another_order_are_refused(tmp_path: Path) -> None:
    folder = report_inputs.build(tmp_path / "in", patients=2, cells=5)
    table = pd.read_parquet(folder / "annotation.parquet")
    table.iloc[::-1].to_parquet(folder / "annotation.parquet", index=False)
    with pytest.raises(cli.InputError, match="order"):
        page_of(tmp_path)


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
def test_opens_in_a_browser(full: Path, tmp_path: Path) -> None:
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=8000", "--no-first-run"]
    flags += ["--disable-background-networking", "--disable-component-update", f"--user-data-dir={tmp_path}"]
    flags += ["--enable-logging=stderr", "--dump-dom", f"file://{full / 'report.html'}"]
    done = subprocess.run(["chromium", *flags], capture_output=True, text=True, timeout=60, check=True)
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert console == []
    start = done.stdout.index('id="cx-map"')
    assert "main-svg" in done.stdout[start : start + 2000]
    assert "Show plot" not in plain(done.stdout)
