"""The demo cohort's counts, drawn from real cells' profiles with effects planted at known places."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from cartox import genes as gene_classes
from cartox.demo.trial import (
    AMBIENT,
    CAR,
    CAR_MEAN,
    CAR_SHARE,
    COMPOSITION,
    DEPTH,
    DOUBLETS,
    EMPTY,
    HIGH_MITO,
    LINEAGE,
    STATES,
    TIMEPOINTS,
    Profiles,
    serum,
    stream,
    trial,
)
from cartox.demo.truth import contrasts, truth
from cartox.matrices.matrix import CountMatrix, write_h5

# Spread between patients, natural log: of a gene in all types, in one type, in one sample, in one lane, and
# of the factors that move genes together.
SPREAD = {"patient": 0.12, "type": 0.12, "sample": 0.08, "lane": 0.06, "factors": 0.03}
N_FACTORS = 6
DENSE = 0.1  # expected counts from which a gene's counts are overdispersed one by one
LABELLED = ["sample", "barcode", "cell_type", "lineage", "state", "doublet", "empty", "high_mito", "car"]


def _rates(
    profiles: Profiles,
    seed: int,
    i: int,
    t: int,
    patient: pd.Series,
    null: bool,
    loadings: np.ndarray,
    spread: float,
    visit: int,
) -> dict[str, np.ndarray]:
    """Factor by which this sample's patient, lane and effects move each gene, by cell type."""
    n, timepoint = len(profiles.genes), TIMEPOINTS[t]
    own = stream(seed, i, 92)
    shared = own.normal(0, spread * SPREAD["patient"], n) + own.normal(0, spread * SPREAD["lane"], n)
    sample = stream(seed, i, 93, _occasion(t, visit)).normal(0, SPREAD["sample"], n)
    absent = gene_classes.SEX_GENES & {"XIST", "TSIX"}
    if patient["sex"] == "F":
        absent = gene_classes.SEX_GENES - absent
    effects = profiles.effects
    out = {}
    for c, cell_type in enumerate(sorted(set().union(*COMPOSITION.values()))):
        rng = stream(seed, i, 94, c)
        factors = loadings @ rng.normal(0, spread * SPREAD["factors"], N_FACTORS)
        log = shared + sample + factors + rng.normal(0, spread * SPREAD["type"], n)
        here = effects[(effects["timepoint"] == timepoint) & (effects["cell_type"] == cell_type)]
        if not null and patient["toxicity"] == "yes" and len(here):
            where = pd.Index(profiles.genes).get_indexer(pd.Index(here["gene"]))
            log[where] += here["log2fc"].to_numpy() * np.log(2) * patient[f"_{timepoint}"]
        out[cell_type] = np.exp(log) * ~np.isin(profiles.genes, sorted(absent))
    return out


def _occasion(t: int, visit: int) -> int:
    """Key of the random streams of a sample: its time point, and which of the visits there."""
    return t + visit * len(TIMEPOINTS)


def _draw(
    rng: np.random.Generator, share: np.ndarray, depth: np.ndarray, dispersion: np.ndarray
) -> sparse.csr_matrix:
    """Counts of cells that share one expectation (share sums to 1): cells × genes.

    Frequent genes are gamma-Poisson one by one; the rest, where overdispersion hardly shows, are Poisson,
    drawn together: the cell's total of them, then the gene of each count.
    """
    frequent = np.flatnonzero(share * depth.mean() >= DENSE)
    rare = np.flatnonzero(share * depth.mean() < DENSE)
    shape = 1 / dispersion[frequent]
    spread = rng.standard_gamma(shape, (len(depth), len(frequent))) * dispersion[frequent]
    counts = rng.poisson(spread * share[frequent] * depth[:, None])
    edges = np.append(0.0, np.cumsum(share[rare]))
    many = rng.poisson(edges[-1] * depth)
    found = np.searchsorted(edges, rng.random(many.sum()) * edges[-1], side="right") - 1
    gene = rare[np.minimum(found, len(rare) - 1)]
    cell, column = np.nonzero(counts)
    return sparse.csr_matrix(
        (
            np.concatenate([counts[cell, column], np.ones(len(gene), int)]),
            (
                np.concatenate([cell, np.repeat(np.arange(len(depth)), many)]),
                np.concatenate([frequent[column], gene]),
            ),
        ),
        shape=(len(depth), len(share)),
        dtype=np.int32,
    )


