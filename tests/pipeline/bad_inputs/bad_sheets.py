"""Sheets and YAML that a run may be given: damaged, hostile, or only odd."""

# ruff: noqa: E501 (a case is a line)

from __future__ import annotations

import os
from pathlib import Path

from bad_cases import Case, edit, patient, put, questions, sample, serum
from builders import Cohort


def turned(*pair: str):
    """Exchange two columns' contents in the sample sheet."""

    def do(cohort: Cohort) -> None:
        for row in cohort.samples:
            row[pair[0]], row[pair[1]] = row[pair[1]], row[pair[0]]

    return do


def renamed(table: str, old: str, new: str):
    def do(cohort: Cohort) -> None:
        rows = [{new if k == old else k: v for k, v in row.items()} for row in getattr(cohort, table)]
        setattr(cohort, table, rows)

    return do


def replaced(name: str, make):
    """Put something else in a file's place."""

    def do(folder: Path) -> None:
        (folder / name).unlink()
        make(folder / name)

    return do


def endings(end: bytes):
    return lambda folder: [
        edit(name, lambda data: data.replace(b"\n", end))(folder) for name in ("samples.csv", "patients.csv")
    ]


def raw_twin(cohort: Cohort) -> None:
    """Give the first sample an unfiltered matrix and exchange it with the filtered one."""
    from builders import counts, h5

    h5(cohort.folder / "raw.h5", counts(seed=0, cells=60))
    for row in cohort.samples:
        row["raw_path"] = ""
    cohort.samples[0] |= {"raw_path": cohort.samples[0]["path"], "path": "raw.h5"}


def wide(cohort: Cohort) -> None:
    extra = {f"c{i}": "1" for i in range(20_000)}
    cohort.clinical = [{**row, **extra} for row in cohort.clinical]


def many_rows(folder: Path) -> None:
    rows = "".join(f"Q{i},D7,IL-6,x{i},pg/mL\n" for i in range(30_000))
    (folder / "serum.csv").write_text("patient,timepoint,analyte,value,unit\n" + rows)


LONG = "x" * 10_000
ONE = "- id: tox\n  formula: {}\n  term: toxicity\n"
FORMULA = ("contrasts.yml, line 2, key 'formula'",)
ROW = "samples.csv, row 2, column "

