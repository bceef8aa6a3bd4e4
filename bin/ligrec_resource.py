#!/usr/bin/env python3
"""Write the ligand–receptor pairs to score, lr_resource.csv: a resource of liana's, or the user's table."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from cartox import cli
from cartox.signals.ligrec import read_resource


def liana_resource(name: str) -> list[tuple[str, str]]:
    """Pairs of a resource that liana ships, sorted: those of `liana.rs.select_resource`.

    Read from liana's table without importing liana, which takes longer than all of a small cohort's scores.
    Raises InputError naming the resources there are.
    """
    spec = find_spec("liana")
    if spec is None or spec.origin is None:
        raise cli.InputError(f"--ligrec_resource {name}: no such file, and liana is not installed")
    with (Path(spec.origin).parent / "resource" / "omni_resource.csv").open(newline="") as file:
        rows = [(r["resource"], r["source_genesymbol"], r["target_genesymbol"]) for r in csv.DictReader(file)]
    known = sorted({resource for resource, _, _ in rows})
    if name not in known:
        raise cli.InputError(
            f"--ligrec_resource {name}: no such file, and liana's resources are {', '.join(known)}"
        )
    return sorted({(a, b) for resource, a, b in rows if resource == name and a and b})


def main(argv: Sequence[str] | None = None) -> None:
    """Run the step."""
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--ligrec_resource",
        default="consensus",
        help="liana's name, or a CSV with the columns ligand, receptor",
    )
    args = parser.parse_args(argv)
    given = Path(args.ligrec_resource)
    pairs = read_resource(given) if given.is_file() else liana_resource(args.ligrec_resource)
    with Path("lr_resource.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["ligand", "receptor"])
        writer.writerows(pairs)


if __name__ == "__main__":
    cli.run(main)
