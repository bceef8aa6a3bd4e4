"""Mouse genes by the symbols of their human orthologues: the same in the check, in QC and in references."""

from __future__ import annotations

import json
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from builders import counts, h5
from input_checks import only

import check_inputs
import qc
from cartox import genes
from cartox.cells.markers import read_markers
from cartox.cells.reference_file import read_reference
from cartox.matrices.matrix import CountMatrix, read_counts, read_h5
from cartox.matrices.orthologues import read_orthologues

ASSETS = Path(__file__).resolve().parents[2] / "assets"
TABLE = ASSETS / "orthologues/mouse.tsv.gz"
CAR = "FMC63-CD19SCFV"


def pairs() -> pd.DataFrame:
    return pd.read_csv(TABLE, sep="\t", keep_default_na=False)


def species(seed: int = 0, cells: int = 40) -> tuple[CountMatrix, CountMatrix]:
    """Counts of 400 genes of the mouse, with a CAR and a gene of no orthologue; the same by human symbols."""
    table = pairs().iloc[::40].iloc[:398]
    own = np.array([*table["mouse"], "Gm12345", CAR])
    human = np.array([*table["human"], "Gm12345", CAR])
    made = counts(seed, cells, own)
    return made, CountMatrix(made.counts, made.barcodes, human, made.gene_ids)


def test_a_gene_of_either_species_has_one_pair_at_most_as_the_docs_say():
    table = pairs()
    assert table["mouse"].is_unique and table["human"].is_unique
    told = (ASSETS / "orthologues/README.md").read_text()
    assert f"{len(table):,} pairs" in told
    for basis, n in table["basis"].value_counts().items():
        assert f"`{basis}` ({n:,})" in told
    named = read_orthologues(TABLE)
    wanted = {
        "Cd3e": "CD3E",
        "Cd8b1": "CD8B",
        "Ifng": "IFNG",
        "mt-Nd1": "MT-ND1",
        "Gzmb": "GZMB",
        "Xist": "XIST",
    }
    assert named is not None and wanted.items() <= named.items()
    assert "Gm12345" not in named and read_orthologues(None) is None


def test_every_entry_of_the_markers_can_be_told_in_mice():
    human = set(pairs()["human"])
    for marker in read_markers(ASSETS / "markers/blood_cart.tsv"):
        found = [gene for gene in marker.positive if gene in human]
        assert len(found) >= 0.4 * len(marker.positive), marker.cell_type


def test_classes_of_genes_hold_for_mouse_symbols_that_stay():
    assert genes.VDJ.match("Trav12-1") and genes.VDJ.match("Ighv1-2") and genes.RIBOSOMAL.match("Rps3")
    assert not genes.VDJ.match("Traf2") and "Eif2s3y" in genes.SEX_GENES


def test_qc_of_mouse_cells_equals_that_of_the_same_cells_with_human_symbols(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own, human = species()
    few = ["--min_counts", "10", "--min_genes", "5", "--qc_mode", "fixed", "--max_mito", "100"]
    qc.main(
        ["--sample", "M", "--matrix", str(h5(tmp_path / "own.h5", own)), "--orthologues", str(TABLE), *few]
    )
    qc.main(["--sample", "H", "--matrix", str(h5(tmp_path / "human.h5", human)), *few])
    mouse, same = read_h5("M.h5"), read_h5("H.h5")
    assert mouse.genes.tolist() == same.genes.tolist() == human.genes.tolist()
    assert (mouse.counts != same.counts).nnz == 0 and len(mouse.barcodes) == 40
    assert CAR in mouse.genes and "Gm12345" in mouse.genes
    told = [json.loads(Path(f"{name}.qc.json").read_text()) for name in "MH"]
    for account in told:
        del account["sample"]
    assert told[0] == told[1]


def test_the_check_reads_mouse_genes_and_says_how_many_have_a_human_symbol(cohort):
    for i, row in enumerate(cohort.samples):
        h5(cohort.folder / row["path"], species(seed=i)[0])
    flags = [*cohort.write(), "--orthologues", str(TABLE), "--car_features", CAR]
    check_inputs.main(flags)
    told = json.loads(Path("checks.json").read_text())["warnings"]
    said = next(line for line in told if "--organism" in line)
    assert said.startswith("parameter --organism: 398 genes of each matrix go by the symbol of their human")


def test_human_genes_given_as_the_mouses_are_a_fault(cohort):
    cohort.samples = cohort.samples[:1]
    cohort.clinical = cohort.clinical[:1]
    h5(cohort.folder / "P1_product.h5", species()[1])
    said = only(["--input", cohort.write()[1], "--orthologues", str(TABLE)])
    assert "genes are the mouse's" in said and "leave out --organism mouse" in said


def test_a_reference_of_mice_is_read_in_the_same_way(tmp_path):
    own, human = species(cells=60)
    obs = pd.DataFrame({"cell_type": ["T", "B"] * 30}, index=own.barcodes)
    path = tmp_path / "reference.h5ad"
    anndata.AnnData(own.counts, obs=obs, var=pd.DataFrame(index=own.genes)).write_h5ad(path)
    named = read_orthologues(TABLE)
    assert read_reference(path, "cell_type", 0, named).genes.tolist() == human.genes.tolist()
    assert read_reference(path, "cell_type", 0).genes.tolist() == own.genes.tolist()


def test_two_genes_that_come_to_one_symbol_are_added(tmp_path):
    own, _ = species()
    own.genes[-2] = pairs().iloc[0]["human"]
    read = read_counts(h5(tmp_path / "a.h5", own), read_orthologues(TABLE))
    assert len(read.genes) == len(own.genes) - 1
    both = np.asarray(own.counts[:, [0, -2]].sum(axis=1)).ravel()
    assert np.array_equal(read.counts[:, 0].toarray().ravel(), both)


@pytest.mark.parametrize("name", ["check_inputs", "qc", "map_reference"])
def test_the_modules_that_read_matrices_are_given_the_table(name):
    module = (ASSETS.parent / f"modules/{name}/main.nf").read_text()
    assert "path orthologues" in module
