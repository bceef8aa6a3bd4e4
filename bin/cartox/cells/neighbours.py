"""Nearest neighbours, clusters and a picture of cells, with faiss, igraph and scranpy.

scanpy's own path imports numba, umap and pynndescent and compiles them in every process: 54 s for 10,000
cells on one core, against 3 s here. igraph and scranpy compute the same fuzzy graph and the same layout
(McInnes 2018) in C and C++.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cartox import cpus

if TYPE_CHECKING:
    import igraph

# Exact neighbours cost the square of the number of cells; from here on the approximate ones are faster.
EXACT_UP_TO = 100_000
# Links of a cell in the graph that is searched, and candidates held while it is built and searched: recall
# 0.98 to 0.99 of 15 neighbours.
LINKS, BUILDING, SEARCHING = 16, 100, 80
BLOCK = 10_000
N_NEIGHBOURS = 15
MIN_DIST = 0.3
# 200 rounds for 5,000 cells, fewer for more, never under 50: the picture settles long before.
EPOCHS_TIMES_CELLS = 1_000_000


def nearest(values: np.ndarray, k: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices (int32) and Euclidean distances (cells × k) of each cell's k nearest others, nearest first.

    Exact up to 100,000 cells, then by faiss's graph of small worlds (HNSW; Malkov & Yashunin 2018), which is
    built by one thread. Blocks of cells are searched for side by side, each by one thread, so that the
    result does not depend on CPUs.
    """
    import faiss

    faiss.omp_set_num_threads(1)
    values = np.ascontiguousarray(values - values.mean(axis=0), dtype=np.float32)
    n, width = values.shape
    if n <= EXACT_UP_TO:
        index: Any = faiss.IndexFlatL2(width)
    else:
        index = faiss.IndexHNSWFlat(width, LINKS)
        index.hnsw.rng = faiss.RandomGenerator(seed)  # pyright: ignore[reportAttributeAccessIssue]
        index.hnsw.efConstruction, index.hnsw.efSearch = BUILDING, SEARCHING
    index.add(values)

    def search(block: np.ndarray) -> np.ndarray:
        faiss.omp_set_num_threads(1)  # holds for the thread that says it
        return index.search(block, k + 1)[1]

    return others(search, values, k, cpus.available())


def others(
    search: Callable[[np.ndarray], np.ndarray], values: np.ndarray, k: int, n_threads: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """What a search finds without the cells themselves, and the exact distances, nearest first.

    search: gives the rows of `values` that are the k + 1 nearest to each row of a block, itself among them;
    called by n_threads side by side.
    In the product form in which it compares, small distances cancel, so they are taken again.
    """
    n = len(values)
    found = np.empty((n, k), dtype=np.int32)
    distance = np.empty((n, k), dtype=np.float32)

    def fill(start: int) -> None:
        rows = slice(start, min(start + BLOCK, n))
        near = without_itself(search(values[rows]), rows.start)
        exact = np.linalg.norm(values[near] - values[rows, None, :], axis=2)
        order = np.argsort(exact, axis=1, kind="stable")
        found[rows] = np.take_along_axis(near, order, axis=1)
        distance[rows] = np.take_along_axis(exact, order, axis=1)

    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(fill, range(0, n, BLOCK)))
    return found, distance


def without_itself(near: np.ndarray, first: int = 0) -> np.ndarray:
    """The k neighbours of each row, of k + 1 that may hold the row itself; `first` numbers the first row.

    Where a row is not among its own (duplicates, or a search that missed it), the farthest is left out.
    """
    own = near == np.arange(first, first + len(near))[:, None]
    own[~own.any(axis=1), -1] = True
    return near[~own].reshape(len(near), -1)


def write_neighbours(path: Path | str, found: np.ndarray, distance: np.ndarray) -> None:
    """Write what `nearest` gives, for the steps that need it again."""
    np.savez(path, found=found.astype(np.int32), distance=distance.astype(np.float32))


def read_neighbours(path: Path | str) -> tuple[np.ndarray, np.ndarray]:
    """Indices and distances, cells × k, of `neighbours.npz`."""
    with np.load(path, allow_pickle=False) as file:
        return file["found"], file["distance"]


@contextmanager
def without_pyplot() -> Iterator[None]:
    """Where igraph is imported: it imports pyplot to draw with, which takes a second in each task."""
    hidden = "matplotlib" not in sys.modules
    if hidden:
        sys.modules["matplotlib"] = None  # pyright: ignore[reportArgumentType]  # as if it were not installed
    try:
        yield
    finally:
        if hidden:
            del sys.modules["matplotlib"]


def fuzzy_graph(found: np.ndarray, distance: np.ndarray) -> igraph.Graph:
    """Undirected graph of cells with UMAP's weights in the edge attribute `weight`."""
    with without_pyplot():
        import igraph
    n, k = len(found), found.shape[1]
    edges = np.column_stack([np.repeat(np.arange(n), k), found.ravel()])
    directed = igraph.Graph(n=n, edges=edges, directed=True)
    weights = np.asarray(igraph.umap_compute_weights(directed, distance.ravel().tolist()))
    # of the two edges of a mutual pair igraph leaves one with weight 0
    used = weights > 0
    graph = igraph.Graph(n=n, edges=edges[used], directed=False)
    graph.es["weight"] = weights[used]
    return graph


def leiden(graph: igraph.Graph, resolution: float, seed: int) -> np.ndarray:
    """Cluster of each cell (Traag 2019; modularity, two iterations), '0' being the largest."""
    with without_pyplot():
        import igraph
    random.seed(seed)
    igraph.set_random_number_generator(random)
    parts = graph.community_leiden(
        objective_function="modularity", weights="weight", resolution=resolution, n_iterations=2
    )
    label = np.asarray(parts.membership)
    _, first, index, size = np.unique(label, return_index=True, return_inverse=True, return_counts=True)
    rank = np.empty(len(size), dtype=int)
    rank[np.lexsort((first, -size))] = np.arange(len(size))
    return rank[index].astype(str)


def layout(found: np.ndarray, distance: np.ndarray, values: np.ndarray, seed: int) -> np.ndarray:
    """UMAP's two coordinates of each cell (float32), begun at the first two components.

    found, distance: cells × k, as `nearest` gives them. By umappp, which takes a sixth of igraph's time.
    """
    import knncolle
    import scranpy

    begin = values[:, :2].astype(np.float64)
    begin = 10 * (begin - begin.mean(axis=0)) / max(float(np.abs(begin - begin.mean(axis=0)).max()), 1e-12)
    coordinates = scranpy.run_umap(
        knncolle.FindKnnResults(found.astype(np.uint32), distance.astype(np.float64)),
        min_dist=MIN_DIST,
        initialize_method="none",
        initial_coordinates=begin,
        num_epochs=int(np.clip(EPOCHS_TIMES_CELLS // max(len(values), 1), 50, 200)),
        optimize_seed=seed,
    )
    return coordinates.astype(np.float32)
