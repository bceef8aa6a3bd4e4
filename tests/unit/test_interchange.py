"""Matrices as other programs leave them: Cell Ranger, STARsolo, BD, Parse, alevin-fry and simpleaf."""

from __future__ import annotations

import gzip
import json
import shutil
import zipfile
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from builders import archive, counts, fry, h5, mex, parse
from input_checks import faults, only
from scipy import sparse

import check_inputs
from cartox.cli import InputError
from cartox.inputs.checksums import checksums_of
from cartox.matrices.layouts import matrix_within
from cartox.matrices.matrix import CountMatrix, read_counts

MADE = counts()


def same(read: CountMatrix, made: CountMatrix) -> None:
    assert (read.counts != made.counts).nnz == 0
    assert read.barcodes.tolist() == made.barcodes.tolist()
    assert read.genes.tolist() == made.genes.tolist()
    assert read.gene_ids.tolist() == made.gene_ids.tolist()


def fault(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_counts(path)
    return "\n".join(caught.value.faults)


def test_parse_has_cells_first_even_where_the_sizes_do_not_tell(tmp_path):
    same(read_counts(parse(tmp_path / "P01/DGE_filtered", MADE)), MADE)
    same(read_counts(parse(tmp_path / "old", MADE, matrix_name="DGE.mtx")), MADE)
    square = counts(cells=30)
    same(read_counts(parse(tmp_path / "square", square)), square)
    same(read_counts(archive(tmp_path / "p.tar.gz", tmp_path / "P01/DGE_filtered")), MADE)


def test_parse_tables_that_are_damaged_are_told(tmp_path):
    folder = parse(tmp_path / "DGE_filtered", MADE)
    whole = (folder / "cell_metadata.csv").read_text()
    (folder / "cell_metadata.csv").write_text(whole.replace("bc_wells", "cells"))
    assert "no column 'bc_wells'" in fault(folder)
    (folder / "cell_metadata.csv").write_text(whole + "too,many,cells,in,this,row\n")
    assert "damaged" in fault(folder)
    (folder / "cell_metadata.csv").unlink()
    assert "no cell_metadata.csv (or .gz) in it, so it is not the form Parse writes" in fault(folder)


def test_alevin_fry_counts_spliced_and_ambiguous_and_leaves_unspliced_out(tmp_path):
    parts = [counts(seed=seed).counts for seed in (1, 2, 3)]
    folder = fry(tmp_path / "af_quant", MADE, parts)
    expected = CountMatrix(parts[0] + parts[2], MADE.barcodes, MADE.genes, MADE.gene_ids)
    same(read_counts(folder), expected)
    same(read_counts(archive(tmp_path / "af.tar.gz", folder)), expected)
    # its matrix alone, without the other files that lie there, is what the checksums are of
    (folder / "map.collated.rad").write_bytes(b"reads")
    assert {entry["file"] for entry in checksums_of(folder, "S")} == {
        "S/gene_id_to_name.tsv",
        *(f"S/alevin/quants_mat{end}" for end in (".mtx", "_cols.txt", "_rows.txt")),
    }
    # not told apart: one column a gene
    same(read_counts(fry(tmp_path / "plain", MADE, [MADE.counts])), MADE)


def test_alevin_fry_without_symbols_says_where_they_are(tmp_path):
    folder = fry(tmp_path / "af_quant", MADE, [MADE.counts] * 3)
    assert "gene_id_to_name.tsv" in fault(folder / "alevin")
    (folder / "alevin/quants_mat.mtx").unlink()
    assert "no quants_mat.mtx (or .gz) in it, so it is not the form alevin-fry writes" in fault(folder)


def simpleaf(path: Path, parts: list[sparse.csr_matrix], **uns: str) -> Path:
    """simpleaf's h5ad: X is the sum of the three layers."""
    var = pd.DataFrame({"gene_id": MADE.gene_ids, "gene_symbol": MADE.genes}, index=MADE.gene_ids)
    adata = anndata.AnnData(sum(parts).astype(np.float32), obs=pd.DataFrame(index=MADE.barcodes), var=var)
    for name, layer in zip(("spliced", "unspliced", "ambiguous"), parts, strict=True):
        adata.layers[name] = layer.astype(np.float32)
    adata.uns.update(uns)
    adata.write_h5ad(path)
    return path


def test_simpleafs_h5ad_counts_as_its_text_does(tmp_path):
    parts = [counts(seed=seed).counts for seed in (1, 2, 3)]
    path = simpleaf(tmp_path / "quants.h5ad", parts, quant_info='{"usa_mode": true}')
    same(read_counts(path), CountMatrix(parts[0] + parts[2], MADE.barcodes, MADE.genes, MADE.gene_ids))
    # a file of another program with such layers means its X
    path = simpleaf(tmp_path / "other.h5ad", parts)
    same(read_counts(path), CountMatrix(sum(parts), MADE.barcodes, MADE.genes, MADE.gene_ids))


def zipped(path: Path, folder: Path, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for part in sorted(folder.iterdir()):
            archive.write(part, part.name)
    return path


def test_bds_zip_and_its_folder(tmp_path):
    made = counts()
    # BD names cells by numbers and genes by symbols alone
    made.barcodes, made.gene_ids = np.array([str(i * 977) for i in range(20)]), made.genes
    folder = mex(tmp_path / "S_RSEC_MolsPerCell_MEX", made)
    same(read_counts(folder), made)
    same(read_counts(zipped(tmp_path / "S_RSEC_MolsPerCell_MEX.zip", folder)), made)


def test_zips_that_are_no_matrix_or_too_large(tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "readme.txt").write_text("nothing")
    assert "no matrix.mtx (or .gz) in it, so it is not the form 10x writes" in fault(
        zipped(tmp_path / "notes.zip", tmp_path / "notes")
    )
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "sheet.xml").write_text("<x/>")
    with zipfile.ZipFile(tmp_path / "book.xlsx", "w") as archive:
        archive.write(tmp_path / "book" / "sheet.xml", "xl/sheet.xml")
    assert "an Excel file" in fault(tmp_path / "book.xlsx")
    folder = mex(tmp_path / "mex", counts(cells=300), packed=False)
    whole = zipped(tmp_path / "whole.zip", folder).read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[: len(whole) // 2])
    assert "truncated" in fault(tmp_path / "cut.zip")
    (folder / "barcodes.tsv").write_bytes(bytes(400 << 20))
    assert "which no counts do" in fault(zipped(tmp_path / "bomb.zip", folder))


FOLDERS = {
    "count": ("run/outs", "filtered_feature_bc_matrix.h5", "raw_feature_bc_matrix.h5"),
    "count by its run": ("run", "outs/filtered_feature_bc_matrix.h5", "outs/raw_feature_bc_matrix.h5"),
    "multi, a sample": ("outs/per_sample_outs/P01", "count/sample_filtered_feature_bc_matrix.h5",
                        "count/sample_raw_feature_bc_matrix.h5"),
    "multi of one sample": ("outs", "per_sample_outs/P01/count/sample_filtered_feature_bc_matrix.h5",
                            "multi/count/raw_feature_bc_matrix.h5"),
    "STARsolo": ("Solo.out", "Gene/filtered", "Gene/raw"),
    "STARsolo by its run": ("S1", "Solo.out/GeneFull/filtered", "Solo.out/GeneFull/raw"),
    "simpleaf": ("S1", "af_quant", ""),
    "Parse": ("P01", "DGE_filtered", "DGE_unfiltered"),
}  # fmt: skip


@pytest.mark.parametrize("case", FOLDERS)
def test_the_matrix_in_a_programs_folder(tmp_path, case):
    name, *within = FOLDERS[case]
    folder = tmp_path / name
    for column, place in zip(("path", "raw_path"), within, strict=True):
        if place.endswith(".h5"):
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            (folder / place).touch()
        elif place:
            (folder / place).mkdir(parents=True)
        assert matrix_within(folder, column) == folder / place


def test_a_folder_that_is_a_matrix_is_left_alone(tmp_path):
    folder = mex(tmp_path / "S1", MADE)
    (folder / "DGE_filtered").mkdir()
    assert matrix_within(folder) == folder


def pool(folder: Path, *samples: str) -> Path:
    """outs of cellranger multi, of these samples."""
    for i, sample in enumerate(samples):
        (folder / "per_sample_outs" / sample / "count").mkdir(parents=True)
        h5(
            folder / "per_sample_outs" / sample / "count/sample_filtered_feature_bc_matrix.h5",
            counts(seed=90 + i),
        )
    return folder


def test_folders_in_the_sample_sheet(cohort):
    multi = pool(cohort.folder / "multi/outs", "A", "B")
    count = cohort.folder / "count/outs"
    count.mkdir(parents=True)
    shutil.move(cohort.folder / "P1_D7.h5", count / "filtered_feature_bc_matrix.h5")
    raw = counts(seed=1, cells=25)
    h5(count / "raw_feature_bc_matrix.h5", raw)
    cohort.samples = [{**row, "raw_path": ""} for row in cohort.samples]
    cohort.samples[1] |= {"path": "count/outs", "raw_path": "count/outs"}
    cohort.samples[2]["path"] = "multi/outs/per_sample_outs/A"
    check_inputs.main(cohort.write())
    files = [entry["file"] for entry in json.loads(Path("checks.json").read_text())["inputs"]]
    assert "count/outs/filtered_feature_bc_matrix.h5" in files
    assert "count/outs/raw_feature_bc_matrix.h5" in files
    assert "multi/outs/per_sample_outs/A/sample_filtered_feature_bc_matrix.h5" in files
    Path("samples.csv").unlink()

    cohort.samples[2]["path"] = "multi/outs"
    cohort.samples[3]["path"] = "joined/outs"
    (cohort.folder / "joined/outs").mkdir(parents=True)
    (cohort.folder / "joined/outs/aggregation.csv").write_text("sample_id,molecule_h5\n")
    told = faults(cohort.write())
    assert len(told) == 2
    assert "cellranger multi with 2 samples; give each its own, such as 'outs/per_sample_outs/A'" in told[0]
    assert "cellranger aggr, which joins samples" in told[1]
    assert multi.is_dir()


def test_parse_folder_of_all_samples_is_refused(cohort):
    samples = ["P1_D7"] * 12 + ["P2_D7"] * 8
    parse(cohort.folder / "all-sample/DGE_filtered", MADE, samples=samples)
    cohort.samples[0]["path"] = "all-sample"
    assert (
        "it holds 2 samples ('P1_D7', 'P2_D7'); give the folder of each, such as 'P1_D7/DGE_filtered'"
        in only(cohort.write())
    )


def test_barcodes_of_several_wells_are_a_warning(cohort):
    made = counts(seed=70)
    made.barcodes = np.array([f"{b[:14]}AA-{1 + i % 3}" for i, b in enumerate(made.barcodes)])
    h5(cohort.folder / "P1_D7.h5", made)
    check_inputs.main(cohort.write())
    told = json.loads(Path("checks.json").read_text())["warnings"]
    assert ["'P1_D7.h5' has barcodes of 3 wells (-1, -2, …)" in line for line in told] == [True, False]


def test_mex_of_starsolo_in_two_columns_and_plain(tmp_path):
    folder = mex(tmp_path / "Solo.out/Gene/filtered", MADE, packed=False, old=True)
    (folder / "genes.tsv").rename(folder / "features.tsv")
    same(read_counts(matrix_within(tmp_path)), MADE)


def test_multiplexing_capture_features_are_no_genes(tmp_path):
    folder = mex(tmp_path / "S", MADE)
    part = folder / "features.tsv.gz"
    lines = gzip.decompress(part.read_bytes()).decode().splitlines()
    lines[0] = lines[0].replace("Gene Expression", "Multiplexing Capture")
    part.write_bytes(gzip.compress("\n".join(lines).encode()))
    assert read_counts(folder).genes.tolist() == MADE.genes[1:].tolist()
