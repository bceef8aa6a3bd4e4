"""What the samples of a cohort are joined on: the cells kept, the genes that all have, the variable ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd

from cartox.cells import embedding
from cartox.cells.tables import KEY, each_sample, read_features
from cartox.cli import InputError
from cartox.columns import SAMPLES
from cartox.matrices.matrix import CountMatrix, lognormalise

COLUMNS = ["sample", "patient", "timepoint", "batch", "barcode"]
COLUMNS += ["n_counts", "n_genes", "pct_mito", "doublet_score", "predicted_doublet"]
# Below this share of the usual number of genes, one sample with another reference narrows the whole cohort.
FEW_SHARED = 0.8


def choose_cells(
    barcodes: pd.DataFrame,
    sheet: pd.DataFrame,
    samples: Collection[str],
    totals: pd.DataFrame | None = None,
    doublets: pd.DataFrame | None = None,
    remove: bool = True,
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Cells of `samples` that QC kept, without predicted doublets where `remove`; and doublets by sample.

    barcodes: of QC's tables. sheet: samples.csv. totals: n_counts and n_genes without ambient RNA, a cell's
    depth being that of the counts it has now. doublets: scores and calls of DOUBLETS. Raises InputError where
    a sample is not in the sheet or a table given lacks a cell.
    """
    kept = (barcodes["kept"] == 1) & barcodes["sample"].isin(samples)
    table = barcodes[kept].drop(columns=["kept", "reason"])
    if totals is not None:
        table = _beside(table.drop(columns=["n_counts", "n_genes"]), totals, "n_counts", "totals")
    found: dict[str, int] = {}
    if doublets is None:
        table = table.assign(doublet_score=np.nan, predicted_doublet=0)
    else:
        table = _beside(table, doublets, "predicted_doublet", "doublets")
        double = table["predicted_doublet"] == 1
        found = {str(s): int(n) for s, n in double.groupby(table["sample"]).sum().items() if n}
        table = table[~double] if remove else table
    table = table.astype({"predicted_doublet": np.int8})
    if unknown := sorted(set(table["sample"]) - set(sheet["sample"])):
        raise InputError([f"{sample}: this sample is not in samples.csv" for sample in unknown])
    sheet = sheet if "batch" in sheet else sheet.assign(batch=sheet["sample"])
    known = sheet[[*SAMPLES]]
    table = table.merge(known, on="sample", how="left", validate="m:1")
    # stable: within a sample the order of its matrix stays
    return table[COLUMNS].sort_values("sample", kind="stable", ignore_index=True), found


def _beside(table: pd.DataFrame, other: pd.DataFrame, column: str, what: str) -> pd.DataFrame:
    """The cells with another table's columns, one of which every cell must have."""
    table = table.merge(other, on=KEY, how="left", validate="1:1")
    if missing := int(table[column].isna().sum()):
        raise InputError(f"{missing} cells kept by QC are in no table of {what}")
    return table


def shared_genes(counts: dict[str, Path], car: list[str]) -> tuple[np.ndarray, np.ndarray, dict]:
    """Symbols and ids of the cohort's genes, in the first sample's order, and the account."""
    ids: dict[str, str] = {}
    has: Counter[str] = Counter()
    sizes = []
    seen: Counter[bytes] = Counter()
    first: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}
    for path in counts.values():
        names, own = read_features(path)
        # samples counted with one reference have the same genes: looked at once
        key = names.tobytes()
        first.setdefault(key, (names, own))
        seen[key] += 1
        sizes.append(len(names))
    for key, (names, own) in first.items():
        for name, gene_id in zip(names, own, strict=True):
            ids.setdefault(name, gene_id)
            has[name] += seen[key]
    kept = [name for name in ids if has[name] == len(counts) or name in car]
    usual = float(np.median(sizes))
    account = {"n_genes_usual": int(usual), "warnings": []}
    if len(kept) < FEW_SHARED * usual:
        account["warnings"].append(
            f"only {len(kept)} genes are in every sample, of {usual:.0f} in the usual one: were all samples "
            "counted with the same reference?"
        )
    for name in car:
        if 0 < has[name] < len(counts):
            account["warnings"].append(
                f"{name} is in {has[name]} of {len(counts)} samples; in the others it counts as zero"
            )
    return np.array(kept), np.array([ids[name] for name in kept]), account


def describe_genes(
    table: pd.DataFrame, counts: dict[str, Path], genes: np.ndarray, excluded: np.ndarray, n_hvg: int
) -> dict[str, np.ndarray]:
    """Cells that express each gene, mean log-normalised value, and whether it is among the variable ones."""
    batch = embedding.pooled_batches(table["batch"].to_numpy())
    totals = table["n_counts"].to_numpy()
    n_batches = int(batch.max()) + 1 if len(batch) else 0
    values = embedding.GeneValues(n_batches, len(genes))
    n_cells, total = np.zeros(len(genes), dtype=np.int64), np.zeros(len(genes))

    def look(rows: slice, matrix: CountMatrix) -> tuple[dict[int, embedding.Tally], np.ndarray, np.ndarray]:
        own = batch[rows]
        tallies = {number: embedding.Tally.of(matrix.counts[own == number]) for number in np.unique(own)}
        sums = lognormalise(matrix.counts, totals[rows]).sum(axis=0, dtype=np.float64)
        return tallies, np.bincount(matrix.counts.indices, minlength=len(genes)), np.asarray(sums).ravel()

    for tallies, expressing, sums in each_sample(table, counts, genes, look):
        for number, seen in tallies.items():
            values.add(number, seen)
        n_cells += expressing
        total += sums
    mean, variance = values.mean_and_variance()
    expected = np.array(
        [embedding.expected_deviation(m, v) for m, v in zip(mean, variance, strict=True)]
    ).reshape(mean.shape)
    score = values.clipped_variance(mean, expected)
    score[:, excluded] = 0
    return {
        "n_cells": n_cells,
        "mean": (total / max(len(table), 1)).astype(np.float32),
        "highly_variable": embedding.most_variable(score, n_hvg),
    }
