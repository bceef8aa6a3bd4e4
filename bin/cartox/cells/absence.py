"""Cell types defined by what their cells lack, such as double-negative T cells.

A cell without a CD8A transcript may be a CD8+ T cell whose few transcripts were missed. Whether a sample
holds cells that lack the gene is therefore asked of all its cells of the sister type (here CD8_T) together:
those that show the gene tell how often it would be missed (a negative binomial fitted to the counts above
zero, with the cell's depth), and the zeros beyond that are cells that lack it. A sample without a clear
excess has none. A cell is called where it is more likely to lack the gene than to hide it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from cartox.cells import truncated
from cartox.cells.markers import Marker, sisters

MIN_POSITIVE = 50  # cells with the gene, of the whole cohort, from which its counts are learned
MIN_CELLS = 30  # cells of the sister type that a sample needs
MOST_MISSED = 0.5  # where more of the cells that express the gene would show none, zeros tell too little
LIKELIHOOD_RATIO = 6.63  # of an excess of zeros in a sample: χ² of one degree of freedom at p = 0.01


@dataclass(frozen=True)
class Excess:
    """Cells of a sample that lack a gene of their sister type, as a share of that type's cells."""

    cell_type: str
    sister: str
    gene: str
    sample: str
    n_cells: int
    share: float
    likelihood_ratio: float
    n_called: int


def lacking_share(counts: np.ndarray, hidden: np.ndarray) -> tuple[float, float]:
    """Share of cells that lack the gene, and twice the gain in log-likelihood over a share of 0.

    hidden: probability of each cell to show none though it expresses the gene. Maximum likelihood
    of the zero-inflated model (Lambert 1992), of which only the zeros tell.
    """
    zero = counts == 0

    def loss(share: float) -> float:
        p = np.where(zero, share + (1 - share) * hidden, (1 - share) * np.maximum(1 - hidden, 1e-300))
        return -float(np.log(p).sum())

    best = optimize.minimize_scalar(loss, bounds=(1e-6, 1 - 1e-6), method="bounded")
    return float(best.x), float(2 * (loss(1e-6) - best.fun))


def call(
    counts: dict[str, np.ndarray],
    totals: np.ndarray,
    sample: np.ndarray,
    cell_type: np.ndarray,
    markers: list[Marker],
) -> tuple[np.ndarray, np.ndarray, list[Excess]]:
    """Cell types with those put in that are defined by absence, the posterior (1 elsewhere), the account.

    counts: raw counts of each measured gene, by cell. totals: all counts of the cell. Only cells without any
    of a type's absent genes are looked at; where one of these genes was not measured, the type is not. Nor is
    it in samples too shallow for the gene, or with few cells of the sister type.
    """
    called, posterior, account = cell_type.copy(), np.ones(len(cell_type)), []
    types = [marker for marker in markers if marker.level == "type"]
    for marker in (m for m in types if m.absent and all(gene in counts for gene in m.absent)):
        none = np.all([counts[gene] == 0 for gene in marker.absent], axis=0)
        for gene, sister in sisters(marker, types).items():
            own = np.flatnonzero(cell_type == sister)
            shown = own[counts[gene][own] > 0]
            if len(shown) < MIN_POSITIVE:
                continue
            fitted = truncated.fit(counts[gene][shown], totals[shown])
            for name in np.unique(sample[own]):
                cells = own[sample[own] == name]
                if len(cells) < MIN_CELLS:
                    continue
                hidden = 1 - truncated.reached(fitted, totals[cells])
                if hidden.mean() > MOST_MISSED:
                    continue
                share, ratio = lacking_share(counts[gene][cells], hidden)
                n_called = 0
                if ratio >= LIKELIHOOD_RATIO:
                    odds = special.logit(share) - np.log(np.maximum(hidden, 1e-300))
                    chance = special.expit(odds)
                    chosen = none[cells] & (chance > 0.5)
                    called[cells[chosen]] = marker.cell_type
                    posterior[cells[chosen]] = chance[chosen]
                    n_called = int(chosen.sum())
                found = round(share, 4), round(ratio, 2), n_called
                account.append(Excess(marker.cell_type, sister, gene, str(name), len(cells), *found))
    return called, posterior, account
