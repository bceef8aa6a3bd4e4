#!/usr/bin/env python3
"""Estimate the demo cohort's profiles from real cells: mean and dispersion of each gene in each cell type.

For whoever wants to rebuild `profiles.tsv.gz`; the pipeline and `make demo` only read the table. Needs the
folder of real data (pbmc_1k, carpall, kang), scanpy and the liana resource (see README.md beside this file).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import io, sparse

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "bin"))

from cartox import cli, genes  # noqa: E402
from cartox.matrices.matrix import CountMatrix, lognormalise, read_h5  # noqa: E402

PBMC = "pbmc_1k/pbmc_1k_v2_filtered_feature_bc_matrix.h5"
PRODUCT, SORTED, UNSORTED = "CAR-T11141510", "CAR-T11528947", "CAR-T10310324"
CYCLE = ["MKI67", "TOP2A", "TYMS", "STMN1", "PCNA", "TUBB", "CENPF", "NUSAP1", "UBE2C", "BIRC5", "TK1"]
# Least mean (counts per 10,000) of genes that a planted ligand-receptor pair needs in patients without
# toxicity too: 15 to 40 % of the cells of a sample then hold one, above liana's 10 %.
FLOORS = {
    ("CD8_T.expanded", "IFNG"): 1.2,
    ("CD8_T.effector", "IFNG"): 0.8,
    ("CD8_T.expanded", "CXCR3"): 2.5,
    ("CD8_T.effector", "CXCR3"): 2.0,
    ("CD14_Mono.activated", "IFNGR1"): 2.0,
    ("CD14_Mono.activated", "IFNGR2"): 2.0,
    ("CD14_Mono.activated", "CXCL10"): 0.7,
}


def symbols(text: str) -> set[str]:
    """Genes of one cell of the marker table, without their weights."""
    return {gene.split(":")[0] for gene in text.split(",") if gene}


def means(matrix: CountMatrix, cells: np.ndarray, prior: np.ndarray | None = None) -> np.ndarray:
    """Counts per 10,000 of the summed cells; with a prior, shrunk to it by the weight of 10,000 counts."""
    sums = np.asarray(matrix.counts[cells].sum(axis=0)).ravel().astype(float)
    if prior is None:
        return sums / sums.sum() * 1e4
    return (sums + prior) / (sums.sum() / 1e4 + 1)


def align(values: np.ndarray, source: np.ndarray, target: np.ndarray, missing: float = np.nan) -> np.ndarray:
    """Values by the genes of `source`, put in the order of `target`."""
    return pd.Series(values, index=source).reindex(target).fillna(missing).to_numpy()


def healthy(matrix: CountMatrix) -> pd.Series:
    """Cell type and state of each cell of the blood donor, by rules on the marker means of clusters."""
    import anndata as ad
    import scanpy as sc

    data = ad.AnnData(lognormalise(matrix.counts), var=pd.DataFrame(index=matrix.genes))
    sc.pp.highly_variable_genes(data, n_top_genes=2000)
    sc.pp.pca(data, n_comps=20, mask_var="highly_variable", random_state=0)
    sc.pp.neighbors(data, n_neighbors=10, random_state=0)
    sc.tl.leiden(data, resolution=2.5, flavor="igraph", n_iterations=-1, random_state=0)

    def level(gene: str) -> np.ndarray:
        return np.asarray(data[:, gene].X.todense()).ravel()

    clusters = data.obs["leiden"].to_numpy()
    label = pd.Series("", index=np.arange(data.n_obs))
    for cluster in np.unique(clusters):
        inside = clusters == cluster

        def mean(gene: str, inside: np.ndarray = inside) -> float:
            return float(level(gene)[inside].mean())

        if mean("PF4") > 1 or mean("LILRA4") > 1:
            label[inside & (level("LILRA4") > 0) & (level("PF4") == 0)] = "pDC"
            label[inside & (level("PF4") > 0) & (level("LILRA4") == 0)] = "Platelet"
        elif mean("MS4A1") > 1:
            label[inside] = "B"
        elif mean("KLRF1") > 1:
            label[inside] = "NK"
        elif mean("FCER1A") > 1:
            label[inside] = "cDC2"
        elif mean("LYZ") > 1:
            label[inside] = "CD16_Mono" if mean("FCGR3A") > 1.5 else "CD14_Mono"
        elif mean("CD8A") + mean("CD8B") > 0.6:
            label[inside] = "CD8_T.naive" if mean("CCR7") > 0.6 else "CD8_T.effector"
        elif mean("CD3D") + mean("TRAC") > 2:
            label[inside] = "CD4_T.naive" if mean("CCR7") > 0.6 else "CD4_T.memory"
    return label


def load(path: Path, min_counts: int, max_mito: float) -> CountMatrix:
    """Cells of one sample with enough counts and little mitochondrial RNA."""
    matrix = read_h5(path)
    totals = np.asarray(matrix.counts.sum(axis=1)).ravel()
    mito = genes.matching(matrix.genes, genes.MITOCHONDRIAL)
    share = np.asarray(matrix.counts[:, mito].sum(axis=1)).ravel() / np.maximum(totals, 1)
    return matrix.select((totals > min_counts) & (share < max_mito))


def total(matrix: CountMatrix, names: Sequence[str]) -> np.ndarray:
    """Counts of these genes in each cell."""
    return np.asarray(matrix.counts[:, matrix.columns(list(names))].sum(axis=1)).ravel()


def interferon(folder: Path, target: np.ndarray) -> np.ndarray:
    """Ratio of each gene's mean in CD14+ monocytes, interferon over control (1 where not measured)."""
    sums: dict[str, np.ndarray] = {}
    names = np.array([])
    for sample in sorted((folder / "matrices").iterdir()):
        counts = sparse.csr_matrix(io.mmread(sample / "matrix.mtx.gz")).T.tocsr()
        names = pd.read_csv(sample / "features.tsv.gz", sep="\t", header=None)[1].to_numpy()
        column = {gene: i for i, gene in enumerate(names)}
        gate = (counts[:, column["CD14"]].toarray().ravel() > 0) & (
            counts[:, column["FCGR3A"]].toarray().ravel() == 0
        )
        condition = sample.name.split("_")[-1]
        sums[condition] = sums.get(condition, 0) + np.asarray(counts[gate].sum(axis=0)).ravel()
    ratio = (sums["stim"] / sums["stim"].sum() * 1e4 + 0.2) / (sums["ctrl"] / sums["ctrl"].sum() * 1e4 + 0.2)
    ratio = pd.Series(ratio, index=names)
    return align(ratio[~ratio.index.duplicated()].to_numpy(), ratio.index.unique().to_numpy(), target, 1.0)


