#!/usr/bin/env python3
"""Name each cell's type, lineage and state from a marker table, and call CAR+ T cells.

T cells and myeloid cells are clustered again, each among themselves. Cells of two lineages at once are
`Mixed`, cells that no type fits `Unassigned`.

Writes annotation.parquet, labels/<sample>.csv, dotplot.csv, annotate.json and, with CAR features,
car_by_sample.csv.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from cartox import arguments, cli, files


def main(argv: Sequence[str] | None = None) -> None:
    """Run the step."""
    parser = cli.parser(__doc__)
    parser.add_argument("--counts", nargs="+", type=Path, required=True, help="<sample>.h5 of QC")
    parser.add_argument("--cells", type=Path, required=True, help="cells.parquet of MERGE")
    parser.add_argument("--clusters", type=Path, required=True, help="clusters.parquet of CLUSTER")
    parser.add_argument("--neighbours", type=Path, required=True, help="neighbours.npz of CLUSTER")
    parser.add_argument("--samples", type=Path, help="sample sheet, for the column car_feature")
    parser.add_argument("--harmony", type=Path, required=True, help="harmony.npy of HARMONY")
    parser.add_argument("--markers", type=Path, required=True, help="marker table, TSV or CSV")
    parser.add_argument("--cell_labels", type=Path, help="CSV with sample, barcode, cell_type: overrides")
    parser.add_argument(
        "--car_features", type=arguments.names, default="", help="CAR transgenes, separated by commas"
    )
    parser.add_argument(
        "--car_min_umi", type=arguments.number(int, 1), default=1, help="least CAR counts of a CAR+ T cell"
    )
    parser.add_argument(
        "--car_negative",
        type=arguments.names,
        default="",
        help="samples or time points known to have no CAR, separated by commas",
    )
    parser.add_argument("--seed", type=arguments.seed, default=0)
    args = parser.parse_args(argv)

    import numpy as np
    import pandas as pd

    from cartox.cells import absence, annotation, car_products, tables
    from cartox.cells import annotation_summary as summary
    from cartox.cells import car as car_model
    from cartox.cells.marker_expression import gather
    from cartox.cells.markers import marker_genes, read_markers
    from cartox.cells.mixture import mixed
    from cartox.cells.neighbours import fuzzy_graph, read_neighbours
    from cartox.inputs import given_labels
    from cartox.labels import MIXED

    tables.one_thread()
    markers = read_markers(args.markers)
    given = given_labels.read_given(args.cell_labels) if args.cell_labels else {}
    car_features = sorted(args.car_features)
    cells = tables.read_cells(args.cells)
    clusters = pd.read_parquet(args.clusters)
    tables.require_same_cells(cells, clusters, str(args.clusters))
    space = np.load(args.harmony, allow_pickle=False)
    tables.require_rows(cells, space, str(args.harmony))
    near, distance = read_neighbours(args.neighbours)
    tables.require_rows(cells, distance, str(args.neighbours))
    notes: list[str] = []
    counts = files.by_sample(args.counts, ".h5")
    expression, by_feature = gather(cells, counts, marker_genes(markers), car_features, near, notes)

    products = car_products.read_products(args.samples) if args.samples and car_features else {}
    names = cells["sample"].astype(str).to_numpy()
    umi, foreign = car_products.split(by_feature, names, car_features, products)

    cell_type, lineage, confidence = annotation.annotate(expression, space, markers)
    totals = cells["n_counts"].to_numpy().astype(float)
    raw = expression.counts([gene for marker in markers for gene in marker.absent], totals)
    cell_type, posterior, excess = absence.call(raw, totals, names, cell_type, markers)
    both = mixed(expression, lineage, markers)
    cell_type[both] = MIXED
    called = cell_type, lineage, confidence * posterior
    used = 0
    if given:
        *called, used = given_labels.override(cells, given, markers, called)
    cell_type, lineage, confidence = called
    cluster = clusters["cluster"].astype(str).to_numpy()
    by_markers = annotation.of_groups(expression, lineage, cluster, markers)
    ids = {marker.cell_type: marker.cl_id for marker in markers}
    table = cells[["sample", "barcode"]].assign(
        cluster=cluster,
        cluster_type=[by_markers[name] for name in cluster],
        subcluster=annotation.subclusters(fuzzy_graph(near, distance), lineage, args.seed),
        cell_type=cell_type.astype(str),
        lineage=lineage.astype(str),
        cell_state=annotation.all_states(expression, lineage, markers).astype(str),
        cl_id=[ids.get(name, "") for name in cell_type],
        confidence=confidence.round(4).astype(np.float32),
    )
    called, car = pd.DataFrame({"car": np.zeros(len(table), np.int8), "car_call": ""}), None
    if car_features:
        # a doublet with a CAR T cell is no CAR+ cell, and says nothing of ambient RNA
        without_mixed = table["lineage"].where(table["cell_type"] != MIXED, MIXED).to_numpy()
        called, car = car_model.call(cells, umi, without_mixed, args.car_min_umi, args.car_negative)
    rest = {str(name): column.to_numpy() for name, column in called.items() if name != "car"}
    table = table.assign(car=called["car"].to_numpy(), car_umi=umi, **rest)
    if car and products:
        t = (table["car_call"] != "").to_numpy()
        car["other_products"], said = car_products.others(foreign, t, names, products, args.car_min_umi)
        notes += said
    unseen = [m.cell_type for m in markers if not annotation.testable(m, expression)]
    if unseen:
        notes.append(f"too few of their markers were measured to look for: {', '.join(unseen)}")

    table.to_parquet("annotation.parquet", index=False)
    Path("labels").mkdir(exist_ok=True)
    for sample, rows in table.groupby("sample", sort=True):
        columns = ["barcode", "cell_type", "lineage", *(["car_call", "car_deep"] if car else []), "car"]
        rows[columns].to_csv(f"labels/{sample}.csv", index=False, lineterminator="\n")
    summary.states(table).to_csv("states.csv", index=False, lineterminator="\n")
    dots = summary.dotplot(expression, table["cell_type"].to_numpy(), markers)
    dots.to_csv("dotplot.csv", index=False, lineterminator="\n")
    report = {
        "n_cells": len(table),
        "types": summary.types(table, markers),
        "states": {k: int(n) for k, n in table["cell_state"].value_counts().sort_index().items() if k},
        "clusters": summary.clusters(table),
        "subclusters": summary.subclusters(table),
        "absence": [dataclasses.asdict(found) for found in excess],
        "cell_labels": {"given": len(given), "used": used} if given else None,
        "car": car and {"features": car_features, "min_umi": args.car_min_umi} | car,
        "notes": notes,
    }
    files.write_json("annotate.json", report)
    if car:
        by_sample = pd.DataFrame(car["by_sample"], columns=car_model.TABLE)
        by_sample.to_csv("car_by_sample.csv", index=False, lineterminator="\n")


if __name__ == "__main__":
    cli.run(main)
