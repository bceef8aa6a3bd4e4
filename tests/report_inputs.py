"""Builds a small, complete set of the tables that the report reads, in the formats the steps write."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
from schema import parameters

from cartox.cells import annotation_summary
from cartox.cells import car as car_model

TYPES = {
    "CD14_Mono": "Myeloid",
    "CD16_Mono": "Myeloid",
    "CD4_T": "T",
    "CD8_T": "T",
    "NK": "NK",
    "B": "B",
    "pDC": "Myeloid",
    "Unassigned": "Unassigned",
}
TIMEPOINTS = ["baseline", "D7", "product"]
PATHWAYS = [
    "HALLMARK_INTERFERON_GAMMA_RESPONSE",
    "HALLMARK_TNFA_SIGNALING_VIA_NFKB",
    "REACTOME_INTERLEUKIN_10_SIGNALING",
    "CYTOSIG_IL4",
    "CYTOSIG_IFNG",
    "PROGENY_JAK_STAT",
]
PAIRS = ["IFNG^IFNGR1_IFNGR2", "CXCL10^CXCR3", "IL10^IL10RA_IL10RB"]
MARKERS = {
    "CD14_Mono": ["CD14", "LYZ"],
    "CD4_T": ["CD3D", "IL7R"],
    "B": ["MS4A1", "CD79A"],
    "NK": ["GNLY", "NKG7"],
}
NO, YES = "no", "yes"


def build(
    folder: Path,
    *,
    patients: int = 6,
    cells: int = 40,
    outcome: bool = True,
    markup: str = "",
    note: str = "",
    seed: int = 1,
) -> Path:
    """Write the inputs for a cohort whose last patient's day 7 sample is missing and first D7 was dropped.

    Args:
        folder: where to write; made where it is absent.
        patients: how many; the first half has toxicity `no`.
        cells: cells kept per sample.
        outcome: whether clinical data, contrasts and analytes were given.
        markup: put into every text that users write, to see it escaped.
        note: sentence that heads the report.
        seed: of the numbers drawn.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    names = [f"P{i + 1:02d}" for i in range(patients)]
    toxicity = {name: NO if i < patients / 2 else YES for i, name in enumerate(names)}
    sheet = pd.DataFrame(
        [
            {"sample": f"{name}_{time}", "patient": name, "timepoint": time, "batch": f"lane_{name}"}
            for name in names
            for time in TIMEPOINTS
            if (name, time) != (names[-1], "D7")
        ]
    )
    sheet.to_csv(folder / "samples.csv", index=False)
    dropped = f"{names[0]}_D7"
    _quality(folder, sheet, cells, dropped, rng)
    kept = sheet[sheet["sample"] != dropped]
    _cells(folder, kept, cells, rng)
    _features(folder, kept, toxicity, rng)
    _strata(folder, rng)
    command = "nextflow run /home/someone/cartox --input /data/trial/samples.csv"
    (folder / "run.json").write_text(
        json.dumps({"command": command, "version": "0.1.0", "nextflow": "25.04.4", "profile": "venv"})
    )
    params = {n: rule.get("default") for n, rule in parameters().items() if not n.startswith("help")}
    params |= {"report_note": note, "input": "/data/trial/samples.csv"}
    params |= {"fdr": 0.05, "n_permutations": 1000, "qc_mode": "adaptive", "seed": 1, "outdir": "results"}
    (folder / "params.json").write_text(json.dumps(params))
    (folder / "versions.csv").write_text("anndata,0.12.1\npandas,2.3.0\npython,3.11.2\nscanpy,1.11.5\n")
    warnings = [f"samples.csv: the column batch is constant within patients.{markup}"]
    (folder / "checks.json").write_text(json.dumps({"columns": {}, "warnings": warnings, "inputs": []}))
    (folder / "merge.json").write_text(json.dumps({"warnings": ["only 90 genes are in every sample"]}))
    harmony = {"harmony_by": "batch", "corrected": False, "note": "all cells have the same batch"}
    (folder / "harmony.json").write_text(json.dumps(harmony))
    if outcome:
        _outcome(folder, names, toxicity, markup, rng)
    else:
        (folder / "clinical.csv").write_text("patient\n" + "\n".join(names) + "\n")
        (folder / "analytes.csv").write_text("patient,timepoint,analyte,value,unit,censored\n")
    return folder


