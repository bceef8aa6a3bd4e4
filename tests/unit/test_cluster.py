"""CLUSTER and LAYOUT: exact neighbours, planted groups, repeatability, the picture before integration."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import NearestNeighbors

import cluster
import layout
from cartox import cpus
from cartox.cells import neighbours
from cartox.cli import InputError

FILES = ["--cells", "cells.parquet", "--pca", "pca.npy", "--harmony", "harmony.npy"]
TRUTH = np.random.default_rng(1).choice(4, 600, p=[0.4, 0.3, 0.2, 0.1])


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    values = rng.normal(size=(600, 10)) + 8 * rng.normal(size=(4, 10))[TRUTH]
    np.save("harmony.npy", values.astype(np.float32))
    np.save("pca.npy", (values + rng.normal(size=(600, 10))).astype(np.float32))
    cells = {"sample": np.repeat(["A", "B"], [400, 200]), "barcode": np.arange(600).astype(str)}
    pd.DataFrame(cells).to_parquet("cells.parquet")


def run(*flags: str) -> pd.DataFrame:
    files = ["--cells", "cells.parquet", "--harmony", "harmony.npy"]
    cluster.main([*files, *flags])
    return pd.read_parquet("clusters.parquet")


def laid_out() -> pd.DataFrame:
    run()
    layout.main([*FILES, "--neighbours", "neighbours.npz"])
    return pd.read_parquet("layout.parquet")


def test_planted_groups_are_found_and_runs_agree():
    found = run("--resolution", "0.2")
    assert adjusted_rand_score(TRUTH, found["cluster"]) > 0.9
    sizes = found["cluster"].value_counts()
    assert sizes.sum() == 600 and sizes["0"] == sizes.max()
    pd.testing.assert_frame_equal(found, run("--resolution", "0.2"))


def test_groups_lie_apart_in_the_picture():
    found = laid_out()
    pd.testing.assert_frame_equal(found, laid_out())
    assert np.isfinite(found.filter(like="umap").to_numpy()).all()
    umap = found[["umap_1", "umap_2"]].to_numpy()
    near = NearestNeighbors(n_neighbors=10).fit(umap).kneighbors(return_distance=False)
    assert (TRUTH[near] == TRUTH[:, None]).mean() > 0.95


def test_higher_resolution_gives_more_clusters():
    assert run("--resolution", "3")["cluster"].nunique() > run("--resolution", "0.2")["cluster"].nunique()


def test_neighbours_are_exact():
    values = np.load("pca.npy")
    found, distance = neighbours.nearest(values, 15, 0)
    wanted, rows = NearestNeighbors(n_neighbors=15).fit(values).kneighbors()
    assert np.allclose(distance, wanted, atol=1e-5)
    assert np.mean([len(set(a) & set(b)) for a, b in zip(found, rows, strict=True)]) > 14.99


@pytest.mark.parametrize("exact_up_to", [100_000, 100])
def test_neighbours_do_not_depend_on_cpus(monkeypatch, exact_up_to):
    values = np.load("pca.npy")
    monkeypatch.setattr(neighbours, "BLOCK", 70)
    monkeypatch.setattr(neighbours, "EXACT_UP_TO", exact_up_to)
    by_cpus = []
    for n in (1, 2, 5):
        monkeypatch.setattr(cpus, "available", lambda n=n: n)
        by_cpus.append(neighbours.nearest(values, 15, 0))
    for other in by_cpus[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(by_cpus[0], other, strict=True))


def test_clustering_imports_no_pyplot_and_leaves_it_to_others():
    said = "import sys, numpy as np; from cartox.cells import neighbours as n\n"
    said += "n.leiden(n.fuzzy_graph(np.array([[1], [0], [0]]), np.ones((3, 1), np.float32)), 1, 0)\n"
    said += "assert 'matplotlib' not in sys.modules; import matplotlib.pyplot"
    environment = {**os.environ, "PYTHONPATH": str(Path(cluster.__file__).parent)}
    done = subprocess.run(
        [sys.executable, "-c", said], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.real
def test_approximate_neighbours_are_nearly_those(monkeypatch, shared):
    values = pd.read_csv(shared("data/harmony/pbmc_3500_pcs.tsv.gz"), sep="\t").to_numpy(np.float32)
    exact, _ = plain = neighbours.nearest(values, 15, 0)
    monkeypatch.setattr(neighbours, "EXACT_UP_TO", 100)
    found, distance = neighbours.nearest(values, 15, 0)
    recall = np.mean([len(set(a) & set(b)) / 15 for a, b in zip(found, exact, strict=True)])
    assert recall >= 0.97 and (distance > 0).all()
    near, far = (
        neighbours.leiden(neighbours.fuzzy_graph(*pair), 0.5, 0) for pair in (plain, (found, distance))
    )
    assert adjusted_rand_score(near, far) >= 0.9


@pytest.mark.real
def test_picture_keeps_neighbours_as_another_umap_does(shared):
    values = pd.read_csv(shared("data/harmony/pbmc_3500_pcs_harmonized.tsv.gz"), sep="\t").to_numpy(
        np.float32
    )
    found, distance = neighbours.nearest(values, 15, 0)
    graph = neighbours.fuzzy_graph(found, distance)
    peer = graph.layout_umap(weights=graph.es["weight"], min_dist=neighbours.MIN_DIST, epochs=200)

    def kept(picture: np.ndarray) -> float:
        near, _ = neighbours.nearest(np.asarray(picture, dtype=np.float32), 15, 0)
        return float(np.mean([len(set(a) & set(b)) / 15 for a, b in zip(found, near, strict=True)]))

    own = neighbours.layout(found, distance, values, 0)
    assert np.array_equal(own, neighbours.layout(found, distance, values, 0))
    assert not np.array_equal(own, neighbours.layout(found, distance, values, 1))
    assert kept(own) > 0.95 * kept(np.asarray(peer.coords))
    assert kept(own) > 10 * kept(np.random.default_rng(0).standard_normal(own.shape))


def test_picture_before_integration_is_drawn_on_a_share_of_each_sample(monkeypatch):
    monkeypatch.setattr(layout, "RAW_CELLS", 150)
    found = laid_out()
    drawn = found.dropna()
    assert drawn.groupby("sample").size().to_dict() == {"A": 100, "B": 50}


def test_without_integration_both_pictures_are_the_same():
    np.save("pca.npy", np.load("harmony.npy"))
    found = laid_out()
    assert np.array_equal(found["umap_1"], found["raw_umap_1"])


def test_few_cells_and_other_rows():
    for name in ("pca", "harmony"):
        np.save(f"{name}.npy", np.load(f"{name}.npy")[:12])
    with pytest.raises(InputError, match=r"harmony.npy: 12 rows, but cells.parquet has 600"):
        run()
    pd.read_parquet("cells.parquet")[:12].to_parquet("cells.parquet")
    assert len(laid_out()) == 12
    pd.read_parquet("cells.parquet")[:11].to_parquet("cells.parquet")
    with pytest.raises(InputError, match=r"pca.npy: 12 rows, but cells.parquet has 11"):
        layout.main([*FILES, "--neighbours", "neighbours.npz"])


@pytest.mark.real
def test_graph_clusters_as_scanpys(shared):
    import anndata
    import scanpy as sc

    values = pd.read_csv(shared("data/harmony/pbmc_3500_pcs_harmonized.tsv.gz"), sep="\t").to_numpy(
        np.float32
    )
    adata = anndata.AnnData(obsm={"X_pca": values}, shape=values.shape)
    sc.pp.neighbors(adata, n_neighbors=16, use_rep="X_pca", random_state=0)
    sc.tl.leiden(adata, flavor="igraph", n_iterations=2, resolution=0.5, random_state=0)
    graph = neighbours.fuzzy_graph(*neighbours.nearest(values, 15, 0))
    own = neighbours.leiden(graph, 0.5, 0)
    assert adjusted_rand_score(adata.obs["leiden"], own) >= 0.8


def test_without_a_gpu_the_error_says_what_to_do():
    with pytest.raises(InputError, match=r"--device gpu: cuml.neighbors could not be loaded"):
        run("--device", "gpu")
