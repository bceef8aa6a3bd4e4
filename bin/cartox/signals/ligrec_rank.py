"""liana's consensus ranking of ligand–receptor pairs over a pool of cells."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from cartox.draw import shares
from cartox.genes import out_of_bounds
from cartox.labels import UNNAMED, labelled_cells, read_labels
from cartox.matrices.matrix import lognormalise, read_h5
from cartox.signals.ligrec import EXPR_PROP, MIN_CELLS, weakest
from cartox.signals.pseudobulk import indicator


def pool(
    files: Sequence[tuple[Path, Path]], limit: int, seed: int, car_features: Sequence[str]
) -> Any | None:
    """Draw cells of assigned types, evenly over samples, log-normalised, over the genes all samples have.

    files: (counts, labels) of each sample, in a fixed order. Returns an AnnData with obs `cell_type`, types
    of at least MIN_CELLS cells, without CAR, sex and V(D)J genes; None where fewer than two types have that
    many (a pair's specificity needs another type to compare with).
    """
    import anndata
    import pandas as pd

    drawn = [read_labels(labels) for _, labels in files]
    quota = shares([int((~np.isin(each.cell_type, UNNAMED)).sum()) for each in drawn], limit)
    rng = np.random.default_rng(seed)
    blocks, kinds, genes = [], [], None
    for (counts, path), labels, size in zip(files, drawn, quota, strict=True):
        chosen = np.sort(rng.permutation(np.flatnonzero(~np.isin(labels.cell_type, UNNAMED)))[:size])
        matrix = labelled_cells(read_h5(counts), labels, str(path)).select(chosen)
        blocks.append((lognormalise(matrix.counts), matrix))
        kinds.append(labels.cell_type[chosen])
        genes = set(matrix.genes) if genes is None else genes & set(matrix.genes)
    names = np.array(sorted(genes or ()), dtype=str)
    names = names[~out_of_bounds(names, car_features)]
    kind = np.concatenate(kinds)
    values = sparse.csr_matrix(sparse.vstack([block[:, matrix.columns(names)] for block, matrix in blocks]))
    types, size = np.unique(kind, return_counts=True)
    kept = np.isin(kind, types[size >= MIN_CELLS])
    if len(np.unique(kind[kept])) < 2:
        return None
    index = [f"cell{i}" for i in range(int(kept.sum()))]
    obs = pd.DataFrame({"cell_type": pd.Categorical(kind[kept])}, index=index)
    return anndata.AnnData(values[kept], obs=obs, var=pd.DataFrame(index=names))


def expressed(cells: Any, pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Pairs whose two sides each pass EXPR_PROP in some type; without any, liana fails."""
    place = {gene: i for i, gene in enumerate(cells.var_names)}
    known = [p for p in pairs if all(g in place for side in p for g in side.split("_"))]
    if not known:
        return []
    entities = sorted({side for pair in known for side in pair})
    members = [np.array([place[g] for g in entity.split("_")]) for entity in entities]
    groups = indicator(np.asarray(cells.obs["cell_type"]), list(cells.obs["cell_type"].cat.categories))
    detected = (groups @ cells.X.sign()).toarray() / np.asarray(groups.sum(axis=1))
    seen = dict(zip(entities, weakest(detected, members).max(axis=0) >= EXPR_PROP, strict=True))
    return [(a, b) for a, b in known if seen[a] and seen[b]]


def rank(cells: Any, pairs: Sequence[tuple[str, str]], n_perms: int, seed: int) -> list[dict]:
    """liana's `rank_aggregate` (Dimitrov 2022), with the resource given and `use_raw=False`.

    Returns one dict per source, target and pair, by magnitude_rank; empty where no pair is expressed.
    """
    import liana
    import pandas as pd

    # liana also fails where nearly all of a resource is missing from the data (a targeted panel)
    known = expressed(cells, pairs)
    if not known:
        return []
    with warnings.catch_warnings():
        # of liana's own workings (pandas' future, views written to), none about the data
        warnings.simplefilter("ignore")
        table: Any = liana.mt.rank_aggregate(
            cells,
            groupby="cell_type",
            resource=pd.DataFrame(known, columns=["ligand", "receptor"]),
            expr_prop=EXPR_PROP,
            min_cells=MIN_CELLS,
            use_raw=False,
            n_perms=n_perms,
            seed=seed,
            verbose=False,
            inplace=False,
        )
    size = cells.obs["cell_type"].value_counts()
    table = table.rename(columns={"ligand_complex": "ligand", "receptor_complex": "receptor"}).assign(
        n_source=table["source"].map(size).astype(int), n_target=table["target"].map(size).astype(int)
    )
    order = ["magnitude_rank", "specificity_rank", "source", "target", "ligand", "receptor"]
    return table.sort_values(order, kind="stable").to_dict("records")