def car_t(shared: Path, target: np.ndarray, blood: np.ndarray, keep: np.ndarray) -> dict[str, np.ndarray]:
    """Profiles of product and expanded T cells, brought to the chemistry of the blood donor.

    blood: effector CD8 T of the donor. keep: genes that the correction leaves alone (markers).
    """
    folder = shared / "carpall"
    product = load(folder / f"matrices/{PRODUCT}.h5", 1500, 0.12)
    product = product.select(total(product, ["CD3D", "CD3E", "TRAC", "CD2"]) >= 2)
    unsorted = load(folder / f"matrices/{UNSORTED}.h5", 1500, 0.12)
    unsorted = unsorted.select(total(unsorted, ["CD8A", "CD8B"]) >= 1)
    expanded = load(folder / f"matrices/{SORTED}.h5", 1500, 0.12)
    labels = pd.read_csv(folder / "car_t_labels.csv")
    labels = labels[labels["sample"] == SORTED].set_index("barcode")["cell_type"].reindex(expanded.barcodes)

    other = align(means(unsorted, np.ones(len(unsorted.barcodes), bool)), unsorted.genes, target, 0.0)
    chemistry = np.where(keep, 1.0, np.clip((blood + 0.2) / (other + 0.2), 1 / 8, 8))
    chemistry[genes.matching(target, genes.HAEMOGLOBIN)] = 0
    cycling = total(product, CYCLE) > np.quantile(total(product, CYCLE), 0.7)

    def profile(matrix: CountMatrix, cells: np.ndarray) -> np.ndarray:
        return align(means(matrix, cells), matrix.genes, target, 0.0) * chemistry

    return {
        "product": profile(product, ~cycling),
        "cycling": profile(product, cycling),
        "CD8_T.expanded": profile(expanded, labels.isin(["CD8 TEM", "CD8 CTL"]).to_numpy()),
        "CD4_T.expanded": profile(expanded, labels.isin(["CD4 CTL", "CD4 TEM"]).to_numpy()),
    }


