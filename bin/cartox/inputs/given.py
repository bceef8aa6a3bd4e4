"""The optional tables of later steps, read once up front so that their faults are told with all others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cartox.cli import InputError
from cartox.matrices.orthologues import Orthologues
from cartox.sheets import Faults, Table, nearest, shown


@dataclass(frozen=True)
class Known:
    """Names that a declared feature may have; a set is empty where they are not known."""

    gene_sets: frozenset[str] = frozenset()
    genes: frozenset[str] = frozenset()
    cell_types: frozenset[str] = frozenset()


def check_given(
    args: Any,
    samples: Table | None,
    faults: Faults,
    genes: frozenset[str] | None = None,
    orthologues: Orthologues | None = None,
    sets_needed: bool = False,
) -> Known:
    """Read the tables that parameters name with the readers of the steps that use them.

    args: of check_inputs.py. genes (that all matrices have) and orthologues: for the reference. The readers
    are imported where a table is given, for each costs time. Returns the names of all gene sets where
    sets_needed, and of all cell types, lineages and states; none where they cannot be read.
    """
    markers = labels = None
    if args.markers:
        from cartox.cells.markers import read_markers

        markers = _read(read_markers, args.markers, faults)
    if args.cell_labels:
        from cartox.inputs.given_labels import read_given

        labels = _read(read_given, args.cell_labels, faults)
        if labels is not None and samples:
            named = {sample for sample, _barcode in labels}
            _unknown(args.cell_labels, "cell_labels", "sample", named, set(samples.values("sample")), faults)
    if args.doublet_thresholds:
        from cartox.inputs.given_thresholds import read_thresholds

        given = _read(read_thresholds, args.doublet_thresholds, faults)
        if given is not None and samples and args.doublet_group in samples.columns:
            groups = set(samples.values(args.doublet_group))
            _unknown(args.doublet_thresholds, "doublet_thresholds", "group", set(given), groups, faults)
    sets = _gene_sets(args.gene_sets, args.gene_set_files, sets_needed, faults)
    if args.ligrec_file:
        from cartox.signals.ligrec import read_resource

        _read(read_resource, args.ligrec_file, faults)
    elif {".", "/"} & set(args.ligrec_resource):
        what = f"{shown(args.ligrec_resource)}: no such file; correct the path"
        faults.add("parameter --ligrec_resource", what)
    if args.reference:
        from cartox.cells.reference_file import check_reference

        _read(
            lambda path: check_reference(path, args.reference_label, genes, orthologues),
            args.reference,
            faults,
        )
    types = {marker.cell_type for marker in markers or []} | set((labels or {}).values())
    readable = markers is not None and (labels is not None or not args.cell_labels)
    return Known(sets, cell_types=frozenset(types) if readable else frozenset())


def _read(reader: Callable[[Path], Any], path: Path, faults: Faults) -> Any:
    try:
        return reader(path)
    except InputError as error:
        for line in error.faults:
            # the readers say the file and the place
            faults.line(line)
    return None


def _unknown(path: Path, flag: str, column: str, given: set[str], known: set[str], faults: Faults) -> None:
    """Names that no sample has: a fault where that is all of them, else a warning."""
    unknown = sorted(given - known)
    if not unknown:
        return
    some = ", ".join(map(shown, unknown[:5])) + (f" and {len(unknown) - 5} more" if unknown[5:] else "")
    hint = nearest(unknown[0], known)
    if len(unknown) == len(given):
        faults.add(path.name, f"--{flag}: no sample of the sample sheet has {some}{hint}", column=column)
    else:
        faults.warn(path.name, f"--{flag}: no sample has {some}, so these rows are not used", column=column)


def _gene_sets(wanted: list[str], files: list[Path], needed: bool, faults: Faults) -> frozenset[str]:
    from cartox.signals.gene_sets import SHIPPED, load

    there = {path.name for path in files}
    for name in wanted:
        if name not in SHIPPED and Path(name).name not in there:
            ship = f"no such file, and the sets that ship are {', '.join(SHIPPED)}"
            faults.add("parameter --gene_sets", f"{shown(name)}: {ship}{nearest(name, SHIPPED, few=0)}")
    named = [path.name for path in files]
    for name in sorted({name for name in named if named.count(name) > 1}):
        faults.add("parameter --gene_sets", f"two files are called {shown(name)}; rename one")
    # those that ship are sound; they are read only where a set of the user's may have the same name
    if not files or not (needed or there - set(SHIPPED.values())):
        return frozenset()
    net = _read(lambda _first: load([str(path) for path in files], Path()), files[0], faults)
    return frozenset() if net is None else frozenset(net["source"])