def _quality(folder: Path, sheet: pd.DataFrame, cells: int, dropped: str, rng: np.random.Generator) -> None:
    for i, sample in enumerate(sheet["sample"]):
        bad = {"low counts": 12, "high mito": 7, "low genes": 4}
        n = cells + sum(bad.values())
        lost = sample == dropped
        reason = np.repeat(["", *bad], [cells, *bad.values()])
        counts = rng.lognormal(1 if lost else 8.3, 0.4, n).round()
        table = pd.DataFrame(
            {
                "sample": sample,
                "barcode": [f"BC{j:05d}-1" for j in range(n)],
                "n_counts": counts,
                "n_genes": (counts * 0.35).round(),
                "pct_mito": rng.beta(2, 30, n) * 100,
                "pct_hb": 0.0,
                "kept": 0 if lost else (reason == "").astype(int),
                "reason": "low counts" if lost else reason,
            }
        )
        table.to_csv(folder / f"{sample}.cells.csv.gz", index=False)
        status = "dropped" if lost else "flagged" if i == 3 else "ok"
        why = {
            "dropped": ["failed or shallow library: the median barcode has 3 UMI"],
            "flagged": ["210 of 423 barcodes fail QC"],
        }
        summary = {
            "sample": sample,
            "status": status,
            "reasons": why.get(status, []),
            "n_barcodes": n,
            "n_kept": 0 if lost else cells,
            "thresholds": {"n_counts": [500, 40000], "n_genes": [200, None], "pct_mito": [None, 15.0]},
            "medians": {"n_counts": float(np.median(counts)), "n_genes": 1400.0, "pct_mito": 5.1},
            "removed": {"low counts": n} if lost else bad,
            "thresholds_by_class": {},
            "histograms": {
                "n_counts": {
                    "low": 0,
                    "high": 5.0,
                    "counts": np.histogram(np.log10(counts), 40, (0, 5))[0].tolist(),
                }
            },
            "genes_at_500": 350.0,
            "sex_genes": {"x": 0, "y": 900},
            "ambient": None,
        }
        (folder / f"{sample}.qc.json").write_text(json.dumps(summary))
    for lane, group in sheet.groupby("batch"):
        edges = np.linspace(0, 0.6, 31)
        shape = np.exp(-edges[:-1] * 12)
        document = {
            "group": lane,
            "samples": sorted(group["sample"]),
            "n_cells": cells * len(group),
            "n_doublets": int(cells * len(group) * 0.04),
            "threshold": 0.27,
            "method": "scrublet",
            "note": "",
            "histogram": {
                "edges": edges.tolist(),
                "observed": (shape * 100).tolist(),
                "simulated": (shape * 60 + 8 * np.exp(-((edges[:-1] - 0.4) ** 2) / 0.004)).tolist(),
            },
        }
        (folder / f"{lane}.doublets.json").write_text(json.dumps(document))


def _cells(folder: Path, kept: pd.DataFrame, cells: int, rng: np.random.Generator) -> None:
    n = cells * len(kept)
    rows = kept.loc[kept.index.repeat(cells)].reset_index(drop=True)
    table = rows.assign(barcode=[f"BC{i % cells:05d}-1" for i in range(n)], n_counts=4000, n_genes=1500)
    table = table.assign(pct_mito=5.0, doublet_score=rng.uniform(0, 0.2, n))
    table.to_parquet(folder / "cells.parquet", index=False)
    names = list(TYPES)
    kind = rng.choice(len(names), n, p=[0.25, 0.05, 0.2, 0.25, 0.1, 0.08, 0.04, 0.03])
    centre = rng.normal(0, 6, (len(names), 2))
    shift = {p: rng.normal(0, 2, 2) for p in sorted(rows["patient"].unique())}
    after = centre[kind] + rng.normal(0, 0.8, (n, 2))
    before = after + np.array([shift[p] for p in rows["patient"]])
    place = rows[["sample"]].assign(barcode=table["barcode"], cluster=kind.astype(str))
    place = place.assign(
        umap_1=after[:, 0], umap_2=after[:, 1], raw_umap_1=before[:, 0], raw_umap_2=before[:, 1]
    )
    place.astype({"umap_1": "float32"}).to_parquet(folder / "layout.parquet", index=False)
    types = np.array(names)[kind]
    car = (np.isin(types, ["CD4_T", "CD8_T"]) & (rng.uniform(size=n) < 0.4)).astype(int)
    labels = place[["sample", "barcode", "cluster"]].assign(
        cell_type=types,
        lineage=[TYPES[t] for t in types],
        cell_state="",
        **{"cl_id": "", "confidence": 0.9, "car": car, "car_umi": car},
    )
    labels.to_parquet(folder / "annotation.parquet", index=False)
    dots = [
        {"cell_type": t, "gene": g, "marker_of": m}
        | ({"mean": 2.0, "fraction": 0.8} if t == m else {"mean": 0.2, "fraction": 0.05})
        for t in names
        for m, genes in MARKERS.items()
        for g in genes
    ]
    pd.DataFrame(dots).to_csv(folder / "dotplot.csv", index=False)
    of_clusters = [
        {"cluster": cluster, "rank": i + 1, "gene": gene, "auc": 0.99 - 0.01 * i, "auc_least": 0.9}
        for cluster, genes in zip(sorted(set(labels["cluster"])), MARKERS.values(), strict=False)
        for i, gene in enumerate(genes)
    ]
    pd.DataFrame(of_clusters).to_csv(folder / "cluster_markers.csv", index=False)
    (folder / "merge.json").write_text(json.dumps({"n_cells": n, "n_genes": 2000, "n_hvg": 1000}))
    notes = ["Ambient CAR counts: 0.04 % of cells that are not T cells."]
    cells = rows[["sample", "patient", "timepoint", "batch"]].assign(n_counts=np.full(n, 3000))
    _, called = car_model.call(cells.reset_index(drop=True), car, labels["lineage"].to_numpy(), 1, [])
    called = {"features": ["FMC63-CD19SCFV"], "min_umi": 1} | called
    clusters = annotation_summary.clusters(labels.assign(cluster_type=labels["cell_type"]))
    about = {"counts": {}, "notes": notes, "car": called, "clusters": clusters}
    (folder / "annotate.json").write_text(json.dumps(about))
    measures = [
        {"cell_type": t, "n_cells": 40, "measure": m, "before": low, "after": high}
        for t in ("", *names)
        for m, low, high in (("ilisi", 1.4, 3.9), ("clisi", 1.1, 1.1), ("silhouette_type", 0.41, 0.52))
    ]
    pair = "CD4_T and CD8_T lay apart before Harmony and are mixed after (overlap 0.05, then 0.70)."
    lanes = [{"contrast": "tox", "column": "toxicity", "advice": "Every batch holds one level of toxicity."}]
    judged = {"corrected": True, "measures": measures, "warnings": [pair], "aliased": lanes}
    (folder / "integration.json").write_text(json.dumps(judged))


