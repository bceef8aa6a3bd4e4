"""What is tested: each kind of feature as a matrix of samples × features, missing where not measured."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from cartox.labels import LINEAGES, UNNAMED
from cartox.signals.features import MIN_SAMPLES_PAIR, PSEUDOCOUNT, centred_log_ratio, common_types

CAR_STATE = "car_state"  # feature of features.parquet: share of CAR+ T cells in a state
MIN_STATES = 3  # states that a log-ratio to their median needs
PRESENT_SHARE = 0.5  # a ligand–receptor pair is tested where this share of one group's samples has it


@dataclass
class Measure:
    """One kind of feature. cell_type, feature: names of the columns. data: samples × features."""

    kind: str
    cell_type: np.ndarray
    feature: np.ndarray
    data: np.ndarray

    def only(self, columns: np.ndarray) -> Measure:
        """The same with some columns (mask or indices)."""
        return Measure(self.kind, self.cell_type[columns], self.feature[columns], self.data[:, columns])


def empty(kind: str, n_samples: int) -> Measure:
    """No feature of this kind."""
    return Measure(kind, np.array([], dtype=str), np.array([], dtype=str), np.zeros((n_samples, 0)))


def _wide(kind: str, long: pd.DataFrame, samples: list[str]) -> Measure:
    """Rows sample, cell_type, feature, value as a matrix; what has no row is missing."""
    long = long[long["sample"].isin(samples)]
    long = long.astype(dict.fromkeys(["sample", "cell_type", "feature"], str))
    if not len(long):
        return empty(kind, len(samples))
    wide = long.pivot_table(index="sample", columns=["cell_type", "feature"], values="value", aggfunc="first")
    wide = wide.reindex(samples).sort_index(axis=1)
    names = wide.columns
    return Measure(
        kind,
        names.get_level_values(0).to_numpy(dtype=str),
        names.get_level_values(1).to_numpy(dtype=str),
        wide.to_numpy(float),
    )


def pathways(scores: pd.DataFrame, stratum: str, samples: list[str], min_cells: int) -> Measure:
    """Scores of a stratum (standardised over its own samples), from pathway_scores.parquet."""
    of = scores[(scores["stratum"] == stratum) & (scores["n_cells"] >= min_cells)]
    return _wide("pathway", of, samples)


def cell_counts(features: pd.DataFrame, samples: list[str]) -> pd.DataFrame:
    """Cells by sample and cell type, 0 where there are none, from the composition rows."""
    rows = features[(features["kind"] == "composition") & (features["feature"] == "fraction")]
    rows = rows[rows["sample"].isin(samples)].astype({"sample": str, "cell_type": str})
    wide = rows.pivot_table(index="sample", columns="cell_type", values="n_cells", aggfunc="first")
    return wide.reindex(samples).fillna(0).sort_index(axis=1)


def composition(counts: pd.DataFrame) -> Measure:
    """log(cells + 0.5) against the median cell type of the sample.

    The median is hardly moved when one type expands, where the mean (plain CLR) or the total (fractions)
    makes all the others fall. Types absent from 80 % of these samples or more are left out, of the
    median too.
    """
    kept = counts.loc[:, common_types(counts)]
    if not kept.shape[1]:
        return empty("composition", len(counts))
    seen = (counts.sum(axis=1) > 0).to_numpy()
    values = np.where(seen[:, None], centred_log_ratio(kept).to_numpy(), np.nan)
    names = kept.columns.to_numpy(dtype=str)
    return Measure("composition", names, np.full(len(names), "clr"), values)


def logit_shares(counts: pd.DataFrame) -> Measure:
    """Logit of each cell type's share, half a cell added to each type: propeller's default.

    Phipson 2022 (doi:10.1093/bioinformatics/btac582). For comparison beside `composition`, whose columns it
    has: a share falls when another type expands.
    """
    like = composition(counts)
    if not len(like.feature):
        return like
    share = counts.to_numpy(float) + PSEUDOCOUNT
    share = (share / share.sum(axis=1, keepdims=True))[:, common_types(counts)]
    values = np.where(np.isnan(like.data), np.nan, np.log(share / (1 - share)))
    return Measure(like.kind, like.cell_type, like.feature, values)


def car(features: pd.DataFrame, samples: list[str]) -> Measure:
    """Logit of the fraction of CAR+ cells, half a cell added to each side so that 0 and 1 are finite."""
    rows = features[(features["kind"] == "car") & (features["feature"] != CAR_STATE)].copy()
    positive = rows["value"].astype(float) * rows["n_cells"]
    rows["value"] = np.log((positive + 0.5) / (rows["n_cells"] - positive + 0.5))
    return _wide("car", rows[rows["n_cells"] > 0], samples)


def car_states(features: pd.DataFrame, samples: list[str], min_cells: int) -> Measure:
    """CAR+ T cells by state: log(cells + 0.5) against the median state, as `composition`.

    Missing in samples with fewer than `min_cells` CAR+ cells. Nothing where they have fewer than three
    states: the median of two moves with both.
    """
    rows = features[(features["kind"] == "car") & (features["feature"] == CAR_STATE)]
    rows = rows[rows["sample"].isin(samples)].astype({"sample": str, "cell_type": str})
    wide = rows.pivot_table(index="sample", columns="cell_type", values="n_cells", aggfunc="first")
    wide = wide.reindex(samples).fillna(0).sort_index(axis=1)
    enough = (wide.sum(axis=1) >= min_cells).to_numpy() & (wide.shape[1] > 0)
    made = composition(wide.loc[enough])
    if len(made.feature) < MIN_STATES:
        return empty("car", len(samples))
    data = np.full((len(samples), len(made.feature)), np.nan)
    data[enough] = made.data
    return Measure("car", made.cell_type, np.full(len(made.feature), CAR_STATE), data)


def tensor(features: pd.DataFrame, samples: list[str]) -> Measure:
    """Sample loadings of communication factors; those of another stratum's factors are missing.

    On their own scale (1 is the root mean square): a loading may be 0, so that it has no logarithm.
    """
    return _wide("tensor", features[features["kind"] == "tensor"], samples)


def ligrec(features: pd.DataFrame, samples: list[str]) -> Measure:
    """Ligand–receptor scores; FEATURES wrote 0 where both cell types were there and the pair was not."""
    return _wide("ligrec", features[features["kind"] == "ligrec"], samples)


def often_present(measure: Measure, groups: list[np.ndarray]) -> np.ndarray:
    """Mask of the pairs present in half of the measured samples of at least one group (index arrays).

    And in MIN_SAMPLES_PAIR samples, as FEATURES keeps a pair: there, those of other strata count as well.
    """
    often = np.zeros(measure.data.shape[1], dtype=bool)
    seen = np.count_nonzero(measure.data > 0, axis=0) >= MIN_SAMPLES_PAIR
    for rows in groups:
        values = measure.data[rows]
        measured = np.count_nonzero(~np.isnan(values), axis=0)
        present = np.count_nonzero(values > 0, axis=0)
        often |= (measured > 0) & (present >= PRESENT_SHARE * measured)
    return often & seen


def censored(measure: Measure) -> Measure:
    """Pairs with their zeros raised to the least score seen of the pair: below the limit of detection.

    A score jumps from 0 to some level when a subunit passes 10 % of its cells. Left as it is, a pair at the
    limit has two values, and when patients happen to divide like the outcome (once in 462 for 6 against 6,
    and a receptor is in many pairs) its variance within groups vanishes. As serum, it ties at its limit.
    """
    least = np.where(measure.data > 0, measure.data, np.inf).min(axis=0, initial=np.inf)
    data = np.where(measure.data == 0, least, measure.data)
    return Measure(measure.kind, measure.cell_type, measure.feature, data)


def without_lineages(cell_type: np.ndarray, types: Collection[str], named: Collection[str]) -> np.ndarray:
    """Mask of cell types to test: no lineage that is the sum of types tested on their own, unless `named`.

    A lineage repeats the tests of its types and mixes them: it differs where their proportions do.
    """
    left_out = set(LINEAGES) - set(types) - set(named)
    return ~np.isin(cell_type, sorted(left_out))


@dataclass
class CountsOfType:
    """Pseudobulk counts of one cell type. samples: their names, sorted. counts: samples × genes."""

    cell_type: str
    samples: list[str]
    counts: np.ndarray
    genes: np.ndarray


def expression(path: Path, samples: list[str], min_cells: int) -> list[CountsOfType]:
    """Counts by cell type from pseudobulk.h5ad, of samples with enough cells, without excluded genes.

    Read with h5py alone: importing anndata takes longer than the tests.
    """
    import h5py

    file: Any
    with h5py.File(path, "r") as file:
        names = column(file, "obs", "sample")
        types = column(file, "obs", "cell_type")
        n_cells = column(file, "obs", "n_cells").astype(float)
        genes = column(file, "var", str(file["var"].attrs["_index"]))
        kept = ~column(file, "var", "excluded").astype(bool)
        stored = file["X"]
        parts = stored["data"][:], stored["indices"][:], stored["indptr"][:]
        matrix = sparse.csr_matrix(parts, shape=(len(names), len(genes)))
    found = []
    for cell_type in (name for name in np.unique(types) if name not in UNNAMED):
        rows = np.flatnonzero((types == cell_type) & (n_cells >= min_cells) & np.isin(names, samples))
        rows = rows[np.argsort(names[rows])]
        if len(rows):
            counts = matrix[rows].toarray()[:, kept]
            full = counts.sum(axis=1) > 0
            found.append(CountsOfType(cell_type, names[rows][full].tolist(), counts[full], genes[kept]))
    return found


def column(file: Any, table: str, name: str) -> np.ndarray:
    """A column of an h5ad's obs or var: an array of strings, numbers or a categorical."""
    stored: Any = file[table][name]
    if hasattr(stored, "keys"):
        return stored["categories"].asstr()[:][stored["codes"][:]].astype(str)
    return stored.asstr()[:].astype(str) if stored.dtype.kind == "O" else stored[:]


def analytes(table: pd.DataFrame, visits: pd.DataFrame) -> Measure:
    """log2 serum concentrations at the visits (columns patient, timepoint) of a stratum (analytes.csv)."""
    from cartox.statistics.serum import log2_values

    long = log2_values(table)
    long["sample"] = long["patient"] + "|" + long["timepoint"]
    names = (visits["patient"] + "|" + visits["timepoint"]).tolist()
    long = long.assign(cell_type="", feature=long["analyte"])
    return _wide("analyte", long, names)
