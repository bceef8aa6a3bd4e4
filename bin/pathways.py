#!/usr/bin/env python3
"""Score gene sets on every sample's pseudobulk, by cell type.

Genes are standardised over the samples of a stratum: of the whole cohort (`all`) and of each contrast, so
that nothing outside a contrast touches its scores. Writes pseudobulk.h5ad, pathway_scores.parquet and
pathways.json (what each score was made from, and which sets had too few genes).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cartox import arguments, cli, files
from cartox.contrasts import Contrast
from cartox.signals.pseudobulk import read_pseudobulk

SUFFIX = ".pseudobulk.h5"
GENE_SETS = Path(__file__).resolve().parents[1] / "assets" / "gene_sets"


def main(argv: Sequence[str] | None = None) -> None:
    """Run the step."""
    parser = cli.parser(__doc__)
    parser.add_argument("--pseudobulk", required=True, nargs="+", type=Path, help="<sample>.pseudobulk.h5")
    parser.add_argument("--samples", required=True, type=Path, help="samples.csv of CHECK_INPUTS")
    parser.add_argument(
        "--clinical", type=Path, help="clinical.csv, whose columns a contrast's where may name"
    )
    parser.add_argument("--contrasts", nargs="*", default=[], type=Path, help="contrasts/<id>.json")
    parser.add_argument(
        "--gene_sets",
        type=arguments.names,
        default="hallmark,reactome,progeny,cytosig",
        help="names or files",
    )
    parser.add_argument("--gene_sets_folder", default=GENE_SETS, type=Path, help="where the shipped sets are")
    parser.add_argument(
        "--car_features", type=arguments.names, default="", help="comma list of transgenes, left out"
    )
    parser.add_argument(
        "--min_cells", type=arguments.number(int, 1), default=25, help="cells a pseudobulk needs"
    )
    args = parser.parse_args(argv)

    import anndata
    import pandas as pd

    from cartox.genes import out_of_bounds
    from cartox.labels import CAR_CALLS
    from cartox.signals import gene_sets
    from cartox.signals.pathways import gather, joined, score_stratum
    from cartox.strata import by_car, of_contrast, with_clinical

    net = gene_sets.load(args.gene_sets, args.gene_sets_folder)
    samples = files.read_sheet(args.samples)
    clinical = files.read_sheet(args.clinical) if args.clinical else None
    sheet = with_clinical(samples, clinical)
    strata, asked_car = {"all": sorted(samples["sample"])}, False
    for path in sorted(args.contrasts):
        contrast = Contrast.read(path)
        halves = contrast.car
        asked_car = asked_car or halves
        strata[contrast.id] = of_contrast(by_car(sheet) if halves else sheet, contrast)

    named = files.by_sample(args.pseudobulk, SUFFIX)
    bulk = gather({sample: read_pseudobulk(path) for sample, path in named.items()})
    if asked_car:
        halves_of = {f"{s}|{call}": read_pseudobulk(p, call) for s, p in named.items() for call in CAR_CALLS}
        bulk = joined([bulk, gather(halves_of)])

    tables, notes, done = [], [], {}
    for stratum, members in strata.items():
        # contrasts often share their samples: score each set of samples once
        key = tuple(members)
        if key not in done:
            done[key] = score_stratum(bulk, members, net, args.car_features, args.min_cells)
        table, about = done[key]
        tables.append(table.assign(stratum=stratum))
        notes += [{"stratum": stratum, **note} for note in about]
    scores = pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)
    order = ["stratum", "cell_type", "collection", "feature", "sample"]
    scores = scores.sort_values(order, kind="stable", ignore_index=True)
    types = {"value": float, "n_cells": int}
    scores = scores.astype({name: types.get(name, str) for name in scores.columns})
    scores[["stratum", "sample", "cell_type", "collection", "feature", "value", "n_cells"]].to_parquet(
        "pathway_scores.parquet", index=False
    )

    rows = pd.concat([samples, by_car(samples)]) if asked_car else samples
    obs = bulk.rows.merge(rows[["sample", "patient", "timepoint"]], on="sample", how="left")
    obs.index = pd.Index(obs["sample"] + "." + obs["cell_type"])
    var = pd.DataFrame(
        {"gene": bulk.genes, "excluded": out_of_bounds(bulk.genes, args.car_features)}, index=bulk.genes
    )
    columns = ["sample", "patient", "timepoint", "cell_type", "n_cells"]
    anndata.AnnData(bulk.counts, obs=obs[columns], var=var).write_h5ad("pseudobulk.h5ad", compression="gzip")
    about = {"min_cells": args.min_cells, "sets": net.groupby("collection")["source"].nunique().to_dict()}
    files.write_json("pathways.json", {**about, "scored": notes})


if __name__ == "__main__":
    cli.run(main)