def _features(folder: Path, kept: pd.DataFrame, toxicity: dict[str, str], rng: np.random.Generator) -> None:
    rows = []
    for sample in kept.itertuples():
        high = toxicity[str(sample.patient)] == YES and sample.timepoint == "D7"
        at = {"patient": sample.patient, "timepoint": sample.timepoint, "sample": sample.sample}
        share = rng.dirichlet(np.full(len(TYPES), 8.0))
        for t, fraction in zip(TYPES, share, strict=True):
            n = int(400 * fraction)
            rows.append(
                at
                | {
                    "cell_type": t,
                    "kind": "composition",
                    "feature": "fraction",
                    "value": fraction,
                    "n_cells": n,
                }
            )
            for feature in PATHWAYS:
                up = 3 if high and t == "CD14_Mono" and feature == PATHWAYS[0] else 0
                rows.append(
                    at
                    | {
                        "cell_type": t,
                        "kind": "pathway",
                        "feature": feature,
                        "value": rng.normal(up),
                        "n_cells": n,
                    }
                )
        rows.append(
            at
            | {
                "cell_type": "T",
                "kind": "car",
                "feature": "fraction",
                "value": rng.uniform(0, 0.6),
                "n_cells": 90,
            }
        )
        for pair in PAIRS:
            rows.append(
                at
                | {
                    "cell_type": "CD8_T^CD14_Mono",
                    "kind": "ligrec",
                    "feature": pair,
                    "value": rng.uniform(0, 2),
                    "n_cells": 60,
                }
            )
    pd.DataFrame(rows).to_parquet(folder / "features.parquet", index=False)


def _strata(folder: Path, rng: np.random.Generator) -> None:
    for stratum in ("D7", "product"):
        rows = [
            {
                "source": "CD8_T",
                "target": "CD14_Mono",
                "ligand": ligand,
                "receptor": receptor,
                "lr_means": rng.uniform(0.5, 2),
                "magnitude_rank": rng.uniform(0, 0.1),
                "specificity_rank": rng.uniform(0, 0.1),
            }
            for ligand, receptor in (pair.split("^") for pair in PAIRS)
        ]
        pd.DataFrame(rows).to_csv(folder / f"{stratum}.rank.csv", index=False)


