"""A small cohort straight at the tables that ASSOCIATE and CORRELATE read, with effects planted or not."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
from scipy import sparse

TYPES = ["B", "CD14_Mono", "CD4_T", "CD8_T", "NK"]


@dataclass
class Cohort:
    """What to draw. `planted`: effect of toxicity on CD14_Mono's first set, gene, pair and CXCL10, in SD."""

    no: int = 6
    yes: int = 6
    timepoints: tuple[str, ...] = ("baseline", "D7")
    planted: float = 0.0
    n_pathways: int = 20
    n_genes: int = 150
    n_pairs: int = 30
    seed: int = 0
    contrast: dict = field(default_factory=dict)


def write(folder: Path, cohort: Cohort) -> list[str]:
    """Write the tables of a cohort; returns the flags of associate.py."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(cohort.seed)
    patients = [f"P{i:02d}" for i in range(cohort.no + cohort.yes)]
    toxic = np.repeat(["no", "yes"], [cohort.no, cohort.yes])
    clinical = pd.DataFrame({"patient": patients, "toxicity": toxic})
    clinical["anakinra"] = np.tile(["no", "yes"], len(patients))[: len(patients)]
    clinical["grade"] = np.where(
        toxic == "yes", rng.integers(2, 5, len(patients)), rng.integers(0, 2, len(patients))
    )
    rows = [(f"{p}_{t}", p, t, p) for p in patients for t in cohort.timepoints]
    samples = pd.DataFrame(rows, columns=["sample", "patient", "timepoint", "batch"])
    effect = dict(zip(patients, (toxic == "yes") * cohort.planted, strict=True))
    shift = np.array([effect[p] if t == "D7" else 0 for _, p, t, _ in rows])
    index = np.array([patients.index(p) for _, p, _, _ in rows])

    def normal(n: int) -> np.ndarray:
        # patients differ, and their visits agree: correlation 0.5
        return (rng.normal(size=(len(patients), n))[index] + rng.normal(size=(len(rows), n))) / np.sqrt(2)

    cells = rng.integers(60, 200, (len(rows), len(TYPES)))
    logs = np.log(cells + 0.5) - np.median(np.log(cells + 0.5), axis=1, keepdims=True)
    parts, score_parts, counts = [], [], []
    for t, cell_type in enumerate(TYPES):
        scores = normal(cohort.n_pathways)
        scores[:, 0] += shift * (cell_type == "CD14_Mono")
        names = [f"SET_{i:02d}" for i in range(cohort.n_pathways)]
        score_parts.append(_long(samples, cell_type, names, scores, cells[:, t]))
        parts.append(
            _long(
                samples,
                cell_type,
                ["fraction"],
                cells[:, [t]] / cells.sum(axis=1, keepdims=True),
                cells[:, t],
            ).assign(kind="composition")
        )
        parts.append(_long(samples, cell_type, ["clr"], logs[:, [t]], cells[:, t]).assign(kind="composition"))
        level = rng.gamma(2, 40, cohort.n_genes) * np.exp(0.3 * normal(cohort.n_genes))
        level[:, 0] *= np.exp(0.5 * shift * (cell_type == "CD14_Mono"))
        counts.append(rng.poisson(level * rng.gamma(10, 0.1, level.shape)))
    for pair_type in ("CD14_Mono^CD4_T", "CD8_T^CD14_Mono"):
        scores = np.maximum(normal(cohort.n_pairs) + 1.5, 0)
        scores[:, 0] += shift * (pair_type == "CD14_Mono^CD4_T")
        names = [f"L{i:02d}^R{i:02d}" for i in range(cohort.n_pairs)]
        long = _long(samples, pair_type, names, scores, np.full(len(rows), 100)).assign(kind="ligrec")
        parts.append(long)
    car = rng.binomial(150, 0.4, len(rows)) / 150
    parts.append(
        _long(samples, "T", ["fraction_car"], car[:, None], np.full(len(rows), 150)).assign(kind="car")
    )
    pd.concat(parts, ignore_index=True).to_parquet(folder / "features.parquet")
    pd.concat(score_parts).assign(stratum="all", collection="test").to_parquet(
        folder / "pathway_scores.parquet"
    )

    obs = pd.concat(
        [
            samples[["sample", "patient", "timepoint"]].assign(cell_type=t, n_cells=cells[:, i])
            for i, t in enumerate(TYPES)
        ]
    )
    obs.index = obs["sample"] + "." + obs["cell_type"]
    genes = [f"G{i:03d}" for i in range(cohort.n_genes)]
    var = pd.DataFrame({"gene": genes, "excluded": False}, index=genes)
    anndata.AnnData(sparse.csr_matrix(np.vstack(counts)), obs=obs, var=var).write_h5ad(
        folder / "pseudobulk.h5ad"
    )

    serum = np.exp2(normal(3) + 6)
    serum[:, 0] *= np.exp2(shift)
    long = samples[["patient", "timepoint"]].assign(CXCL10=serum[:, 0], IFNG=serum[:, 1], IL6=serum[:, 2])
    long = long.melt(["patient", "timepoint"], var_name="analyte", value_name="value")
    low = (long["analyte"] == "IFNG") & (long["value"] < 40)
    long = long.assign(value=long["value"].where(~low, 40), unit="pg/mL", censored=np.where(low, "left", ""))
    long.to_csv(folder / "analytes.csv", index=False)
    samples.to_csv(folder / "samples.csv", index=False)
    clinical.to_csv(folder / "clinical.csv", index=False)
    contrast = {
        "id": "tox",
        "formula": "~ toxicity + anakinra",
        "term": "toxicity",
        "where": {"timepoint": ["D7"]},
    }
    contrast |= {"level": "patient", "label": "Toxicity", "focus": FOCUS} | cohort.contrast
    (folder / "tox.json").write_text(json.dumps(contrast))
    names = {
        "features": "features.parquet",
        "pathway_scores": "pathway_scores.parquet",
        "pseudobulk": "pseudobulk.h5ad",
    }
    names |= {
        "samples": "samples.csv",
        "clinical": "clinical.csv",
        "analytes": "analytes.csv",
        "contrast": "tox.json",
    }
    return [x for flag, name in names.items() for x in (f"--{flag}", str(folder / name))]


FOCUS = [
    {"kind": "pathway", "cell_type": "CD14_Mono", "feature": "SET_00"},
    {"kind": "expression", "cell_type": "CD14_Mono", "feature": "G000"},
    {"kind": "ligrec", "cell_type": "CD14_Mono^CD4_T", "feature": "L00 → R00"},
    {"kind": "analyte", "feature": "CXCL10"},
]


def _long(
    samples: pd.DataFrame, cell_type: str, names: list[str], values: np.ndarray, n: np.ndarray
) -> pd.DataFrame:
    wide = pd.DataFrame(values, columns=names).assign(n_cells=n)
    wide = pd.concat([samples[["patient", "timepoint", "sample"]], wide], axis=1)
    keys = ["patient", "timepoint", "sample", "n_cells"]
    return wide.melt(keys, var_name="feature", value_name="value").assign(cell_type=cell_type)
