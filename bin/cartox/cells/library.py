"""What a whole library tells: genes at equal depth, counts of sex genes, histograms, and shared barcodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from cartox import genes
from cartox.cells import quality
from cartox.matrices.matrix import CountMatrix

if TYPE_CHECKING:
    import pandas as pd

# Depth to which cells are thinned for their genes to be compared: the default lowest count of a cell.
DEPTH = 500
# Genes among 500 counts: 318 to 385 in the median cell of CARPALL's 20 libraries (blood, marrow, product).
# Less than half of that is a library amplified from few molecules, or nearly all of one RNA.
FLAG_GENES = 150
# Share of the cohort's median below which a library stands out, and samples that make such a median.
FEW_GENES = 0.75
MIN_SAMPLES = 5
# Medians of the cells kept, percent; clean libraries have 0 for either.
FLAG_HAEMOGLOBIN = 1.0
FLAG_PLATELET = 1.0
BINS = 40
# Barcodes of 10x's smaller list (3' v2, 5'): the larger ones share less by chance.
WHITELIST = 737_280
MIN_SHARED = 10
# Chance that any pair of samples shares so many barcodes, corrected for the number of pairs.
CHANCE = 1e-6
# Share of the barcodes of both whose counts and genes are equal, in a library that was given twice.
SAME = 0.5
# Correlation of the log counts of shared barcodes, where one library was counted in two ways.
ALIKE = 0.9


def genes_at_depth(counts: sparse.csr_matrix, depth: int = DEPTH) -> float | None:
    """Median over cells of the genes expected among `depth` of a cell's counts; None without cells so deep.

    Expected with replacement, 1 − (1 − depth/N)^count by gene, close to the exact rarefaction (Hurlbert,
    Ecology 1971) for counts of many genes.

    Args:
        counts: cells × genes, raw.
        depth: counts to which each cell is thinned.
    """
    total = np.asarray(counts.sum(axis=1)).ravel()
    deep: Any = counts[np.flatnonzero(total >= depth)]
    if not (total >= depth).any():
        return None
    total = np.asarray(deep.sum(axis=1)).ravel()
    seen = sparse.csr_matrix(
        (
            1 - (1 - depth / np.repeat(total, np.diff(deep.indptr))) ** deep.data,
            deep.indices,
            deep.indptr,
        ),
        shape=deep.shape,
    )
    return float(np.median(np.asarray(seen.sum(axis=1)).ravel()))


def sex_counts(matrix: CountMatrix) -> dict[str, int]:
    """Counts of XIST and TSIX (`x`) and of the genes of the Y chromosome (`y`) in all cells given."""
    female = np.isin(matrix.genes, sorted(genes.FEMALE_GENES))
    male = np.isin(matrix.genes, sorted(genes.SEX_GENES - genes.FEMALE_GENES))
    return {
        name: int(matrix.counts[:, np.flatnonzero(mask)].sum()) for name, mask in (("x", female), ("y", male))
    }


def histograms(values: quality.Metrics) -> dict[str, dict[str, Any]]:
    """Barcodes in BINS equal bins of each adaptive metric: log10 of counts and of genes, percent."""
    found: dict[str, dict[str, Any]] = {}
    for metric in quality.ADAPTIVE:
        column = np.asarray(values[metric], dtype=float)
        if metric != "pct_mito":
            column = np.log10(np.maximum(column, 1))
        column = column[np.isfinite(column)]
        if not len(column):
            continue
        top = 100.0 if metric == "pct_mito" else max(np.ceil(column.max() * 2) / 2, 0.5)
        number, _ = np.histogram(column, BINS, (0, top))
        found[metric] = {"low": 0, "high": float(top), "counts": number.tolist()}
    return found


def describe(summary: dict, matrix: CountMatrix, kept: np.ndarray, values: quality.Metrics) -> None:
    """Add the library's measures to the account of a sample, and flag what is unlike any sound library."""
    cells = matrix.select(np.flatnonzero(kept))
    at_depth = genes_at_depth(cells.counts)
    summary["genes_at_500"] = quality.tidy(at_depth)
    summary["sex_genes"] = sex_counts(cells)
    summary["histograms"] = histograms(values)
    flags = []
    if at_depth is not None and at_depth < FLAG_GENES:
        flags.append(
            f"genes are saturated: the median cell has {at_depth:.0f} genes among {DEPTH} counts "
            "(a library of few molecules, or nearly all of one RNA)"
        )
    for metric, limit, what in (
        ("pct_hb", FLAG_HAEMOGLOBIN, "haemoglobin counts (lysed red cells)"),
        ("pct_platelet", FLAG_PLATELET, "platelet counts (platelets, broken or stuck to cells)"),
    ):
        if kept.any() and (median := float(np.median(values[metric][kept]))) > limit:
            flags.append(f"the median cell has {median:.1f} % {what}")
    summary["reasons"] += flags
    if flags and summary["status"] == "ok":
        summary["status"] = "flagged"


