"""The demo cohort: deterministic, extendable, planted where its truth says and nowhere in the null twin."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

import simulate_cohort
from cartox.cli import InputError
from cartox.demo.simulate import _barcodes, sample
from cartox.demo.trial import CAR, load_profiles, serum, trial
from cartox.demo.truth import touched, truth
from cartox.matrices.matrix import CountMatrix, read_h5, require_counts

PROFILES = simulate_cohort.PROFILES
TABLES = ["samples.csv", "patients.csv", "serum.csv", "contrasts.yml", "truth.csv", "labels_truth.csv.gz"]


@pytest.fixture(scope="module")
def profiles():
    return load_profiles(PROFILES)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo")
    simulate_cohort.main(["--out", str(out), "--patients", "4", "--cells", "120", "--seed", "5"])
    return out


def same(one: CountMatrix, other: CountMatrix) -> bool:
    return (one.counts != other.counts).nnz == 0 and bool((one.barcodes == other.barcodes).all())


def test_the_same_seed_gives_the_same_cohort(cohort: Path, tmp_path: Path):
    simulate_cohort.main(["--out", str(tmp_path), "--patients", "4", "--cells", "120", "--seed", "5"])
    for name in TABLES:
        assert (tmp_path / name).read_bytes() == (cohort / name).read_bytes(), name
    for path in sorted((cohort / "matrices").iterdir()):
        assert same(read_h5(path), read_h5(tmp_path / "matrices" / path.name))


def test_another_seed_gives_another_cohort(profiles):
    patients = trial(1, 5)
    one, other = (sample(profiles, patients, 0, 0, 30, seed, False, True)[0] for seed in (5, 6))
    assert not np.array_equal(one.barcodes, other.barcodes)


def test_one_more_patient_changes_nothing_for_the_others(cohort: Path, tmp_path: Path):
    simulate_cohort.main(["--out", str(tmp_path), "--patients", "5", "--cells", "120", "--seed", "5"])
    for name in ["samples.csv", "patients.csv", "serum.csv", "labels_truth.csv.gz"]:
        before, after = pd.read_csv(cohort / name, dtype=str), pd.read_csv(tmp_path / name, dtype=str)
        pd.testing.assert_frame_equal(before, after.iloc[: len(before)])
    for path in sorted((cohort / "matrices").iterdir()):
        assert same(read_h5(path), read_h5(tmp_path / "matrices" / path.name))


def test_sheets_and_matrices_belong_together(cohort: Path):
    sheet = pd.read_csv(cohort / "samples.csv")
    assert list(sheet) == ["sample", "patient", "timepoint", "batch", "path"]
    assert len(sheet) == 12 and sheet["batch"].nunique() == 4
    labels = pd.read_csv(cohort / "labels_truth.csv.gz", keep_default_na=False)
    genes = set()
    for row in sheet.itertuples():
        matrix = read_h5(cohort / str(row.path))
        require_counts(matrix.counts.data, str(row.path))
        genes.add(tuple(matrix.genes))
        known = labels[labels["sample"] == row.sample]
        assert list(matrix.barcodes) == list(known["barcode"]) and known["barcode"].is_unique
    assert len(genes) == 1 and CAR in next(iter(genes))
    with h5py.File(cohort / str(sheet["path"][0])) as file:
        assert file["matrix/data"].dtype == np.int32


def test_trial_is_balanced_at_any_size():
    for n in (12, 16, 40):
        table = trial(n, 3)
        assert (pd.crosstab(table["toxicity"], table["anakinra"]) == n // 4).all(axis=None)
        assert set(table.loc[table["toxicity"] == "yes", "grade"]) <= {2, 3, 4}
        assert set(table.loc[table["toxicity"] == "no", "grade"]) <= {0, 1}
        assert pd.crosstab(table["toxicity"], table["sex"]).min(axis=None) >= n // 6


def test_serum_has_values_below_the_limit_and_follows_toxicity():
    patients = trial(12, 1)
    table = serum(patients, 1, null=False)
    below = table["value"].str.startswith("<")
    assert below.any() and (table.loc[below, "value"].str[1:].astype(float) == table.loc[below, "lloq"]).all()
    table["number"] = table["value"].str.lstrip("<").astype(float)
    late = table[table["timepoint"] == "D7"].merge(patients)
    median = late.pivot_table(index="analyte", columns="toxicity", values="number", aggfunc="median")
    assert median.loc["IFNG", "yes"] > 3 * median.loc["IFNG", "no"]
    arm = late.pivot_table(index="analyte", columns="anakinra", values="number", aggfunc="median")
    assert arm.loc["IL-1RA", "yes"] > 5 * arm.loc["IL-1RA", "no"]
    twin = serum(patients, 1, null=True)
    calm = set(patients.loc[patients["toxicity"] == "no", "patient"])
    changed = twin["value"] != table["value"]
    assert changed.any() and not set(twin.loc[changed, "patient"]) & calm
    assert set(twin.loc[changed, "analyte"]) == {"IFNG", "CXCL10"}


def folds(profiles, timepoint: int, cell_type: str, null: bool, patients: int = 8) -> pd.Series:
    """Mean log2 fold of each gene between patients with and without toxicity, in true cells of a type."""
    table = trial(patients, 2)
    levels = []
    for i in range(patients):
        matrix, labels = sample(profiles, table, i, timepoint, 250, 2, null, False)
        sums = np.asarray(matrix.counts[(labels["cell_type"] == cell_type).to_numpy()].sum(axis=0)).ravel()
        levels.append(np.log2((sums + 0.5) / sums.sum() * 1e4))
    toxic = (table["toxicity"] == "yes").to_numpy()
    levels = np.array(levels)
    fold = pd.Series(levels[toxic].mean(axis=0) - levels[~toxic].mean(axis=0), index=profiles.genes)
    return fold[levels.mean(axis=0) > -1]  # half a count per 10,000, below which chance rules


@pytest.mark.parametrize(("timepoint", "cell_type"), [(2, "CD14_Mono"), (0, "CD4_T")])
def test_planted_genes_move_as_the_truth_says(profiles, timepoint: int, cell_type: str):
    known = truth(profiles, null=False)
    known = known[(known["kind"] == "expression") & (known["planted"] == 1)]
    contrast = ["tox_product", "tox_baseline", "tox_day7"][timepoint]
    planted = known[(known["contrast"] == contrast) & (known["cell_type"] == cell_type)].set_index("feature")
    seen = folds(profiles, timepoint, cell_type, null=False)
    rest = seen.drop(planted.index, errors="ignore")
    planted = planted[planted.index.isin(seen.index)]
    assert len(planted) > 30
    assert (np.sign(seen[planted.index]) == planted["direction"]).mean() > 0.9
    assert abs(rest.median()) < 0.05
    twin = folds(profiles, timepoint, cell_type, null=True).reindex(planted.index).dropna()
    planted = planted.loc[twin.index]
    assert abs((twin * planted["direction"]).median()) < 0.1


def test_null_twin_has_no_truth_and_the_same_calm_patients(profiles):
    assert truth(profiles, null=True).empty
    patients = trial(2, 4)
    planted, twin = (sample(profiles, patients, 0, 2, 40, 4, null, True)[0] for null in (False, True))
    assert same(planted, twin)
    planted, twin = (sample(profiles, patients, 1, 2, 40, 4, null, True)[0] for null in (False, True))
    assert not same(planted, twin)


def test_faults_and_car_and_sex_show_in_the_counts(profiles):
    patients = trial(2, 1)
    matrix, labels = sample(profiles, patients, 0, 0, 400, 1, False, True)
    totals = np.asarray(matrix.counts.sum(axis=1)).ravel()
    mito = np.asarray(matrix.counts[:, [g.startswith("MT-") for g in matrix.genes]].sum(axis=1)).ravel()
    sound = (labels[["doublet", "empty", "high_mito"]].sum(axis=1) == 0).to_numpy()
    assert 2500 < np.median(totals[sound]) < 5000
    assert totals[labels["empty"] == 1].max() < 400
    assert np.median(totals[labels["doublet"] == 1]) > 1.5 * np.median(totals[sound])
    alone = (labels["high_mito"] == 1) & (labels["doublet"] == 0)
    assert (mito / totals)[alone].min() > 0.2 > (mito / totals)[sound].max()
    car = matrix.counts[:, matrix.columns([CAR])[0]].toarray().ravel() > 0
    t_cells = sound & (labels["lineage"] == "T").to_numpy()
    assert 0.35 < car[t_cells].mean() < 0.65
    xist, rps4y1 = matrix.columns(["XIST", "RPS4Y1"])
    assert patients["sex"][0] == "F" and matrix.counts[:, xist].sum() > 0 == matrix.counts[:, rps4y1].sum()
    before, _ = sample(profiles, patients, 0, 1, 400, 1, False, True)
    assert before.counts[:, before.columns([CAR])[0]].sum() == 0
    _, labels = sample(profiles, patients, 0, 0, 50, 1, False, False)
    assert len(labels) == 50 and not labels[["doublet", "empty", "high_mito"]].to_numpy().any()


def test_touched_follows_genes_into_sets_pairs_and_lineages(profiles):
    rows = [
        ("tox_day7", "expression", "CD14_Mono", "CXCL10", True),
        ("tox_day7", "expression", "Myeloid", "CXCL10", True),
        ("tox_day7", "expression", "CD14_Mono", "MALAT1", False),
        ("tox_day7", "expression", "another type", "CXCL10", True),
        ("tox_baseline", "expression", "CD14_Mono", "CXCL10", False),
        ("tox_day7", "pathway", "CD14_Mono", "WITH", True),
        ("tox_day7", "pathway", "CD14_Mono", "WITHOUT", False),
        ("tox_product", "pathway", "T", "WITH", False),
        ("tox_day7", "ligrec", "CD8_T^CD14_Mono", "IFNG^IFNGR1_IFNGR2", True),
        ("tox_day7", "ligrec", "CD4_T^CD4_T", "TGFB1^TGFBR1_TGFBR2", False),
        ("tox_day7", "composition", "CD14_Mono", "clr", False),
        ("tox_day7", "analyte", "", "IFNG", True),
        ("tox_day7", "analyte", "", "IL-6", False),
    ]
    table = pd.DataFrame(rows, columns=["contrast", "kind", "cell_type", "feature", "expected"])
    members = {"WITH": ["CXCL10", "MALAT1"], "WITHOUT": ["MALAT1"]}
    assert (touched(table, truth(profiles, null=False), members) == table["expected"]).all()
    assert not touched(table, truth(profiles, null=True), members).any()


def test_one_type_alone_a_second_visit_and_a_wider_spread(profiles):
    patients = trial(4, 3)
    frequent = np.argsort(-profiles.of("CD14_Mono", "activated"))[:1000]

    def levels(visit: int, spread: float) -> np.ndarray:
        rows = []
        for i in range(len(patients)):
            matrix, labels = sample(
                profiles, patients, i, 2, 200, 3, True, False, spread=spread, visit=visit, only="CD14_Mono"
            )
            assert set(labels["cell_type"]) == {"CD14_Mono"} and len(labels) == 200
            rows.append(np.asarray(matrix.counts.sum(axis=0)).ravel())
        counts = np.array(rows)[:, frequent] + 0.5
        logs = np.log(counts / counts.sum(axis=1, keepdims=True))
        return logs - logs.mean(axis=0)

    first, second, wide = levels(0, 1), levels(1, 1), levels(0, 3)
    assert not np.array_equal(first, second)
    # visits of a patient share what sets the patient apart, and a wider spread sets patients further apart
    assert np.corrcoef(first.ravel(), second.ravel())[0, 1] > 0.6
    assert 2 < wide.std() / first.std() < 3


def test_barcodes_are_unique_where_many_are_drawn_alike():
    class Alike:
        """Draws of 256 different barcodes alone."""

        rng = np.random.default_rng(0)

        def integers(self, low, high, size):
            return self.rng.integers(low, 2, size) * (np.arange(16) < 8)

    assert len(set(_barcodes(Alike(), 200))) == 200


def test_bad_arguments_are_all_named(tmp_path: Path):
    with pytest.raises(InputError) as error:
        arguments = ["--out", str(tmp_path), "--patients", "0", "--cells", "3", "--profiles", str(tmp_path)]
        simulate_cohort.main(arguments)
    assert len(error.value.faults) == 4
