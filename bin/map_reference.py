#!/usr/bin/env python3
"""Name each cell by a labelled reference, as a second opinion beside the annotation by markers.

A classifier is learnt from the reference's cells in a space that they share with the cohort's. No label of
the annotation changes. Writes reference.parquet (a label and its probability for each cell) and
reference.json (how both compare).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cartox import arguments, cli, files

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from cartox.cells.reference import Mapped
    from cartox.cells.reference_file import Reference

LEAST_VARIABLE = 50  # variable genes that reference and cohort must share
MOSTLY = 0.5  # from this share of far cells on the reference is said not to fit
TELLS = 0.7  # below this accuracy within the reference its labels are said to be doubtful


def main(argv: Sequence[str] | None = None) -> None:
    """Read, map, compare, write."""
    parser = cli.parser(__doc__)
    parser.add_argument("--reference", type=Path, required=True, help="labelled .h5ad")
    parser.add_argument("--reference_label", default="cell_type", help="its obs column of cell types")
    parser.add_argument("--orthologues", type=Path, help="table of the species and human, where not human")
    parser.add_argument("--counts", nargs="+", type=Path, required=True, help="<sample>.h5 of QC")
    parser.add_argument("--cells", type=Path, required=True, help="cells.parquet of MERGE")
    parser.add_argument("--genes", type=Path, required=True, help="genes.parquet of MERGE")
    parser.add_argument("--annotation", type=Path, required=True, help="annotation.parquet of ANNOTATE")
    parser.add_argument("--markers", type=Path, required=True, help="marker table, to match the names")
    parser.add_argument("--n_pcs", type=arguments.number(int, 2), default=30)
    parser.add_argument("--seed", type=arguments.seed, default=0)
    args = parser.parse_args(argv)

    import pandas as pd

    from cartox.cells import reference_summary as summary
    from cartox.cells import tables
    from cartox.cells.markers import read_markers
    from cartox.cells.reference_file import read_reference
    from cartox.matrices.orthologues import read_orthologues

    tables.one_thread()
    markers = read_markers(args.markers)
    reference = read_reference(
        args.reference, args.reference_label, args.seed, read_orthologues(args.orthologues)
    )
    cells = tables.read_cells(args.cells)
    annotation = pd.read_parquet(args.annotation)
    tables.require_same_cells(cells, annotation, args.annotation.name)
    genes = pd.read_parquet(args.genes)
    both = genes["gene"].isin(reference.genes)
    shared = genes.loc[both, "gene"].to_numpy()
    used = genes.loc[both & genes["highly_variable"], "gene"].to_numpy()
    notes = _notes(reference)
    if len(used) < LEAST_VARIABLE:
        notes.append(
            f"nothing was mapped: of the cohort's {int(genes['highly_variable'].sum()):,} variable genes the "
            f"reference has {len(used)}, and {LEAST_VARIABLE} are needed"
        )
    found, accuracy = _mapped(reference, cells, files.by_sample(args.counts, ".h5"), shared, used, args)
    if accuracy and accuracy[""] < TELLS:
        notes.append(
            f"the reference names only {100 * accuracy['']:.0f} % of its own cells rightly "
            "(cross-validated): its labels do not part its cells by expression, or are too fine"
        )
    if found.far.mean() > MOSTLY:
        notes.append(
            f"{100 * found.far.mean():.0f} % of the cells lie too far from the reference: Harmony did not "
            "bring the two together (another technology or tissue, or few cells), so it says little"
        )
    out = cells[tables.KEY].assign(
        reference_cell_type=found.label.astype(str), reference_confidence=found.confidence.round(4)
    )
    out.to_parquet("reference.parquet", index=False)
    learnt = Counter(reference.label.tolist())
    account = {
        "reference": args.reference.name,
        "reference_label": args.reference_label,
        "values": reference.form,
        "n_reference_cells": reference.n_cells,
        "n_learnt": len(reference.label),
        "n_genes_shared": int(both.sum()),
        "n_genes_used": len(used),
        "n_far": int(found.far.sum()),
        "labels": [
            {"label": name, "n_learnt": n, "accuracy": round(accuracy[name], 4) if accuracy else None}
            for name, n in sorted(learnt.items())
        ],
        "accuracy": round(accuracy[""], 4) if accuracy else None,
        "notes": notes,
        **summary.compare(_beside(annotation, out), markers, sorted(learnt)),
    }
    files.write_json("reference.json", account)


def _mapped(
    reference: Reference,
    cells: pd.DataFrame,
    counts: dict[str, Path],
    shared: np.ndarray,
    genes: np.ndarray,
    args,
) -> tuple[Mapped, dict[str, float]]:
    """Names of the cells, and how well the reference tells its labels apart; none where genes are too few."""
    import numpy as np
    from scipy import sparse

    from cartox.cells import reference as model
    from cartox.cells.reference_file import normalised
    from cartox.cells.tables import walk
    from cartox.labels import UNASSIGNED
    from cartox.matrices.matrix import lognormalise

    if len(genes) < LEAST_VARIABLE:
        n = len(cells)
        return model.Mapped(np.full(n, UNASSIGNED), np.zeros(n, np.float32), np.zeros(n, dtype=bool)), {}
    # both over the genes they share: per 10,000 of other genes would be another scale
    columns = np.flatnonzero(np.isin(shared, genes))
    blocks = [lognormalise(matrix.counts)[:, columns] for _rows, matrix in walk(cells, counts, shared)]
    place = {gene: i for i, gene in enumerate(reference.genes)}
    own = normalised(sparse.csr_matrix(reference.expression[:, [place[gene] for gene in shared]]))
    learnt, space = model.shared_space(
        sparse.csr_matrix(own[:, columns]),
        sparse.csr_matrix(sparse.vstack(blocks)),
        cells["batch"].to_numpy(),
        args.n_pcs,
        args.seed,
    )
    accuracy = model.tells_itself(learnt, reference.label, args.seed)
    return model.mapped(learnt, reference.label, space, args.seed), accuracy


def _beside(annotation: pd.DataFrame, out: pd.DataFrame) -> pd.DataFrame:
    columns = ["reference_cell_type", "reference_confidence"]
    return annotation[["sample", "barcode", "cluster", "cell_type", "lineage"]].assign(
        **{name: out[name].to_numpy() for name in columns}
    )


def _notes(reference: Reference) -> list[str]:
    notes = []
    if reference.left_out:
        listed = ", ".join(f"{name} ({n})" for name, n in reference.left_out.items())
        notes.append(f"labels of the reference with fewer than 10 cells were not learnt: {listed}")
    if reference.n_unlabelled:
        notes.append(f"{reference.n_unlabelled:,} cells of the reference have no label and were not used")
    return notes


if __name__ == "__main__":
    cli.run(main)
