"""Methods, summary and crate of a run, from its report's tables: only what it did, nobody's folders."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import report_inputs
from rocrate.rocrate import ROCrate

from cartox.cells import car_detection, car_lanes, doublet_calls, neighbours, quality
from cartox.matrices import matrix
from cartox.report import citations, crate, inputs, manuscript, summary
from cartox.report.methods import value_shown, without_folders
from cartox.statistics import serum


@pytest.fixture(scope="module")
def read(tmp_path_factory) -> inputs.Inputs:
    return inputs.read(report_inputs.build(tmp_path_factory.mktemp("tables")))


@pytest.fixture(scope="module")
def bare(tmp_path_factory) -> inputs.Inputs:
    """The same cohort of which nothing was asked."""
    return inputs.read(report_inputs.build(tmp_path_factory.mktemp("bare"), outcome=False))


def test_each_reference_is_cited_and_each_citation_is_listed(read, bare):
    for run in (read, bare):
        parts, references = manuscript.written(run)
        groups = re.findall(r"\[([\d, ]+)\]", " ".join(text for _, text in parts))
        cited = dict.fromkeys(int(n) for group in groups for n in group.split(","))
        assert list(cited) == list(range(1, len(references) + 1)), "numbered as they are cited"
    books = {"holm", "westfall"}
    for key, work in citations.WORKS.items():
        assert re.search(r"\(\d{4}\)\.", work), key
        assert (re.search(r" doi:10\.\d{4,}/\S+$", work) is None) == (key in books), key


def test_parameters_that_were_given_stand_in_the_text(read):
    given = {
        "min_counts": 321,
        "nmads": 4.5,
        "n_hvg": 1234,
        "resolution": 0.7,
        "n_permutations": 777,
        "fdr": 0.1,
    }
    text = manuscript.markdown(replace(read, params=read.params | given))
    for words in (
        "at least 321 counts",
        "4.5 scaled",
        "1234 variable",
        "resolution 0.7",
        "777 of them",
        "q ≤ 0.1",
    ):
        assert words in text
    assert "bounds of its own" not in manuscript.markdown(
        replace(read, params=read.params | {"qc_mode": "fixed"})
    )


def test_only_what_the_run_did_is_told_and_cited(read, bare):
    full, least = manuscript.markdown(read), manuscript.markdown(bare)
    for words in ("moderated t", "Spearman", "Holm", "voom"):
        assert words in full and words not in least
    assert "Batches were not integrated" in full and "Harmony" not in full
    done = {"corrected": True, "harmony_by": "lane"}
    assert re.search(r"by lane with Harmony .*\[\d+\]", manuscript.markdown(replace(read, harmony=done)))
    assert "SoupX" not in full
    soup = [{"sample": "A", "corrected": True}, {"sample": "B", "corrected": False}]
    assert "in 1 of 2 samples" in manuscript.markdown(replace(read, ambient=soup))
    own = read.params | {"gene_sets": "hallmark,sets/mine.gmt", "ligrec_resource": "pairs.csv"}
    told = manuscript.markdown(replace(read, params=own))
    assert "Hallmark" in told and "gene sets of our own" in told and "PROGENy" not in told
    assert "pairs of a table of our own" in told


def test_the_summary_counts_and_names_no_sample(read, bare):
    text = summary.text(read)
    assert re.search(r"^samples +17 of 6 patients: 16 kept \(1 flagged\), 1 dropped$", text, re.MULTILINE)
    assert re.search(r"^findings +tox_d7: 1 of 3 declared, 0 of 49 others with q ≤ 0.05$", text, re.MULTILINE)
    assert not re.search(r"P0\d", text)
    assert "nothing was asked (--contrasts)" in summary.text(bare)


def test_doublets_that_were_not_looked_for_are_not_said_to_be_gone(read):
    assert "remain without doublets" in summary.text(read)
    blind = replace(read, doublets=[lane | {"method": "none"} for lane in read.doublets])
    assert "no doublets were taken out" in summary.text(blind)
    assert "without doublets" not in summary.text(blind)
    first = [lane | {"method": "expected rate"} for lane in read.doublets[:1]]
    mixed = replace(read, doublets=first + read.doublets[1:])
    told = " ".join(text for _, text in manuscript.written(mixed)[0])
    assert f"in 1 of {len(read.doublets)} lanes, as many as doublets are expected" in told


CHECKS = {
    "inputs": [
        {"file": "samples.csv", "bytes": 5, "sha256": "aa" * 32},
        {"file": "/home/somebody/P1.h5", "bytes": 6, "sha256": "bb" * 32},
        {"file": "../../somebody/P2.h5", "bytes": 7, "sha256": "cc" * 32},
        {"file": "matrices/P2_again.h5", "bytes": 7, "sha256": "cc" * 32},
    ]
}


def test_the_crate_loads_and_names_inputs_by_content(read, tmp_path):
    params = {"input": "/home/some body/samples.csv", "fdr": 0.05, "account": "somebody", "markers": None}
    run = {"command": "nextflow run /home/somebody/cartox", "version": "0.1.0", "nextflow": "25.04.4"}
    made = crate.described(replace(read, checks=CHECKS, params=params, run=run))
    path = tmp_path / "ro-crate-metadata.json"
    path.write_text(json.dumps(made))
    # what the run puts there at its end
    (tmp_path / "run").mkdir()
    (tmp_path / "run/main.nf").write_text("workflow {}\n")
    assert not re.search(r"some ?body|/home", path.read_text())
    loaded = ROCrate(tmp_path)
    action = loaded.get("#run")
    assert action["instrument"] is loaded.mainEntity and loaded.root_dataset["mentions"] == [action]
    files = {e["sha256"][:2]: e for e in action["object"] if e.type == "File"}
    assert {key: e["name"] for key, e in files.items()} == {"aa": "samples.csv", "bb": "P1.h5", "cc": "P2.h5"}
    assert files["cc"]["alternateName"] == ["matrices/P2_again.h5"]
    values = {e["name"]: e["value"] for e in action["object"] if e.type == "PropertyValue"}
    assert values == {"input": "…/samples.csv", "fdr": "0.05"}
    assert loaded.mainEntity["programmingLanguage"]["version"] == "25.04.4"
    assert {e["name"] for e in loaded.mainEntity["softwareRequirements"]} == {n for n, _ in read.versions}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("run /home/someone/cartox --input=/data/trial/s.csv", "run …/cartox --input=…/s.csv"),
        ("--input '/home/Jane Doe/x y.csv' -c 1", "--input '…/x y.csv' -c 1"),
        ("file:///home/u/x.csv ~/a/b.csv ~bob/c.csv", "…/x.csv …/b.csv …/c.csv"),
        ("../../home/alice/x.csv,/home/u/y.gmt", "…/x.csv,…/y.gmt"),
        ("s3://user:pw@bucket/a/b.csv https://x.org/a/b", "s3://bucket/a/b.csv https://x.org/a/b"),
        ("a/b.csv ./c/d.csv n/a ~ toxicity + a", "a/b.csv ./c/d.csv n/a ~ toxicity + a"),
    ],
)
def test_paths_of_a_machine_are_cut_to_names(text, told):
    assert without_folders(text) == told


def test_a_value_with_spaces_is_one_path():
    assert value_shown("/home/Jane Doe/x.csv") == "…/x.csv"
    assert value_shown(None) == "" and value_shown(0.05) == "0.05" and value_shown("results") == "results"


def test_light_steps_do_not_load_the_library_of_crates():
    scripts = [*Path(crate.__file__).parents[1].glob("*.py"), *Path(crate.__file__).parent.rglob("*.py")]
    loading = {
        path.name for path in scripts if re.search(r"^(from|import) rocrate", path.read_text(), re.MULTILINE)
    }
    assert not loading


def test_the_methods_text_names_the_constants_that_the_steps_use():
    # as text, since the report would have to load each step's libraries for a number
    text = Path(manuscript.__file__).read_text()
    for said in (
        f"{quality.MAX_HAEMOGLOBIN:g} % haemoglobin",
        f"normalised to {matrix.TARGET_SUM:,} per cell",
        f"The {neighbours.N_NEIGHBOURS} nearest neighbours",
        f"over {100 * car_lanes.MAX_AMBIENT:g} % of T cells",
        f"with probability {car_detection.DEEP:g}",
        f"one cell in {({3: 'three'})[round(1 / doublet_calls.PROBABILITY)]} is a doublet",
        f"{serum.N_BOOTSTRAP:,} bootstrap samples",
    ):
        assert said in text, said