def dispersions(matrix: CountMatrix, label: pd.Series) -> np.ndarray:
    """Negative binomial dispersion of each gene within types (moments; half the trend, half the gene's own).

    With y of mean m·s (s the cell's depth over the mean depth): var = m·E[s] + (E[s²](1+a) − E[s]²)m² is
    solved for a in scaled counts y/s, whose variance is m·E[1/s] + a·m².
    """
    totals = np.asarray(matrix.counts.sum(axis=1)).ravel()
    excess, square = np.zeros(len(matrix.genes)), np.zeros(len(matrix.genes))
    for name in ["CD14_Mono", "CD4_T.naive", "CD4_T.memory", "CD8_T.effector", "NK", "B"]:
        cells = (label == name).to_numpy()
        size = totals[cells] / totals[cells].mean()
        scaled = sparse.diags(1 / size) @ matrix.counts[cells].astype(float)
        mean = np.asarray(scaled.mean(axis=0)).ravel()
        variance = np.asarray(scaled.multiply(scaled).mean(axis=0)).ravel() - mean**2
        excess += cells.sum() * (variance - mean * np.mean(1 / size))
        square += cells.sum() * mean**2
    raw = np.clip(excess / np.maximum(square, 1e-12), 0.02, 4)
    level = np.sqrt(square / len(totals))
    bins = pd.qcut(pd.Series(level), 20, labels=False, duplicates="drop")
    trend = pd.Series(raw).groupby(bins).transform("median").to_numpy()
    mixed = np.sqrt(raw * np.clip(trend, 0.05, 4))
    return np.where(level > 0.02, mixed, np.clip(trend, 0.05, 4))