CASES = [
    Case("no sheet", ("samples.csv: ", "no such file"), after=lambda f: (f / "samples.csv").unlink()),
    Case("sheet of no bytes", ("patients.csv: ", "it is empty"), after=put("patients.csv", b"")),
    Case("sheet of a BOM alone", ("patients.csv: ", "it is empty"), after=put("patients.csv", b"\xef\xbb\xbf")),
    Case("sheet of spaces alone", ("patients.csv: ", "cells are empty"), after=put("patients.csv", "\u00a0 \x1c\n")),
    Case("sheet of commas alone", ("patients.csv: ", "cells are empty"), after=put("patients.csv", ",,\n,,\n")),
    Case("header alone", ("patients.csv: ", "no rows"), after=put("patients.csv", "patient,toxicity,age\n")),
    Case("sheet that is a folder", ("serum.csv: ", "it is a folder"), after=replaced("serum.csv", os.mkdir)),
    Case("sheet that is a pipe", ("serum.csv: ", "no regular file"), after=replaced("serum.csv", os.mkfifo)),
    Case(
        "sheet that is a device",
        ("serum.csv: ", "no regular file"),
        after=replaced("serum.csv", lambda p: p.symlink_to("/dev/zero")),
    ),
    Case(
        "sheet that links to itself",
        ("serum.csv: ", "no such file"),
        after=replaced("serum.csv", lambda p: p.symlink_to(p)),
    ),
    Case(
        "sheet that links to nothing",
        ("contrasts.yml: ", "no such file"),
        after=replaced("contrasts.yml", lambda p: p.symlink_to("gone.yml")),
    ),
    Case("sheet of 60 MB", ("serum.csv: ", "larger than 50 MB"), after=lambda f: os.truncate(f / "serum.csv", 60 << 20)),
    Case("NUL bytes", ("patients.csv, row 3: ", "NUL bytes"), after=edit("patients.csv", lambda d: d.replace(b"P2", b"P\0"))),
    Case("Latin-1 beside UTF-8", ("patients.csv, row 3: ", "not UTF-8 (byte 0xe9)"), after=edit("patients.csv", lambda d: d.replace(b"P2", "Pé".encode() + b"\xe9"))),
    Case("UTF-16", ("patients.csv: ", "UTF-16"), after=edit("patients.csv", lambda d: d.decode().encode("utf-16"))),
    Case("gzip", ("patients.csv: ", "compressed"), after=put("patients.csv", b"\x1f\x8b\x08" + bytes(30))),
    Case("Excel", ("patients.csv: ", "Excel"), after=put("patients.csv", b"PK\x03\x04" + bytes(30))),
    Case("HTML page", ("patients.csv: ", "HTML page"), after=put("patients.csv", "<html><script>alert(1)</script>")),
    Case("semicolons", ("patients.csv, row 1: ", "semicolons"), after=edit("patients.csv", lambda d: d.replace(b",", b";"))),
    Case("quote not closed", ("patients.csv: ", "not closed"), after=edit("patients.csv", lambda d: d.replace(b"P2", b'"P2'))),
    Case("field of 200,000 characters", ("patients.csv: ", "field larger"), patient(1, "age", "9" * 200_000)),
    Case("field of 10,000 characters", ("patients.csv, row 3, column 'toxicity'", "10,000 characters", "shorten it"), patient(1, "toxicity", LONG)),
    Case("id of 10,000 characters", (ROW + "'sample'", "xxx...'"), sample(0, "sample", LONG[:4000])),
    Case("path of 10,000 characters", (ROW + "'path'", "10,000 characters"), sample(0, "path", LONG)),
    Case("name of a file too long", (ROW + "'path'", "correct the path"), sample(0, "path", LONG[:3000])),
    Case("20,000 columns", ("patients.csv, row 1: ", "20,003 columns"), wide),
    Case("30,000 faulty rows", ("more faults",), after=many_rows),
    Case("two columns of a name", ("patients.csv, row 1, column 'age'", "two columns"), after=edit("patients.csv", lambda d: d.replace(b"toxicity", b"age"))),
    Case("too many cells", ("patients.csv, row 3: ", "4 cells", "3"), after=edit("patients.csv", lambda d: d.replace(b"P2,", b"P2,,"))),
    Case("trailing commas", outcome="passes", after=edit("patients.csv", lambda d: d.replace(b"\n", b",,\n"))),
    Case("quoted line end in a free column", ("1 column that nothing asks for is left out",), lambda c: [r.__setitem__("note", '"a\nb"') for r in c.clinical], outcome="passes"),
    Case("BOM", outcome="passes", after=edit("samples.csv", lambda d: b"\xef\xbb\xbf" + d)),
    Case("line ends of Windows", outcome="passes", after=endings(b"\r\n")),
    Case("line ends of old Macs", outcome="passes", after=endings(b"\r")),
    Case("sample and patient exchanged", ("patients.csv, row 2, column 'patient'", "'P1' has no sample"), turned("sample", "patient")),
    Case("path and sample exchanged", (ROW + "'path'", "no file 'P1_product'"), turned("sample", "path")),
    Case("path and raw_path exchanged", (ROW + "'raw_path'", "exchange path and raw_path"), raw_twin),
    Case("shell in a sample", (ROW + "'sample'", "'a;$(touch hacked)'", "rename it"), sample(0, "sample", "a;$(touch hacked)")),
    Case("backticks in a patient", (ROW + "'patient'", "'`touch hacked`'"), sample(0, "patient", "`touch hacked`")),
    Case("way out in a sample", (ROW + "'sample'", "'../../etc/x'"), sample(0, "sample", "../../etc/x")),
    Case("two dots as a sample", (ROW + "'sample'", "'..'"), sample(0, "sample", "..")),
    Case("script in a time point", (ROW + "'timepoint'", "<script>"), sample(0, "timepoint", "<script>alert(1)</script>")),
    Case("script in an outcome", ("patients.csv, row 2, column 'toxicity'", "<script>", "cannot name a group"), patient(0, "toxicity", "<script>alert(1)</script>")),
    Case("script in a column's name", ("1 column that nothing asks for is left out",), renamed("clinical", "age", "<script>x"), after=put("contrasts.yml", ONE.format("~ toxicity")), outcome="passes"),
    *(
        Case(f"cell that starts with {sign}", ("row 2, column 'toxicity'", "cannot name a group"), patient(0, "toxicity", f"{sign}cmd|' /C calc'!A0"))
        for sign in "=+-@"
    ),
    Case("formula as a sample", (ROW + "'sample'", "'=1+1'"), sample(0, "sample", "=1+1")),
    Case("control characters in a value", ("row 2, column 'toxicity'", "\\x1b[31m"), patient(0, "toxicity", "\x1b[31mred")),
    Case("Cyrillic letter in a column's name", ("row 1, column 'p\u0430tient'", "U+0430"), renamed("samples", "patient", "p\u0430tient")),
    Case("Cyrillic letter in an id", (ROW + "'sample'", "letters, digits"), sample(0, "sample", "\u0420" + "1_product")),
    Case("mark from right to left in an id", (ROW + "'sample'", "\\u202e"), sample(0, "sample", "P1\u202eproduct")),
    Case("digits of another script", ("serum.csv, row 2, column 'value'", "'\u0663'"), serum(0, "value", "\u0663")),
    Case("value past all numbers", ("serum.csv, row 2, column 'value'", "'1e999'"), serum(0, "value", "1e999")),
    Case("decimal comma", ("serum.csv, row 2", "cells where the header has 5"), serum(0, "value", "5,1")),
    Case("empty YAML", ("contrasts.yml, line 1", "not a list"), questions("# none\n")),
    Case("YAML with a tab", ("contrasts.yml, line 2", "not YAML"), questions("- id: a\n\tformula: x\n")),
    Case("YAML of a bomb of aliases", ("contrasts.yml, line 1", "anchors"), questions("- &a [x]\n" + "".join(f"- &b{i} [{'*a,' * 9}]\n" for i in range(9)))),
    Case("YAML merge key", ("contrasts.yml, line 1, key '<<'", "no such key"), questions("- {<<: {id: x}, id: tox, formula: ~ age, term: age}\n")),
    Case("YAML tag of a Python object", ("contrasts.yml, line 1", "tag"), questions("- !!python/object/apply:os.system ['touch hacked']\n")),
    Case("YAML 100,000 deep", ("contrasts.yml, line 1", "nested too deeply"), questions("- " + "[" * 100_000)),
    Case("YAML of 2 MB", ("contrasts.yml: ", "larger than 1 MB"), questions("- " * 1_000_000)),
    Case("YAML with a control character", ("contrasts.yml: ", "special characters"), questions("- id: \x07\n")),
    Case("YAML of two documents", ("contrasts.yml", "not YAML"), questions("- a\n---\n- b\n")),
    Case("id with a line end", (), questions('- id: "tox\\n"\n  formula: "~ age\\n"\n  term: age\n'), outcome="passes"),
    Case("5,000 contrasts", ("contrasts.yml: ", "5,000 contrasts", "1,000"), questions("".join(f"- id: a{i}\n" for i in range(5000)))),
    Case("huge interaction", (*FORMULA, "at most 200"), questions(ONE.format("~ " + "*".join("abcdefghijklmnopqrstuvwxyz")))),
    Case("powers of powers", (*FORMULA, "at most 200"), questions(ONE.format("~ (((age + toxicity)^3)^3)^3"))),
    Case("formula that calls", (*FORMULA, "neither a column nor one of the transforms"), questions(ONE.format("~ __import__('os').system('touch hacked')"))),
    Case("formula that evaluates", (*FORMULA, "it may hold columns"), questions(ONE.format("~ {open('hacked', 'w')}"))),
    Case("formula with a call in a transform", (*FORMULA, "neither a column"), questions(ONE.format("~ log(exit())"))),
    Case("degree without bounds", (*FORMULA, "degree"), questions(ONE.format("~ toxicity + poly(age, 1000000)"))),
    Case("1,000 open brackets", (*FORMULA,), questions(ONE.format("~ " + "(" * 250))),
    Case("path out of the folder", (ROW + "'path'", "no file '../../../nowhere.h5'"), sample(0, "path", "../../../nowhere.h5")),
    Case("path with a shell's words", (ROW + "'path'", "no file '$(touch hacked).h5'"), sample(0, "path", "$(touch hacked).h5")),
    Case("path with a wild card", (ROW + "'path'", "no file 'P*.h5'"), sample(0, "path", "P*.h5")),
    Case("two samples, one file by two names", ("samples.csv, row 3, column 'path'", "give each one once"), sample(1, "path", "./P1_product.h5")),
    Case("no such doublet group", ("parameter --doublet_group", "'lane'"), flags=("--doublet_group", "lane")),
]  # fmt: skip

