"""The flow as a user meets it: help, misspelt parameters, faulty inputs, a dry run of every step."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import cohort_flags

import simulate_cohort

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small trial: 4 patients, 12 samples."""
    folder = tmp_path_factory.mktemp("cohort")
    simulate_cohort.main(["--out", str(folder), "--patients", "4", "--cells", "90"])
    return folder


def test_help_lists_every_group_of_parameters(pipeline, tmp_path):
    run = pipeline(tmp_path, "--help")
    assert run.code == 0
    for words in ("Input and output", "--contrasts", "--n_permutations", "[scrublet]"):
        assert words in run.output


def test_all_faults_of_parameters_are_told_at_once_with_the_nearest_name(pipeline, tmp_path):
    run = pipeline(tmp_path, "--inptu", "x.csv", "--nmads", "wide", "--qc_mode", "strict")
    assert run.code == 1
    for words in (
        "--inptu: no such parameter; did you mean --input?",
        "--nmads wide: must be a number",
        "--qc_mode strict: must be one of adaptive, fixed, none",
        "--input: missing",
    ):
        assert words in run.output
    assert not run.tasks


def test_all_faults_of_the_inputs_are_told_at_once_before_any_other_task(pipeline, cohort, tmp_path):
    sheet = (cohort / "samples.csv").read_text().replace("matrices/", f"{cohort}/matrices/").splitlines()
    sheet[1] = sheet[1].replace("P01_product.h5", "absent.h5")
    sheet[2] = sheet[2].replace("P01_baseline,", "P01;$(touch hacked),")
    sheet[4] = sheet[3]
    (tmp_path / "samples.csv").write_text("\n".join(sheet) + "\n")
    contrasts = (cohort / "contrasts.yml").read_text().replace("~ toxicity", "~ toxcity")
    (tmp_path / "contrasts.yml").write_text(contrasts)
    given = cohort_flags(cohort)
    given[1], given[-1] = str(tmp_path / "samples.csv"), str(tmp_path / "contrasts.yml")
    run = pipeline(tmp_path / "launch", *given)
    assert run.code == 1
    assert "samples.csv, row 2, column 'path'" in run.output
    assert "samples.csv, row 3, column 'sample'" in run.output
    assert "samples.csv, row 5, column 'sample'" in run.output
    assert "did you mean 'toxicity'" in run.output
    assert "Traceback" not in run.output
    assert not (run.results / "report.html").exists()
    assert run.submitted() == ["CHECK_INPUTS"]
    assert not list(tmp_path.rglob("hacked"))


def test_a_sample_sheet_alone_ends_at_cells_pathways_and_pairs_and_the_report_says_so(
    pipeline, cohort, tmp_path
):
    lines = (cohort / "samples.csv").read_text().replace("matrices/", f"{cohort}/matrices/").splitlines()
    lines = [line for line in lines if line.startswith(("sample,", "P01_D7", "P02_D7", "P03_D7"))]
    (tmp_path / "samples.csv").write_text("\n".join(lines) + "\n")
    run = pipeline(tmp_path / "launch", "--input", str(tmp_path / "samples.csv"), "--integration", "none")
    assert run.code == 0, run.output[-3000:]
    assert not {"ASSOCIATE", "CORRELATE"} & {name.split(" ")[0] for name in run.tasks}
    for name in ("features.parquet", "cohort.h5ad", "pathways/pathway_scores.parquet", "ligrec/D7.rank.csv"):
        assert (run.results / name).exists(), name
    assert not (run.results / "associations.csv").exists()
    assert "contrasts were given" in (run.results / "report.html").read_text()


@pytest.mark.parametrize("parser", ["v1", "v2"])
def test_every_step_is_reached_under_both_parsers(pipeline, cohort, tmp_path, parser):
    reference = Path(__file__).parents[1] / "data/cells/reference.h5ad"
    optional = ["--tensor_rank", "2", "--reference", str(reference), "--ambient", "soupx"]
    run = pipeline(tmp_path, "-stub-run", *cohort_flags(cohort), *optional, env={"NXF_SYNTAX_PARSER": parser})
    assert run.code == 0, run.output
    reached = {name.split(" ")[0] for name in run.tasks}
    modules = {path.parent.name.upper() for path in Path(__file__).parents[2].glob("modules/*/main.nf")}
    assert reached == modules
    assert set(run.tasks.values()) == {"COMPLETED"}