def _jitter(rng: np.random.Generator, shares: dict[str, float], spread: float) -> np.ndarray:
    """Shares of one patient: the mean shares, moved log-normally."""
    moved = np.array(list(shares.values())) * np.exp(rng.normal(0, spread, len(shares)))
    return moved / moved.sum()


def _groups(timepoint: str, rng: np.random.Generator) -> pd.DataFrame:
    """Kinds of cell in one sample: cell_type, state, car and their share, which differs between samples."""
    shares = _jitter(rng, COMPOSITION[timepoint], 0.25)
    uptake = rng.normal(0, 0.3)
    rows = []
    for share, cell_type in zip(shares, COMPOSITION[timepoint], strict=True):
        states = STATES[timepoint].get(cell_type, {"": 1.0})
        for part, state in zip(_jitter(rng, states, 0.2), states, strict=True):
            positive = CAR_SHARE.get(state, 0.0)
            if positive:
                positive = 1 / (1 + np.exp(-np.log(positive / (1 - positive)) - uptake))
                rows.append((cell_type, state, 1, share * part * positive))
            rows.append((cell_type, state, 0, share * part * (1 - positive)))
    return pd.DataFrame(rows, columns=["cell_type", "state", "car", "share"])


def _damaged(share: np.ndarray, mito: np.ndarray, burst: float) -> np.ndarray:
    """The expectation of a leaking cell: a share `burst` of its counts is mitochondrial."""
    return np.where(mito, burst * share / share[mito].sum(), (1 - burst) * share / share[~mito].sum())


def sample(
    profiles: Profiles,
    patients: pd.DataFrame,
    i: int,
    t: int,
    cells: int,
    seed: int,
    null: bool,
    faults: bool,
    *,
    spread: float = 1.0,
    visit: int = 0,
    only: str = "",
) -> tuple[CountMatrix, pd.DataFrame]:
    """Counts and true labels of one sample: `cells` barcodes and, with faults, some empty ones.

    spread: scales what differs between patients. visit: a further sample of the patient at the same time
    point, with its own cells and sample's spread. only: draw cells of this type alone (ambient RNA stays that
    of the whole sample). A doublet is the sum of two cells of the sample, labelled as the first. Labels:
    sample, barcode, cell_type, lineage, state, doublet, empty, high_mito, car (0 or 1).
    """
    timepoint, patient = TIMEPOINTS[t], patients.iloc[i]
    loadings = stream(seed, 95).normal(size=(len(profiles.genes), N_FACTORS))
    rates = _rates(profiles, seed, i, t, patient, null, loadings, spread, visit)
    rng = stream(seed, i, 96, _occasion(t, visit))
    groups = _groups(timepoint, rng)
    means = [
        np.where(profiles.genes == CAR, car * CAR_MEAN, profiles.of(cell_type, state) * rates[cell_type])
        for cell_type, state, car in groups[["cell_type", "state", "car"]].itertuples(index=False)
    ]
    expected = np.array([mean / mean.sum() for mean in means])
    ambient = groups["share"].to_numpy() @ expected
    level = AMBIENT * rng.lognormal(0, 0.3)
    expected = (1 - level) * expected + level * ambient

    partners = rng.binomial(cells, DOUBLETS) if faults else 0
    total = cells + partners
    odds = groups["share"]
    if only:
        odds = odds.where(groups["cell_type"] == only, 0)
        odds /= odds.sum()
    group = rng.choice(len(groups), total, p=odds)
    depth = DEPTH[timepoint] * rng.lognormal(0, 0.1) * rng.lognormal(-0.06, 0.35, total)
    broken = (rng.random(total) < HIGH_MITO) & faults
    depth[broken] *= 0.5
    mito = gene_classes.matching(profiles.genes, gene_classes.MITOCHONDRIAL)
    burst = rng.uniform(0.3, 0.55)
    blocks, order = [], []
    for g, share in enumerate(expected):
        for damaged in (False, True):
            inside = np.flatnonzero((group == g) & (broken == damaged))
            if len(inside):
                drawn = _damaged(share, mito, burst) if damaged else share
                blocks.append(_draw(rng, drawn, depth[inside], profiles.dispersion))
                order.append(inside)
    counts = sparse.csr_matrix(sparse.vstack(blocks))[np.argsort(np.concatenate(order))]
    labels = groups.loc[group, ["cell_type", "state", "car"]].reset_index(drop=True)
    labels = labels.assign(doublet=0, empty=0, high_mito=broken.astype(int))
    first = np.arange(partners)
    labels.loc[first, "doublet"] = 1
    labels.loc[first, "car"] |= labels["car"].to_numpy()[cells:]
    labels.loc[first, "high_mito"] |= labels["high_mito"].to_numpy()[cells:]
    counts, labels = _merge(counts, cells, partners), labels[:cells]
    if faults:
        n = round(EMPTY * cells)
        empty = _draw(rng, ambient, rng.uniform(40, 250, n), profiles.dispersion)
        counts = sparse.csr_matrix(sparse.vstack([counts, empty]))
        blank = {"cell_type": "Unassigned", "state": "", "car": 0, "doublet": 0, "empty": 1, "high_mito": 0}
        labels = pd.concat([labels, pd.DataFrame(blank, range(n))], ignore_index=True)
    shuffled = rng.permutation(len(labels))
    barcodes = _barcodes(rng, len(labels))
    labels = labels.iloc[shuffled].reset_index(drop=True)
    labels["lineage"] = [LINEAGE.get(cell_type, cell_type) for cell_type in labels["cell_type"]]
    labels["sample"], labels["barcode"] = f"{patient['patient']}_{timepoint}", barcodes
    return CountMatrix(counts[shuffled], barcodes, profiles.genes, profiles.gene_ids), labels[LABELLED]


