"""The demo trial: who is in it, what blood holds at each timepoint, what is planted.

Half of the patients have toxicity, anakinra is balanced over it; infusion product, baseline and day-7 blood;
serum analytes. Each random stream is keyed by the seed, the patient, the timepoint and its use, so a larger
cohort begins with the smaller one, cell for cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

CAR = "FMC63-CD19SCFV"
TIMEPOINTS = ("product", "baseline", "D7")
ACTIVE = "D7"
# Mean share of each type, and of each state within it (a state names a column of the profile table).
COMPOSITION: dict[str, dict[str, float]] = {
    "product": {"CD4_T": 0.52, "CD8_T": 0.46, "CD14_Mono": 0.01, "NK": 0.01},
    "baseline": {
        "CD14_Mono": 0.29,
        "CD16_Mono": 0.07,
        "CD4_T": 0.25,
        "CD8_T": 0.17,
        "NK": 0.10,
        "B": 0.08,
        "cDC2": 0.02,
        "pDC": 0.01,
        "Platelet": 0.01,
    },
    "D7": {
        "CD14_Mono": 0.33,
        "CD16_Mono": 0.07,
        "CD4_T": 0.13,
        "CD8_T": 0.36,
        "NK": 0.07,
        "B": 0.002,
        "cDC2": 0.02,
        "pDC": 0.008,
        "Platelet": 0.01,
    },
}
STATES: dict[str, dict[str, dict[str, float]]] = {
    "product": {
        "CD4_T": {"product": 0.7, "cycling": 0.3},
        "CD8_T": {"product": 0.7, "cycling": 0.3},
    },
    "baseline": {
        "CD4_T": {"naive": 0.45, "memory": 0.55},
        "CD8_T": {"naive": 0.35, "effector": 0.65},
    },
    "D7": {
        "CD4_T": {"expanded": 0.4, "memory": 0.4, "naive": 0.2},
        "CD8_T": {"expanded": 0.75, "effector": 0.25},
        "CD14_Mono": {"activated": 1},
    },
}
LINEAGE = {"CD14_Mono": "Myeloid", "CD16_Mono": "Myeloid", "cDC2": "Myeloid", "CD4_T": "T", "CD8_T": "T"}
DEPTH = {"product": 4000, "baseline": 3200, "D7": 3400}  # mean counts of a cell
CAR_SHARE = {"product": 0.65, "cycling": 0.65, "expanded": 0.9}  # of the T cells in a state
CAR_MEAN, CAR_DISPERSION = 6.0, 0.5  # counts per 10,000 in a CAR+ cell
AMBIENT, DOUBLETS, EMPTY, HIGH_MITO = 0.03, 0.05, 0.03, 0.04


@dataclass
class Profiles:
    """What the cells of each profile look like, and what is planted.

    means: genes × profiles, counts per 10,000. dispersion: negative binomial, by gene. effects: timepoint,
    cell_type, gene, log2fc (in patients with toxicity), why.
    """

    genes: np.ndarray
    gene_ids: np.ndarray
    dispersion: np.ndarray
    means: pd.DataFrame
    effects: pd.DataFrame

    def of(self, cell_type: str, state: str) -> np.ndarray:
        """Mean counts per 10,000 of each gene in one state of a type."""
        return self.means[f"{cell_type}.{state}" if state else cell_type].to_numpy(copy=True)


def load_profiles(folder: Path) -> Profiles:
    """Read `profiles.tsv.gz` and `effects.tsv`; the CAR transgene is added, absent from every profile."""
    table = pd.read_csv(folder / "profiles.tsv.gz", sep="\t", index_col="gene")
    table.loc[CAR] = [CAR, CAR_DISPERSION] + [0.0] * (table.shape[1] - 2)
    effects = pd.read_csv(folder / "effects.tsv", sep="\t")
    return Profiles(
        table.index.to_numpy(str),
        table["gene_id"].to_numpy(str),
        table["dispersion"].to_numpy(float),
        table.drop(columns=["gene_id", "dispersion"]).astype(float),
        effects,
    )


def stream(seed: int, *key: int) -> np.random.Generator:
    """The random stream of one use, independent of all others."""
    return np.random.default_rng([seed, *key])


def trial(n_patients: int, seed: int) -> pd.DataFrame:
    """Patients: clinical columns and the latent sizes of what is planted (columns that start with `_`).

    Toxicity, anakinra and sex follow the patient's number, so that they are balanced at any size.
    """
    rows = []
    for i in range(n_patients):
        rng = stream(seed, i, 90)
        toxic = i % 4 in (1, 2)
        rows.append(
            {
                "patient": f"P{i + 1:02d}",
                "toxicity": "yes" if toxic else "no",
                "grade": int(rng.choice([2, 2, 3, 4])) if toxic else int(rng.choice([0, 1])),
                "anakinra": "yes" if i % 4 in (1, 3) else "no",
                "age": int(np.clip(rng.normal(61, 10), 24, 83)),
                "sex": "FM"[(i + i // 4) % 2],
                "_D7": float(np.clip(rng.normal(1, 0.2), 0.6, 1.4)),
                "_product": float(np.clip(rng.normal(1, 0.1), 0.8, 1.2)),
            }
        )
    return pd.DataFrame(rows)


def serum(patients: pd.DataFrame, seed: int, null: bool) -> pd.DataFrame:
    """Serum analytes at baseline and day 7, pg/mL; below the lower limit written `<limit`.

    With toxicity IFNG and CXCL10 are raised at day 7, by the size that the patient's cells carry; IL-1RA is
    raised by anakinra, which is the protein itself; IL-6 is raised at day 7 in all alike.
    """
    limits = {"CXCL10": 20.0, "IFNG": 7.5, "IL-1RA": 60.0, "IL-6": 2.0}
    rows = []
    for i, row in enumerate(patients.to_dict("records")):
        active = 0.0 if null or row["toxicity"] == "no" else row["_D7"]
        anakinra = row["anakinra"] == "yes"
        for t, timepoint in enumerate(("baseline", ACTIVE)):
            late = timepoint == ACTIVE
            centre = {
                "CXCL10": np.log(90) + late * (0.8 + 1.6 * active),
                "IFNG": np.log(5) + late * (0.8 + 2.2 * active),
                "IL-1RA": np.log(250) + late * 0.5 + (3.0 if anakinra and late else 0.0),
                "IL-6": np.log(3) + late * 1.5,
            }
            rng = stream(seed, i, 91, t)
            for analyte, limit in limits.items():
                value = float(np.exp(rng.normal(centre[analyte], 0.45)))
                text = f"<{limit:g}" if value < limit else f"{value:.4g}"
                rows.append((row["patient"], timepoint, analyte, text, "pg/mL", limit))
    return pd.DataFrame(rows, columns=["patient", "timepoint", "analyte", "value", "unit", "lloq"])
