"""What a run leaves of itself: its last words, its methods, its RO-Crate, and what runs it again."""

from __future__ import annotations

import getpass
import hashlib
import json
import re
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from pipeline_runs import ROOT, TRIAL, trial_copy, trial_flags
from rocrate.rocrate import ROCrate

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def run(pipeline, tmp_path_factory):
    """One run of a trial that lies in a folder whose name must not be passed on."""
    folder = tmp_path_factory.mktemp("record")
    trial = trial_copy(folder / "of_somebody" / "trial")
    done = pipeline(folder / "launch", *trial_flags(trial), "--account", "somebody")
    assert done.code == 0, done.output[-3000:]
    return done


def test_a_full_minute_has_its_seconds(engine, tmp_path):
    script = tmp_path / "minute.nf"
    script.write_text(
        "include { to_the_second } from '" + str(ROOT) + "/modules/crate'\n"
        "workflow { println(to_the_second(java.time.OffsetDateTime.parse('2026-01-02T03:04:00.5Z'))) }\n"
    )
    done = subprocess.run([engine, "run", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "2026-01-02T03:04:00Z"


def last_words(run) -> str:
    return run.output[run.output.index("\nsamples ") :]


def test_the_last_words_count_what_came_in_and_what_was_found(run, case):
    said = last_words(run)
    case("last words", "samples, cells, findings, place, time", said)
    lines = dict(re.findall(r"^(\w+) +(.*)$", said, re.MULTILINE))
    judged = [json.loads(path.read_text()) for path in run.results.glob("qc/*.qc.json")]
    kept = [q for q in judged if q["status"] != "dropped"]
    flagged = sum(q["status"] == "flagged" for q in judged)
    assert (
        lines["samples"] == f"6 of 6 patients: {len(kept)} kept ({flagged} flagged), {6 - len(kept)} dropped"
    )
    passed = f"{sum(q['n_kept'] for q in judged):,} of {sum(q['n_barcodes'] for q in judged):,} barcodes"
    # 45 cells of a sample are too few to look for doublets
    assert lines["cells"] == f"{passed} passed quality control; no doublets were taken out"
    tests = pd.read_csv(run.results / "associations.csv", keep_default_na=False, na_values=[""])
    tests = tests[tests["q"].notna()].assign(primary=lambda t: t["family"] == "primary")
    counted = [
        f"{(part['q'] <= 0.05).sum():,} of {len(part):,} {'declared' if primary else 'others'}"
        for primary, part in sorted(tests.groupby("primary"), reverse=True)
    ]
    assert lines["findings"] == f"tox_day7: {', '.join(counted)} with q ≤ 0.05"
    assert f"{run.results.name}/report.html" in said
    assert re.search(r"cartox: done in \d", said)
    # people and samples stay in the tables
    assert not re.search(r"P0\d", said)
    assert (run.results / "run/summary.txt").read_text() in run.output


def test_the_methods_are_those_of_this_run(run):
    text = (run.results / "run/methods.md").read_text()
    versions = dict(line.split(",") for line in (run.results / "run/versions.csv").read_text().splitlines())
    for words in (
        "at least 500 counts and 200 genes",
        f"(harmonypy {versions['harmonypy']})",
        "at least 5 cells",
        "FMC63-CD19SCFV",
        "~ toxicity + anakinra (term toxicity; samples at D7; 6 patients)",
        "all rearrangements or 500 of them",
        "doi:10.1038/s41592-019-0619-0",
    ):
        assert words in text
    # and of nothing that it did not do: its lanes are too small for Scrublet
    for word in ("Scrublet", "SoupX", "Tensor-cell2cell", "labelled reference"):
        assert word not in text
    assert "…/" not in text and str(run.results.parents[1]) not in text
    page = (run.results / "report.html").read_text()
    assert "all rearrangements or 500 of them" in page


def test_the_crate_loads_and_holds_what_was_published_with_checksums(run, case):
    crate = ROCrate(run.results)
    files = {entity.id: entity for entity in crate.data_entities if "File" in entity.type}
    there = {
        str(path.relative_to(run.results))
        for path in run.results.rglob("*")
        if path.is_file() and path.name != "ro-crate-metadata.json"
    }
    # the engine's own, and the list of names, are written after it
    later = {"trace.tsv", "execution_report.html", "execution_timeline.html", "published.txt"}
    published = {name for name in there if Path(name).name not in later}
    own = {name for name in files if not name.startswith("ni:")}
    case("RO-Crate", f"{len(published)} files, all with their SHA-256", len(own))
    assert own == published
    for name in published:
        content = (run.results / name).read_bytes()
        assert files[name]["sha256"] == hashlib.sha256(content).hexdigest(), name
        assert int(files[name]["contentSize"]) == len(content)
    action = crate.get("#run")
    assert action.type == "CreateAction" and action["instrument"] is crate.mainEntity
    assert {entity.id for entity in action["result"]} == published - {"run/main.nf"}
    assert action["startTime"] < action["endTime"] == crate.root_dataset["datePublished"]
    assert crate.mainEntity.id == "run/main.nf"
    assert "https://w3id.org/ro/wfrun/workflow/0.5" in {e.id for e in crate.root_dataset["conformsTo"]}


def test_the_crate_knows_the_inputs_by_content_and_the_parameters(run):
    crate = ROCrate(run.results)
    given = {
        entity["sha256"]: entity["name"] for entity in crate.get("#run")["object"] if entity.type == "File"
    }
    files = [path for path in TRIAL.rglob("*") if path.suffix in (".h5", ".csv", ".yml")]
    files += [
        path for path in (ROOT / "assets/gene_sets").iterdir() if path.suffix in (".gmt", ".tsv", ".gz")
    ]
    files.append(ROOT / "assets/markers/blood_cart.tsv")
    assert set(given) == {hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    assert crate.get("#value-min_cells")["value"] == "5"
    assert crate.get("#param-min_cells")["additionalType"] == "Integer"
    used = {entity["name"]: entity["softwareVersion"] for entity in crate.mainEntity["softwareRequirements"]}
    steps = dict(line.split(",") for line in (run.results / "run/versions.csv").read_text().split())
    own = {name: used.get(name) for name in ("matplotlib", "multiqc")}
    assert all(own.values()) and used == steps | own, "those of the steps, and the report's own"


def test_the_crate_names_no_person_and_no_folder(run):
    text = (run.results / "ro-crate-metadata.json").read_text()
    assert "somebody" not in text
    assert str(run.results.parents[1]) not in text
    assert not re.search(rf"\b{re.escape(getpass.getuser())}\b", text)
    assert "#value-account" not in text


def test_the_parameters_of_a_run_run_it_again(run, pipeline, case):
    given = run.results / "run/params.json"
    before = (run.results / "associations.csv").read_bytes()
    again = pipeline(run.results.parent, "-params-file", str(given), "-resume")
    case("-params-file run/params.json -resume", "only REPORT runs again", again.submitted())
    assert again.code == 0, again.output[-3000:]
    # its command is another one
    assert again.submitted() == ["REPORT"]
    assert (run.results / "associations.csv").read_bytes() == before
    assert json.loads(given.read_text())["min_cells"] == 5
