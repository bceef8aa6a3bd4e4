"""What is true of the demo cohort: which features differ between patients with and without toxicity.

A gene of a cell type is touched where its expected share of the type's pseudobulk differs between the groups:
by plan, or because ambient RNA and doublets carry a planted gene into another type. Every other feature
follows from the genes it is computed from.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd

from cartox.demo.trial import AMBIENT, COMPOSITION, DOUBLETS, LINEAGE, STATES, Profiles

CARRIED = 0.1  # log2 fold from which a gene that was not planted counts as touched
CONTRASTS = {"tox_product": "product", "tox_baseline": "baseline", "tox_day7": "D7"}
# What is planted by name: contrast, kind, cell_type, feature, direction, whether in the primary family.
DECLARED = [
    ("tox_day7", "pathway", "CD14_Mono", "HALLMARK_INTERFERON_GAMMA_RESPONSE", 1, True),
    ("tox_day7", "expression", "CD14_Mono", "CXCL10", 1, True),
    ("tox_day7", "ligrec", "CD8_T^CD14_Mono", "IFNG^IFNGR1_IFNGR2", 1, True),
    ("tox_day7", "ligrec", "CD14_Mono^CD8_T", "CXCL10^CXCR3", 1, True),
    ("tox_day7", "analyte", "", "IFNG", 1, False),
    ("tox_day7", "analyte", "", "CXCL10", 1, False),
    ("tox_product", "pathway", "T", "CYTOSIG_IL4", -1, True),
    ("tox_product", "pathway", "T", "CYTOSIG_IL10", -1, True),
]
LABELS = {
    "tox_product": "Toxicity and the infusion product",
    "tox_baseline": "Toxicity and blood before infusion",
    "tox_day7": "Toxicity and blood at day 7",
}


def _expectation(profiles: Profiles, timepoint: str, toxic: bool) -> pd.DataFrame:
    """Expected share of each gene in each type's pseudobulk, carried-over RNA included: genes × types."""
    means = {}
    for cell_type in COMPOSITION[timepoint]:
        states = STATES[timepoint].get(cell_type, {"": 1.0})
        mean = sum(weight * profiles.of(cell_type, state) for state, weight in states.items())
        series = pd.Series(mean, index=profiles.genes)
        if toxic:
            effects = profiles.effects
            here = effects[(effects["timepoint"] == timepoint) & (effects["cell_type"] == cell_type)]
            series[here["gene"]] *= 2 ** here["log2fc"].to_numpy()
        means[cell_type] = series / series.sum()
    table = pd.DataFrame(means)
    mixture = table @ pd.Series(COMPOSITION[timepoint]) / sum(COMPOSITION[timepoint].values())
    carried = AMBIENT + DOUBLETS / 2
    return table.mul(1 - carried).add(carried * mixture, axis=0)


def truth(profiles: Profiles, null: bool) -> pd.DataFrame:
    """What differs between patients with and without toxicity: one row a planted or touched feature.

    contrast, kind, cell_type, feature, direction (1 or -1), planted (1: by plan; 0: a gene carried into this
    type by ambient RNA and doublets), log2fc (expected in the type's pseudobulk; empty where not a gene),
    focus (1: in the contrast's primary family). What no row names is judged by `touched`.
    """
    columns = ["contrast", "kind", "cell_type", "feature", "direction", "planted", "log2fc", "focus"]
    rows: list[tuple] = []
    for contrast, timepoint in CONTRASTS.items():
        toxic, calm = (_expectation(profiles, timepoint, state) for state in (True, False))
        fold = pd.DataFrame(np.log2((toxic + 1e-9) / (calm + 1e-9)))
        effects = profiles.effects[profiles.effects["timepoint"] == timepoint]
        plan = set(zip(effects["cell_type"], effects["gene"], strict=True))
        for cell_type in fold:
            folds = pd.Series(fold[cell_type])
            moved = folds[folds.abs() >= CARRIED].sort_index()
            for gene, value in moved.items():
                planted = int((cell_type, gene) in plan)
                focus = int((contrast, "expression", cell_type, gene, 1, True) in DECLARED)
                row = (contrast, "expression", cell_type, gene, int(np.sign(value)), planted)
                rows.append((*row, round(float(value), 3), focus))
    rows += [(*row[:5], 1, None, int(row[5])) for row in DECLARED if row[1] != "expression"]
    return pd.DataFrame([] if null else rows, columns=columns)


def touched(rows: pd.DataFrame, truth: pd.DataFrame, members: Mapping[str, Collection[str]]) -> np.ndarray:
    """Whether each tested feature (contrast, kind, cell_type, feature) differs by plan or in consequence.

    A gene: if the truth lists it for the type; a lineage stands for its types, a type that the truth does not
    know for all. A pathway: if any of its members (genes by set; signed sets too) is so listed. A ligand-
    receptor pair: if a subunit is listed in its own side's type. An analyte: if listed. Composition, CAR
    fraction: never. Raises KeyError where a pathway has no entry in `members`.
    """
    genes = truth[truth["kind"] == "expression"]
    by_type = {key: set(part["feature"]) for key, part in genes.groupby(["contrast", "cell_type"])}
    types = sorted(set().union(*COMPOSITION.values()))
    named = set(zip(truth["contrast"], truth["kind"], truth["feature"], strict=True))

    def moved(contrast: str, cell_type: str) -> set[str]:
        inside = [c for c in types if cell_type in (c, LINEAGE.get(c))] or types
        return set().union(*(by_type.get((contrast, c), set()) for c in inside))

    def one(contrast: str, kind: str, cell_type: str, feature: str) -> bool:
        if kind == "expression":
            return feature in moved(contrast, cell_type)
        if kind == "pathway":
            return not moved(contrast, cell_type).isdisjoint(members[feature])
        if kind == "ligrec":
            sides = zip(cell_type.split("^"), feature.split("^"), strict=True)
            return any(not moved(contrast, c).isdisjoint(side.split("_")) for c, side in sides)
        return kind == "analyte" and (contrast, kind, feature) in named

    keys = rows[["contrast", "kind", "cell_type", "feature"]].fillna("").astype(str)
    return np.array([one(*key) for key in keys.itertuples(index=False)], dtype=bool)


def contrasts() -> str:
    """The questions of the trial, as YAML."""
    lines = []
    for contrast, timepoint in CONTRASTS.items():
        lines += [f"- id: {contrast}", f"  label: {LABELS[contrast]}", "  formula: ~ toxicity + anakinra"]
        lines += ["  term: toxicity", "  where:", f"    timepoint: {timepoint}"]
        focus = [row for row in DECLARED if row[0] == contrast and row[5]]
        if focus:
            lines.append("  focus:")
        lines += [f'    - {{kind: {row[1]}, cell_type: "{row[2]}", feature: "{row[3]}"}}' for row in focus]
    return "\n".join(lines) + "\n"
