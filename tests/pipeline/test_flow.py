"""The flow as a user meets it: help, misspelt parameters, faulty inputs, a dry run of every step."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from pipeline_runs import cohort_flags, trial_flags
from schema import parameters
from scipy import sparse

import flow_diagram
import simulate_cohort
from cartox.demo import simulate
from cartox.demo.trial import load_profiles, trial
from cartox.matrices.matrix import CountMatrix, write_h5

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small trial: 4 patients, 12 samples."""
    folder = tmp_path_factory.mktemp("cohort")
    simulate_cohort.main(["--out", str(folder), "--patients", "4", "--cells", "90"])
    return folder


def listed(output: str) -> set[str]:
    return set(re.findall(r"^  --(\w+) ", output, re.MULTILINE))


def test_the_diagram_shows_the_flow_as_it_is(engine, case):
    page = flow_diagram.PAGE.read_text()
    case("docs/flow.md", "as Nextflow has the flow", f"{page.count(' --> ')} arrows")
    assert flow_diagram.drawn(engine) == page


def test_a_preview_can_be_repeated_into_the_same_folder(pipeline, tmp_path):
    for _ in range(2):
        run = pipeline(tmp_path, *trial_flags(), "-preview")
        assert run.code == 0, run.output
        assert not run.tasks


def test_help_lists_by_group_what_most_runs_need(pipeline, tmp_path, case):
    run = pipeline(tmp_path, "--help")
    assert run.code == 0
    wanted = {name for name, rule in parameters().items() if not rule.get("hidden")}
    case("--help", f"{len(wanted)} of {len(parameters())} parameters", len(listed(run.output)))
    assert listed(run.output) == wanted < set(parameters())
    for words in (
        "\nInput and output\n",
        "\nInference\n",
        "(scrublet, none) [scrublet]",
        "--help_full shows all",
    ):
        assert words in run.output
    assert not run.tasks
    assert not run.results.exists()


def test_full_help_lists_every_parameter_with_bounds_and_choices(pipeline, tmp_path):
    run = pipeline(tmp_path, "--help_full")
    assert run.code == 0
    assert listed(run.output) == set(parameters())
    for words in ("(whole number, at least 2, at most 100) [5]", "(one of cpu, gpu) [cpu]"):
        assert words in run.output


def test_help_of_one_parameter_has_its_bounds_and_advice(pipeline, tmp_path):
    run = pipeline(tmp_path, "--help", "tensor_rank")
    assert run.code == 0
    assert listed(run.output) == {"tensor_rank"}
    assert parameters()["tensor_rank"]["help_text"] in run.output


@pytest.mark.parametrize("parser", ["v1", "v2"])
def test_all_faults_of_parameters_are_told_at_once_with_the_nearest_name(pipeline, tmp_path, case, parser):
    given = [
        "--inptu",
        "x.csv",
        "--nmads",
        "wide",
        "--qc_mode",
        "strict",
        "--min-genes",
        "5",
        "--maxMito",
        "4",
    ]
    run = pipeline(tmp_path, *given, "--helpFull", "--qwertyuiop", env={"NXF_SYNTAX_PARSER": parser})
    assert run.code == 1
    said = [line.strip() for line in run.output.splitlines() if line.startswith("  --")]
    case(f"misspelt parameters, parser {parser}", "each once, with the nearest name", said)
    assert sorted(said) == [
        "--helpFull (or --help-full): no such parameter; did you mean --help_full?",
        "--inptu: no such parameter; did you mean --input?",
        "--input: missing; give the sample sheet (columns sample, patient, timepoint, path)",
        "--maxMito (or --max-mito): no such parameter; did you mean --max_mito?",
        "--minGenes (or --min-genes): no such parameter; did you mean --min_genes?",
        "--nmads wide: must be a number",
        "--qc_mode strict: must be one of adaptive, fixed, none",
        "--qwertyuiop: no such parameter; --help_full shows all",
    ]
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


