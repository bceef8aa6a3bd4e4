#!/usr/bin/env python3
"""Make the report: one HTML page from the tables that the steps left.

All inputs lie in one folder under the names that the steps give them (samples.csv, *.qc.json,
*.associations.csv, …). Only samples.csv and the samples' QC are needed; what is missing was not asked, and
the report says so. Beside the page are written run/methods.md, run/summary.txt and ro-crate-metadata.json.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cartox import cli
from cartox.files import write_json


def main(argv: Sequence[str] | None = None) -> None:
    """Write the sections for MultiQC and have it make the page."""
    parser = cli.parser(__doc__)
    parser.add_argument("--inputs", type=Path, required=True, help="folder with the steps' tables")
    parser.add_argument("--config", type=Path, required=True, help="MultiQC configuration")
    parser.add_argument("--css", type=Path, help="style sheet")
    parser.add_argument("--markers", type=Path, help="marker table; its column `label` names the cell types")
    parser.add_argument(
        "--top", type=int, default=25, help="rows per family in long tables (default: %(default)s)"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("mqc"), help="folder for the sections (default: %(default)s)"
    )
    parser.add_argument(
        "--report", type=Path, default=Path("report.html"), help="the page (default: %(default)s)"
    )
    args = parser.parse_args(argv)

    from cartox.report import build, crate, inputs, manuscript, summary

    read = inputs.read(args.inputs)
    build.write_sections(build.chapters(read, args.markers, args.top), read, args.out)
    build.render(args.out, args.config, args.css, args.report)
    beside = args.report.parent
    (beside / "run").mkdir(exist_ok=True)
    (beside / "run/methods.md").write_text(manuscript.markdown(read))
    (beside / "run/summary.txt").write_text(summary.text(read))
    write_json(beside / "ro-crate-metadata.json", crate.described(read))


if __name__ == "__main__":
    cli.run(main)
