"""Cell types by signed marker scores: a marker table, scores of cells, calls with a confidence.

A score must mean the same in a product that is all T cells as in whole blood, so markers are not z-scored
over the cells at hand: each is divided by a reference level, the highest that it reaches in any neighbourhood
of the data, and never less than a floor (`marker_expression`). A weighted mean of positive markers less that
of negative ones gives a score near −1..1 (after the signed scoring of scType, Ianevski et al. 2022). Drop-out
is met twice: a cell's own expression is averaged with its neighbours', and a linear discriminant, trained on
the cells whose markers speak clearly, carries the call through the embedding.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import linalg, special

from cartox.cells.marker_expression import MarkerExpression
from cartox.cells.markers import Marker
from cartox.cells.neighbours import leiden
from cartox.labels import LINEAGES, UNASSIGNED

if TYPE_CHECKING:
    import igraph

COVERAGE = 0.4  # share of a type's positive markers (by weight) that must have been measured
TEMPERATURE = 0.2  # score difference worth one unit of log-odds
TEMPERING = 0.3  # weight of the discriminant's log-likelihood: neighbouring dimensions are not independent
MIN_SCORE = {"lineage": 0.03, "type": 0.0, "programme": 0.3, "state": 0.15}
MIN_POSTERIOR = {"lineage": 0.6, "type": 0.35}
MIN_SEEDS = 10
MIN_SUBCLUSTERED = 50
LEAST_TOGETHER = 5


def testable(marker: Marker, expression: MarkerExpression) -> bool:
    """Whether enough of the type's positive markers were measured to look for it."""
    found = [gene for gene in marker.positive if gene in expression.column]
    weight = sum(marker.positive[gene] for gene in found)
    return len(found) >= min(2, len(marker.positive)) and weight >= COVERAGE * sum(marker.positive.values())


def scores(expression: MarkerExpression, markers: list[Marker]) -> np.ndarray:
    """Signed scores, cells × markers: weighted mean level of positive markers less that of negative ones.

    Of three or more equally weighted positive markers a cell's highest is set aside, so that one ambient
    gene (haemoglobin, IGHG1) makes no cell type.
    """
    levels = expression.levels()
    out = np.zeros((len(levels), len(markers)), dtype=np.float64)
    for j, marker in enumerate(markers):
        for genes, sign in ((marker.positive, 1), (marker.negative, -1)):
            found = [gene for gene in genes if gene in expression.column]
            if not found:
                continue
            x = levels[:, [expression.column[gene] for gene in found]].astype(np.float64)
            weights = np.array([genes[gene] for gene in found])
            if sign > 0 and len(found) >= 3 and np.ptp(weights) == 0:
                mean = (x.sum(axis=1) - x.max(axis=1)) / (len(found) - 1)
            else:
                mean = x @ weights / weights.sum()
            out[:, j] += sign * mean
    return out


def balanced(markers: list[Marker], expression: MarkerExpression) -> list[Marker]:
    """The markers with equal weights where a type's heaviest one was not measured.

    CD8A may outvote the other genes only where CD4 can answer.
    """
    heaviest = [gene for m in markers for gene, w in m.positive.items() if 1 < w == max(m.positive.values())]
    if all(gene in expression.column for gene in heaviest):
        return markers
    return [
        replace(m, positive=dict.fromkeys(m.positive, 1.0), negative=dict.fromkeys(m.negative, 1.0))
        for m in markers
    ]