def contaminated(folder: Path) -> None:
    """Blood of 400 cells with 15 % more ambient RNA and its unfiltered matrix, as in Cell Ranger's folder."""
    rng = np.random.default_rng(0)
    profiles = load_profiles(simulate_cohort.PROFILES)
    matrix, _ = simulate.sample(profiles, trial(4, 1), 0, 2, 400, 1, False, False)
    depth = np.asarray(matrix.counts.sum(axis=1))
    soup = np.asarray(matrix.counts.sum(axis=0)) / depth.sum()
    droplets = [rng.poisson(level * soup) for level in (0.15 / 0.85 * depth, rng.uniform(10, 100, (3000, 1)))]
    ambient, empty = (sparse.csr_matrix(drawn, dtype=np.int32) for drawn in droplets)
    counts = sparse.csr_matrix(matrix.counts + ambient)
    write_h5(
        folder / "filtered_feature_bc_matrix.h5",
        CountMatrix(counts, matrix.barcodes, matrix.genes, matrix.gene_ids),
    )
    names = np.append(matrix.barcodes, [f"EMPTY{i}" for i in range(3000)])
    every = sparse.csr_matrix(sparse.vstack([counts, empty]))
    write_h5(folder / "raw_feature_bc_matrix.h5", CountMatrix(every, names, matrix.genes, matrix.gene_ids))


def test_a_sample_sheet_alone_ends_at_cells_pathways_and_pairs_and_the_report_says_so(
    pipeline, cohort, tmp_path
):
    lines = (cohort / "samples.csv").read_text().replace("matrices/", f"{cohort}/matrices/").splitlines()
    lines = [line for line in lines if line.startswith(("sample,", "P01_D7", "P02_D7", "P03_D7"))]
    (tmp_path / "P01/outs").mkdir(parents=True)
    contaminated(tmp_path / "P01/outs")
    sheet = pd.read_csv(io.StringIO("\n".join(lines))).assign(raw_path="")
    sheet.loc[sheet["sample"] == "P01_D7", ["path", "raw_path"]] = "P01/outs"
    sheet.to_csv(tmp_path / "samples.csv", index=False)
    flags = ["--input", str(tmp_path / "samples.csv"), "--integration", "none", "--ambient", "soupx"]
    run = pipeline(tmp_path / "launch", *flags)
    assert run.code == 0, run.output[-3000:]
    assert not {"ASSOCIATE", "CORRELATE"} & {name.split(" ")[0] for name in run.tasks}
    for name in ("features.parquet", "cohort.h5ad", "pathways/pathway_scores.parquet", "ligrec/D7.rank.csv"):
        assert (run.results / name).exists(), name
    told = {
        name: json.loads((run.results / f"qc/{name}.ambient.json").read_text()) for name in sheet["sample"]
    }
    assert [name for name, account in told.items() if account["corrected"]] == ["P01_D7"]
    assert told["P01_D7"]["contamination"] == pytest.approx(0.17, abs=0.06)
    assert "no unfiltered matrix" in told["P02_D7"]["note"]
    cells = anndata.read_h5ad(run.results / "cohort.h5ad")
    assert cells.obs["n_counts"].tolist() == np.asarray(cells.layers["counts"].sum(axis=1)).ravel().tolist()
    assert not (run.results / "associations.csv").exists()
    assert "contrasts were given" in (run.results / "report.html").read_text()


@pytest.mark.parametrize("parser", ["v1", "v2"])
def test_every_step_is_reached_under_both_parsers(pipeline, cohort, tmp_path, parser):
    reference = Path(__file__).parents[1] / "data/cells/reference.h5ad"
    optional = ["--tensor_rank", "2", "--reference", str(reference), "--ambient", "soupx"]
    optional += ["--organism", "mouse"]
    run = pipeline(tmp_path, "-stub-run", *cohort_flags(cohort), *optional, env={"NXF_SYNTAX_PARSER": parser})
    assert run.code == 0, run.output
    reached = {name.split(" ")[0] for name in run.tasks}
    modules = {path.parent.name.upper() for path in Path(__file__).parents[2].glob("modules/*/main.nf")}
    assert reached == modules
    assert set(run.tasks.values()) == {"COMPLETED"}
