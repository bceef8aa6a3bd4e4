"""TENSOR: a planted programme becomes a factor that ASSOCIATE calls; nothing is found where nothing is."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tables import Cohort, write

import associate
import features
import tensor as step
from cartox.cli import InputError
from cartox.signals import tensor

TYPES = ["B", "CD14_Mono", "CD4_T", "CD8_T"]
PROGRAMME = [f"L{i:02d}^R{i:02d}" for i in range(8)]  # from CD8 T cells to monocytes
KEYS = ["source", "target", "ligand", "receptor"]


@dataclass
class Scores:
    """Tables of LIGREC to draw. `planted`: the programme's rise, in SD of the noise, in `raised` samples."""

    samples: list[str]
    planted: float = 0.0
    raised: set[str] = field(default_factory=set)
    n_pairs: int = 30
    structure: float = 1.0
    seed: int = 0

    def tables(self) -> dict[str, pd.DataFrame]:
        rng = np.random.default_rng(self.seed)
        pairs = [f"L{i:02d}^R{i:02d}" for i in range(self.n_pairs)]
        # what all samples share: two programmes of other pairs, at levels that differ by chance
        parts = [
            np.einsum("p,s,r->psr", *(rng.gamma(0.5, 1, n) for n in (self.n_pairs, 4, 4))) for _ in range(2)
        ]
        own = np.zeros((self.n_pairs, 4, 4))
        own[: len(PROGRAMME), TYPES.index("CD8_T"), TYPES.index("CD14_Mono")] = 1
        tables = {}
        for sample in self.samples:
            scores = self.structure * sum(rng.gamma(20, 0.05) * part for part in parts)
            scores = scores + own * (1 + 0.25 * rng.normal() + 0.25 * self.planted * (sample in self.raised))
            scores = np.maximum(scores + 0.1 * rng.normal(size=scores.shape), 0)
            pair, source, target = np.nonzero(scores > 0.05)
            names = np.array(pairs)[pair]
            tables[sample] = pd.DataFrame(
                {
                    "sample": sample,
                    "source": np.array(TYPES)[source],
                    "target": np.array(TYPES)[target],
                    "ligand": [name.split("^")[0] for name in names],
                    "receptor": [name.split("^")[1] for name in names],
                    "lr_means": scores[pair, source, target].round(5),
                    "ligand_props": 0.5,
                    "receptor_props": 0.5,
                }
            )
        return tables


