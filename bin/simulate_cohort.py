#!/usr/bin/env python3
"""Make the demo cohort: a simulated trial with planted effects, or its null twin, and the truth beside it.

Writes samples.csv, patients.csv, serum.csv, contrasts.yml, truth.csv, labels_truth.csv.gz and
matrices/<sample>.h5 into the folder given.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cartox import cli

PROFILES = Path(__file__).resolve().parents[1] / "assets/demo"


def main(argv: Sequence[str] | None = None) -> None:
    """Simulate and write one cohort."""
    parser = cli.parser(__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--patients", type=int, default=12)
    parser.add_argument("--cells", type=int, default=400, help="barcodes of a sample, empty ones beside")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--null", action="store_true", help="the null twin: nothing planted")
    parser.add_argument("--no_faults", action="store_true", help="no doublets, empty or damaged cells")
    parser.add_argument("--profiles", type=Path, default=PROFILES, help="folder of profiles and effects")
    args = parser.parse_args(argv)
    faults = [
        f"--{name}: {value} is too few; give at least {least}"
        for name, value, least in [("patients", args.patients, 1), ("cells", args.cells, 20)]
        if value < least
    ]
    if args.seed < 0:
        faults.append(f"--seed: {args.seed} is negative; give 0 or more")
    faults += [
        f"--profiles: {args.profiles / name} is missing"
        for name in ("profiles.tsv.gz", "effects.tsv")
        if not (args.profiles / name).is_file()
    ]
    if faults:
        raise cli.InputError(faults)

    from cartox.demo.simulate import write_cohort
    from cartox.demo.trial import load_profiles

    profiles = load_profiles(args.profiles)
    write_cohort(args.out, profiles, args.patients, args.cells, args.seed, args.null, not args.no_faults)


if __name__ == "__main__":
    cli.run(main)
