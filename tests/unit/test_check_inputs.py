"""Every fault of a cohort's inputs, alone and together: its file, row, column, and what to do."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from builders import Cohort, counts, h5, mex, sheet

import check_inputs
from cartox.cli import InputError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def cohort(tmp_path, monkeypatch) -> Cohort:
    (tmp_path / "given").mkdir()
    (tmp_path / "task").mkdir()
    monkeypatch.chdir(tmp_path / "task")
    return Cohort(tmp_path / "given")


def faults(flags: list[str]) -> list[str]:
    with pytest.raises(InputError) as caught:
        check_inputs.main(flags)
    assert Path("faults.txt").read_text().splitlines() == caught.value.faults
    assert not Path("samples.csv").exists()
    return caught.value.faults


def only(flags: list[str]) -> str:
    found = faults(flags)
    assert len(found) == 1, found
    return found[0]


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
        "baseline": None,
        "focus": [{"feature": "CXCL10"}, {"feature": "HALLMARK_HYPOXIA", "cell_type": "CD14_Mono"}],
        "label": "tox",
        "within": False,
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


def spoil_sample(row: int, column: str, value: str):
    def spoil(cohort: Cohort) -> None:
        cohort.samples[row][column] = value

    return spoil


def spoil_clinical(row: int, column: str, value: str):
    def spoil(cohort: Cohort) -> None:
        cohort.clinical[row][column] = value

    return spoil


def spoil_analyte(row: int, column: str, value: str):
    def spoil(cohort: Cohort) -> None:
        cohort.analytes[row][column] = value

    return spoil


def rename(rows: str, old: str, new: str):
    def spoil(cohort: Cohort) -> None:
        renamed = [{(new if k == old else k): v for k, v in row.items()} for row in getattr(cohort, rows)]
        setattr(cohort, rows, renamed)

    return spoil


def contrast(old: str, new: str):
    def spoil(cohort: Cohort) -> None:
        assert old in cohort.contrasts
        cohort.contrasts = cohort.contrasts.replace(old, new)

    return spoil


def everyone(column: str, value: str):
    def spoil(cohort: Cohort) -> None:
        for row in cohort.clinical:
            row[column] = value

    return spoil


def replace_matrix(write):
    def spoil(cohort: Cohort) -> None:
        write(cohort.folder / "P1_D7.h5")

    return spoil


def log_normalised(path: Path) -> None:
    made = counts()
    obs, var = pd.DataFrame(index=made.barcodes), pd.DataFrame(index=made.genes)
    anndata.AnnData(np.log1p(made.counts), obs=obs, var=var).write_h5ad(path)


def gene_ids(path: Path) -> None:
    made = counts()
    made.genes = made.gene_ids
    h5(path, made)


def barcode_twice(path: Path) -> None:
    made = counts()
    made.barcodes[1] = made.barcodes[0]
    h5(path, made)


CASES = {
    "missing file": (
        spoil_sample(1, "path", "P1_D9.h5"),
        ["samples.csv, row 3, column 'path'", "no file 'P1_D9.h5'", "did you mean 'P1_D7.h5'?"],
    ),
    "not a matrix": (
        replace_matrix(lambda path: path.write_bytes(b"<html>404</html>")),
        ["samples.csv, row 3, column 'path'", "P1_D7.h5: it is an HTML page", "give a Cell Ranger .h5"],
    ),
    "log-normalised": (
        replace_matrix(log_normalised),
        ["samples.csv, row 3, column 'path'", "look log-normalised", "give raw counts"],
    ),
    "gene ids": (
        replace_matrix(gene_ids),
        ["samples.csv, row 3, column 'path'", "ids such as 'ENSG00000000000'", "add the gene symbols"],
    ),
    "barcode twice": (
        replace_matrix(barcode_twice),
        ["samples.csv, row 3, column 'path'", "is there 2 times", "unique barcodes"],
    ),
    "duplicate sample": (
        spoil_sample(3, "sample", "P1_D7"),
        ["samples.csv, row 5, column 'sample'", "'P1_D7'", "already in row 3"],
    ),
    "same path twice": (
        spoil_sample(3, "path", "P1_D7.h5"),
        ["samples.csv, row 5, column 'path'", "named in row 3, column 'path' already"],
    ),
    "same content twice": (
        lambda c: shutil.copy(c.folder / "P1_D7.h5", c.folder / "P3_D7.h5"),
        ["samples.csv, row 7, column 'path'", "same content as 'P1_D7.h5' in row 3"],
    ),
    "unsafe sample": (
        spoil_sample(2, "sample", "a;$(touch x)"),
        ["samples.csv, row 4, column 'sample'", "'a;$(touch x)'", "letters, digits", "rename it"],
    ),
    "id like a flag": (spoil_sample(2, "sample", "-rf"), ["row 4, column 'sample'", "neither '.' nor '-'"]),
    "script in a batch": (spoil_sample(2, "batch", "<script>"), ["row 4, column 'batch'", "rename it"]),
    "unsafe tissue": (
        spoil_sample(2, "tissue", "bone marrow"),
        ["samples.csv, row 4, column 'tissue'", "'bone marrow' cannot name a group", "bone_marrow"],
    ),
    "empty time point": (
        spoil_sample(2, "timepoint", "NA"),
        ["samples.csv, row 4, column 'timepoint'", "it is empty; fill it in"],
    ),
    "batch for some": (
        spoil_sample(2, "batch", ""),
        ["samples.csv, row 4, column 'batch'", "--doublet_group groups by this column"],
    ),
    "misspelt column": (
        rename("samples", "path", "pth"),
        ["samples.csv, row 1, column 'pth'", "'path' is missing", "did you mean 'path'?"],
    ),
    "reserved column": (
        rename("clinical", "age", "cell_type"),
        ["patients.csv, row 1, column 'cell_type'", "rename it"],
    ),
    "column in both sheets": (
        rename("clinical", "age", "tissue"),
        ["patients.csv, row 1, column 'tissue'", "samples.csv has this column too"],
    ),
    "unknown patient": (
        spoil_clinical(3, "patient", "P04"),
        ["patients.csv, row 5, column 'patient'", "'P04' has no sample in samples.csv", "did you mean 'P4'?"],
    ),
    "patient twice": (
        spoil_clinical(3, "patient", "P1"),
        ["patients.csv, row 5, column 'patient'", "'P1'", "already in row 2", "one row per patient"],
    ),
    "unusable outcome": (
        spoil_clinical(0, "toxicity", "<b>yes</b>"),
        ["patients.csv, row 2, column 'toxicity'", "'<b>yes</b>' cannot name a group"],
    ),
    "unknown patient in serum": (
        spoil_analyte(1, "patient", "PX"),
        ["serum.csv, row 3, column 'patient'", "'PX' is in no other sheet"],
    ),
    "unknown time point": (
        spoil_analyte(1, "timepoint", "day7"),
        ["serum.csv, row 3, column 'timepoint'", "'day7' has no sample in samples.csv"],
    ),
    "value that is no number": (
        spoil_analyte(1, "value", "high"),
        ["serum.csv, row 3, column 'value'", "'high'", "<5 or >5000"],
    ),
    "negative value": (spoil_analyte(1, "value", "-3"), ["serum.csv, row 3, column 'value'", "not negative"]),
    "mixed units": (
        spoil_analyte(1, "unit", "ng/mL"),
        ["serum.csv, row 3, column 'unit'", "IL-6 is in 'pg/mL' in row 2", "convert it"],
    ),
    "measured twice": (
        spoil_analyte(1, "patient", "P1"),
        ["serum.csv, row 3, column 'analyte'", "'P1 D7 IL-6'", "already in row 2"],
    ),
    "unknown column in formula": (
        contrast("~ age", "~ agee"),
        ["contrasts.yml, line 2, key 'formula'", "'tox'", "no column 'agee'", "did you mean 'age'?"],
    ),
    "code in formula": (
        contrast("~ age", "~ __import__('os')"),
        ["contrasts.yml, line 2, key 'formula'", "neither a column nor one of the transforms"],
    ),
    "broken formula": (
        contrast("~ age + toxicity", "~ age + "),
        ["contrasts.yml, line 2, key 'formula'", "cannot be parsed"],
    ),
    "formula with a left side": (contrast("~ age", "y ~ age"), ["line 2, key 'formula'", "starts with ~"]),
    "huge power": (
        contrast("~ age", "~ (age + toxicity)^99"),
        ["line 2, key 'formula'", "powers go up to 3"],
    ),
    "term not in formula": (
        contrast("term: toxicity", "term: toxicty"),
        ["contrasts.yml, line 3, key 'term'", "'toxicty' is not a term", "did you mean 'toxicity'?"],
    ),
    "outcome with one level": (
        everyone("toxicity", "yes"),
        [
            "contrasts.yml, line 3, key 'term'",
            "column 'toxicity' has only the value 'yes'",
            "nothing to compare",
        ],
    ),
    "outcome all missing": (everyone("toxicity", "NA"), ["line 3, key 'term'", "'toxicity' has no value"]),
    "where: unknown column": (
        contrast("{timepoint: D7}", "{timpoint: D7}"),
        ["contrasts.yml, line 4, key 'where'", "no column 'timpoint'", "did you mean 'timepoint'?"],
    ),
    "where: unknown value": (
        contrast("{timepoint: D7}", "{timepoint: [D7, D77]}"),
        ["contrasts.yml, line 4, key 'where'", "no sample has 'D77'", "did you mean 'D7'?"],
    ),
    "unknown level": (
        contrast("  focus", "  level: visit\n  focus"),
        ["contrasts.yml, line 5, key 'level'", "'visit'", "'patient' (the default) or 'change'"],
    ),
    "change without baseline": (
        contrast("  focus", "  level: change\n  focus"),
        ["contrasts.yml, line 5, key 'level'", "add 'baseline: <time point>'"],
    ),
    "unknown baseline": (
        contrast("  focus", "  level: change\n  baseline: D0\n  focus"),
        ["contrasts.yml, line 6, key 'baseline'", "time point 'D0'", "'D7'"],
    ),
    "baseline for nothing": (contrast("  focus", "  baseline: D7\n  focus"), ["line 5, key 'baseline'"]),
    "change of the baseline": (
        contrast("  focus", "  level: change\n  baseline: D7\n  focus"),
        ["contrasts.yml, line 4, key 'where'", "there is no change"],
    ),
    "unknown key": (
        contrast("  where", "  were"),
        ["contrasts.yml, line 4, key 'were'", "no such key; did you mean 'where'?"],
    ),
    "key missing": (contrast("  term: toxicity\n", ""), ["contrasts.yml, line 1, key 'term'", "add it"]),
    "key twice": (contrast("  where", "  term: age\n  where"), ["line 4, key 'term'", "given twice"]),
    "id twice": (
        lambda c: setattr(c, "contrasts", c.contrasts * 2),
        ["contrasts.yml, line 8, key 'id'", "'tox' is used twice"],
    ),
    "unsafe id": (contrast("id: tox", "id: ../tox"), ["contrasts.yml, line 1, key 'id'", "'../tox'"]),
    "unknown key of focus": (
        contrast("cell_type:", "celltype:"),
        ["contrasts.yml, line 7, key 'celltype'", "did you mean 'cell_type'?"],
    ),
    "unknown kind of focus": (
        contrast("cell_type: CD14_Mono", "kind: genes"),
        ["contrasts.yml, line 7, key 'kind'", "'genes'", "expression, pathway"],
    ),
    "focus is no list": (
        contrast("  focus:\n    - CXCL10\n", "  focus: CXCL10\n  x:\n"),
        ["contrasts.yml, line 5, key 'focus'", "'CXCL10': focus is a list"],
    ),
    "not YAML": (contrast("- id", "- id: [\n  id"), ["contrasts.yml, line 3", "it is not YAML"]),
    "not a list": (lambda c: setattr(c, "contrasts", "id: x\n"), ["contrasts.yml, line 1", "not a list"]),
    "anchors": (lambda c: setattr(c, "contrasts", "- &a {id: x}\n- *a\n"), ["contrasts.yml: ", "anchors"]),
}


@pytest.mark.parametrize("case", CASES)
def test_one_fault(cohort, case):
    spoil, said = CASES[case]
    spoil(cohort)
    found = faults(cohort.write())
    line = next((line for line in found if all(words in line for words in said)), None)
    assert line, f"{said} not in {found}"


FORMS = {
    "semicolons": (
        lambda text: text.replace(",", ";").encode(),
        "row 1: its columns are separated by semicolons",
    ),
    "tabs": (lambda text: text.replace(",", "\t").encode(), "row 1: its columns are separated by tabs"),
    "UTF-16": (lambda text: text.encode("utf-16"), "it is UTF-16 text"),
    "Excel": (lambda text: b"PK\x03\x04" + bytes(40), "it is an Excel file"),
    "old Excel": (lambda text: b"\xd0\xcf\x11\xe0" + bytes(40), "it is an Excel file"),
    "empty": (lambda text: b" \n", "it is empty"),
    "no rows": (lambda text: text.splitlines()[0].encode(), "it has a header but no rows"),
    "Latin-1": (lambda text: text.replace("blood", "caf\xe9", 1).encode("latin-1"), "row 2: it is not UTF-8"),
    "NUL": (lambda text: text.replace("blood", "\0", 1).encode(), "row 2: it holds NUL bytes"),
    "ragged": (lambda text: text.replace("L0,blood", "L0,blood,x", 1).encode(), "row 2: it has 7 cells"),
    "short": (
        lambda text: text.replace(",L0,blood", "", 1).encode(),
        "row 2: it has 4 cells where the header has 6",
    ),
    "column twice": (
        lambda text: text.replace("batch", "tissue", 1).encode(),
        "row 1, column 'tissue': two columns",
    ),
    "no name": (lambda text: text.replace("batch", "", 1).encode(), "row 1: column 5 has no name"),
    "open quote": (lambda text: text.replace("L0", '"L0', 1).encode(), "it cannot be read as CSV"),
    "long cell": (
        lambda text: text.replace("blood", "b" * 10_000, 1).encode(),
        "a cell of 10,000 characters",
    ),
    "web page": (lambda text: b"<!DOCTYPE html><html></html>", "it is an HTML page"),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_sheet_of_the_wrong_form(cohort, form):
    spoil, said = FORMS[form]
    flags = cohort.write()[:2]
    path = cohort.folder / "samples.csv"
    path.write_bytes(spoil(path.read_text()))
    assert any(line.startswith("samples.csv") and said in line for line in faults(flags))


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
    assert "column 'notes (free)': no question asks for it" in text
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
    lines = ["value_in_sheet,staged_path"]
    for i, row in enumerate(cohort.samples, 1):
        place = Path("matrices", str(i))
        place.mkdir(parents=True)
        shutil.move(cohort.folder / row["path"], place / row["path"])
        lines.append(f'"{row["path"]}","{place / row["path"]}"')
    Path("paths.csv").write_text("\n".join(lines) + "\n")
    check_inputs.main([*flags, "--paths", "paths.csv"])
    assert any(
        e["file"] == "folder/matrix.mtx.gz" for e in json.loads(Path("checks.json").read_text())["inputs"]
    )
    Path("paths.csv").write_text("\n".join([*lines[:-1], f'"{row["path"]}",""']) + "\n")
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