def discriminant(
    embedding: np.ndarray, call: np.ndarray, seed: np.ndarray, n_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Place of each cell in the embedding by linear discriminant (shared, shrunken covariance).

    Trained on the cells in `seed`. Returns log-likelihoods (cells × classes, the best class 0; a class with
    fewer than MIN_SEEDS seeds is held 5 units down, so that only its markers can call it) and whether a cell
    lies as near to a class as nine tenths of its seeds do (cells × classes, bool).
    """
    n, dims = embedding.shape
    members = [np.flatnonzero(seed & (call == j)) for j in range(n_classes)]
    trained = np.array([len(cells) >= MIN_SEEDS for cells in members])
    if not trained.any():
        return np.zeros((n, n_classes)), np.zeros((n, n_classes), dtype=bool)
    means, scatter = np.zeros((n_classes, dims)), np.zeros((dims, dims))
    for j in np.flatnonzero(trained):
        means[j] = embedding[members[j]].mean(axis=0)
        centred = embedding[members[j]] - means[j]
        scatter += centred.T @ centred
    scatter /= max(sum(len(members[j]) for j in np.flatnonzero(trained)) - trained.sum(), 1)
    scatter = 0.9 * scatter + (0.1 * np.trace(scatter) / dims + 1e-9) * np.eye(dims)
    root = linalg.cholesky(scatter, lower=True)
    white = linalg.solve_triangular(root, embedding.T, lower=True).T
    centres = linalg.solve_triangular(root, means.T, lower=True).T
    distance = ((white**2).sum(axis=1)[:, None] - 2 * white @ centres.T + (centres**2).sum(axis=1)) / 2
    reach = np.array(
        [np.quantile(distance[members[j], j], 0.9) if trained[j] else -1.0 for j in range(n_classes)]
    )
    best = distance[:, trained].min(axis=1, keepdims=True)
    return np.where(trained, best - distance, -5.0), distance <= reach


def call(
    expression: MarkerExpression, embedding: np.ndarray, markers: list[Marker], level: str
) -> tuple[np.ndarray, np.ndarray]:
    """The type of each cell among `markers` and its probability (0..1).

    Marker scores and place in the embedding are joined as log-odds. A cell is `Unassigned` where no type
    is probable, or where its own markers are silent and it does not lie among cells whose markers speak.
    """
    n = len(expression.own)
    markers = [marker for marker in markers if testable(marker, expression)]
    if not markers or not n:
        return np.full(n, UNASSIGNED, dtype=object), np.zeros(n)
    score, rows, minimum = scores(expression, balanced(markers, expression)), np.arange(n), MIN_SCORE[level]
    embedding = embedding.astype(np.float64)
    p = special.softmax(score / TEMPERATURE, axis=1)
    among = np.zeros(score.shape, dtype=bool)
    for _ in range(3):
        best = p.argmax(axis=1)
        ranked = np.sort(p, axis=1)
        margin = ranked[:, -1] - ranked[:, -2] if len(markers) > 1 else ranked[:, -1]
        seed = (margin > 0.5) & (score[rows, best] > minimum)
        place, among = discriminant(embedding, best, seed, len(markers))
        p = special.softmax(score / TEMPERATURE + TEMPERING * place, axis=1)
    best = p.argmax(axis=1)
    clear = ((score[rows, best] >= minimum) | among[rows, best]) & (p[rows, best] >= MIN_POSTERIOR[level])
    names = np.array([marker.cell_type for marker in markers], dtype=object)
    return np.where(clear, names[best], UNASSIGNED), p[rows, best] * np.where(clear, 1, 0.5)


def states(expression: MarkerExpression, markers: list[Marker]) -> np.ndarray:
    """State of each cell of one lineage, '' where none stands out.

    A programme (cycling, interferon, …) outranks a differentiation state; among programmes the table's
    order decides, among states the highest score.
    """
    out = np.full(len(expression.own), "", dtype=object)
    for level in ("state", "programme"):
        chosen = [m for m in markers if m.level == level and testable(m, expression)]
        if not chosen or not len(out):
            continue
        score = scores(expression, chosen)
        passed = score >= MIN_SCORE[level]
        best = score.argmax(axis=1) if level == "state" else passed.argmax(axis=1)
        names = np.array([marker.cell_type for marker in chosen], dtype=object)
        out = np.where(passed[np.arange(len(out)), best], names[best], out)
    return out


def annotate(
    expression: MarkerExpression, embedding: np.ndarray, markers: list[Marker]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cell type, lineage and confidence (0..1) of each cell: lineage first, then the types within it.

    A lineage without types in the table is its own type. Types defined by absence are not among those called
    here (see `cartox.cells.absence`). The confidence is the product of both levels'
    probabilities; an `Unassigned` cell keeps its lineage where that is clear.
    """
    lineage, confidence = call(expression, embedding, of_level(markers, "lineage"), "lineage")
    cell_type = lineage.copy()
    for name in sorted(set(lineage) - {UNASSIGNED}):
        types = [m for m in of_level(markers, "type") if m.lineage == name and not m.absent]
        cells = np.flatnonzero(lineage == name)
        if types:
            found, p = call(expression.subset(cells), embedding[cells], types, "type")
            cell_type[cells] = found
            confidence[cells] *= p
    return cell_type, lineage, confidence


def all_states(expression: MarkerExpression, lineage: np.ndarray, markers: list[Marker]) -> np.ndarray:
    """State of each cell within its lineage, '' where none stands out or the table has none."""
    out = np.full(len(lineage), "", dtype=object)
    for name in sorted({marker.lineage for marker in markers}):
        cells = np.flatnonzero(lineage == name)
        out[cells] = states(expression.subset(cells), [m for m in markers if m.lineage == name])
    return out


def subclusters(graph: igraph.Graph, lineage: np.ndarray, seed: int) -> np.ndarray:
    """Leiden clusters of T cells and of myeloid cells among themselves, such as `T.3`; '' for other cells.

    A map of all cells spends its clusters on lineages; within one, states come apart. graph: of all cells, of
    which the lineage's part is taken. Cells cut off there, in clusters of fewer than 5, have none.
    """
    out = np.full(len(lineage), "", dtype=object)
    for name in LINEAGES:
        cells = np.flatnonzero(lineage == name)
        if len(cells) < MIN_SUBCLUSTERED:
            continue
        found = leiden(graph.induced_subgraph(cells.tolist()), 1.0, seed)
        _, index, size = np.unique(found, return_inverse=True, return_counts=True)
        out[cells] = np.where(size[index] >= LEAST_TOGETHER, np.char.add(f"{name}.", found), "")
    return out


def of_groups(
    expression: MarkerExpression, lineage: np.ndarray, group: np.ndarray, markers: list[Marker]
) -> dict:
    """The type of each group of cells by its mean marker scores, `Unassigned` where none speaks.

    A second opinion on the calls of cells, which it does not use but for the lineage (`lineage`) within which
    scores are compared: the group's lineage is that of the highest mean score, its type the highest among
    that lineage's types over the group's cells of the lineage.
    """
    levels = {"lineage": [m for m in of_level(markers, "lineage") if testable(m, expression)]}
    score = scores(expression, levels["lineage"])
    found = {}
    for name in np.unique(group):
        cells = np.flatnonzero(group == name)
        mean = score[cells].mean(axis=0)
        best = int(mean.argmax()) if mean.size else -1
        clear = best >= 0 and mean[best] >= MIN_SCORE["lineage"]
        found[str(name)] = levels["lineage"][best].cell_type if clear else UNASSIGNED
    for above in sorted(set(found.values()) - {UNASSIGNED}):
        types = [m for m in of_level(markers, "type") if m.lineage == above and not m.absent]
        types = [m for m in types if testable(m, expression)]
        cells = np.flatnonzero(lineage == above)
        if not types or not len(cells):
            continue
        part = expression.subset(cells)
        score = scores(part, balanced(types, part))
        for name in [name for name, of in found.items() if of == above]:
            members = group[cells] == name
            if members.any():
                found[name] = types[int(score[members].mean(axis=0).argmax())].cell_type
    return found


def of_level(markers: list[Marker], level: str) -> list[Marker]:
    """The table's rows of one level."""
    return [marker for marker in markers if marker.level == level]
