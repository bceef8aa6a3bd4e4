"""Whole libraries: saturation, platelets, one library given twice, sex genes within a patient; the report."""

from __future__ import annotations

import json
from pathlib import Path

import cell_steps
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import qc
from cartox.cells import library
from cartox.matrices.matrix import CountMatrix, write_h5
from cartox.report import inputs, libraries
from cartox.statistics import swaps


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def account(matrix: CountMatrix) -> dict:
    write_h5("given.h5", matrix)
    qc.main(["--sample", "S", "--matrix", "given.h5", *cell_steps.LIMITS])
    return json.loads(Path("S.qc.json").read_text())


def wide(n: int = 150, n_genes: int = 3000, alive: int = 3000, depth: float = 3000) -> CountMatrix:
    """Cells of n_genes, of which the first `alive` are expressed, at one depth."""
    rng = np.random.default_rng(2)
    share = np.where(np.arange(n_genes) < alive, rng.gamma(1, 1, n_genes), 0)
    names = np.array(["PPBP", "PF4", *(f"GENE{i}" for i in range(n_genes - 2))])
    share[:2] = 0
    counts = sparse.csr_matrix(rng.poisson(depth * share / share.sum(), (n, n_genes)).astype(np.int32))
    return CountMatrix(counts, np.array([f"C{i}" for i in range(n)]), names, names)


def test_genes_at_equal_depth_are_those_of_thinned_cells():
    rng = np.random.default_rng(0)
    for depth in (1000, 8000):
        counts = wide(depth=depth).counts
        thinned = []
        for row in counts.toarray():
            drawn = rng.choice(np.repeat(np.arange(len(row)), row), library.DEPTH, replace=False)
            thinned.append(len(np.unique(drawn)))
        assert library.genes_at_depth(counts) == pytest.approx(np.median(thinned), rel=0.05)
    assert library.genes_at_depth(wide(depth=300).counts) is None


def test_a_saturated_library_is_flagged_and_a_sound_one_of_the_same_depth_is_not():
    poor, sound = account(wide(alive=140)), account(wide())
    assert poor["status"] == "flagged" and any("saturated" in reason for reason in poor["reasons"])
    assert sound["status"] == "ok" and sound["genes_at_500"] > 2 * poor["genes_at_500"]
    cohort = [sound | {"sample": f"S{i}"} for i in range(5)]
    assert library.saturated(cohort) == []
    assert [text[:3] for text in library.saturated([*cohort, poor | {"sample": "P"}])] == ["P: "]
    assert library.saturated([sound, poor]) == []


def test_platelets_flag_the_sample_and_remove_no_cell():
    clean = wide()
    counts = clean.counts.tolil()
    counts[:, 0] = 100
    stuck = CountMatrix(sparse.csr_matrix(counts), clean.barcodes, clean.genes, clean.gene_ids)
    found, null = account(stuck), account(clean)
    assert found["status"] == "flagged" and "platelet" in found["reasons"][0]
    assert found["medians"]["pct_platelet"] == pytest.approx(100 * 100 / 3100, rel=0.05)
    assert found["n_kept"] == null["n_kept"] and null["status"] == "ok"


