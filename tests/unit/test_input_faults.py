"""CHECK_INPUTS: one fault at a time, each with its file, row, column and remedy."""

from __future__ import annotations

import shutil
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from builders import Cohort, counts, h5
from input_checks import faults


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


def asked_for(column: str):
    """The clinical column `age` renamed, in the question too."""

    def spoil(cohort: Cohort) -> None:
        rename("clinical", "age", column)(cohort)
        cohort.contrasts = cohort.contrasts.replace("~ age", f"~ {column}")

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
        asked_for("cell_type"),
        ["patients.csv, row 1, column 'cell_type'", "rename it"],
    ),
    "column in both sheets": (
        asked_for("tissue"),
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
    "declared gene that no matrix has": (
        contrast("    - CXCL10", "    - {kind: expression, feature: CXCL11}"),
        ["contrasts.yml, line 5, key 'focus'", "no gene of the matrices is called 'CXCL11'"],
    ),
    "unknown column in formula": (
        contrast("~ age", "~ agee"),
        ["contrasts.yml, line 2, key 'formula'", "'tox'", "no column 'agee'", "did you mean 'age'?"],
    ),
    "code in formula": (
        contrast("~ age", "~ __import__('os')"),
        ["contrasts.yml, line 2, key 'formula'", "neither a column nor one of the transforms"],
    ),
    "sum for a degree": (
        contrast("~ age", "~ poly(age, 2 + 99)"),
        ["contrasts.yml, line 2, key 'formula'", "neither a column nor one of the transforms"],
    ),
    "arithmetic of numbers alone": (
        contrast("~ age", "~ age + log(9 * 9)"),
        ["contrasts.yml, line 2, key 'formula'", "neither a column nor one of the transforms"],
    ),
    "arithmetic of text": (
        contrast("~ age", "~ C('x' * 999999999 + age)"),
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
    "id of the whole cohort": (
        contrast("id: tox", "id: all"),
        ["line 1, key 'id'", "'all': an id", "whole cohort"],
    ),
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
    "anchors": (
        lambda c: setattr(c, "contrasts", "- &a {id: x}\n- *a\n"),
        ["contrasts.yml, line 1: ", "anchors"],
    ),
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
