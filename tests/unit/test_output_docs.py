"""docs/output.md against what the steps write: columns of features.parquet, and the code of its example."""

from __future__ import annotations

import re
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from tables import Cohort, write
from test_features import run as run_features
from test_features import write_inputs

import associate

DOCS = (Path(__file__).resolve().parents[2] / "docs/output.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return DOCS.split(f"\n## {title}\n")[1].split("\n## ")[0]


def first_cells(table: str) -> list[str]:
    """First cells of the rows of a table in Markdown, without its head."""
    return re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)


def test_features_are_described_column_by_column_and_kind_by_kind(tmp_path, monkeypatch):
    table = run_features(write_inputs(tmp_path), monkeypatch)
    columns, kinds = section("features.parquet").split("\n\n| `kind` |")
    written = pd.read_parquet("features.parquet")
    told = dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", columns, re.MULTILINE))
    assert told == {name: str(kind) for name, kind in written.dtypes.items()}
    assert list(told) == list(written.columns)
    assert set(table["kind"]) <= set(first_cells(kinds))
    listed = re.findall(r"`(\w+)`", next(line for line in columns.splitlines() if "`kind`" in line))
    assert set(listed[1:]) == set(first_cells(kinds))
    named = table[table["kind"].isin(["composition", "car", "qc"])]["feature"].unique()
    assert {name for name in named if f"| `{name}` |" not in kinds} == set()


def example() -> str:
    return re.findall(r"```python\n(.*?)```", section("A figure from the tables"), re.DOTALL)[0]


def test_the_example_draws_the_strip_plot_of_the_first_declared_finding(tmp_path, monkeypatch):
    plt = pytest.importorskip("matplotlib.pyplot")
    mpl.use("Agg")
    args = write(tmp_path / "given", Cohort(planted=3.5))
    results = tmp_path / "results/demo"
    (results / "associations").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    associate.main([*args, "--n_calibration", "20"])
    Path("tox.associations.csv").rename(results / "associations.csv")
    Path("tox.values.parquet").rename(results / "associations/tox.values.parquet")
    assert len(example().splitlines()) == 10
    plt.close("all")
    exec(compile(example(), "docs/output.md", "exec"), {})
    assert Path("finding.png").stat().st_size > 5000
    axes = plt.gcf().axes[0]
    points = np.asarray(axes.collections[0].get_offsets())
    tests = pd.read_csv(results / "associations.csv")
    top = tests[tests["family"] == "primary"].sort_values("q").iloc[0]
    assert axes.get_title().startswith(f"{top['feature']}: yes − no ")
    assert len(points) == top["n"] == 12
    # the picture shows what was tested: the higher group is the one that the estimate says
    means = pd.Series(points[:, 1]).groupby(points[:, 0]).mean()
    groups = [label.get_text() for label in axes.get_xticklabels()]
    by_group = dict(zip(groups, means, strict=True))
    assert (by_group["yes"] > by_group["no"]) == (top["estimate"] > 0)
    plt.close("all")