def barcodes(seed: int, n: int = 2000) -> pd.DataFrame:
    """Cells of one library with barcodes drawn from the 16-mers, and their counts."""
    rng = np.random.default_rng(seed)
    names = ["".join(rng.choice(list("ACGT"), 16)) + "-1" for _ in range(n)]
    counts = rng.lognormal(8, 0.5, n).astype(int)
    return pd.DataFrame({"sample": f"S{seed}", "barcode": names, "n_counts": counts, "n_genes": counts // 3})


def test_shared_barcodes_are_told_by_what_they_carry():
    one, two = barcodes(1), barcodes(2)
    assert library.shared_barcodes(pd.concat([one, two])) == []
    twice = one.assign(sample="T")
    (said,) = library.shared_barcodes(pd.concat([one, two, twice]))
    assert "S1 and T are the same library given twice" in said
    again = twice.assign(n_counts=(one["n_counts"] * 0.9).astype(int), n_genes=one["n_genes"] - 7)
    (said,) = library.shared_barcodes(pd.concat([one, again]))
    assert "counted in two ways" in said
    hopped = two.copy()
    hopped.loc[:199, "barcode"] = one.loc[:199, "barcode"]
    (said,) = library.shared_barcodes(pd.concat([one, hopped]))
    assert "S1 and S2 share 200 barcodes" in said and "hopping" in said
    named = [frame.assign(barcode=[f"CELL{i}" for i in range(2000)]) for frame in (one, two)]
    assert library.shared_barcodes(pd.concat(named)) == []
    empty = [frame.assign(n_counts=2, n_genes=2) for frame in (one, twice)]
    assert library.shared_barcodes(pd.concat(empty)) == []


def test_merge_tells_a_library_given_twice():
    import merge

    cell_steps.write_cohort(Path())
    first = Path("given/A.h5").read_bytes()
    Path("given/B.h5").write_bytes(first)
    cell_steps.run_qc(Path().resolve())
    merge.main(cell_steps.merge_arguments())
    (said,) = json.loads(Path("merge.json").read_text())["warnings"]
    assert "A and B are the same library given twice" in said


SUMS = pd.DataFrame(
    {"x": [500, 2, 3, 0, 200, 5], "y": [4, 900, 800, 700, 210, 6]}, index=["a1", "a2", "b1", "b2", "c1", "d1"]
)
SHEET = pd.DataFrame({"sample": SUMS.index, "patient": [*"AABBCD"]})


def test_sex_genes_that_disagree_within_a_patient_or_with_the_clinical_table_are_told():
    wrong, both = swaps.identity(SUMS, SHEET, pd.DataFrame({"patient": [*"ABCD"]}))
    assert wrong == [
        "Possible sample swap in A: by sex genes a1 (XIST 500, Y 4) female; a2 (XIST 2, Y 900) male."
    ]
    assert len(both) == 1 and both[0].startswith("c1 (XIST 200, Y 210)") and "chimaerism" in both[0]
    clinical = pd.DataFrame({"patient": [*"BC"], "Sex": ["F", "m"]})
    wrong, _ = swaps.identity(SUMS.drop("a1"), SHEET, clinical)
    assert [text.split(" ")[0] for text in wrong] == ["b1", "b2"]
    wrong, both = swaps.identity(SUMS.loc[["b1", "b2"]], SHEET, clinical.assign(Sex="Male"))
    assert (wrong, both) == ([], [])


def written(folder: Path, sex: dict[str, dict[str, int]], classes: dict) -> inputs.Inputs:
    SHEET[SHEET["sample"].isin(sex)].assign(timepoint="D7").to_csv(folder / "samples.csv", index=False)
    for name, counted in sex.items():
        summary = account(wide()) | {"sample": name, "sex_genes": counted, "thresholds_by_class": classes}
        (folder / f"{name}.qc.json").write_text(json.dumps(summary))
    return inputs.read(folder)


def test_report_draws_the_thresholds_and_names_no_sex_where_all_agree(tmp_path):
    classes = {"myeloid": {m: [1, 9000] for m in ("n_counts", "n_genes", "pct_mito", "pct_hb")}}
    folder = tmp_path / "agree"
    folder.mkdir()
    drawn, identity = libraries.sections(
        written(folder, {"b1": {"x": 3, "y": 800}, "b2": {"x": 0, "y": 700}}, classes)
    )
    assert drawn.data.count("<figure") == 2 and "bounds of myeloid cells" in drawn.data
    assert "clear in 2 of 2" in identity.data
    assert "male" not in identity.data and "800" not in identity.data
    folder = tmp_path / "differ"
    folder.mkdir()
    _, identity = libraries.sections(
        written(folder, {"a1": {"x": 500, "y": 4}, "a2": {"x": 2, "y": 900}}, {})
    )
    assert "Possible sample swap in A" in identity.data
