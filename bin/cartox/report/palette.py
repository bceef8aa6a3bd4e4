"""Colours of the report, in one place: the same thing has the same colour in every figure.

Okabe & Ito (2008) and Tol's muted set, both made to be told apart with colour vision deficiency.
"""

from __future__ import annotations

from collections.abc import Sequence

BLUE, VERMILLION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
PURPLE, SKY, YELLOW, GREY = "#CC79A7", "#56B4E9", "#F0E442", "#BBBBBB"
# Text, axes and faint lines: the figures take the page's own, so that they can be read in dark mode too.
INK, AXIS, FAINT = "#222222", "#666666", "#D9D9D9"
GROUPS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
MUTED = (
    "#332288",
    "#88CCEE",
    "#44AA99",
    "#117733",
    "#999933",
    "#DDCC77",
    "#CC6677",
    "#882255",
    "#AA4499",
    "#661100",
)
CYCLE = (*GROUPS, *MUTED)

DIVERGING = "RdBu_r"
UP, DOWN = "#D6604D", "#4393C3"  # of the same scale
SEQUENTIAL = "cividis_r"

CELL_TYPES = {
    "CD14_Mono": VERMILLION,
    "CD16_Mono": ORANGE,
    "Mono": VERMILLION,
    "Myeloid": VERMILLION,
    "cDC1": "#999933",
    "cDC2": "#DDCC77",
    "DC": "#DDCC77",
    "pDC": "#661100",
    "CD4_T": BLUE,
    "CD8_T": SKY,
    "T": BLUE,
    "Treg": "#332288",
    "gdT": "#44AA99",
    "DN_T": "#6699CC",
    "Cycling_T": "#88CCEE",
    "NK": GREEN,
    "B": PURPLE,
    "Plasma": "#882255",
    "Platelet": "#117733",
    "Erythroid": "#CC6677",
    "HSPC": "#AA4499",
    "Unassigned": GREY,
    "Mixed": GREY,
}
REASONS = {
    "kept": BLUE,
    "low counts": ORANGE,
    "high counts": YELLOW,
    "low genes": PURPLE,
    "high genes": "#DDCC77",
    "high mito": VERMILLION,
    "high haemoglobin": "#882255",
}
CAR = {0: FAINT, 1: VERMILLION}


def of_groups(reference: str, groups: Sequence[str]) -> dict[str, str]:
    """Colours of an outcome's groups: the reference is always blue."""
    rest = sorted(g for g in groups if g != reference)
    named = [reference, *rest] if reference in groups else rest
    return {name: GROUPS[i % len(GROUPS)] for i, name in enumerate(named)}


def of_types(names: Sequence[str]) -> dict[str, str]:
    """Colours of cell types: fixed for those known, the rest take free colours in order of name."""
    return _fixed(CELL_TYPES, names)


def of_reasons(names: Sequence[str]) -> dict[str, str]:
    """Colours of why cells were removed."""
    return _fixed(REASONS, names)


def of_many(names: Sequence[str]) -> dict[str, str]:
    """Colours of samples, patients or lanes: distinct up to 16, beyond that neighbours differ."""
    return {name: CYCLE[i % len(CYCLE)] for i, name in enumerate(names)}


def _fixed(known: dict[str, str], names: Sequence[str]) -> dict[str, str]:
    used = {known[n] for n in names if n in known}
    free = [c for c in CYCLE if c not in used] or list(CYCLE)
    unknown = sorted(n for n in names if n not in known)
    return {n: known[n] for n in names if n in known} | {
        n: free[i % len(free)] for i, n in enumerate(unknown)
    }
