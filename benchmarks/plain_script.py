#!/usr/bin/env python3
"""The script that a competent user would write instead of running cartox: for measuring only.

Current calls of scanpy, scrublet, harmonypy, decoupler and liana, as their tutorials have them, on the whole
cohort in memory; the faster one wherever two are usual. It does less than cartox: no permutation of patients,
no calibration, no judgement of the integration, no page to read. Prints the seconds and the peak memory of
each step, and writes them to steps.json.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from pathlib import Path

from steps import Steps

ROOT = Path(__file__).resolve().parents[1]
CAR = "FMC63-CD19SCFV"
FORMULA = ("toxicity", "anakinra")  # what is tested, and what it is adjusted for
MIN_CELLS = 25
step = Steps()

with step("imports"):
    import anndata as ad
    import decoupler as dc
    import harmonypy
    import liana as li
    import numpy as np
    import pandas as pd
    import scanpy as sc
    import scipy.stats
    import scrublet
    from plain_tests import regress, spearman


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--cohort", type=Path, required=True, help="samples.csv, patients.csv and serum.csv")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(argv)
    out: Path = args.out
    out.mkdir(parents=True, exist_ok=True)
    warnings.filterwarnings("ignore")
    sc.settings.figdir = out

    with step("read and QC"):
        samples = pd.read_csv(args.cohort / "samples.csv")
        patients = pd.read_csv(args.cohort / "patients.csv").set_index("patient")
        parts = []
        for row in samples.itertuples():
            a = sc.read_10x_h5(args.cohort / row.path)
            a.var_names_make_unique()
            a.obs_names = f"{row.sample}_" + a.obs_names
            a.obs = a.obs.assign(sample=row.sample, patient=row.patient, timepoint=row.timepoint)
            a.var["mt"] = a.var_names.str.startswith("MT-")
            sc.pp.calculate_qc_metrics(a, qc_vars=["mt"], percent_top=None, inplace=True)
            keep = (a.obs["pct_counts_mt"] < 20) & (a.obs["n_genes_by_counts"] >= 200)
            keep &= a.obs["total_counts"] >= 500
            for measure in ("log1p_total_counts", "log1p_n_genes_by_counts"):
                off = a.obs[measure] - a.obs[measure].median()
                keep &= off.abs() < 5 * scipy.stats.median_abs_deviation(a.obs[measure])
            parts.append(a[keep].copy())

    with step("doublets"):
        for i, a in enumerate(parts):
            scores, calls = scrublet.Scrublet(a.X, random_state=0).scrub_doublets(verbose=False)
            a.obs["doublet_score"] = scores
            if calls is not None:
                parts[i] = a[~calls].copy()

    with step("merge, HVG, PCA"):
        cells = ad.concat(parts)
        del parts
        cells.layers["counts"] = cells.X.copy()
        sc.pp.normalize_total(cells, target_sum=1e4)
        sc.pp.log1p(cells)
        # span: the default of 0.3 fails where a sample has few cells
        options = {"flavor": "seurat_v3", "layer": "counts", "span": 0.5}
        sc.pp.highly_variable_genes(cells, n_top_genes=2000, batch_key="sample", **options)
        sc.pp.pca(cells, n_comps=30)

    with step("Harmony"):
        fit = harmonypy.run_harmony(cells.obsm["X_pca"], cells.obs, ["sample"], verbose=False)
        cells.obsm["X_pca_harmony"] = fit.Z_corr

    with step("neighbours, UMAP, Leiden"):
        sc.pp.neighbors(cells, use_rep="X_pca_harmony")
        sc.tl.umap(cells)
        sc.tl.leiden(cells, flavor="igraph", n_iterations=2, directed=False)

    with step("markers of clusters"):
        sc.tl.rank_genes_groups(cells, "leiden", method="wilcoxon", n_genes=25)
        sc.get.rank_genes_groups_df(cells, None).to_csv(out / "cluster_markers.csv", index=False)

    with step("annotation"):
        table = pd.read_csv(ROOT / "assets/markers/blood_cart.tsv", sep="\t")
        sides = {"positive": 1.0, "negative": -1.0}
        net = pd.concat(table.assign(target=table[side], weight=sign) for side, sign in sides.items())
        net = net.assign(target=net["target"].str.split(","), source=net["cell_type"]).explode("target")
        net["target"] = net["target"].str.split(":").str[0]
        net = net.dropna(subset="target").drop_duplicates(["source", "target"])[
            ["source", "target", "weight"]
        ]
        dc.mt.ulm(cells, net, tmin=3, bsize=2500)
        scores = dc.pp.get_obsm(cells, "score_ulm").to_df()
        level = table.set_index("cell_type")["level"].reindex(scores.columns)
        kinds = scores.loc[:, level.isin(["lineage", "type"])].drop(columns=["T", "Myeloid", "DN_T"])
        by_cluster = kinds.groupby(cells.obs["leiden"], observed=True).mean()
        cells.obs["cell_type"] = cells.obs["leiden"].map(by_cluster.idxmax(axis=1)).astype("category")
        t_cell = cells.obs["cell_type"].isin(table.loc[table["lineage"] == "T", "cell_type"])
        states = scores.loc[:, level == "state"].idxmax(axis=1)
        cells.obs["cell_state"] = states.where(t_cell, "").astype("category")
        del cells.obsm["score_ulm"], cells.obsm["padj_ulm"], scores, kinds
        cells.obs["car_umi"] = cells.obs_vector(CAR, layer="counts").astype(int)
        cells.obs["car"] = t_cell & (cells.obs["car_umi"] > 0)
        cells.obs.to_csv(out / "cells.csv")

    with step("pseudobulk and pathways"):
        bulk = sc.get.aggregate(cells, ["sample", "cell_type"], "sum", layer="counts")
        groups = cells.obs.groupby(["sample", "cell_type"], observed=True)
        sizes = groups.size()
        bulk.obs["n_cells"] = sizes.reindex(pd.MultiIndex.from_frame(bulk.obs[sizes.index.names])).to_numpy()
        bulk = bulk[bulk.obs["n_cells"] >= MIN_CELLS].copy()
        bulk.X = bulk.layers.pop("sum")
        bulk.write_h5ad(out / "pseudobulk.h5ad")
        sc.pp.normalize_total(bulk, target_sum=1e6)
        sc.pp.log1p(bulk)
        sets = ROOT / "assets/gene_sets"
        nets = [dc.pp.read_gmt(sets / f"{name}.gmt") for name in ("hallmark", "reactome_cytokines")]
        nets += [pd.read_csv(sets / name, sep="\t") for name in ("progeny.tsv", "cytosig.tsv.gz")]
        tables = []
        for cell_type, rows in bulk.obs.groupby("cell_type", observed=True):
            if len(rows) < 3:
                continue
            logged = bulk[rows.index].to_df()
            scaled = ((logged - logged.mean()) / logged.std()).fillna(0)
            for net in nets:
                score = dc.mt.ulm(scaled, net, tmin=5, empty=False)[0]
                score.index = rows["sample"]
                tables.append(score.add_prefix(f"{cell_type} "))
        pathways = pd.concat(tables, axis=1)
        pathways.to_csv(out / "pathways.csv")

    with step("ligand-receptor"):
        # liana fails on a sample of one type
        several = sizes.groupby("sample", observed=True).size() > 1
        pooled = cells[cells.obs["sample"].map(several).astype(bool)] if not several.all() else cells
        options = {"resource_name": "consensus", "expr_prop": 0.1, "min_cells": 10, "n_perms": 100}
        pairs = li.mt.rank_aggregate.by_sample(
            pooled, sample_key="sample", groupby="cell_type", use_raw=False, inplace=False, **options
        )
        pairs.to_csv(out / "liana.csv", index=False)

    with step("tests"):
        names = ["source", "target", "ligand_complex", "receptor_complex"]
        pairs["feature"] = pairs[names].agg("^".join, axis=1)
        pairs = pairs.pivot(index="sample", columns="feature", values="lr_means").fillna(0)
        logs = np.log(sizes.unstack(fill_value=0) + 0.5)
        composition = logs.sub(logs.median(axis=1), axis=0)
        car = cells.obs[t_cell].groupby("sample", observed=True)["car"].mean().to_frame("car")
        expressed = np.asarray((bulk.X > 0.7).mean(axis=0)).ravel() > 0.5
        genes = bulk[:, expressed].to_df().set_index([bulk.obs["sample"], bulk.obs["cell_type"]]).unstack()
        genes.columns = [f"{cell_type} {gene}" for gene, cell_type in genes.columns]
        kinds = {"expression": genes, "pathway": pathways, "ligrec": pairs}
        kinds |= {"composition": composition, "car": car}
        term, other = FORMULA
        design = patients[[term, other]].eq("yes").astype(float).assign(one=1.0)
        serum = pd.read_csv(args.cohort / "serum.csv")
        serum["value"] = serum["value"].astype(str).str.lstrip("<>").astype(float)
        tests, correlations = [], []
        for timepoint, rows in samples.set_index("sample").groupby("timepoint"):
            x = design.loc[rows["patient"]].to_numpy()
            analytes = serum[serum["timepoint"] == timepoint].pivot(
                index="patient", columns="analyte", values="value"
            )
            for kind, values in kinds.items():
                y = values.reindex(rows.index).dropna(axis=1)
                tests.append(regress(x, y).assign(timepoint=timepoint, kind=kind))
                if kind != "expression" and len(analytes):
                    table = spearman(y, analytes.reindex(rows["patient"]))
                    correlations.append(table.assign(timepoint=timepoint))
        pd.concat(tests).to_csv(out / "associations.csv", index=False)
        pd.concat(correlations).to_csv(out / "correlations.csv", index=False)

    with step("figures"):
        markers = ["CD3E", "CD4", "CD8A", "NKG7", "MS4A1", "CD14", "FCGR3A", "CD1C", "MKI67", CAR]
        sc.pl.umap(cells, color=["sample", "leiden", "cell_type", "car"], save="_cells.png", show=False)
        sc.pl.dotplot(cells, markers, "cell_type", save="markers.png", show=False)

    with step("h5ad"):
        cells.write_h5ad(out / "cohort.h5ad", compression="gzip")

    step.write(out / "steps.json")


if __name__ == "__main__":
    main()
