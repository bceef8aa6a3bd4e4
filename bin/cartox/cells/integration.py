"""What Harmony did to the space of the cells: how lanes and types mix before and after, and what was lost.

All measures stand on one sample of the cells, the same before and after.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd

from cartox.labels import UNNAMED

MOST_CELLS = 5000
LEAST_CELLS = 200  # the 90 neighbours that LISI looks at must be a neighbourhood, not the cohort
LEAST_OF_TYPE = 20
K = 15
# A pair of types is apart below the first and mixed above the second (0: never neighbours, 1: as at random).
APART, MIXED_FROM = 0.1, 0.4
# A group belongs to one batch or patient from this share of its cells; it holds together in its batch's own
# cells at the first of the values that follow, and is lost when it falls by the second.
OWN_SHARE, COHERENT, LOST = 0.8, 0.7, 0.4
RESOLUTION = 1.0


def chosen(n: int, seed: int) -> np.ndarray:
    """Rows of at most 5,000 of n cells, in order."""
    if n <= MOST_CELLS:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, MOST_CELLS, replace=False))


def measures(spaces: dict[str, np.ndarray], batch: np.ndarray, cell_type: np.ndarray) -> pd.DataFrame:
    """LISI and silhouettes over all cells and by type.

    spaces: `before` and `after`, cells × components; cells without a type take no part. Columns: cell_type
    ('' for all), n_cells, measure, before, after. Measures:
    ilisi, clisi (Korsunsky 2019): median effective number of batches and of types among 90 neighbours;
    silhouette_type (−1 to 1, Rousseeuw 1987): mean over cells, high where a type lies apart;
    silhouette_batch (Luecken 2022): mean over cells of a type of 1 − |silhouette of batches within the type|,
    1 where batches mix, then over types. A label with one value has no measures.
    """
    known = ~np.isin(cell_type, UNNAMED)
    if known.sum() < LEAST_CELLS:
        return pd.DataFrame(columns=["cell_type", "n_cells", "measure", "before", "after"])
    batch, cell_type = batch[known].astype(str), cell_type[known].astype(str)
    values = {side: _by_cell(space[known], batch, cell_type) for side, space in spaces.items()}
    rows = []
    for name in ["", *sorted(set(cell_type))]:
        part = cell_type == name if name else np.ones(len(cell_type), dtype=bool)
        if part.sum() < LEAST_OF_TYPE:
            continue
        for measure in ("ilisi", "clisi", "silhouette_type", "silhouette_batch"):
            sides = {s: _summary(v[measure][part], measure, cell_type[part]) for s, v in values.items()}
            if all(value is not None for value in sides.values()):
                rows.append({"cell_type": name, "n_cells": int(part.sum()), "measure": measure} | sides)
    return pd.DataFrame(rows, columns=["cell_type", "n_cells", "measure", "before", "after"])


def _summary(values: np.ndarray, measure: str, cell_type: np.ndarray) -> float | None:
    """Median of LISI, mean of silhouettes (of types, for batches); None where none is known."""
    held = ~np.isnan(values)
    if not held.any():
        return None
    if measure.endswith("lisi"):
        return round(float(np.median(values[held])), 4)
    if measure == "silhouette_batch":
        return round(float(pd.Series(values[held]).groupby(cell_type[held]).mean().mean()), 4)
    return round(float(values[held].mean()), 4)


def _by_cell(space: np.ndarray, batch: np.ndarray, cell_type: np.ndarray) -> dict[str, np.ndarray]:
    """Each measure's value in every cell; NaN where it has none."""
    from harmonypy import compute_lisi
    from sklearn.metrics import silhouette_samples

    out = {m: np.full(len(space), np.nan) for m in ("ilisi", "clisi", "silhouette_type", "silhouette_batch")}
    labels = pd.DataFrame({"ilisi": batch, "clisi": cell_type})
    columns = [name for name in ("ilisi", "clisi") if len(set(labels[name])) > 1]
    if columns:
        out |= dict(zip(columns, compute_lisi(space, labels, columns).T, strict=True))
    if 1 < len(set(cell_type)) < len(space):
        out["silhouette_type"] = np.asarray(silhouette_samples(space, cell_type))
    for name in sorted(set(cell_type)):
        rows = np.flatnonzero(cell_type == name)
        _, index, size = np.unique(batch[rows], return_inverse=True, return_counts=True)
        rows = rows[size[index] >= 2]
        if 1 < len(set(batch[rows])) < len(rows):
            out["silhouette_batch"][rows] = 1 - np.abs(silhouette_samples(space[rows], batch[rows]))
    return out


