"""Variable genes and principal components of a cohort, from counts that are read sample by sample.

scanpy has both, for a cohort that is in memory; here the counts are walked twice and only the variable genes'
columns are held. The tests hold these functions to scanpy's and scikit-learn's results.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import linalg, sparse

from cartox import cpus

# A variance fitted on fewer cells is noise: such batches are pooled.
MIN_BATCH = 100
# Counts from here on are rare, and listed instead of tabled.
SMALL = 16
WIDE = 1 << 32  # more than any count
# Rows made dense at a time for the Gram matrix.
BLOCK = 2000


@dataclass(frozen=True)
class Tally:
    """How many of n cells have each count of each gene.

    small: genes × SMALL, int32. large: the other counts, a row (gene, count, cells) each, int64.
    """

    n: int
    small: np.ndarray
    large: np.ndarray

    @classmethod
    def of(cls, counts: Any) -> Tally:
        """Of counts: csr_matrix, cells × genes."""
        n, n_genes = counts.shape
        genes, values = counts.indices.astype(np.int64), counts.data
        few = values < SMALL
        place = genes[few] * SMALL + values[few]
        small = np.bincount(place, minlength=n_genes * SMALL).reshape(n_genes, SMALL).astype(np.int32)
        pairs, cells = np.unique(genes[~few] * WIDE + values[~few], return_counts=True)
        return cls(n, small, np.column_stack([*np.divmod(pairs, WIDE), cells]))


class GeneValues:
    """How many cells of each batch have each count of each gene: from it any sum over cells follows.

    Clipped variances need sums of which the bounds are known only when all cells have been seen.
    """

    def __init__(self, n_batches: int, n_genes: int):
        """Nothing counted yet."""
        self.n = np.zeros(n_batches, dtype=np.int64)
        # counts below SMALL in a table, the few others as (gene, count, cells)
        self.small = np.zeros((n_batches, n_genes, SMALL), dtype=np.int32)
        self.large: list[list[np.ndarray]] = [[np.zeros((0, 3), dtype=np.int64)] for _ in range(n_batches)]

    def add(self, batch: int, seen: Tally) -> None:
        """Add cells of one batch."""
        self.n[batch] += seen.n
        self.small[batch] += seen.small
        self.large[batch].append(seen.large)

    def sums(self, batch: int, ceiling: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Sums of counts and of their squares for each gene, counts clipped at the gene's ceiling."""
        gene, count, cells = np.concatenate(self.large[batch]).T
        low = np.arange(SMALL, dtype=np.float64)[None, :]
        high = count.astype(np.float64)
        if ceiling is not None:
            low, high = np.minimum(low, ceiling[:, None]), np.minimum(high, ceiling[gene])
        n_genes = self.small.shape[1]
        first, second = (
            (self.small[batch] * low**power).sum(axis=1)
            + np.bincount(gene, weights=cells * high**power, minlength=n_genes)
            for power in (1, 2)
        )
        return first, second

    def mean_and_variance(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and unbiased variance, batches × genes."""
        n = np.maximum(self.n, 2)[:, None]
        first, second = self._all(None)
        mean = first / n
        return mean, np.maximum(second - n * mean**2, 0) / (n - 1)

    def clipped_variance(self, mean: np.ndarray, expected: np.ndarray) -> np.ndarray:
        """Variance of standardised counts clipped at √n (Stuart 2019), batches × genes; 0 where constant.

        mean: of each batch and gene; expected: the deviation expected from it (`expected_deviation`).
        """
        n = self.n[:, None]
        first, second = self._all(mean + expected * np.sqrt(n))
        spread = second - 2 * mean * first + n * mean**2
        scale = np.maximum(n - 1, 1) * expected**2
        return np.divide(spread, scale, out=np.zeros_like(spread), where=expected > 0)

    def _all(self, ceiling: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Sums of each batch, batches × genes."""
        found = [self.sums(b, None if ceiling is None else ceiling[b]) for b in range(len(self.n))]
        shape = self.small.shape[:2]
        first, second = (np.array([pair[i] for pair in found]).reshape(shape) for i in (0, 1))
        return first, second


def pooled_batches(batch: np.ndarray) -> np.ndarray:
    """Number of each cell's batch, those under 100 cells counted as one batch together."""
    _, index, size = np.unique(batch.astype(str), return_inverse=True, return_counts=True)
    small = size < MIN_BATCH
    number = np.cumsum(~small) - 1
    number[small] = (~small).sum()
    return number[index]


def expected_deviation(mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Standard deviation of a gene's counts expected from its mean, 0 where the gene does not vary.

    Loess of log10 variance on log10 mean, span 0.3 (Stuart 2019, Seurat v3). Where loess is singular, as it
    is in tiny batches whose means take few values, a parabola.
    """
    from skmisc.loess import loess

    expected = np.zeros(len(mean))
    varies = variance > 0
    if varies.sum() < 3:
        return np.sqrt(variance)
    x, y = np.log10(mean[varies]), np.log10(variance[varies])
    try:
        model = loess(x, y, span=0.3, degree=2)
        model.fit()
        fitted = np.asarray(model.outputs.fitted_values)
    except ValueError:
        fitted = np.polynomial.Polynomial.fit(x, y, min(2, len(np.unique(x)) - 1))(x)
    expected[varies] = np.sqrt(10**fitted)
    return expected


def most_variable(variance: np.ndarray, n_top: int) -> np.ndarray:
    """Mask of the n_top genes by how many batches rank them among their n_top, then by median rank there.

    variance: batches × genes. The order is scanpy's flavour `seurat_v3_paper`: genes that vary in many
    batches come before those that one batch ranks high, which in a trial are often one patient's.
    """
    order = np.argsort(-variance, axis=1, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(variance.shape[1])[None, :], axis=1)
    inside = (rank < n_top) & (variance > 0)
    n_batches = inside.sum(axis=0)
    ranked = np.where(inside, rank, np.nan)
    median = np.full(variance.shape[1], np.inf)
    seen = n_batches > 0
    median[seen] = np.nanmedian(ranked[:, seen], axis=0)
    chosen = np.lexsort((median, -n_batches))[:n_top]
    mask = np.zeros(variance.shape[1], dtype=bool)
    mask[chosen[seen[chosen]]] = True
    return mask


def principal_components(blocks: Sequence[sparse.csr_matrix], n_pcs: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores (cells × n_pcs, float32) and share of variance of each component; genes centred, not scaled.

    blocks: the cells' values, cells × genes, one matrix after the other. By the eigenvectors of the genes'
    covariance, summed over blocks of cells, so that no dense matrix of cells × genes exists; exact but for
    the rounding of a block to float32, and the same whatever the number of CPUs. Each component's sign makes
    its largest loading positive.
    """
    n = sum(len(block.indptr) - 1 for block in blocks)
    mean = np.sum([np.asarray(block.sum(axis=0, dtype=np.float64)).ravel() for block in blocks], axis=0) / n
    n_genes = len(mean)
    covariance = np.zeros((n_genes, n_genes))
    centre = mean.astype(np.float32)

    def product_of(place: tuple[int, int]) -> np.ndarray:
        which, start = place
        dense = blocks[which][start : start + BLOCK].astype(np.float32).toarray() - centre
        return dense.T @ dense

    places = [
        (which, start)
        for which, values in enumerate(blocks)
        for start in range(0, len(values.indptr) - 1, BLOCK)
    ]
    n_threads = cpus.available()
    with ThreadPoolExecutor(n_threads) as pool:
        # each block by itself and all added in their order: the same sum with any number of threads, of which
        # each holds one product at a time
        for first in range(0, len(places), n_threads):
            for product in pool.map(product_of, places[first : first + n_threads]):
                covariance += product
    covariance /= max(n - 1, 1)
    top, loadings = linalg.eigh(covariance, subset_by_index=(n_genes - n_pcs, n_genes - 1))
    loadings = loadings[:, ::-1]
    strongest = np.argmax(np.abs(loadings), axis=0)
    loadings = loadings * np.where(loadings[strongest, np.arange(n_pcs)] < 0, -1.0, 1.0)
    scores = np.vstack([(block @ loadings - mean @ loadings).astype(np.float32) for block in blocks])
    share = np.maximum(top[::-1], 0) / max(float(np.trace(covariance)), 1e-12)
    return scores, share
