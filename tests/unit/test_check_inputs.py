"""Every fault of a cohort's inputs, alone and together: its file, row, column, and what to do."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from builders import counts, h5, mex, sheet
from input_checks import faults, only

import check_inputs
from cartox.signals.gene_sets import SHIPPED

ROOT = Path(__file__).resolve().parents[2]


def warnings() -> list[str]:
    return json.loads(Path("checks.json").read_text())["warnings"]


def table(name: str) -> list[dict[str, str]]:
    with Path(name).open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_sound_cohort_is_written_in_tidy_form(cohort, capsys):
    cohort.samples.reverse()
    check_inputs.main([*cohort.write(), "--car_features", "FMC63-CD19SCFV"])
    samples = table("samples.csv")
    assert list(samples[0]) == ["sample", "patient", "timepoint", "batch", "tissue"]
    assert [row["sample"] for row in samples] == sorted(row["sample"] for row in cohort.samples)
    assert table("clinical.csv")[1] == {"patient": "P2", "toxicity": "no", "age": "51"}
    assert [(r["patient"], r["value"], r["censored"]) for r in table("analytes.csv")] == [
        ("P1", "5.0", "left"),
        ("P2", "12.5", ""),
        ("P3", "5000.0", "right"),
    ]
    assert json.loads(Path("contrasts/tox.json").read_text()) == {
        "id": "tox",
        "formula": "~ age + toxicity",
        "term": "toxicity",
        "where": {"timepoint": ["D7"]},
        "level": "patient",
        "baseline": "",
        "focus": [{"feature": "CXCL10"}, {"feature": "HALLMARK_HYPOXIA", "cell_type": "CD14_Mono"}],
        "label": "tox",
        "within": False,
        "car": False,
    }
    checks = json.loads(Path("checks.json").read_text())
    assert checks["columns"]["patients.csv"] == {
        "patient": "identifier",
        "toxicity": "binary",
        "age": "numeric",
    }
    assert checks["warnings"] == ["serum.csv: 1 rows without a value are left out"]
    assert len(checks["inputs"]) == 12
    assert all(len(entry["sha256"]) == 64 and entry["bytes"] > 0 for entry in checks["inputs"])
    assert "toxicity (binary)" in capsys.readouterr().out
    assert not Path("faults.txt").exists()


def test_only_the_sample_sheet_is_required(cohort):
    for row in cohort.samples:
        del row["batch"]
    check_inputs.main(cohort.write()[:2])
    assert all(row["batch"] == row["sample"] for row in table("samples.csv"))
    assert table("clinical.csv") == [{"patient": f"P{i}"} for i in range(1, 5)]
    assert Path("analytes.csv").read_text() == "patient,timepoint,analyte,value,unit,censored\n"


def test_order_of_rows_changes_nothing(cohort):
    check_inputs.main(cohort.write())
    before = {p: Path(p).read_bytes() for p in ("samples.csv", "clinical.csv", "analytes.csv")}
    for rows in (cohort.samples, cohort.clinical, cohort.analytes):
        rows.reverse()
    check_inputs.main(cohort.write())
    assert before == {p: Path(p).read_bytes() for p in before}


def test_bom_crlf_blank_lines_quotes_and_spare_commas_are_read(cohort):
    flags = cohort.write()
    path = cohort.folder / "samples.csv"
    lines = [line + ",," for line in path.read_text().splitlines()]
    lines[1] = lines[1].replace("blood", '"blood"')
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join([*lines[:3], ",,,", "", *lines[3:]]).encode())
    check_inputs.main(flags)
    assert len(table("samples.csv")) == 8


def test_missing_sheets_are_named_with_their_neighbours(cohort):
    cohort.write()
    flags = ["--input", str(cohort.folder / "sample.csv"), "--contrasts", str(cohort.folder / "contrast.yml")]
    found = faults(flags)
    assert found[0] == "sample.csv: no such file; did you mean 'samples.csv'?; correct the path"
    assert found[1].startswith("contrast.yml: no such file")


def test_many_faults_are_told_at_once(cohort):
    cohort.samples[0]["sample"] = "P1 product"
    cohort.samples[2]["path"] = "nowhere.h5"
    cohort.samples[5]["sample"] = "P1_D7"
    (cohort.folder / "P4_D7.h5").write_bytes(b"")
    cohort.clinical[1]["patient"] = "Q2"
    cohort.analytes[0]["value"] = "5,1"
    cohort.analytes[1]["value"] = "low"
    cohort.contrasts = cohort.contrasts.replace("~ age", "~ aeg").replace("label", "lable")
    flags = [*cohort.write(), "--car_features", "FMC63", "--harmony_by", "lane"]
    found = faults(flags)
    assert {line.split(",")[0].split(":")[0] for line in found} == {
        "samples.csv",
        "patients.csv",
        "serum.csv",
        "contrasts.yml",
        "parameter --car_features",
        "parameter --harmony_by",
    }
    assert len(found) >= 10
    assert all("; " in line or ": " in line for line in found)


def test_car_feature_in_no_matrix_and_missing_from_one(cohort):
    line = only([*cohort.write(), "--car_features", "FMC63-CD19scFv"])
    assert line.startswith("parameter --car_features: 'FMC63-CD19scFv' is in no matrix")
    assert "did you mean 'FMC63-CD19SCFV'?" in line
    made = counts(seed=99)
    made.genes[-1] = "OTHER"
    h5(cohort.folder / "P1_D7.h5", made)
    check_inputs.main([*cohort.flags(), "--car_features", "FMC63-CD19SCFV"])
    assert "parameter --car_features: 'FMC63-CD19SCFV' is not in P1_D7: 0 there" in warnings()


def test_grouping_parameters_name_columns(cohort):
    line = only([*cohort.write(), "--doublet_group", "tisue"])
    assert line == "parameter --doublet_group: no column 'tisue' in samples.csv; did you mean 'tissue'?"
    check_inputs.main([*cohort.flags(), "--harmony_by", "nothing", "--integration", "none"])


def test_serum_covariates_name_clinical_columns(cohort):
    line = only([*cohort.write(), "--serum_covariates", "age, aeg"])
    assert line == "parameter --serum_covariates: no column 'aeg' in patients.csv; did you mean 'age'?"
    assert "no column 'patient'" in only([*cohort.flags(), "--serum_covariates", "patient"])
    sheet = ["--input", str(cohort.folder / "samples.csv"), "--serum_covariates", "age"]
    assert only(sheet) == "parameter --serum_covariates: 'age': no clinical sheet is given; add --clinical"
    check_inputs.main([*cohort.flags(), "--serum_covariates", "none"])


def test_raw_matrix_smaller_than_the_filtered_one(cohort):
    for row in cohort.samples:
        row["raw_path"] = ""
    h5(cohort.folder / "raw.h5", counts(seed=77, cells=5))
    cohort.samples[0]["raw_path"] = "raw.h5"
    line = only(cohort.write())
    assert line.startswith("samples.csv, row 2, column 'raw_path'")
    assert "exchange path and raw_path" in line


def test_matrices_of_two_species(cohort):
    made = counts(seed=99)
    made.genes = np.char.lower(made.genes)
    h5(cohort.folder / "P1_D7.h5", made)
    assert "no gene is in all matrices" in only(cohort.write())


def test_warnings_do_not_stop(cohort):
    h5(cohort.folder / "P1_D7.h5", counts().select(np.array([], dtype=int)))
    del cohort.clinical[3]
    cohort.analytes = cohort.analytes[:2]
    for i, row in enumerate(cohort.clinical):
        row["notes (free)"] = "seen <soon>"
        row["dose"] = str(100 + i)
    cohort.samples = [{**row, "bacth": "1"} for row in cohort.samples]
    check_inputs.main(cohort.write())
    text = "\n".join(warnings())
    assert "patients.csv: no row for P4: their clinical columns count as missing" in text
    assert "samples.csv, row 3, column 'path': 'P1_D7.h5' holds no cell" in text
    assert "patients.csv: 2 columns that nothing asks for are left out" in text
    assert "notes (free)" not in text
    assert [row["toxicity"] for row in table("clinical.csv")] == ["yes", "no", "yes", ""]
    assert "notes (free)" not in Path("clinical.csv").read_text()


def test_types_are_inferred(cohort):
    given = {
        "grade": ("0", "2", "3", "NA"),
        "arm": ("a", "b", "c", "a"),
        "empty": ("NA", "", "NA", ""),
        "same": ("x", "x", "x", ""),
        "crp": ("1.5", "20", "3e2", "-1"),
    }
    for column, values in given.items():
        for row, value in zip(cohort.clinical, values, strict=True):
            row[column] = value
    cohort.contrasts = cohort.contrasts.replace("~ age", "~ grade + arm + empty + same + crp + age")
    check_inputs.main(cohort.write())
    kinds = json.loads(Path("checks.json").read_text())["columns"]["patients.csv"]
    assert [kinds[column] for column in given] == [
        "ordinal",
        "categorical",
        "all missing",
        "constant",
        "numeric",
    ]


def test_words_of_yaml_stay_words_and_change_is_read(cohort):
    cohort.contrasts = (
        "- id: no\n  formula: ~ toxicity\n  term: toxicity\n  level: change\n  baseline: product\n"
        "- {id: arm, formula: '~ age*C(toxicity)', term: 'C( toxicity):age', label: Über 65}\n"
        "- {id: within, formula: ~ patient + timepoint, term: timepoint, where: {toxicity: [no, yes]}}\n"
    )
    check_inputs.main(cohort.write())
    read = {p.stem: json.loads(p.read_text()) for p in Path("contrasts").iterdir()}
    assert sorted(read) == ["arm", "no", "within"]
    asked = json.loads(Path("checks.json").read_text())["contrasts"]
    assert asked == ["no", "arm", "within"], "in their order in the file"
    assert (read["no"]["level"], read["no"]["baseline"]) == ("change", "product")
    assert read["within"]["where"] == {"toxicity": ["no", "yes"]}
    assert [read[key]["within"] for key in ("arm", "no", "within")] == [False, False, True]


def test_limits_of_quantification_censor(cohort):
    for row, value in zip(cohort.analytes, ("1", "2000", "20", "<3"), strict=True):
        row |= {"value": value, "lloq": "2", "uloq": "1000"}
    check_inputs.main(cohort.write())
    assert [(r["value"], r["censored"]) for r in table("analytes.csv")] == [
        ("2.0", "left"),
        ("1000.0", "right"),
        ("20.0", ""),
        ("3.0", "left"),
    ]


def test_staged_matrices_are_found_by_the_table(cohort):
    mex(cohort.folder / "folder", counts(seed=5))
    cohort.samples[0]["path"] = "folder"
    flags = cohort.write()
    lines = ["column,value_in_sheet,staged_path"]
    for i, row in enumerate(cohort.samples, 1):
        place = Path("matrices", str(i))
        place.mkdir(parents=True)
        shutil.move(cohort.folder / row["path"], place / row["path"])
        lines.append(f'path,"{row["path"]}","{place / row["path"]}"')
    Path("paths.csv").write_text("\n".join(lines) + "\n")
    check_inputs.main([*flags, "--paths", "paths.csv"])
    assert any(
        e["file"] == "folder/matrix.mtx.gz" for e in json.loads(Path("checks.json").read_text())["inputs"]
    )
    Path("paths.csv").write_text("\n".join([*lines[:-1], f'path,"{row["path"]}",""']) + "\n")
    Path("samples.csv").unlink()
    assert only([*flags, "--paths", "paths.csv"]) == (
        "samples.csv, row 9, column 'path': no file 'P4_D7.h5'; correct the path"
    )


def test_as_a_command_it_ends_with_1_and_no_traceback(cohort):
    cohort.samples[0]["path"] = "nowhere.h5"
    command = [sys.executable, str(ROOT / "bin" / "check_inputs.py"), *cohort.write()]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "column 'path': no file 'nowhere.h5'" in done.stderr


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "car", "contrasts"),
    [("kang", "", {"ifnb"}), ("carpall", "CAT_scFv", {"car_sort", "months", "tissue"})],
)
def test_real_cohorts_pass(shared, tmp_path, monkeypatch, name, car, contrasts):
    data = shared(f"data/{name}")
    monkeypatch.chdir(tmp_path)
    given = ROOT / "tests" / "cohorts" / name
    rows = list(csv.DictReader((given / "samples.csv").open()))
    for row in rows:
        row["path"] = str(data / "matrices" / Path(row["path"]).name)
    path = sheet(tmp_path / "sheet.csv", rows)
    flags = ["--input", str(path), "--contrasts", str(given / "contrasts.yml"), "--car_features", car]
    check_inputs.main(flags)
    assert len(table("samples.csv")) == len(rows)
    read = [json.loads(p.read_text()) for p in Path("contrasts").iterdir()]
    assert {contrast["id"] for contrast in read} == contrasts
    assert all(contrast["within"] for contrast in read)
    assert warnings() == []


def test_two_files_of_gene_sets_have_two_names(cohort, tmp_path):
    paths = [tmp_path / folder / "mine.gmt" for folder in "ab"]
    for path in paths:
        path.parent.mkdir()
        path.write_text("SET\turl\t" + "\t".join(f"G{i}" for i in range(9)) + "\n")
    flags = ["--gene_sets", "a/mine.gmt,b/mine.gmt", "--gene_set_files", *map(str, paths)]
    assert "two files are called 'mine.gmt'; rename one" in only([*cohort.write(), *flags])


def test_a_declared_pathway_is_one_of_the_gene_sets(cohort, case):
    shipped = ROOT / "assets/gene_sets" / SHIPPED["hallmark"]
    flags = ["--gene_sets", "hallmark", "--gene_set_files", str(shipped)]
    entry = "{feature: HALLMARK_HYPOXIA, cell_type: CD14_Mono}"
    cohort.contrasts = cohort.contrasts.replace(entry, "{kind: pathway, feature: HALLMARK_HYPOXYA}")
    said = only([*cohort.write(), *flags])
    case("focus: HALLMARK_HYPOXYA", "did you mean HALLMARK_HYPOXIA", said)
    assert "no gene set is called 'HALLMARK_HYPOXYA'; did you mean 'HALLMARK_HYPOXIA'?" in said
    cohort.contrasts = cohort.contrasts.replace("HYPOXYA", "HYPOXIA")
    check_inputs.main([*cohort.write(), *flags])


def test_a_misspelt_cell_type_in_the_focus_is_a_fault(cohort, case, tmp_path):
    flags = ["--markers", str(ROOT / "assets/markers/blood_cart.tsv")]
    entry = "{feature: HALLMARK_HYPOXIA, cell_type: CD14_Mono}"
    wrong = [entry.replace("CD14_Mono", name) for name in ("CD14_Monocyte^CD14_Mono", "CD14_Monocyte")]
    declared = cohort.contrasts
    cohort.contrasts = declared.replace(entry, "\n    - ".join(wrong))
    said = only([*cohort.write(), *flags])
    case("focus: CD14_Monocyte", "did you mean CD14_Mono, once", said)
    assert "no cell type is called 'CD14_Monocyte'; did you mean 'CD14_Mono'?" in said
    labels = tmp_path / "labels.csv"
    labels.write_text("sample,barcode,cell_type\nP1_D7,AAACCTGAGAAACCAT-1,CD14_Monocyte\n")
    check_inputs.main([*cohort.write(), *flags, "--cell_labels", str(labels)])
    cohort.contrasts = declared
    check_inputs.main([*cohort.write(), *flags])
    cohort.contrasts = declared.replace("CD14_Mono", "Keratinocyte")  # unlike all names: no slip
    check_inputs.main([*cohort.write(), *flags])