def saturated(accounts: list[dict]) -> list[str]:
    """A sentence for each library whose genes at equal depth lie far below those of the cohort."""
    used = [q for q in accounts if q["status"] != "dropped" and q.get("genes_at_500")]
    found = {q["sample"]: q["genes_at_500"] for q in used}
    if len(found) < MIN_SAMPLES:
        return []
    usual = float(np.median(list(found.values())))
    return [
        f"{sample}: its genes saturate early: {own:.0f} among {DEPTH} counts, {usual:.0f} in the usual sample"
        for sample, own in sorted(found.items())
        if own < FEW_GENES * usual
    ]


def shared_barcodes(cells: pd.DataFrame) -> list[str]:
    """A sentence for each pair of samples that share more barcodes than chance gives, in the order of names.

    A barcode is met in two libraries by chance n1 × n2 / WHITELIST times (Poisson). Shared barcodes with
    equal counts are one library given twice; with counts in proportion, one library counted in two ways;
    else index hopping or another list of barcodes. The last is told only of barcodes that are sequences:
    names such as CELL1 are shared by design.

    Args:
        cells: sample, barcode, n_counts, n_genes of every barcode considered.
    """
    import pandas as pd
    from scipy.special import pdtrc

    own = cells[["sample", "barcode", "n_counts", "n_genes"]].copy()
    own["barcode"] = own["barcode"].astype(str).str.replace(r"-\d+$", "", regex=True)
    # two libraries of empty droplets have few counts, often the same ones
    own = own[own["n_counts"] > quality.EMPTY_COUNTS].drop_duplicates(["sample", "barcode"])
    size = own["sample"].value_counts()
    met = own[own.duplicated("barcode", keep=False)]
    code, names = pd.factorize(met["sample"], sort=True)
    barcode, _ = pd.factorize(met["barcode"])
    shape = (len(names), int(barcode.max()) + 1 if len(barcode) else 0)
    incidence = sparse.csr_matrix((np.ones(len(met), dtype=np.int64), (code, barcode)), shape=shape)
    number = sparse.triu(incidence @ incidence.T, k=1).tocoo()
    n_pairs = len(size) * (len(size) - 1) / 2
    sentences = []
    for i, j, shared in sorted(zip(number.row, number.col, number.data, strict=True)):
        if shared < MIN_SHARED:
            continue
        a, b = str(names[i]), str(names[j])
        chance = pdtrc(shared - 1, size[a] * size[b] / WHITELIST) * n_pairs
        if said := _explained(met, a, b, int(shared), unlikely=bool(chance < CHANCE)):
            sentences.append(said)
    return sentences


def _explained(met: pd.DataFrame, a: str, b: str, shared: int, unlikely: bool) -> str:
    pair = met[met["sample"] == a].merge(met[met["sample"] == b], on="barcode")
    same = int(((pair["n_counts_x"] == pair["n_counts_y"]) & (pair["n_genes_x"] == pair["n_genes_y"])).sum())
    if same >= SAME * shared:
        return (
            f"{a} and {b} are the same library given twice: {same} of {shared} barcodes that both have carry "
            "the same counts; leave one out of the sample sheet"
        )
    if not unlikely or not pair["barcode"].str.fullmatch("[ACGTN]{12,}").all():
        return ""
    logs = np.log1p(pair[["n_counts_x", "n_counts_y"]].to_numpy(dtype=float))
    spread = logs.std(axis=0).min() > 0
    if spread and np.corrcoef(logs.T)[0, 1] >= ALIKE:
        return (
            f"{a} and {b} look like one library counted in two ways: they share {shared} barcodes, with "
            "counts in proportion; leave one out of the sample sheet if so"
        )
    return (
        f"{a} and {b} share {shared} barcodes, more than chance gives, with different counts: index hopping "
        "between libraries of one run, or a short list of barcodes"
    )
