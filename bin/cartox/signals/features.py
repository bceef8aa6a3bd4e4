"""The feature table: what is tested or plotted by patient, one row per sample, cell type and feature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from cartox.labels import UNNAMED

COLUMNS = ["sample", "cell_type", "kind", "feature", "value", "n_cells"]
# Added to every count so that a type without cells has a logarithm; the prior of propeller and others.
PSEUDOCOUNT = 0.5
# A type absent from this share of a stratum's samples, or more, is left out of its log-ratios.
ABSENT = 0.8
# A pair seen in one sample alone cannot be present in half of a group of three.
MIN_SAMPLES_PAIR = 2


def composition(counts: pd.DataFrame, by_stratum: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Fraction of the sample's labelled cells, and centred log-ratio against the median type.

    counts: samples × cell types, of which every sample gets a fraction, 0 where it has none. For the
    log-ratio see `common_types` of each stratum and `centred_log_ratio`. n_cells is the type's count.
    """
    counts = counts.loc[counts.sum(axis=1) > 0]
    tables = [_long(counts.div(counts.sum(axis=1), axis=0), counts, "fraction")]
    for members in by_stratum.values():
        block = counts.loc[[sample for sample in members if sample in counts.index]]
        block = block.loc[:, common_types(block)]
        if not block.empty:
            tables.append(_long(centred_log_ratio(block), block, "clr"))
    return pd.concat(tables, ignore_index=True)[COLUMNS]


def common_types(counts: pd.DataFrame) -> np.ndarray:
    """Mask of the types seen in more than 20 % of some samples; `Unassigned` and `Mixed` are no types.

    counts: samples × cell types.
    """
    common = (counts.eq(0).mean() < ABSENT).to_numpy() & (len(counts) > 0)
    return common & ~counts.columns.isin(UNNAMED)


def centred_log_ratio(counts: pd.DataFrame) -> pd.DataFrame:
    """log(n + 0.5) − its median over the types of a sample; counts: samples × cell types.

    When one type expands the others keep their level, which they do not as proportions, logits or arcsines.
    """
    logs = (counts + PSEUDOCOUNT).apply(np.log)
    return logs.sub(logs.median(axis=1), axis=0)


def _long(values: pd.DataFrame, counts: pd.DataFrame, feature: str) -> pd.DataFrame:
    """Samples × types as rows of the feature table; counts has the same rows and columns."""
    table = values.rename_axis(index="sample").reset_index().melt("sample", var_name="cell_type")
    n_cells = counts.to_numpy().ravel(order="F")
    return table.assign(kind="composition", feature=feature, n_cells=n_cells)


def ligrec(scores: pd.DataFrame, sizes: pd.DataFrame, min_cells: int) -> pd.DataFrame:
    """Scores of every pair seen in at least MIN_SAMPLES_PAIR samples, 0 where both types are there and the
    pair is not expressed; no row where a type has too few cells to say.

    scores: sample, source, target, ligand, receptor, lr_means. sizes: samples × cell types, counts of cells.
    cell_type is `source^target`, feature `LIGAND^RECEPTOR`, n_cells the smaller type's count.
    """
    keys = ["source", "target", "ligand", "receptor"]
    seen = scores.groupby(keys, sort=True, observed=True).size()
    pairs = seen[seen >= MIN_SAMPLES_PAIR].index.to_frame(index=False).astype(str)
    samples = list(sizes.index)
    if pairs.empty:
        return pd.DataFrame(columns=COLUMNS)
    value = np.zeros((len(samples), len(pairs)))
    where = scores.astype(dict.fromkeys(keys, str)).merge(pairs.reset_index(names="pair"), on=keys)
    value[[samples.index(s) for s in where["sample"]], where["pair"]] = where["lr_means"]
    smaller = np.minimum(
        sizes.reindex(columns=pairs["source"], fill_value=0).to_numpy(),
        sizes.reindex(columns=pairs["target"], fill_value=0).to_numpy(),
    )
    row, pair = np.nonzero(smaller >= min_cells)
    between = pd.Categorical(pairs["source"] + "^" + pairs["target"])
    name = pd.Categorical(pairs["ligand"] + "^" + pairs["receptor"])
    return pd.DataFrame(
        {
            "sample": np.array(samples)[row],
            "cell_type": between[pair],
            "kind": "ligrec",
            "feature": name[pair],
            "value": value[row, pair],
            "n_cells": smaller[row, pair],
        }
    )


def car(table: pd.DataFrame) -> pd.DataFrame:
    """Fraction of T cells that are CAR+, per sample with T cells.

    table: composition rows of all samples (sample, cell_type, lineage, n_cells, n_car, level).
    """
    t_cells = table[(table["level"] == "lineage") & (table["cell_type"] == "T") & (table["n_cells"] > 0)]
    fraction = t_cells["n_car"] / t_cells["n_cells"]
    return t_cells.assign(kind="car", feature="car_fraction", value=fraction)[COLUMNS]


def car_states(table: pd.DataFrame, by_stratum: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Share of a sample's CAR+ T cells that is in each T-cell state seen among them in its stratum.

    table: as for `car`. cell_type is the state, feature `car_state`, n_cells the CAR+ cells in it. A state of
    the stratum that a sample lacks has a row of 0; a sample without CAR+ cells with a state has none.
    """
    rows = table[(table["level"] == "state") & (table["lineage"] == "T") & (table["n_car"] > 0)]
    wide = rows.pivot_table(index="sample", columns="cell_type", values="n_car", aggfunc="sum", fill_value=0)
    parts = [pd.DataFrame(columns=COLUMNS)]
    for members in by_stratum.values():
        block = wide.loc[wide.index.isin(members)]
        block = block.loc[:, block.gt(0).any()]
        parts.append(_long(block.div(block.sum(axis=1), axis=0), block, "car_state").assign(kind="car"))
    return pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)[COLUMNS]


def tensor(table: pd.DataFrame, sizes: pd.DataFrame) -> pd.DataFrame:
    """Sample loadings of the communication factors that every start found.

    table: tensor.csv of TENSOR. sizes: samples × cell types, counts of cells. cell_type is the stratum, whose
    factors are its own; n_cells all labelled cells of the sample.
    """
    kept = table[(table["stable"] == 1) & table["value"].notna()]
    kept = kept.rename(columns={"stratum": "cell_type", "factor": "feature"})
    return kept.assign(kind="tensor", n_cells=kept["sample"].map(sizes.sum(axis=1)))[COLUMNS]


def qc(summaries: Sequence[Mapping]) -> pd.DataFrame:
    """Cells kept and their share of the barcodes considered, per sample; cell_type is `all`."""
    rows = []
    for summary in summaries:
        kept, given = summary["n_kept"], summary["n_barcodes"]
        share = 100 * kept / given if given else 0.0
        for feature, value in (("n_cells", float(kept)), ("pct_kept", share)):
            rows.append((summary["sample"], "all", "qc", feature, value, kept))
    return pd.DataFrame(rows, columns=COLUMNS)
