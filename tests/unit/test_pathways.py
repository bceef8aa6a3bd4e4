"""PATHWAYS: the model of decoupler, signs, strata that do not touch each other, sets that are skipped."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import pathways as step
from cartox.cli import InputError
from cartox.contrasts import Contrast
from cartox.matrices.matrix import CountMatrix
from cartox.signals import gene_sets
from cartox.signals.pathways import standardised, ulm
from cartox.signals.pseudobulk import write_pseudobulk
from cartox.strata import of_contrast

NET = gene_sets.load(list(gene_sets.SHIPPED), step.GENE_SETS)
IFNG = "HALLMARK_INTERFERON_GAMMA_RESPONSE"
UP = set(NET["target"][NET["source"] == IFNG])
IL4 = NET[NET["source"] == "CYTOSIG_IL4"].set_index("target")["weight"]


def write_cohort(folder: Path, patients: int = 8, seed: int = 0) -> Path:
    """D0 and D7 of each patient; at D7 even patients have IFNG targets up and IL4's signature on."""
    rng = np.random.default_rng(seed)
    genes = np.array(
        sorted(UP | set(IL4.abs().nlargest(400).index) | {f"G{i}" for i in range(1200)} | {"XIST"})
    )
    base = rng.gamma(0.8, 60, len(genes))
    set_up, signature = np.isin(genes, list(UP)), IL4.reindex(genes).fillna(0).to_numpy()
    rows = []
    for p in range(patients):
        for day in ("D0", "D7"):
            sample = f"P{p}_{day}"
            planted = day == "D7" and p % 2 == 0
            counts = []
            for kind in ("CD14_Mono", "CD4_T", "rare"):
                mean = base * rng.gamma(20, 1 / 20, len(genes))
                if planted and kind == "CD14_Mono":
                    mean = mean * np.where(set_up, 1.8, 1)
                if planted and kind == "CD4_T":
                    mean = mean * np.exp2(0.8 * np.sign(signature))
                counts.append(rng.poisson(mean * (0.05 if kind == "rare" else 1)))
            kinds = np.array(["CD14_Mono", "CD4_T", "rare"])
            sums = CountMatrix(sparse.csr_matrix(np.array(counts)), kinds, genes, genes)
            write_pseudobulk(folder / f"{sample}.pseudobulk.h5", sums, np.array([60, 80, 7]))
            rows.append({"sample": sample, "patient": f"P{p}", "timepoint": day, "batch": f"P{p}"})
    pd.DataFrame(rows).to_csv(folder / "samples.csv", index=False)
    contrasts = {
        "day7": {"where": {"timepoint": ["D7"]}},
        "everything": {},
        "change": {"where": {"timepoint": ["D7"]}, "level": "change", "baseline": "D0"},
    }
    for name, what in contrasts.items():
        Contrast(name, "~ arm", "arm", **what).write(folder)
    return folder


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, *more: str, reverse: bool = False) -> pd.DataFrame:
    monkeypatch.chdir(folder)
    files = sorted((str(path) for path in folder.glob("*.pseudobulk.h5")), reverse=reverse)
    contrasts = sorted(
        (str(path) for path in folder.glob("*.json") if path.stem != "pathways"), reverse=reverse
    )
    step.main(["--pseudobulk", *files, "--samples", "samples.csv", "--contrasts", *contrasts, *more])
    return pd.read_parquet("pathway_scores.parquet")


def score(table: pd.DataFrame, stratum: str, cell_type: str, feature: str) -> pd.Series:
    wanted = (table["stratum"] == stratum) & (table["cell_type"] == cell_type) & (table["feature"] == feature)
    return table[wanted].set_index("sample")["value"]