def main(argv: Sequence[str] | None = None) -> None:
    """Write profiles.tsv.gz: gene, gene_id, dispersion, then a column of counts per 10,000 by profile."""
    parser = cli.parser(__doc__)
    parser.add_argument("--shared", type=Path, required=True, help="folder that holds data/")
    parser.add_argument("--markers", type=Path, default=HERE.parent / "markers/blood_cart.tsv")
    parser.add_argument("--n_genes", type=int, default=6000)
    parser.add_argument("--out", type=Path, default=HERE / "profiles.tsv.gz")
    args = parser.parse_args(argv)
    import liana

    data = args.shared / "data"
    donor = load(data / PBMC, 800, 0.15)
    names = donor.genes
    label = healthy(donor)
    print(label.value_counts().to_string())
    listed = pd.read_csv(args.markers, sep="\t")
    listed = listed.set_index("cell_type")[["positive", "negative"]].fillna("")
    markers = {gene for column in listed for row in listed[column] for gene in symbols(row)}

    def donor_mean(name: str, prior: np.ndarray | None = None) -> np.ndarray:
        return means(donor, (label == name).to_numpy(), prior)

    everything = means(donor, np.ones(len(donor.barcodes), bool))
    common = [name for name, cells in label.value_counts().sort_index().items() if name and cells >= 20]
    profiles = {str(name): donor_mean(str(name)) for name in common}
    profiles["cDC2"] = donor_mean("cDC2", profiles["CD14_Mono"])
    for rare in ["pDC", "Platelet"]:
        own = symbols(listed.loc[rare, "positive"])
        # a handful of cells: what marks another type is mostly a neighbour in the droplet
        foreign = np.isin(names, sorted(markers - own))
        profiles[rare] = np.where(foreign, 0.1, 1.0) * donor_mean(rare, everything)
    marked = np.isin(names, sorted(markers))
    cart = car_t(args.shared / "data", names, profiles["CD8_T.effector"], marked)
    # The product sample is nearly all CD4: its CD8 T cells take from blood what sets CD8 apart threefold.
    cd4, cd8 = profiles["CD4_T.memory"], profiles["CD8_T.effector"]
    apart = (np.abs(np.log((cd8 + 0.2) / (cd4 + 0.2))) > np.log(3)) & ~np.isin(names, CYCLE)
    for state in ["product", "cycling"]:
        profiles[f"CD4_T.{state}"] = cart[state]
        profiles[f"CD8_T.{state}"] = np.where(apart, cd8, cart[state])
    profiles |= {name: cart[name] for name in ["CD4_T.expanded", "CD8_T.expanded"]}
    profiles["CD14_Mono.activated"] = profiles["CD14_Mono"] * interferon(data / "kang", names) ** 0.15

    # One donor is of one sex: each sex gene takes its highest mean in any profile, in all of them.
    table = pd.DataFrame(profiles, index=pd.Index(names, name="gene"))
    female = load(data / f"carpall/matrices/{SORTED}.h5", 1500, 0.12)
    table.loc["XIST"] = means(female, np.ones(len(female.barcodes), bool))[female.columns(["XIST"])[0]]
    sex = [gene for gene in table.index if gene in genes.SEX_GENES]
    table.loc[sex] = np.repeat(table.loc[sex].max(axis=1).to_numpy()[:, None], table.shape[1], axis=1)
    # The T cells drawn are alpha-beta; both studies' T cells hold some gamma-delta ones. The other study's
    # 5' libraries see TRAC too seldom.
    t_cells = [name for name in table if "_T." in name]
    delta = table.index.str.match(r"^TR(D[CV]|GV)")
    table.loc[delta, t_cells] *= 0.05
    table.loc["TRAC", t_cells] = table.loc["TRAC", t_cells].clip(lower=table.loc["TRAC", "CD8_T.naive"])
    for (profile, gene), floor in FLOORS.items():
        table.loc[gene, profile] = max(table.loc[gene, profile], floor)

    ligrec = liana.rs.select_resource("consensus")
    partners = {gene for side in ["ligand", "receptor"] for name in ligrec[side] for gene in name.split("_")}
    sets = HERE.parents[0] / "gene_sets/hallmark.gmt"
    interferons = {
        gene
        for line in sets.read_text().splitlines()
        if line.startswith("HALLMARK_INTERFERON")
        for gene in line.split("\t")[2:]
    }
    peak = table.max(axis=1)
    wanted = peak.index.isin(sorted(markers | interferons | partners | genes.SEX_GENES | set(CYCLE)))
    wanted |= genes.matching(peak.index, genes.MITOCHONDRIAL) | genes.matching(peak.index, genes.RIBOSOMAL)
    rank = (peak + 1e6 * (wanted & (peak > 0.03)).astype(float)).sort_values(ascending=False, kind="stable")
    chosen = table.index.isin(rank.index[: args.n_genes])
    table.insert(0, "dispersion", dispersions(donor, label))
    # secreted proteins come in bursts, which means too low to be measured in the donor do not show
    raised = sorted({gene for _, gene in FLOORS})
    table.loc[raised, "dispersion"] = table.loc[raised, "dispersion"].clip(lower=0.4)
    table.insert(0, "gene_id", donor.gene_ids)
    table = table[chosen].sort_index()
    table = table.map(lambda v: v if isinstance(v, str) else f"{v:.3g}")
    table.to_csv(args.out, sep="\t", compression={"method": "gzip", "mtime": 0})
    print(f"{len(table)} genes, {args.out.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    cli.run(main)
