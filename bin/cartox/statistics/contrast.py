"""One contrast from its inputs to its rows: what ASSOCIATE does."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cartox.columns import ASSOCIATIONS, FEATURE, LOGIT, TESTED
from cartox.contrasts import Contrast
from cartox.statistics import calibration, families, measures
from cartox.statistics.assemble import Assembler, visits
from cartox.statistics.association import NO_VARIANCE, Block, Engine, Tested, table
from cartox.statistics.contrast_tables import about, values
from cartox.statistics.design import build
from cartox.statistics.interaction import intervals
from cartox.statistics.stratum import Stratum, select
from cartox.strata import by_car

CAR_NOTE = (
    "CAR+ and CAR- T cells are compared in expression and pathways alone, and only those deep enough "
    "for a CAR to be found: a shallow T cell without CAR counts may carry one."
)
TYPES = dict.fromkeys([*TESTED, "n", "p_max_t", "p_pooled", *LOGIT.values()], float)


@dataclass
class Tables:
    """Tables of the steps before. samples, clinical, analytes: all columns str. pseudobulk: an h5ad."""

    samples: pd.DataFrame
    clinical: pd.DataFrame
    analytes: pd.DataFrame
    features: pd.DataFrame
    scores: pd.DataFrame
    pseudobulk: Path


@dataclass
class Result:
    """associations.csv, calibration.csv, values.parquet and contrast.json of one contrast."""

    rows: pd.DataFrame
    calibration: pd.DataFrame
    strips: pd.DataFrame
    about: dict


def associate(
    tables: Tables,
    contrast: Contrast,
    *,
    n_permutations: int = 10_000,
    n_calibration: int = 200,
    fdr: float = 0.05,
    min_cells: int = 25,
    seed: int = 0,
) -> Result:
    """Test everything that a contrast declares. What cannot be tested is said in rows and notes."""
    halves = contrast.car
    stratum = select(by_car(tables.samples) if halves else tables.samples, tables.clinical, contrast)
    notes = list(stratum.notes)
    tested: list[Tested] = []
    engine = design = None
    try:
        design = build(stratum.units, stratum.formula, stratum.term, stratum.within)
    except ValueError as error:
        notes.append(f"Not tested: {error}")
    else:
        notes += design.notes
        engine = Engine(design, n_permutations, seed)
        maker = Assembler(stratum, design)
        blocks, said = _blocks(tables, stratum, maker, contrast, min_cells)
        notes += said
        tested = [engine.examine(block, c) for c in design.coefficients for block in blocks]
    rows = table(engine, tested, contrast.id) if engine and tested else pd.DataFrame(columns=ASSOCIATIONS)
    found = calibration.nulls(engine, tested, n_calibration) if engine else {}
    counts = measures.cell_counts(tables.features, stratum.samples["sample"].tolist())
    types = _types(counts, contrast)
    if engine:
        rows = _beside_logit(rows, engine, Assembler(stratum, engine.design), counts)
    rows, said = _families(calibration.pool(rows, found), contrast, types)
    crossed: list[dict] = []
    if engine:
        rows = _max_t(rows, engine, tested)
        primary = {tuple(key) for key in rows.loc[rows["family"] == "primary", FEATURE].to_numpy().tolist()}
        crossed = intervals(stratum, engine.design, tested, primary)
    rows = families.adjust(rows)[ASSOCIATIONS]
    strips = values(rows, tested, stratum, design, contrast.id)
    asked = about(contrast, stratum, design, rows, notes + said, fdr)
    return Result(rows, calibration.table(found, contrast.id), strips, asked | {"interactions": crossed})


def _blocks(
    tables: Tables,
    stratum: Stratum,
    maker: Assembler,
    contrast: Contrast,
    min_cells: int,
) -> tuple[list[Block], list[str]]:
    """All blocks of a contrast, and sentences on what could not be made."""
    notes = []
    samples = stratum.samples
    names = samples["sample"].tolist()
    strata = set(tables.scores["stratum"]) if len(tables.scores) else set()
    own = contrast.id if contrast.id in strata else "all"
    if own == "all" and strata:
        notes.append("Pathway scores are standardised over all samples, not over this stratum.")
    if contrast.car:
        notes.append(CAR_NOTE)
    counts = measures.cell_counts(tables.features, names)
    pairs = measures.ligrec(tables.features, names)
    pairs = pairs.only(measures.often_present(pairs, _sample_groups(stratum, maker)))
    scores = measures.pathways(tables.scores, own, names, min_cells)
    scores = scores.only(_wanted(scores.cell_type, _types(counts, contrast), contrast, "pathway"))
    blocks = maker.blocks(scores, samples, by_type=True)
    blocks += maker.blocks(measures.censored(pairs), samples)
    blocks += maker.blocks(measures.composition(counts), samples)
    blocks += maker.blocks(measures.car(tables.features, names), samples)
    blocks += maker.blocks(measures.car_states(tables.features, names, min_cells), samples, scale="|states")
    factors = measures.tensor(tables.features, names)
    made = maker.blocks(factors, samples)
    if len(factors.feature) and not made:
        notes.append("Communication programmes are not tested: each time point and tissue has its own.")
    blocks += made
    if len(tables.analytes):
        seen = visits(stratum)
        if seen["sample"].duplicated().any():
            notes.append("Serum is not tested: it was measured per visit, not per condition within a visit.")
        else:
            blocks += maker.blocks(measures.analytes(tables.analytes, seen), seen)
    bulks = measures.expression(tables.pseudobulk, names, min_cells)
    found = np.array([bulk.cell_type for bulk in bulks])
    wanted = _wanted(found, _types(counts, contrast), contrast, "expression")
    blocks += maker.expression(bulk for bulk, used in zip(bulks, wanted, strict=True) if used)
    return blocks, notes + maker.notes


def _beside_logit(rows: pd.DataFrame, engine: Engine, maker: Assembler, counts: pd.DataFrame) -> pd.DataFrame:
    """Rows of composition with propeller's test of the logit share beside the log-ratio's."""
    blocks = maker.blocks(measures.logit_shares(counts), maker.stratum.samples)
    tested = [engine.examine(block, c, planned=False) for c in engine.design.coefficients for block in blocks]
    if not tested:
        return rows
    key = [*FEATURE, "coefficient"]
    logit = table(engine, tested, "")[[*key, *LOGIT]].rename(columns=LOGIT)
    return rows.merge(logit, on=key, how="left", validate="1:1")


def _types(counts: pd.DataFrame, contrast: Contrast) -> list[str]:
    """Cell types tested on their own: those counted; CAR+ and CAR- cells are compared in all T cells too."""
    return ["T"] if contrast.car else list(counts.columns)


def _wanted(cell_type: np.ndarray, types: Collection[str], contrast: Contrast, kind: str) -> np.ndarray:
    """Mask of the cell types to test: lineages only where the focus names them."""
    named = {
        families.pair(str(entry["cell_type"]))
        for entry in contrast.focus
        if entry.get("cell_type") and entry.get("kind") in (None, "", kind)
    }
    return measures.without_lineages(cell_type, types, named)


def _undeclared_lineages(rows: pd.DataFrame, types: Collection[str]) -> np.ndarray:
    """Mask of rows of a lineage that are tested beside a declared one, for its prior, and not reported."""
    kept = measures.without_lineages(rows["cell_type"].to_numpy(dtype=str), types, ())
    aside = rows["kind"].isin(["expression", "pathway"]).to_numpy()
    return aside & ~kept & (rows["family"] != "primary").to_numpy()


def _sample_groups(stratum: Stratum, maker: Assembler) -> list[np.ndarray]:
    """Samples by the level that their unit has; all samples where the term is numeric or for a change."""
    rows = stratum.samples["_unit"].map(maker.row)
    if maker.design.groups is None:
        return [np.flatnonzero(rows.notna() | stratum.samples["_baseline"])]
    groups = maker.design.groups
    known = rows.dropna().astype(int)
    return [known.index[groups[known] == level].to_numpy() for level in np.unique(groups)]


def _families(
    rows: pd.DataFrame, contrast: Contrast, types: Collection[str]
) -> tuple[pd.DataFrame, list[str]]:
    """Families. A declared feature without a row gets one that says it was not tested."""
    focus = contrast.focus
    keys = [rows[c].to_numpy(dtype=str) for c in ("kind", "cell_type", "feature")]
    missing = [
        {
            "contrast": contrast.id,
            "kind": entry.get("kind") or "",
            "cell_type": families.pair(entry.get("cell_type") or ""),
            "feature": families.pair(entry["feature"]),
            "note": "not tested: not measured here, or too rare",
            "family": "primary",
        }
        for entry in focus
        if not families.meets(entry, *keys).any()
    ]
    rows = rows.assign(family=np.where(families.declared(focus, *keys), "primary", keys[0]))
    rows = rows[~_undeclared_lineages(rows, types)]
    rows = pd.concat([rows, pd.DataFrame(missing)], ignore_index=True) if missing else rows
    rows = rows.reindex(columns=ASSOCIATIONS).astype(TYPES)
    text = ["note", "n_per_group", "coefficient"]
    rows[text] = rows[text].fillna("")
    rows["n"] = rows["n"].fillna(0).astype(int)
    order = ["first", "family", "kind", "cell_type", "feature", "coefficient"]
    rows = rows.assign(first=rows["family"] != "primary").sort_values(order, ignore_index=True)
    said = [f"Declared but not tested: {m['cell_type']} {m['feature']}.".replace("  ", " ") for m in missing]
    return rows[ASSOCIATIONS], said


def _max_t(rows: pd.DataFrame, engine: Engine, tested: list[Tested]) -> pd.DataFrame:
    """Add p_max_t: family-wise p of the primary family by the largest |t| of each permutation.

    An ordinary t, which is on one scale for all kinds. Only where all its features have the same patients.
    """
    primary = {tuple(key) for key in rows.loc[rows["family"] == "primary", FEATURE].to_numpy().tolist()}
    parts, keys = [], []
    for one in tested:
        own = [(one.block.kind, c, f) for c, f in zip(one.block.cell_type, one.block.feature, strict=True)]
        varies = one.variance > NO_VARIANCE if one.testable else []
        chosen = [i for i, key in enumerate(own) if key in primary and one.testable and varies[i]]
        if chosen:
            parts.append((one, one.block.data[:, chosen]))
            keys += [own[i] for i in chosen]
    same = {(one.coefficient.column, one.block.units.tobytes()) for one, _ in parts}
    if len(same) != 1 or parts[0][0].plan is None:
        return rows
    permuter = engine.permuter(parts[0][0], data=np.concatenate([data for _, data in parts], axis=1))
    p = dict(zip(keys, permuter.max_t(parts[0][0].plan), strict=True))
    found = [p.get(tuple(key), np.nan) for key in rows[FEATURE].to_numpy().tolist()]
    return rows.assign(p_max_t=np.where(rows["p"].notna(), found, np.nan))
