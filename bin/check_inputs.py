#!/usr/bin/env python3
"""Check all that a cohort's user gave, and report every fault at once.

Each fault is a line `file, row N, column 'c': what is wrong; what to do`, on stderr and in faults.txt.
Where there is none, the sheets are written in the form that the later steps read: samples.csv, clinical.csv,
analytes.csv, contrasts/<id>.json, digests.csv (a checksum of each sample's matrices) and checks.json (types
of columns, warnings, checksums of the inputs).
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cartox import arguments, cli
from cartox.contrasts import Contrast
from cartox.files import write_json
from cartox.inputs import tidy
from cartox.inputs.checksums import checksums_of
from cartox.inputs.cohort import (
    MEANT,
    check_analytes,
    check_car_negative,
    check_clinical,
    check_covariates,
    check_grouping,
    check_products,
    check_samples,
    types,
)
from cartox.inputs.given import check_given
from cartox.inputs.personal import Personal
from cartox.inputs.questions import read_yaml
from cartox.matrices.orthologues import read_orthologues
from cartox.sheets import Faults, read_table

SCHEMAS = Path(__file__).resolve().parents[1] / "assets" / "schemas"


def main(argv: Sequence[str] | None = None) -> None:
    """Check the inputs and write them in tidy form. Raises InputError with all faults."""
    args = _arguments(argv)
    faults = Faults()
    rules = {
        path.stem.removeprefix("schema_"): json.loads(path.read_text())
        for path in args.schemas.glob("*.json")
    }
    orthologues = read_orthologues(args.orthologues)
    samples = read_table(args.input, faults)
    clinical = read_table(args.clinical, faults) if args.clinical else None
    analytes = read_table(args.analytes, faults) if args.analytes else None
    entries = read_yaml(args.contrasts, faults) if args.contrasts else None
    groupings = {"doublet_group": [args.doublet_group]}
    if args.integration == "harmony":
        groupings["harmony_by"] = [args.harmony_by]
    fixed = [column for column in args.serum_covariates if column != "none"]
    used = {column for columns in (fixed, *groupings.values()) for column in columns}
    used |= entries.asked_for() if entries else set()
    personal = Personal({*used, *MEANT}, faults)
    for table, kind in ((samples, "input"), (clinical, "clinical"), (analytes, "analytes")):
        if table:
            personal.check(table, rules[kind])
    if entries:
        personal.hide_where(entries.items)

    matrices: dict[tuple[str, str], list[dict[str, Any]]] = {}
    genes: dict[str, frozenset[str]] = {}
    if samples:
        check_samples(samples, rules["input"], used, faults)
        for flag, columns in groupings.items():
            check_grouping(samples, flag, columns, faults)
        check_car_negative(samples, args.car_negative, bool(args.car_features), faults)
        check_products(samples, args.car_features, faults)
        from cartox.inputs.staged import check_matrices

        staged = _staged(args.paths) if args.paths else None
        matrices = check_matrices(
            samples, staged, args.input.parent, args.car_features, faults, genes, orthologues
        )
    if clinical:
        check_clinical(clinical, rules["clinical"], samples, used, faults)
    if clinical or not args.clinical:
        check_covariates(clinical, "serum_covariates", fixed, faults)
    shared = frozenset.intersection(*genes.values()) if genes else None
    declared = bool(entries) and entries.declares("pathway")
    known = check_given(args, samples, faults, shared, orthologues, declared)
    measured = check_analytes(analytes, rules["analytes"], samples, clinical, faults) if analytes else []
    contrasts: list[Contrast] = []
    if entries and samples and "patient" in samples.columns:
        from cartox.inputs.contrasts import check_contrasts, view_of

        # of a matrix that could not be read nobody knows the genes
        if len(genes) == len(samples.rows):
            known = replace(known, genes=frozenset().union(*genes.values()))
        view = view_of(samples, clinical, bool(args.car_features), known)
        times = samples.values("timepoint")
        contrasts = check_contrasts(entries, rules["contrasts"], view, times, faults)
    columns = {t.name: types(t, faults) for t in (samples, clinical) if t}

    for warning in faults.warnings:
        print(f"Warning: {warning}", file=sys.stderr)
    if faults.lines or not samples:
        Path("faults.txt").write_text("\n".join(faults.told()) + "\n", encoding="utf-8")
        raise cli.InputError(faults.told())
    checksums = [entry for entries in matrices.values() for entry in entries]
    tables = (args.markers, args.cell_labels, args.doublet_thresholds, args.ligrec_file, args.reference)
    for path in (args.input, args.clinical, args.analytes, args.contrasts, *tables, *args.gene_set_files):
        checksums += checksums_of(path, path.name) if path else []
    tidy.write(samples, clinical, measured, contrasts, matrices)
    checks = {
        "columns": columns,
        "contrasts": [item["id"] for item in entries.items] if entries else [],
        "warnings": faults.warnings,
        "inputs": sorted(checksums, key=lambda i: i["file"]),
    }
    write_json("checks.json", checks)
    for name, kinds in columns.items():
        print(f"{name}: " + ", ".join(f"{column} ({kind})" for column, kind in kinds.items()))


def _arguments(argv: Sequence[str] | None) -> Any:
    parser = cli.parser(__doc__)
    parser.add_argument("--input", type=Path, required=True, help="sample sheet")
    parser.add_argument("--clinical", type=Path, help="sheet of patients")
    parser.add_argument("--analytes", type=Path, help="sheet of measurements")
    parser.add_argument("--contrasts", type=Path, help="YAML list of questions")
    parser.add_argument(
        "--paths", type=Path, help="table column,value_in_sheet,staged_path (empty if absent)"
    )
    parser.add_argument(
        "--car_features", type=arguments.names, default="", help="comma list of CAR transgenes"
    )
    parser.add_argument(
        "--car_negative",
        type=arguments.names,
        default="",
        help="comma list of samples or time points without CAR",
    )
    parser.add_argument("--doublet_group", default="batch", help="sample column that Scrublet runs by")
    parser.add_argument("--harmony_by", default="batch", help="sample column that Harmony corrects for")
    parser.add_argument("--integration", choices=["harmony", "none"], default="harmony")
    parser.add_argument("--doublet_method", choices=["scrublet", "none"], default="scrublet")
    parser.add_argument(
        "--serum_covariates", type=arguments.names, default="", help="comma list of clinical columns, or none"
    )
    parser.add_argument("--markers", type=Path, help="table of markers")
    parser.add_argument("--cell_labels", type=Path, help="table sample,barcode,cell_type")
    parser.add_argument("--doublet_thresholds", type=Path, help="table group,threshold")
    parser.add_argument(
        "--gene_sets",
        type=arguments.names,
        default="",
        help="comma list of names of sets that ship, or of files",
    )
    parser.add_argument("--gene_set_files", nargs="*", type=Path, default=[], help="the files among them")
    parser.add_argument("--ligrec_resource", default="consensus", help="liana's name, or a table's path")
    parser.add_argument("--ligrec_file", type=Path, help="the table ligand,receptor that it names")
    parser.add_argument("--reference", type=Path, help="labelled .h5ad, a second opinion on cell types")
    parser.add_argument("--reference_label", default="cell_type", help="its obs column of cell types")
    parser.add_argument("--orthologues", type=Path, help="table of the species and human, where not human")
    parser.add_argument("--schemas", type=Path, default=SCHEMAS, help="folder of the JSON schemas")
    return parser.parse_args(argv)


def _staged(path: Path) -> dict[tuple[str, str], Path]:
    """Where the files that the sheet names were put for this task."""
    with path.open(newline="", encoding="utf-8") as stream:
        rows = csv.DictReader(stream)
        return {
            (row["column"], row["value_in_sheet"].strip()): Path(row["staged_path"])
            for row in rows
            if row["staged_path"]
        }


if __name__ == "__main__":
    cli.run(main)
