"""What ASSOCIATE says of a question, from its tables to the page: every guard is a sentence there."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import report_inputs
from tables import Cohort, write
from test_report import page_of, plain

import associate
from cartox.report import labels

SMALL = {"n_pathways": 3, "n_genes": 25, "n_pairs": 3}
CHANGE = {"level": "change", "baseline": "baseline", "where": {}, "formula": "~ toxicity"}
SWAP = "Possible sample swap in P03: by sex genes P03_D7 female; P03_baseline male."


def same_as_outcome(folder: Path) -> None:
    clinical = pd.read_csv(folder / "clinical.csv", dtype=str)
    clinical.assign(anakinra=clinical["toxicity"]).to_csv(folder / "clinical.csv", index=False)


def in_batches_of_the_outcome(folder: Path) -> None:
    samples = pd.read_csv(folder / "samples.csv", dtype=str)
    samples.assign(batch=np.where(samples["patient"] < "P06", "L1", "L2")).to_csv(
        folder / "samples.csv", index=False
    )


def without_a_baseline(folder: Path) -> None:
    samples = pd.read_csv(folder / "samples.csv", dtype=str)
    samples[samples["sample"] != "P11_baseline"].to_csv(folder / "samples.csv", index=False)


def with_a_changed_arm(folder: Path) -> None:
    samples = pd.read_csv(folder / "samples.csv", dtype=str)
    arm = np.where(samples["patient"] < "P06", "a", "b")
    moved = samples["sample"] == "P01_D7"
    samples.assign(arm=np.where(moved, "b", arm)).to_csv(folder / "samples.csv", index=False)


DESIGNS = {
    "aliased": (Cohort(**SMALL), same_as_outcome),
    "few": (Cohort(no=4, yes=2, **SMALL), None),
    "three_by_three": (Cohort(no=3, yes=3, **SMALL, contrast={"formula": "~ toxicity"}), None),
    "one_visit": (Cohort(timepoints=("D7",), **SMALL, contrast=CHANGE), None),
    "no_baseline": (Cohort(**SMALL, contrast=CHANGE), without_a_baseline),
    "batch": (Cohort(**SMALL, contrast={"formula": "~ toxicity"}), in_batches_of_the_outcome),
    "arm": (
        Cohort(**SMALL, contrast={"formula": "~ arm", "term": "arm", "where": {}, "focus": []}),
        with_a_changed_arm,
    ),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[str, dict[str, dict], dict[str, pd.DataFrame]]:
    """The page of seven questions, and what ASSOCIATE wrote of each: contrast.json, associations.csv."""
    folder = tmp_path_factory.mktemp("guards")
    inputs = report_inputs.build(folder / "in", patients=4, cells=5)
    for path in inputs.glob("tox_d7.*"):
        path.unlink()
    about, rows = {}, {}
    with pytest.MonkeyPatch.context() as patch:
        for name, (cohort, change) in DESIGNS.items():
            cohort.contrast |= {"id": name, "label": name.replace("_", " ")}
            flags = write(folder / name, cohort)
            if change:
                change(folder / name)
            patch.chdir(folder / name)
            associate.main([*flags, "--n_permutations", "200", "--n_calibration", "10"])
            about[name] = json.loads(Path(f"{name}.contrast.json").read_text())
            rows[name] = pd.read_csv(f"{name}.associations.csv", keep_default_na=False, na_values={"p": [""]})
            if name == "arm":
                about[name]["notes"].append(SWAP)
                Path(f"{name}.contrast.json").write_text(json.dumps(about[name]))
            for path in Path().glob(f"{name}.*"):
                shutil.copy(path, inputs / path.name)
    return page_of(folder), about, rows


def section(page: str, ident: str) -> str:
    """The text of one section of the page."""
    start = page.index(f'id="mqc-section-wrapper-{ident}"')
    end = page.find('id="mqc-section-wrapper-', start + 10)
    return plain(page[start:end])


@pytest.mark.parametrize("name", list(DESIGNS))
def test_all_that_is_said_of_a_question_is_on_the_page(made, name: str) -> None:
    page, about, rows = made
    names = labels.Names(labels.CELL_TYPES)
    untested = rows[name].loc[rows[name]["p"].isna(), "note"]
    reasons = [str(note).partition(": ")[2] for note in untested]
    said = [*about[name]["notes"], *reasons]
    wanted = {labels.full_stop(names.in_text(str(note))) for note in said if note}
    assert wanted, "this design has something to say"
    findings = section(page, "summary")
    question = findings[findings.index(f" {about[name]['label']} ") :]
    own = section(page, f"contrast_{name}")
    for note in wanted:
        assert note in own
        assert note in question


def test_guards_are_plain_sentences(made) -> None:
    page, _, _ = made
    findings = section(page, "summary")
    for words in (
        "Toxicity (yes) cannot be told from anakinra (yes).",
        "Descriptive only: a group has fewer than three patients.",
        "With these patients no permutation p can fall below 0.1, so nothing can be called at 0.05.",
        "Without a baseline sample, so without a change: P11.",
        "Every batch holds one level of toxicity: a batch effect cannot be told from its effect.",
        "Left out, as arm changes between their samples: P01.",
        SWAP,
    ):
        assert words in findings


def test_what_cannot_be_tested_is_not_called_without_effect(made) -> None:
    page, _, _ = made
    findings = section(page, "summary")
    for name in ("aliased", "few", "one visit"):
        start = findings.index(f" {name} Tested: ")
        answer = findings[start : findings.find("Figures and table", start)]
        assert "Nothing could be tested for this question." in answer
        assert "stand out" not in answer and not re.search("No difference could be shown", answer)