def test_ulm_equals_decoupler():
    import decoupler

    rng = np.random.default_rng(0)
    genes = sorted(set(NET["target"]))[:3000]
    values = pd.DataFrame(rng.normal(size=(7, len(genes))), columns=genes, index=[f"s{i}" for i in range(7)])
    theirs, _ = decoupler.mt.ulm(values, NET, tmin=5, empty=False)
    weights = NET.pivot_table(index="target", columns="source", values="weight").reindex(genes).fillna(0)
    weights = weights[theirs.columns]
    ours = pd.DataFrame(ulm(values.to_numpy(), weights.to_numpy()), values.index, weights.columns)
    assert theirs.shape[1] > 100
    assert np.abs(ours.to_numpy() - theirs.to_numpy()).max() < 1e-8


def test_planted_set_and_signature_are_found_with_their_sign(tmp_path, monkeypatch):
    table = run(write_cohort(tmp_path), monkeypatch)
    for stratum in ("day7", "all", "everything", "change"):
        for kind, feature in (("CD14_Mono", IFNG), ("CD4_T", "CYTOSIG_IL4")):
            values = score(table, stratum, kind, feature)
            planted = values.index.isin([f"P{p}_D7" for p in range(0, 8, 2)])
            assert values[planted].min() > values[~planted].max() + 3, (stratum, feature)
    assert set(score(table, "day7", "CD4_T", IFNG).index) == {f"P{p}_D7" for p in range(8)}
    assert len(score(table, "change", "CD4_T", IFNG)) == 16


def test_scores_of_a_stratum_do_not_depend_on_other_samples(tmp_path, monkeypatch):
    first = run(write_cohort(tmp_path), monkeypatch)
    for path in tmp_path.glob("*_D0.pseudobulk.h5"):  # other counts, other genes
        rng = np.random.default_rng(9)
        genes = np.array(sorted(UP))[:150]
        counts = sparse.csr_matrix(rng.poisson(30, (2, 150)))
        write_pseudobulk(
            path, CountMatrix(counts, np.array(["CD14_Mono", "T"]), genes, genes), np.array([99, 99])
        )
    second = run(tmp_path, monkeypatch)
    day7 = [table[table["stratum"] == "day7"].reset_index(drop=True) for table in (first, second)]
    pd.testing.assert_frame_equal(*day7)
    assert not first[first["stratum"] == "all"].equals(second[second["stratum"] == "all"])


def test_order_of_files_changes_nothing(tmp_path, monkeypatch):
    first = run(write_cohort(tmp_path), monkeypatch)
    pd.testing.assert_frame_equal(first, run(tmp_path, monkeypatch, reverse=True))


def test_few_cells_and_few_genes_are_left_out_and_said(tmp_path, monkeypatch):
    (write_cohort(tmp_path) / "mine.gmt").write_text(
        "MINE\t\t" + "\t".join(sorted(UP)[:30]) + "\nNONE\t\tA1\tA2\n"
    )
    table = run(tmp_path, monkeypatch, "--gene_sets", "hallmark,mine.gmt")
    assert set(table["cell_type"]) == {"CD14_Mono", "CD4_T"}
    assert set(table["collection"]) == {"hallmark", "mine"}
    notes = json.loads(Path("pathways.json").read_text())
    said = {(note["stratum"], note["cell_type"]): note for note in notes["scored"]}
    assert "0 samples have 25 cells" in said["all", "rare"]["note"]
    assert "NONE" in said["all", "CD4_T"]["skipped"]
    assert said["all", "CD4_T"]["n_genes"] > 500
    again = run(tmp_path, monkeypatch, "--gene_sets", "hallmark,mine.gmt", "--min_cells", "5")
    assert "rare" in set(again["cell_type"])


def test_pseudobulk_table_has_raw_sums_and_who_they_are_from(tmp_path, monkeypatch):
    import anndata

    run(write_cohort(tmp_path), monkeypatch, "--car_features", "G1")
    bulk = anndata.read_h5ad("pseudobulk.h5ad")
    assert bulk.shape[0] == 16 * 3
    assert list(bulk.obs.columns) == ["sample", "patient", "timepoint", "cell_type", "n_cells"]
    assert np.array_equal(bulk.X.data, np.round(bulk.X.data))
    assert set(bulk.var["gene"][bulk.var["excluded"]]) == {"XIST", "G1"}


