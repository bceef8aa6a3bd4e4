"""Classes of genes that the steps treat alike."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

SEX_GENES = frozenset(
    [
        *("XIST", "TSIX", "RPS4Y1", "RPS4Y2", "DDX3Y", "EIF1AY", "KDM5D", "UTY", "USP9Y", "ZFY", "NLGN4Y"),
        *("TMSB4Y", "TXLNGY", "TTTY14", "TTTY15", "PRKY"),
        "Eif2s3y",  # of the mouse, on whose Y alone it lies
    ]
)
FEMALE_GENES = frozenset(["XIST", "TSIX"])  # of the inactive X; the other sex genes lie on the Y
MITOCHONDRIAL = re.compile(r"^MT-", re.IGNORECASE)
# In capitals or not: mouse genes without an orthologue keep their symbol
RIBOSOMAL = re.compile(r"^RP[SL]\d+[AXYL]?\d*$", re.IGNORECASE)
HAEMOGLOBIN = re.compile(r"^HB(A1|A2|B|D|E1|G1|G2|M|Q1|Z)$")
# Of platelets and megakaryocytes alone among the cells of blood (SDPR is CAVIN2's former symbol)
PLATELET = re.compile(r"^(PPBP|PF4|PF4V1|GP9|ITGA2B|TUBB1|GNG11|CAVIN2|SDPR|TREML1)$")
# TRADD and the constant gene IGHD are named as segments are, and are none
VDJ = re.compile(r"^(?!(TRADD|IGHD)$)(TR[ABGD][VDJ]|IG[HKL][VDJ])", re.IGNORECASE)


def matching(genes: Iterable[str], pattern: re.Pattern[str]) -> np.ndarray:
    """Mask of the genes whose symbol matches."""
    return np.array([bool(pattern.search(gene)) for gene in genes], dtype=bool)


def out_of_bounds(genes: Iterable[str], car_features: Iterable[str] = ()) -> np.ndarray:
    """Mask of the genes that no embedding, score or ligand–receptor pair may use.

    CAR transgenes, sex genes and V(D)J segments: they tell who or which clone a cell is, not its state.
    """
    car = set(car_features)
    return np.array([g in car or g in SEX_GENES or bool(VDJ.match(g)) for g in genes], dtype=bool)


def listed(text: str) -> list[str]:
    """The genes that a field of a sheet names, separated by semicolons."""
    return [name.strip() for name in text.split(";") if name.strip()]