MARKERS = "cell_type\tlineage\tlevel\tpositive\nT\tT\tlineage\tCD3E\n"
LABELS = "sample,barcode,cell_type\nP1_D7,AC-1,T\n"


def given(flag: str, name: str, data: str | bytes, *words: str, **more) -> Case:
    """A case of a table that a parameter names; it is written beside the task."""
    return Case(f"{flag}: {more.pop('what')}", words, after=put(name, data), flags=(f"--{flag}", f"{{folder}}/{name}"), **more)  # fmt: skip


GIVEN = [
    given("markers", "m.tsv", MARKERS, what="good", outcome="passes"),
    given("markers", "m.tsv", b"", "m.tsv: ", "it is empty", what="empty"),
    given("markers", "m.tsv", MARKERS.replace("CD3E", "CD3E:nine"), "m.tsv, line 2, positive", "'CD3E:nine'", what="weight"),
    given("markers", "m.tsv", MARKERS.replace("CD3E", "CD3E:1.2.3"), "m.tsv, line 2, positive", "weight", what="weight of two points"),
    given("markers", "m.tsv", MARKERS.replace("\nT", "\n<script>"), "m.tsv, line 2, cell_type", what="script"),
    given("cell_labels", "l.csv", LABELS, what="good", outcome="passes"),
    given("cell_labels", "l.csv", LABELS.replace("barcode", "barcod"), "l.csv: ", "'barcode' is missing", what="column"),
    given("cell_labels", "l.csv", LABELS.replace(",T", ",<b>"), "l.csv, line 2, cell_type", "not allowed", what="markup"),
    given("cell_labels", "l.csv", LABELS.replace("P1_D7", "P9"), "l.csv, column 'sample'", "'P9'", what="no such sample"),
    given("cell_labels", "l.csv", LABELS.encode("utf-16"), "l.csv: ", "UTF-16", what="UTF-16"),
    given("doublet_thresholds", "t.csv", "group,threshold\nL0,high\n", "t.csv, row 2, column 'threshold'", "'high'", what="no number"),
    given("doublet_thresholds", "t.csv", "group,threshold\nL0,nan\n", "t.csv, row 2, column 'threshold'", "0 to 1", what="NaN"),
    given("doublet_thresholds", "t.csv", "group,threshold\nL7,0.2\n", "t.csv, column 'group'", "'L7'", "'L0'", what="no such lane"),
    given("gene_set_files", "s.gmt", "SET only\n", "s.gmt, line 1", "tabs between", what="no tabs"),
    given("gene_set_files", "s.tsv", "source\ttarget\tweight\nA\tB\theavy\n", "s.tsv, row 2", "not a number", what="weight"),
    given("gene_set_files", "s.tsv", "source\ttarget\tweight\nA\tB\tinf\n", "s.tsv, row 2", "not a number", what="infinite weight"),
    given("gene_set_files", "s.tsv.gz", b"\x1f\x8b\x08\0\0\0\0\0", "s.tsv.gz: ", "truncated", what="cut off"),
    given("ligrec_file", "p.csv", "ligand,receptor\nIFNG,\n", "p.csv, row 2", "receptor is empty", what="empty name"),
    Case("--gene_sets: unknown name", ("parameter --gene_sets", "'halmark'", "did you mean 'hallmark'?"), flags=("--gene_sets", "halmark")),
    Case("--ligrec_resource: no such file", ("parameter --ligrec_resource", "'pairs.csv'", "no such file"), flags=("--ligrec_resource", "pairs.csv")),
]  # fmt: skip
CASES += GIVEN