def test_standardised_keeps_expressed_genes_that_vary():
    rng = np.random.default_rng(0)
    counts = rng.poisson(50, (6, 200)).astype(float)
    counts[:, 0] = 0
    counts[:2, 1], counts[2:, 1] = 40, 0  # a third of the samples: a small outcome group
    counts[:1, 2], counts[1:, 2] = 40, 0
    values, kept = standardised(counts)
    assert kept.tolist()[:3] == [False, True, False]
    assert np.allclose(values.mean(axis=0), 0)
    assert np.allclose(values.std(axis=0, ddof=1), 1)


def test_a_stratum_takes_sheet_columns_and_refuses_others():
    sheet = pd.DataFrame({"sample": ["b", "a"], "timepoint": ["D7", "D0"], "arm": ["1", "1"]})

    def taken(**where: list[str]) -> list[str]:
        return of_contrast(sheet, Contrast("x", "~ arm", "arm", where=where))

    assert taken(arm=["1"]) == ["a", "b"]
    assert taken(timepoint=["D7"]) == ["b"]
    with pytest.raises(InputError, match="tissue"):
        taken(tissue=["blood"])


def test_a_sample_without_rows_is_no_fault(tmp_path, monkeypatch):
    genes = np.array(["G1", "XIST"])
    nothing = CountMatrix(sparse.csr_matrix((0, 2), dtype=int), np.array([], dtype=str), genes, genes)
    write_pseudobulk(write_cohort(tmp_path) / "P9_D7.pseudobulk.h5", nothing, np.array([], dtype=int))
    assert "P9_D7" not in set(run(tmp_path, monkeypatch)["sample"])


@pytest.mark.real
def test_interferon_is_what_interferon_beta_does_to_monocytes(tmp_path, monkeypatch, shared):
    """Kang 2018: PBMC of eight patients, with and without interferon-beta; monocytes by a few markers."""
    from scipy.io import mmread
    from scipy.stats import ttest_rel

    folder = shared("data/kang")
    rows = []
    for where in sorted((folder / "matrices").iterdir()):
        counts = sparse.csr_matrix(mmread(where / "matrix.mtx.gz")).T.tocsr()
        genes = pd.read_csv(where / "features.tsv.gz", sep="\t", header=None)[1].to_numpy(dtype=str)
        myeloid = counts[:, np.isin(genes, ["LYZ", "CST3", "TYROBP", "FCER1G", "CD14"])].sum(axis=1)
        lymphoid = counts[:, np.isin(genes, ["CD3D", "CD3E", "IL32", "LTB", "CD79A", "GNLY"])].sum(axis=1)
        cells = np.asarray((myeloid > 4 * lymphoid) & (myeloid > 4)).ravel()
        _, first = np.unique(genes, return_index=True)
        sums = sparse.csr_matrix(counts[cells].sum(axis=0))[:, first]
        bulk = CountMatrix(sums, np.array(["Mono"]), genes[first], genes[first])
        write_pseudobulk(tmp_path / f"{where.name}.pseudobulk.h5", bulk, np.array([cells.sum()]))
        rows.append({"sample": where.name, "patient": where.name.split("_")[0], "timepoint": "6h"})
    pd.DataFrame(rows).to_csv(tmp_path / "samples.csv", index=False)
    table = run(tmp_path, monkeypatch, "--gene_sets", "hallmark", "--min_cells", "10")
    wide = table[table["stratum"] == "all"].pivot_table(index="sample", columns="feature", values="value")
    before, after = (wide[wide.index.str.endswith(end)] for end in ("_ctrl", "_stim"))
    assert len(before) == len(after) >= 6
    t = pd.Series(ttest_rel(after, before).statistic, wide.columns).sort_values()
    assert set(t.index[-2:]) == {"HALLMARK_INTERFERON_ALPHA_RESPONSE", IFNG}
    assert t.iloc[-2] > 8
