"""Small matrices and sheets, good and bad, made by code."""

from __future__ import annotations

import gzip
import tarfile
from pathlib import Path

import h5py
import numpy as np
from scipy import sparse

from cartox.matrices.matrix import CountMatrix, write_h5

GENES = np.array([f"GENE{i}" for i in range(1, 29)] + ["CXCL10", "FMC63-CD19SCFV"])


def counts(seed: int = 0, cells: int = 20, genes: np.ndarray = GENES) -> CountMatrix:
    """Random counts of a few cells."""
    rng = np.random.default_rng(seed)
    values = sparse.csr_matrix(rng.poisson(0.7, (cells, len(genes))).astype(np.int32))
    barcodes = np.array([f"{''.join(rng.choice(list('ACGT'), 14))}-{i}" for i in range(cells)])
    ids = np.array([f"ENSG{i:011d}" for i in range(len(genes))])
    return CountMatrix(values, barcodes, genes.copy(), ids)


def h5(path: Path, matrix: CountMatrix) -> Path:
    write_h5(path, matrix)
    return path


def h5_v2(path: Path, matrix: CountMatrix, genome: str = "GRCh38") -> Path:
    with h5py.File(path, "a") as file:
        group = file.create_group(genome)
        group["shape"] = np.array(matrix.counts.shape[::-1])
        for name in ("data", "indices", "indptr"):
            group[name] = getattr(matrix.counts, name)
        group["barcodes"] = matrix.barcodes.astype("S")
        group["genes"] = matrix.gene_ids.astype("S")
        group["gene_names"] = matrix.genes.astype("S")
    return path


def _market(table: sparse.coo_matrix, kind: str = "integer") -> str:
    head = f"%%MatrixMarket matrix coordinate {kind} general\n%\n"
    head += f"{table.shape[0]} {table.shape[1]} {table.nnz}\n"
    entries = zip(table.row, table.col, table.data, strict=True)
    return head + "".join(f"{i + 1} {j + 1} {v}\n" for i, j, v in entries)


def mex(
    folder: Path,
    matrix: CountMatrix,
    packed: bool = True,
    old: bool = False,
    kind: str = "integer",
    prefix: str = "",
    genes_first: bool = True,
) -> Path:
    """A 10x folder: gz or plain, with features.tsv or the old genes.tsv, of integers or reals."""
    folder.mkdir(parents=True)
    table = matrix.counts.T.tocoo() if genes_first else matrix.counts.tocoo()
    further = "" if old else "\tGene Expression"
    pairs = zip(matrix.gene_ids, matrix.genes, strict=True)
    parts = {
        "matrix.mtx": _market(table, kind),
        "barcodes.tsv": "".join(f"{b}\n" for b in matrix.barcodes),
        "genes.tsv" if old else "features.tsv": "".join(f"{i}\t{g}{further}\n" for i, g in pairs),
    }
    for name, text in parts.items():
        if packed:
            (folder / f"{prefix}{name}.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
        else:
            (folder / f"{prefix}{name}").write_text(text)
    return folder


def parse(
    folder: Path, matrix: CountMatrix, samples: list[str] | None = None, matrix_name: str = "count_matrix.mtx"
) -> Path:
    """A folder DGE_filtered of Parse's pipeline."""
    folder.mkdir(parents=True)
    (folder / matrix_name).write_text(_market(matrix.counts.tocoo()))
    pairs = zip(matrix.gene_ids, matrix.genes, strict=True)
    genes = "".join(f"{gene_id},{gene},hg38\n" for gene_id, gene in pairs)
    (folder / "all_genes.csv").write_text(f"gene_id,gene_name,genome\n{genes}")
    samples = samples or ["P01"] * len(matrix.barcodes)
    cells = "".join(f"{b},{s},9\n" for b, s in zip(matrix.barcodes, samples, strict=True))
    (folder / "cell_metadata.csv").write_text(f"bc_wells,sample,tscp_count\n{cells}")
    return folder


def fry(folder: Path, matrix: CountMatrix, parts: list[sparse.csr_matrix]) -> Path:
    """simpleaf's af_quant: of spliced, unspliced and ambiguous counts, or of one matrix."""
    within = folder / "alevin"
    within.mkdir(parents=True)
    columns = [
        gene + end for _, end in zip(parts, ("", "-U", "-A"), strict=False) for gene in matrix.gene_ids
    ]
    (within / "quants_mat.mtx").write_text(_market(sparse.hstack(parts).tocoo(), "real"))
    (within / "quants_mat_cols.txt").write_text("\n".join(columns) + "\n")
    (within / "quants_mat_rows.txt").write_text("\n".join(matrix.barcodes) + "\n")
    pairs = zip(matrix.gene_ids, matrix.genes, strict=True)
    (folder / "gene_id_to_name.tsv").write_text("".join(f"{i}\t{gene}\n" for i, gene in pairs))
    return folder


def archive(path: Path, folder: Path) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        tar.add(folder, arcname=folder.name)
    return path


def sheet(path: Path, rows: list[dict[str, str]]) -> Path:
    lines = [",".join(rows[0])] + [",".join(row.values()) for row in rows]
    path.write_text("\n".join(lines) + "\n")
    return path


class Cohort:
    """Four patients at D7 and product, with clinical sheet, serum and a contrast; tests spoil a part."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.samples = []
        for i, patient in enumerate(("P1", "P2", "P3", "P4")):
            for j, timepoint in enumerate(("product", "D7")):
                sample = f"{patient}_{timepoint}"
                h5(folder / f"{sample}.h5", counts(seed=10 * i + j))
                row = {"sample": sample, "patient": patient, "timepoint": timepoint, "path": f"{sample}.h5"}
                self.samples.append({**row, "batch": f"L{i % 2}", "tissue": "blood"})
        outcome = ("yes", "no", "yes", "no")
        self.clinical = [
            {"patient": f"P{i + 1}", "toxicity": outcome[i], "age": str(50 + i)} for i in range(4)
        ]
        self.analytes = [
            {"patient": f"P{i + 1}", "timepoint": "D7", "analyte": "IL-6", "value": v, "unit": "pg/mL"}
            for i, v in enumerate(("<5", "12.5", ">5000", "NA"))
        ]
        self.contrasts = (
            "- id: tox\n  formula: ~ age + toxicity\n  term: toxicity\n  where: {timepoint: D7}\n"
            "  focus:\n    - CXCL10\n    - {feature: HALLMARK_HYPOXIA, cell_type: CD14_Mono}\n"
        )

    def write(self) -> list[str]:
        """Write the sheets and return the flags that name them."""
        sheet(self.folder / "samples.csv", self.samples)
        sheet(self.folder / "patients.csv", self.clinical)
        sheet(self.folder / "serum.csv", self.analytes)
        (self.folder / "contrasts.yml").write_text(self.contrasts)
        return self.flags()

    def flags(self) -> list[str]:
        names = {"input": "samples.csv", "clinical": "patients.csv", "analytes": "serum.csv"}
        names["contrasts"] = "contrasts.yml"
        return [word for flag, name in names.items() for word in (f"--{flag}", str(self.folder / name))]
