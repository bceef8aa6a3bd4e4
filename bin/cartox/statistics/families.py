"""Families of tests: the declared few by Holm, the explored many by Benjamini–Hochberg."""

from __future__ import annotations

import numpy as np
import pandas as pd

NEEDED = ["p", "p_permutation", "p_pooled", "p_max_t", "p_floor"]


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """False discovery rate q of each p (Benjamini & Hochberg 1995); missing p stay missing.

    As scipy.stats.false_discovery_control, whose import would take longer than a whole contrast.
    """
    order = np.argsort(p, kind="stable")[: np.count_nonzero(~np.isnan(p))]
    q = np.full(len(p), np.nan)
    scaled = p[order] * len(order) / np.arange(1, len(order) + 1)
    q[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1)
    return q


def holm(p: np.ndarray) -> np.ndarray:
    """Family-wise adjusted p (Holm 1979); missing p stay missing."""
    order = np.argsort(p, kind="stable")[: np.count_nonzero(~np.isnan(p))]
    q = np.full(len(p), np.nan)
    q[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)), 1)
    return q


def declared(focus: list[dict], kind: np.ndarray, cell_type: np.ndarray, feature: np.ndarray) -> np.ndarray:
    """Mask of the rows that some focus entry names.

    focus: {feature, kind?, cell_type?}; what an entry leaves out matches all. Arrows between ligand and
    receptor, or source and target, may be written → or ^.
    """
    named = [meets(entry, kind, cell_type, feature) for entry in focus]
    return np.any([np.zeros(len(feature), dtype=bool), *named], axis=0)


def meets(entry: dict, kind: np.ndarray, cell_type: np.ndarray, feature: np.ndarray) -> np.ndarray:
    """Mask of the rows that one focus entry names: see `declared`."""
    named = feature == pair(entry["feature"])
    if entry.get("kind"):
        named &= kind == entry["kind"]
    if entry.get("cell_type"):
        named &= cell_type == pair(entry["cell_type"])
    return named


def pair(name: str) -> str:
    """A pair's name with ^ between its parts, without spaces around."""
    return "^".join(part.strip() for part in name.replace("→", "^").split("^"))


def adjust(rows: pd.DataFrame) -> pd.DataFrame:
    """Add q and family_size to rows with family, p, p_permutation, p_pooled, p_max_t and p_floor.

    The size counts the rows with a p. Benjamini–Hochberg, or Holm in the family `primary`, over the larger of
    p and the permutation p, which is the pooled one where there is one. A primary feature without a pooled p:
    the larger of Holm's p and p_max_t, which unlike Holm does not multiply the floor; where the features do
    not share their patients, so that there is no p_max_t, Holm over the larger of p and p_permutation. q is
    never below the smallest p that the design can reach, so a design that cannot reach it calls nothing.
    """
    rows = rows.assign(q=np.nan, family_size=0)
    for family, members in rows.groupby("family", sort=True).groups.items():
        part = {name: rows.loc[members, name].to_numpy(float) for name in NEEDED}
        p, untested, alone = part["p"], np.isnan(part["p"]), np.isnan(part["p_pooled"])
        permuted = np.where(alone, part["p_permutation"], part["p_pooled"])
        worse = np.where(untested, np.nan, np.fmax(p, permuted))
        if family != "primary":
            q = benjamini_hochberg(worse)
        elif np.isnan(part["p_max_t"][~untested]).any():
            q = holm(worse)
        else:
            q = holm(np.where(alone, p, worse))
            q = np.where(alone & ~untested, np.fmax(q, part["p_max_t"]), q)
        rows.loc[members, "q"] = np.where(np.isnan(q), np.nan, np.fmax(q, part["p_floor"]))
        rows.loc[members, "family_size"] = int(np.count_nonzero(~untested))
    return rows
