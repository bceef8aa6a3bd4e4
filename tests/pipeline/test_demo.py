"""The demo trial through the whole pipeline: what was planted is found, and little else."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest
from kills import begun, finished, processes_of, resubmitted, submitted
from pipeline_runs import demo_flags, differences

from cartox.demo import truth as demo_truth
from cartox.signals import gene_sets

pytestmark = pytest.mark.engine
ROOT = Path(__file__).resolve().parents[2]
MOMENTS = 10


@pytest.fixture(scope="module")
def associations(demo) -> pd.DataFrame:
    return pd.read_csv(demo.results / "associations.csv", keep_default_na=False, na_values=[""])


def test_the_primary_family_is_found_with_the_right_signs(associations, demo_cohort):
    truth = pd.read_csv(demo_cohort / "truth.csv", keep_default_na=False)
    keys = ["contrast", "kind", "cell_type", "feature"]
    declared = truth[truth["focus"].astype(str) == "1"].set_index(keys)["direction"].astype(int)
    primary = associations[associations["family"] == "primary"].set_index(keys)
    assert set(primary.index) == set(declared.index)
    assert (primary["q"] <= 0.05).all()
    assert ((primary["estimate"] > 0) == (declared.reindex(primary.index) > 0)).all()


def test_at_most_5_percent_of_what_is_called_was_untouched(associations, demo_cohort):
    truth = pd.read_csv(demo_cohort / "truth.csv", keep_default_na=False)
    net = gene_sets.load(list(gene_sets.SHIPPED), ROOT / "assets/gene_sets")
    members = net.groupby("source")["target"].agg(list).to_dict()
    called = associations[associations["q"] <= 0.05].reset_index(drop=True)
    touched = demo_truth.touched(called, truth, members)
    assert len(called) >= 20
    assert 1 - touched.mean() <= 0.05, called[~touched].to_string()


def test_every_association_has_both_p_values_a_floor_and_its_groups(associations):
    tested = associations[associations["p"].notna()]
    assert tested[["p_permutation", "p_floor", "q", "ci_low", "ci_high"]].notna().all().all()
    assert (tested["q"] >= tested["p_floor"]).all()
    assert tested["n_per_group"].str.fullmatch(r"no:\d+ yes:\d+").all()


def test_the_outputs_are_those_that_the_documentation_names(demo):
    expected = ["report.html", "cohort.h5ad", "features.parquet", "associations.csv", "calibration.csv"]
    expected += [
        "correlations.csv",
        "run/params.json",
        "run/run.json",
        "run/methods.md",
        "run/summary.txt",
        "ro-crate-metadata.json",
        "run/versions.csv",
        "run/checks.json",
        "run/trace.tsv",
    ]
    expected += [
        "pathways/pathway_scores.parquet",
        "pseudobulk/pseudobulk.h5ad",
        "annotation/annotation.parquet",
    ]
    missing = [name for name in expected if not (demo.results / name).exists()]
    assert not missing
    for folder, count in {"qc": 72, "doublets": 24, "ligrec": 39}.items():
        assert len(list((demo.results / folder).iterdir())) == count, folder


def test_the_cells_open_in_scanpy_with_counts_types_and_embeddings(demo, demo_cohort, case):
    import anndata

    cells = anndata.read_h5ad(demo.results / "cohort.h5ad", backed="r")
    columns = (
        "sample patient timepoint barcode cell_type cell_state confidence car car_umi doublet_score cluster"
    )
    assert set(columns.split()) <= set(cells.obs.columns)
    assert {"X_pca", "X_pca_harmony", "X_umap"} <= set(cells.obsm)
    assert "counts" in cells.layers
    planted = pd.read_csv(demo_cohort / "labels_truth.csv.gz")
    both = cells.obs[["sample", "barcode", "cell_type"]].merge(planted, on=["sample", "barcode"])
    whole = both[(both["doublet"] == 0)]
    accuracy = (whole["cell_type_x"].astype(str) == whole["cell_type_y"]).mean()
    case("demo: accuracy of planted types", "0.95", f"{accuracy:.3f}")
    assert accuracy >= 0.95
    assert both["empty"].sum() == 0


def test_planted_doublets_are_found(demo, demo_cohort, case):
    tables = [pd.read_csv(path) for path in sorted((demo.results / "doublets").glob("*.doublets.csv.gz"))]
    planted = pd.read_csv(demo_cohort / "labels_truth.csv.gz")[["sample", "barcode", "doublet"]]
    both = pd.concat(tables).merge(planted, on=["sample", "barcode"], validate="1:1")
    called, double = both["predicted_doublet"] == 1, both["doublet"] == 1
    recall, precision = called[double].mean(), double[called].mean()
    case("demo: doublets, recall and precision", "0.6, 0.6", f"{recall:.2f}, {precision:.2f}")
    assert recall >= 0.6
    assert precision >= 0.6


def test_the_first_line_of_the_report_says_that_the_demo_is_simulated(demo):
    page = (demo.results / "report.html").read_text()
    body = page[page.index("<body") :]
    assert "This cohort is simulated." in body
    assert body.index("This cohort is simulated.") < body.index("passed quality control")
    assert "interferon gamma response" in body.lower()
    assert str(demo.results.parent) not in page


def test_resume_after_success_submits_nothing(pipeline, demo, demo_cohort):
    again = pipeline(demo.results.parent, *demo_flags(demo_cohort), "-resume")
    assert again.code == 0
    assert again.submitted() == []


def test_the_record_of_the_run_names_command_parameters_and_versions(demo):
    record = json.loads((demo.results / "run/params.json").read_text())
    assert record["car_features"] == "FMC63-CD19SCFV"
    assert json.loads((demo.results / "run/run.json").read_text())["command"].startswith("nextflow")
    versions = dict(line.split(",") for line in (demo.results / "run/versions.csv").read_text().split())
    assert {"python", "scranpy", "harmonypy", "liana", "pandas"} <= set(versions)


def test_ten_kills_at_random_moments_cost_no_finished_task_and_change_no_table(
    engine, demo, demo_cohort, tmp_path, case
):
    rng = random.Random(4)
    command = [engine, "-log", "nextflow.log", "run", str(ROOT), "-profile", "venv", "-ansi-log", "false"]
    command += demo_flags(demo_cohort)
    done: set[str] = set()
    again: set[str] = set()
    retried: set[str] = set()
    kills = {"engine": 0, "task": 0}

    def start() -> subprocess.Popen[str]:
        resume = ["-resume"] if kills["engine"] else []
        return subprocess.Popen(
            [*command, *resume], cwd=tmp_path, stdout=output.open("w"), stderr=subprocess.STDOUT, text=True
        )

    output = tmp_path / "output.txt"
    run = start()
    for moment in sorted(rng.sample(range(3, 130), MOMENTS)):
        while len(begun(output)) < moment and run.poll() is None:
            time.sleep(0.1)
        tasks = processes_of(tmp_path / "work")
        if kills["task"] < kills["engine"] and tasks:
            os.kill(rng.choice(tasks), signal.SIGKILL)
            kills["task"] += 1
        elif run.poll() is None:
            run.kill()
            run.wait()
            kills["engine"] += 1
            now = datetime.now()
            again |= submitted(output) & done
            retried |= resubmitted(output)
            done |= finished(tmp_path / "nextflow.log", now)
            assert not (tmp_path / "results" / "report.html").exists()
            run = start()
    assert run.wait(timeout=600) == 0, output.read_text()[-3000:]
    again |= submitted(output) & done
    case(
        f"kill -9: engine {kills['engine']} times, tasks {kills['task']} times",
        "finished tasks are not run again",
        f"{len(done)} finished before a kill, run again: {sorted(again) or 'none'}"
        f" (of those killed themselves and retried: {len(done & retried)})",
    )
    assert sum(kills.values()) == MOMENTS, "the run was over before it could be killed"
    assert len(done) > 20
    # The engine numbers tries otherwise when it retries a task than when it looks for one done: a task that
    # was queued, lost with the engine, then killed and retried runs again when the engine is killed once more
    assert not again - retried
    differing = differences(demo.results, tmp_path / "results")
    case("tables after the kills", "those of an undisturbed run", differing or "identical")
    assert not differing