def _outcome(
    folder: Path, names: list[str], toxicity: dict[str, str], markup: str, rng: np.random.Generator
) -> None:
    clinical = pd.DataFrame(
        {"patient": names, "toxicity": [toxicity[n] for n in names], "age": 60, "initials": "ZZTOP"}
    )
    clinical.to_csv(folder / "clinical.csv", index=False)
    sizes = {g: sum(v == g for v in toxicity.values()) for g in (NO, YES)}
    per_group = " ".join(f"{g}:{n}" for g, n in sizes.items())
    cases = [("pathway", t, f) for t in list(TYPES)[:6] for f in PATHWAYS]
    cases += [("ligrec", "CD8_T^CD14_Mono", pair) for pair in PAIRS]
    cases += [("composition", t, "clr") for t in list(TYPES)[:6]] + [("car", "T", "car_fraction")]
    cases += [("expression", "CD14_Mono", g) for g in ("CXCL10", "ISG15", "STAT1", "LYZ")]
    cases += [("analyte", "", a) for a in ("IFNG", "IL6")]
    rows, values = [], []
    for kind, cell_type, feature in cases:
        hit = (kind, cell_type, feature) == ("pathway", "CD14_Mono", PATHWAYS[0])
        effect = 3.0 if hit else float(rng.normal(0, 0.5))
        p = 0.0004 if hit else float(rng.uniform(0.02, 1))
        result = {
            "estimate": effect,
            "ci_low": effect - 0.9,
            "ci_high": effect + 0.9,
            "statistic": effect / 0.45,
        }
        result |= {
            "p": p,
            "p_permutation": max(p, 0.008),
            "p_floor": 0.008,
            "q": 0.016 if hit else min(1, p * 5),
        }
        head = {"contrast": "tox_d7", "kind": kind, "cell_type": cell_type, "feature": feature}
        tail = {"n": len(names), "n_per_group": per_group}
        declared = hit or feature in ("CXCL10", PAIRS[0])
        family = {"family": "primary" if declared else kind, "family_size": 3 if declared else 40}
        rows.append(head | result | family | tail | {"note": "", "coefficient": f"{YES} − {NO}"})
        for name in names:
            value = rng.normal(effect if toxicity[name] == YES else 0, 0.6)
            at = {"patient": name, "timepoint": "D7", "group": toxicity[name], "value": value}
            values.append(head | at)
    pd.DataFrame(rows).to_csv(folder / "tox_d7.associations.csv", index=False)
    pd.DataFrame(values).to_parquet(folder / "tox_d7.values.parquet", index=False)
    contrast = {
        "id": "tox_d7",
        "label": f"Toxicity at day 7, adjusted for age{markup}",
        "formula": "~ toxicity + age",
        "term": "toxicity",
        "where": {"timepoint": ["D7"]},
        "level": "patient",
        "n": len(names),
        "n_per_group": per_group,
        "p_floor": 0.008,
        "reference": NO,
        "notes": [f"{names[-1]} has no D7 sample and is left out.{markup}"],
    }
    crossed = {"kind": "pathway", "cell_type": "CD14_Mono", "feature": PATHWAYS[0], "with": "age"}
    crossed |= {"coefficient": "toxicity:age", "estimate": 0.1, "ci_low": -0.5, "ci_high": 0.7, "p": 0.7}
    contrast["interactions"] = [crossed]
    (folder / "tox_d7.contrast.json").write_text(json.dumps(contrast))
    families = ("primary", "pathway", "ligrec", "composition", "expression")
    check = [
        {"contrast": "tox_d7", "family": f, "n_tests": 40, "n_permutations": 200, "share_below_0.05": 0.048}
        | {"ci_low": 0.035, "ci_high": 0.064, "note": ""}
        for f in families
    ]
    pd.DataFrame(check).to_csv(folder / "tox_d7.calibration.csv", index=False)
    analytes = ("IFNG", "IL6", f"IL1RA{markup}")
    found = [
        {
            "timepoint": time,
            "kind": "pathway",
            "cell_type": t,
            "feature": f,
            "analyte": a,
            "rho": rng.uniform(-0.8, 0.8),
        }
        | {"ci_low": -0.2, "ci_high": 0.9, "p_permutation": 0.02, "q": 0.2, "n": len(names), "note": ""}
        | {"rho_partial": 0.3, "ci_low_partial": -0.4, "ci_high_partial": 0.8, "p_partial": 0.3}
        | {"q_partial": 0.6, "covariates": "age"}
        for t, f in (
            ("CD14_Mono", PATHWAYS[0]),
            ("CD4_T", "CYTOSIG_IL4"),
            ("CD14_Mono", "HALLMARK_MTORC1_SIGNALING"),
        )
        for a in analytes
        for time in ("D7", "all")
    ]
    pd.DataFrame(found).to_csv(folder / "correlations.csv", index=False)
    serum = [
        {"patient": n, "timepoint": t, "analyte": a, "value": 5.0 * 2.0**i, "unit": "pg/mL"}
        | {"censored": "" if i > 0 else "left"}
        for t in ("baseline", "D7")
        for a in analytes
        for n, i in zip(names, rng.permutation(len(names)), strict=True)
    ]
    pd.DataFrame(serum).to_csv(folder / "analytes.csv", index=False)