def merged_pairs(spaces: dict[str, np.ndarray], cell_type: np.ndarray, seed: int) -> list[dict]:
    """Pairs of types that lay apart before and are mixed after: first, second, before, after.

    The overlap of two types: of the neighbours of one type's cells that are of either type, the share that is
    of the other, over the other's share of the two types' cells; the mean of both directions, at most 1.
    """
    names = sorted(n for n in set(cell_type) - set(UNNAMED) if (cell_type == n).sum() >= LEAST_OF_TYPE)
    overlaps = {side: _overlaps(space, cell_type, names, seed) for side, space in spaces.items()}
    out = []
    for pair in combinations(range(len(names)), 2):
        before, after = overlaps["before"][pair], overlaps["after"][pair]
        if before < APART and after >= MIXED_FROM:
            first, second = (names[i] for i in pair)
            out.append(
                {"first": first, "second": second, "before": round(before, 3), "after": round(after, 3)}
            )
    return out


def _overlaps(space: np.ndarray, cell_type: np.ndarray, names: list[str], seed: int) -> np.ndarray:
    from cartox.cells.neighbours import nearest

    found = nearest(space, min(K, len(space) - 1), seed)[0]
    size = np.array([(cell_type == name).sum() for name in names], dtype=float)
    share = np.array([[(cell_type[found[cell_type == a]] == b).sum() for b in names] for a in names], float)
    own = np.diag(share)[:, None]
    either = share + own
    part = np.divide(share, either, out=np.zeros_like(share), where=either > 0)
    expected = size[None, :] / (size[None, :] + size[:, None])
    overlap = part / expected
    return np.minimum((overlap + overlap.T) / 2, 1)


def erased_states(
    spaces: dict[str, np.ndarray], units: dict[str, np.ndarray], cell_type: np.ndarray, seed: int
) -> list[dict]:
    """Groups of cells that nearly one batch or patient has, which held together before and do not after.

    Groups are clusters before Harmony, so that names take no part. units: the batch and the patient of each
    cell. A group's coherence in its unit: of the neighbours of its cells among the unit's own cells, the
    share in the group, beyond chance (0: spread at random, 1: its own neighbours). A shift of the whole unit
    leaves it alone. Records: unit, name, cell_type (the commonest), n_cells, before, after.
    """
    from cartox.cells.neighbours import fuzzy_graph, leiden, nearest

    if len(spaces["before"]) < LEAST_CELLS:
        return []
    cluster = leiden(fuzzy_graph(*nearest(spaces["before"], K, seed)), RESOLUTION, seed)
    out, seen = [], set()
    for kind, unit in units.items():
        for group, size in zip(*np.unique(cluster, return_counts=True), strict=True):
            names, counts = np.unique(unit[cluster == group], return_counts=True)
            own = unit == names[counts.argmax()]
            inside = own & (cluster == group)
            if (
                counts.max() < max(OWN_SHARE * size, LEAST_OF_TYPE)
                or own.sum() < inside.sum() + LEAST_OF_TYPE
            ):
                continue
            if (key := inside.tobytes()) in seen:
                continue
            seen.add(key)
            sides = {s: _coherence(space[own], inside[own], seed) for s, space in spaces.items()}
            if sides["before"] >= COHERENT and sides["before"] - sides["after"] >= LOST:
                kinds, n = np.unique(cell_type[inside], return_counts=True)
                about = {
                    "unit": kind,
                    "name": str(names[counts.argmax()]),
                    "cell_type": str(kinds[n.argmax()]),
                }
                out.append(
                    about | {"n_cells": int(inside.sum())} | {k: round(v, 3) for k, v in sides.items()}
                )
    return out


def _coherence(space: np.ndarray, inside: np.ndarray, seed: int) -> float:
    from cartox.cells.neighbours import nearest

    k = min(K, int(inside.sum()) - 1)
    share = inside[nearest(space, k, seed)[0][inside]].mean()
    chance = inside.mean()
    return float((share - chance) / (1 - chance))


def sentences(pairs: list[dict], states: list[dict]) -> list[str]:
    """The warnings in words for the report."""
    out = [
        f"{p['first']} and {p['second']} lay apart before Harmony and are mixed after (overlap "
        f"{p['before']:.2f}, then {p['after']:.2f}; 1 is as at random): compare with --integration none "
        "before you read either."
        for p in pairs
    ]
    for s in states:
        most = f", most of them called {s['cell_type']}," if s["cell_type"] not in UNNAMED else ""
        out.append(
            f"A group of cells that nearly {s['unit']} {s['name']} alone has ({s['n_cells']} of those looked "
            f"at){most} held together before Harmony and is spread among its other cells after (coherence "
            f"{s['before']:.2f}, then {s['after']:.2f}): a state of its own may have been erased; compare "
            "with --integration none."
        )
    return out