def _barcodes(rng: np.random.Generator, n: int) -> np.ndarray:
    """n different barcodes of 16 letters; of ten thousand drawn, two are alike in one sample of a hundred."""
    barcodes: dict[str, None] = {}
    while len(barcodes) < n:
        letters = np.array(list("ACGT"))[rng.integers(0, 4, (n - len(barcodes), 16))]
        barcodes.update(dict.fromkeys("".join(row) + "-1" for row in letters))
    return np.array(list(barcodes))


def _merge(counts: sparse.csr_matrix, cells: int, partners: int) -> sparse.csr_matrix:
    """Add the last `partners` rows to the first ones: doublets."""
    rows = np.arange(cells + partners)
    rows[cells:] = np.arange(partners)
    adder = sparse.csr_matrix((np.ones(len(rows), np.int32), (rows, np.arange(len(rows)))))
    return sparse.csr_matrix(adder @ counts)


def write_sheets(out: Path, samples: pd.DataFrame, patients: pd.DataFrame, seed: int, null: bool) -> None:
    """Write what a user gives beside the matrices; the sample sheet last, so that it says all is there."""
    clinical = patients[[column for column in patients if not str(column).startswith("_")]]
    clinical.to_csv(out / "patients.csv", index=False)
    serum(patients, seed, null).to_csv(out / "serum.csv", index=False)
    (out / "contrasts.yml").write_text(contrasts())
    samples.to_csv(out / "samples.csv", index=False)


def write_cohort(
    out: Path, profiles: Profiles, n_patients: int, cells: int, seed: int, null: bool, faults: bool
) -> None:
    """Write the cohort's folder: sheets, matrices, contrasts and the truth."""
    (out / "matrices").mkdir(parents=True, exist_ok=True)
    patients = trial(n_patients, seed)
    rows, labels = [], []
    for i, patient in enumerate(patients["patient"]):
        for t, timepoint in enumerate(TIMEPOINTS):
            matrix, known = sample(profiles, patients, i, t, cells, seed, null, faults)
            name = f"{patient}_{timepoint}"
            write_h5(out / "matrices" / f"{name}.h5", matrix)
            rows.append((name, patient, timepoint, f"L{i + 1:02d}", f"matrices/{name}.h5"))
            labels.append(known)
    sheet = pd.DataFrame(rows, columns=["sample", "patient", "timepoint", "batch", "path"])
    write_sheets(out, sheet, patients, seed, null)
    truth(profiles, null).to_csv(out / "truth.csv", index=False)
    packed = {"method": "gzip", "mtime": 0}
    pd.concat(labels).to_csv(out / "labels_truth.csv.gz", index=False, compression=packed)