def write_inputs(folder: Path, tables: dict[str, pd.DataFrame], sheet: pd.DataFrame | None = None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for sample, table in tables.items():
        table.to_csv(folder / f"{sample}.ligrec.csv.gz", index=False)
    if sheet is None:
        sheet = pd.DataFrame({"sample": sorted(tables), "patient": sorted(tables), "timepoint": "D7"})
    sheet.to_csv(folder / "samples.csv", index=False)


@pytest.fixture
def run(tmp_path, monkeypatch) -> Callable:
    """Write tables and a sheet, run the step on them, read what it wrote."""

    def go(tables, *flags: str, sheet=None, name: str = "a", reverse: bool = False):
        write_inputs(tmp_path / name, tables, sheet)
        monkeypatch.chdir(tmp_path / name)
        files = sorted(map(str, Path().glob("*.ligrec.csv.gz")), reverse=reverse)
        flags = flags or ("--tensor_rank", "3", "--tensor_seeds", "3")
        step.main(["--samples", "samples.csv", "--ligrec", *files, *flags])
        about = {each["stratum"]: each for each in json.loads(Path("tensor.json").read_text())["strata"]}
        return pd.read_csv("tensor.csv"), pd.read_csv("tensor_loadings.csv"), about

    return go


def feature_table(samples: pd.DataFrame) -> pd.DataFrame:
    """FEATURES in the current folder, on TENSOR's table and 100 cells of each type."""
    cells = {"cell_type": TYPES, "lineage": "T", "n_cells": 100, "n_car": 0, "level": "type"}
    for sample in samples["sample"]:
        pd.DataFrame({"sample": sample, **cells}).to_csv(f"{sample}.composition.csv", index=False)
    files = sorted(map(str, Path().glob("*.composition.csv")))
    features.main(["--samples", "samples.csv", "--tensor", "tensor.csv", "--composition", *files])
    return pd.read_parquet("features.parquet").astype({"kind": str, "cell_type": str, "feature": str})


def samples_named(n: int) -> list[str]:
    return [f"P{i:02d}_D7" for i in range(n)]


def associated(folder: Path, run: Callable, planted: float, contrast: dict | None = None):
    """Rows of kind tensor, and contrast.json, of a cohort of 6 against 6 at two visits; effects on day 7."""
    flags = write(folder / "cohort", Cohort(contrast=contrast or {"formula": "~ toxicity"}))
    sheet = pd.read_csv(folder / "cohort/samples.csv", dtype=str)
    toxic = pd.read_csv(folder / "cohort/clinical.csv").query("toxicity == 'yes'")["patient"]
    raised = {f"{patient}_D7" for patient in toxic}
    loadings = run(Scores(list(sheet["sample"]), planted, raised).tables(), sheet=sheet)[1]
    made = feature_table(sheet).query("kind == 'tensor'")
    given = folder / "cohort/features.parquet"
    pd.concat([pd.read_parquet(given), made], ignore_index=True).to_parquet(given)
    associate.main([*flags, "--n_calibration", "20"])
    rows = pd.read_csv("tox.associations.csv", keep_default_na=False, na_values={"p": "", "q": ""})
    return rows[rows["kind"] == "tensor"], json.loads(Path("tox.contrast.json").read_text()), loadings


def test_a_planted_programme_is_a_factor_that_is_called(tmp_path, run):
    rows, _, loadings = associated(tmp_path, run, planted=4)
    called = rows[rows["q"] <= 0.05]
    assert len(called) == 1
    assert called["estimate"].astype(float).item() > 0
    assert set(rows["cell_type"]) == {"D7"}, "baseline has factors of its own"
    assert set(rows["family"]) == {"tensor"}
    assert set(rows["n_per_group"]) == {"no:6 yes:6"}
    of = loadings[(loadings["stratum"] == "D7") & (loadings["factor"] == called["feature"].item())]
    assert set(of[of["mode"] == "pair"].head(len(PROGRAMME))["name"]) == set(PROGRAMME)
    assert of[of["mode"] == "sender"]["name"].iloc[0] == "CD8_T"
    assert of[of["mode"] == "receiver"]["name"].iloc[0] == "CD14_Mono"


def test_without_an_effect_the_same_factors_are_not_called(tmp_path, run):
    rows, _, loadings = associated(tmp_path, run, planted=0)
    assert len(rows) == 3
    assert rows["p"].notna().all()
    assert (rows["q"] > 0.05).all()
    assert loadings.groupby(["stratum", "factor"]).ngroups == 6


def test_factors_of_two_visits_are_not_subtracted(tmp_path, run):
    change = {"formula": "~ toxicity", "level": "change", "baseline": "baseline"}
    rows, about, _ = associated(tmp_path, run, planted=4, contrast=change)
    assert rows.empty
    assert (
        "Communication programmes are not tested: each time point and tissue has its own." in about["notes"]
    )


def test_factors_are_found_from_every_start_and_scaled(run):
    table, _, about = run(Scores(samples_named(12)).tables())
    assert (table["stability"] > 0.95).all()
    assert (table["stable"] == 1).all()
    assert (table["coverage"] == 1).all()
    assert np.allclose(table.groupby("factor")["value"].apply(lambda v: np.mean(v**2)), 1, atol=1e-4)
    assert about["D7"]["explained_variance"] > 0.8
    assert len(about["D7"]["samples"]) == 12


def test_factors_that_depend_on_the_start_are_told_and_not_tested(run):
    sheet = pd.DataFrame({"sample": samples_named(8), "patient": samples_named(8), "timepoint": "D7"})
    noise = Scores(samples_named(8), structure=0).tables()
    table, _, about = run(noise, "--tensor_rank", "5", "--tensor_seeds", "3", sheet=sheet)
    told = {each["factor"]: each["stable"] for each in about["D7"]["factors"]}
    assert set(told.values()) == {True, False}, "the programme that all share, and noise"
    kept = feature_table(sheet).query("kind == 'tensor'")
    assert set(kept["feature"]) == {factor for factor, stable in told.items() if stable}
    assert set(kept["n_cells"]) == {400}
    assert set(table["factor"]) == set(told)


def test_order_of_files_and_rows_and_other_strata_change_nothing(run):
    samples = samples_named(6)
    tables = Scores(samples, n_pairs=12).tables()
    first = run(tables)
    shuffled = {k: table.sample(frac=1, random_state=1) for k, table in tables.items()}
    later = Scores([f"Q{i}" for i in range(5)], n_pairs=12, seed=1).tables()
    names = [*samples, *later]
    times = ["D7"] * len(samples) + ["D14"] * len(later)
    sheet = pd.DataFrame({"sample": names, "patient": names, "timepoint": times})
    second = run(shuffled | later, sheet=sheet.iloc[::-1], name="b", reverse=True)
    for one, other in zip(first[:2], second[:2], strict=True):
        pd.testing.assert_frame_equal(one, other[other["stratum"] == "D7"].reset_index(drop=True))
    assert first[2]["D7"] == second[2]["D7"]
    assert set(second[0]["stratum"]) == {"D7", "D14"}


def test_the_tensor_is_that_of_cell2cell_on_tables_with_their_zeros():
    from cell2cell.tensor import dataframes_to_tensor

    tables = Scores(samples_named(5), n_pairs=12).tables()
    tables["P00_D7"] = tables["P00_D7"].query("source != 'B' and target != 'B'")
    made, about = tensor.build(pd.concat(tables.values()), list(tables), 3)
    assert made is not None
    filled = {}
    for sample, table in tables.items():
        types = sorted(set(table["source"]) | set(table["target"]))
        every = pd.MultiIndex.from_product([types, types, made.pairs], names=["source", "target", "pair"])
        table = table.assign(pair=table["ligand"] + "^" + table["receptor"])
        table = (
            table.set_index(["source", "target", "pair"]).reindex(every)["lr_means"].fillna(0).reset_index()
        )
        filled[sample] = table.assign(
            ligand=table["pair"].str.split("^").str[0], receptor=table["pair"].str.split("^").str[1]
        )
    theirs = dataframes_to_tensor(filled, "source", "target", "ligand", "receptor", "lr_means", how="outer")
    ours = [made.samples, made.pairs, made.types, made.types]
    place = np.ix_(*(pd.Index(b).get_indexer(a) for a, b in zip(ours, theirs.order_names, strict=True)))
    assert np.array_equal(np.nan_to_num(made.data), theirs.tensor[place])
    assert np.array_equal(np.isnan(made.data), theirs.mask[place] == 0)
    assert about["share_missing"] == pytest.approx(7 / 16 / 5)


def test_a_sample_without_the_types_of_a_factor_has_no_loading_on_it(run):
    tables = Scores(samples_named(10)).tables()
    tables["P03_D7"] = tables["P03_D7"].query("source != 'CD14_Mono' and target != 'CD14_Mono'")
    tables["P04_D7"] = tables["P04_D7"].query("source == 'B' and target == 'B'")
    table, loadings, about = run(tables)
    assert about["D7"]["samples_left_out"] == {"P04_D7": "1 of 4 cell types"}
    first = loadings[loadings["mode"] == "receiver"].groupby("factor").first()
    programme = first.index[first["name"] == "CD14_Mono"].item()
    lost = table[table["value"].isna()]
    assert list(zip(lost["sample"], lost["factor"], strict=True)) == [("P03_D7", programme)]
    assert (lost["coverage"] < tensor.COVERED).all()
    assert table["stability"].min() > 0.95


def test_rare_pairs_and_types_are_left_out(run):
    tables = Scores(samples_named(8)).tables()
    for sample in samples_named(8)[:5]:
        kept = tables[sample].query("ligand != 'L00'").replace({"source": {"B": "X"}, "target": {"B": "X"}})
        tables[sample] = kept if sample == "P00_D7" else kept.query("source != 'X' and target != 'X'")
    _, loadings, about = run(tables)
    assert about["D7"]["cell_types_left_out"] == ["B", "X"]
    assert about["D7"]["n_pairs_rare"] == 1
    assert "L00^R00" not in set(loadings["name"])
    assert set(loadings[loadings["mode"] == "sender"]["name"]) == {"CD14_Mono", "CD4_T", "CD8_T"}


def test_past_the_limit_the_pairs_that_vary_most_are_kept(run, monkeypatch):
    monkeypatch.setattr(tensor, "MAX_ENTRIES", 12 * 4 * 4 * 10)
    tables = Scores(samples_named(12), planted=8, raised=set(samples_named(6)), structure=0.2).tables()
    _, loadings, about = run(tables)
    assert about["D7"]["n_pairs"] == 10
    assert about["D7"]["n_pairs_over_limit"] == 20
    assert set(PROGRAMME) <= set(loadings[loadings["mode"] == "pair"]["name"])


@pytest.mark.parametrize(
    ("n", "n_pairs", "rank", "said"),
    [
        (3, 30, "2", "no tensor: 3 samples"),
        (5, 30, "6", "at least 6 are needed"),
        (6, 9, "2", "no tensor: 9 pairs"),
    ],
)
def test_a_stratum_with_too_little_is_said(run, n, n_pairs, rank, said):
    tables = Scores(samples_named(n), n_pairs=n_pairs).tables()
    table, loadings, about = run(tables, "--tensor_rank", rank)
    assert said in about["D7"]["note"]
    assert table.empty
    assert list(table.columns) == step.VALUES
    assert list(loadings.columns) == step.LOADINGS
    sheet = pd.read_csv("samples.csv")
    assert "tensor" not in set(feature_table(sheet)["kind"])


def test_samples_without_a_row_or_a_table_do_not_stop_the_others(run):
    samples = samples_named(6)
    tables = Scores(samples, n_pairs=12).tables()
    tables["P00_D7"] = tables["P00_D7"].head(0)
    tables.pop("P01_D7")
    sheet = pd.DataFrame({"sample": samples, "patient": samples, "timepoint": "D7"})
    table, _, about = run(tables, sheet=sheet)
    assert sorted(about["D7"]["samples_left_out"]) == ["P00_D7", "P01_D7"]
    assert set(table["sample"]) == set(samples[2:])


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda t: t.drop(columns="lr_means"), "P00_D7.ligrec.csv.gz: no column lr_means"),
        (lambda t: t.assign(sample="P99"), "the sheet has no sample P99"),
        (lambda t: t.assign(lr_means="high"), "lr_means is negative or no number"),
        (lambda t: t.assign(lr_means=-t["lr_means"]), "lr_means is negative or no number"),
        (lambda t: pd.concat([t, t.head(1)]), "A pair is listed twice .* in P00_D7"),
    ],
)
def test_faults_of_the_tables_are_told(run, spoil, said):
    tables = Scores(samples_named(4), n_pairs=12).tables()
    tables["P00_D7"] = spoil(tables["P00_D7"])
    with pytest.raises(InputError, match=said):
        run(tables)


@pytest.mark.parametrize("flags", [("--tensor_rank", "0"), ("--tensor_rank", "2", "--tensor_seeds", "1")])
def test_faults_of_the_flags_are_told(run, flags, capsys):
    with pytest.raises(SystemExit) as caught:
        run(Scores(samples_named(4), n_pairs=12).tables(), *flags)
    assert caught.value.code == 2
    assert (
        f"argument {flags[-2]}: '{flags[-1]}' must be a whole number of at least" in capsys.readouterr().err
    )


def test_likeness_matches_factors_in_any_order():
    rng = np.random.default_rng(0)
    loadings = [rng.random((n, 3)) ** 4 for n in (6, 20, 4, 4)]
    first = tensor.Run(loadings, np.ones((6, 3)), 0, True)
    other = tensor.Run([2 * part[:, [2, 0, 1]] for part in loadings], np.ones((6, 3)), 0, True)
    assert np.allclose(tensor.similarity(first, other), 1)
    spoiled = tensor.Run([loadings[0] * [1, 1, 0], *loadings[1:]], np.ones((6, 3)), 0, True)
    assert np.allclose(tensor.similarity(first, spoiled), [1, 1, 0])
