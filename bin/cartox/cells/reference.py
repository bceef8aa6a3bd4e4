"""Cell types by a labelled reference: a classifier learnt in a space that reference and cohort share.

Both are projected on joint principal components of the cohort's variable genes and brought together by
Harmony (Korsunsky 2019), the reference being one more batch; then multinomial logistic regression. A cell is
named only where the model is sure, and only where the reference is as near as cells of one type are to each
other: a type that the reference lacks is left unnamed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from cartox.cells.embedding import principal_components
from cartox.cells.harmonised import harmonised
from cartox.cells.reference_file import drawn
from cartox.labels import UNASSIGNED

SURE = 0.5  # least probability of a name
NEIGHBOURS = 5
FAR = 0.99  # quantile of the distances among a label's own reference cells
# How many times as far from the reference as cells of one type usually are a cell may lie: none of Kang's
# cells whose type the reference has lies farther; without its monocytes and dendritic cells 98 % of those do.
SLACK = 1.25
FOLDS = 5


@dataclass
class Mapped:
    """What the reference says of each cell: str, float32 (probability, 0–1), and bool for too far from it."""

    label: np.ndarray
    confidence: np.ndarray
    far: np.ndarray


def shared_space(
    reference: sparse.csr_matrix, cells: sparse.csr_matrix, batch: np.ndarray, n_pcs: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Harmony's components of reference and cohort, each cells × components.

    reference, cells: log-normalised, of the same genes. batch: of each of the cohort's cells.
    """
    n = len(reference.indptr) - 1
    stacked: Any = sparse.csr_matrix(sparse.vstack([reference, cells]))
    scores, _share = principal_components(stacked, min(n_pcs, min(stacked.shape) - 1))
    # a name that no batch can have
    space = harmonised(scores, np.r_[np.full(n, "\0reference"), batch.astype(str)], seed)
    return space[:n], space[n:]


def mapped(reference: np.ndarray, label: np.ndarray, cells: np.ndarray, seed: int) -> Mapped:
    """The reference's name for each cell; `Unassigned` where the model is not sure or the cell is far."""
    model = _model().fit(reference, label)
    probability = model.predict_proba(cells)
    best = model.classes_[probability.argmax(axis=1)]
    confidence = probability.max(axis=1)
    far = too_far(reference, label, cells, best, seed)
    named = (confidence >= SURE) & ~far
    return Mapped(np.where(named, best, UNASSIGNED), confidence.astype(np.float32), far)


def too_far(
    reference: np.ndarray, label: np.ndarray, cells: np.ndarray, best: np.ndarray, seed: int
) -> np.ndarray:
    """Mask of the cells that lie farther from the reference than cells of one type do, or far from all of it.

    Distances are means over the five nearest. Squared, they are sums of both cells' noise, so between two
    studies of one type they are the mean of what they are within each. Those within the cohort are to as many
    cells of each best label as the reference has, for among more cells the nearest are nearer.
    """
    own = distances(reference, reference, np.arange(len(reference)))
    to_reference = distances(reference, cells)
    most = {str(name): int((label == name).sum()) for name in np.unique(label)}
    sample = drawn(best, most, seed)
    if len(sample) <= NEIGHBOURS:
        within = np.full(len(cells), np.inf)
    else:
        within = distances(cells[sample], cells, sample)
    usual = _each(best, {name: float(np.median(own[label == name])) for name in most})
    limit = _each(best, {name: float(np.quantile(own[label == name], FAR)) for name in most})
    return to_reference > SLACK * np.minimum(limit, np.sqrt((within**2 + usual**2) / 2))


def _each(label: np.ndarray, value: dict[str, float]) -> np.ndarray:
    return np.array([value[name] for name in label.tolist()])


def distances(of: np.ndarray, cells: np.ndarray, self_rows: np.ndarray | None = None) -> np.ndarray:
    """Mean distance of each cell to its nearest five of `of`.

    self_rows: rows of `cells` that are the cells of `of`, whose nearest is themselves and does not count.
    """
    from sklearn.neighbors import NearestNeighbors

    k = min(NEIGHBOURS, len(of) - 1)
    found = NearestNeighbors(n_neighbors=k + 1, algorithm="brute").fit(of).kneighbors(cells)[0]
    out = found[:, :k].mean(axis=1)
    if self_rows is not None:
        out[self_rows] = found[self_rows, 1:].mean(axis=1)
    return out


def tells_itself(reference: np.ndarray, label: np.ndarray, seed: int) -> dict[str, float]:
    """Share of each label's cells that a model learnt from the other four fifths names rightly; "" is all."""
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    named: Any = cross_val_predict(_model(), reference, label, cv=folds)
    right = named == label
    by_label = {str(name): float(right[label == name].mean()) for name in np.unique(label)}
    return {"": float(right.mean()), **by_label}


def _model():
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
