"""Ways to test the genes of one cell type between two groups of patients, on the same cohort.

Each method takes a cohort and returns a table indexed by gene, in the order of the genes it was asked for:
estimate (positive: higher in patients with toxicity), p and q. A p that a method does not give is missing.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from cartox.contrasts import Contrast
from cartox.demo.trial import CAR
from cartox.genes import out_of_bounds
from cartox.signals.pathways import Pseudobulks
from cartox.statistics.contrast import Tables, associate
from cartox.statistics.families import benjamini_hochberg

FORMULA, TERM, LEVELS = "~ toxicity + anakinra", "toxicity", ("yes", "no")


@dataclass
class Cohort:
    """Cells of one type, and whose they are.

    counts: cells × genes, raw. sample: of each cell, a row of `samples` (sample, patient, timepoint, batch).
    clinical: patient, toxicity, anakinra. bulk: sums of the same cells by
    cartox.signals.pseudobulk. planted: log2 fold by gene, empty in a null cohort.
    """

    counts: sparse.csr_matrix
    sample: np.ndarray
    genes: np.ndarray
    samples: pd.DataFrame
    clinical: pd.DataFrame
    bulk: Pseudobulks
    cell_type: str
    planted: pd.Series

    @property
    def sheet(self) -> pd.DataFrame:
        """Samples with their patients' columns."""
        return self.samples.merge(self.clinical, on="patient", how="left")

    @property
    def repeated(self) -> bool:
        """Whether patients have several samples."""
        return bool(self.samples["patient"].duplicated().any())


def cartox(cohort: Cohort) -> pd.DataFrame:
    """Expression as ASSOCIATE tests it; with q, also p_permutation. The genes are those that it keeps."""
    import anndata

    bulk = cohort.bulk
    obs = bulk.rows.merge(cohort.samples[["sample", "patient", "timepoint"]], on="sample", how="left")
    obs.index = pd.Index(obs["sample"] + "." + obs["cell_type"])
    var = pd.DataFrame({"gene": bulk.genes, "excluded": out_of_bounds(bulk.genes, [CAR])}, index=bulk.genes)
    nothing = pd.DataFrame(columns=["stratum", "sample", "cell_type", "kind", "feature", "value", "n_cells"])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pseudobulk.h5ad"
        anndata.AnnData(bulk.counts, obs=obs, var=var).write_h5ad(path)
        text = cohort.clinical.astype(str)
        tables = Tables(cohort.samples, text, pd.DataFrame(), nothing, nothing, path)
        rows = associate(tables, Contrast("toxicity", FORMULA, TERM)).rows
    rows = rows[(rows["cell_type"] == cohort.cell_type) & rows["p"].notna()]
    return rows.set_index("feature")[["estimate", "p", "q", "p_permutation"]]


def cells_wilcoxon(cohort: Cohort, genes: pd.Index) -> pd.DataFrame:
    """Scanpy's Wilcoxon test of all cells of one group against those of the other, log1p of CP10k."""
    import anndata
    import scanpy

    obs = cohort.sheet.iloc[cohort.sample].reset_index(drop=True)
    obs.index = obs.index.astype(str)
    cells = anndata.AnnData(cohort.counts.astype(np.float32), obs=obs, var=pd.DataFrame(index=cohort.genes))
    scanpy.pp.normalize_total(cells, target_sum=1e4)
    scanpy.pp.log1p(cells)
    cells = cells[:, genes].copy()
    cells.obs[TERM] = cells.obs[TERM].astype("category")
    yes, no = LEVELS
    scanpy.tl.rank_genes_groups(cells, TERM, groups=[yes], reference=no, method="wilcoxon")
    found = scanpy.get.rank_genes_groups_df(cells, group=yes).set_index("names")
    names = {"scores": "estimate", "pvals": "p", "pvals_adj": "q"}
    return found.rename(columns=names)[list(names.values())].reindex(genes)


def pydeseq2(cohort: Cohort, genes: pd.Index) -> pd.DataFrame:
    """PyDESeq2's Wald test of the samples' sums, every sample a row: it has fixed effects only.

    Without independent filtering, as the genes are filtered already; all else as it comes.
    """
    from pydeseq2.dds import DeseqDataSet
    from pydeseq2.ds import DeseqStats

    rows = cohort.bulk.rows
    own = rows[rows["cell_type"] == cohort.cell_type]
    counts = pd.DataFrame(
        cohort.bulk.counts[own.index.to_numpy()].toarray(), index=own["sample"], columns=cohort.bulk.genes
    )
    sheet = cohort.sheet.set_index("sample").loc[own["sample"]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = DeseqDataSet(
            counts=counts[genes], metadata=sheet, design=f"~ anakinra + {TERM}", n_cpus=1, quiet=True
        )
        data.deseq2()
        test = DeseqStats(data, contrast=[TERM, *LEVELS], independent_filter=False, n_cpus=1, quiet=True)
        test.summary()
    names = {"log2FoldChange": "estimate", "pvalue": "p", "padj": "q"}
    return test.results_df.rename(columns=names)[list(names.values())].reindex(genes)


def sctrial(cohort: Cohort, genes: pd.Index) -> pd.DataFrame:
    """sctrial's comparison between arms at a visit: participants' means of log1p CPM of their cells, OLS.

    Genes are handed over in parts, as it copies its whole table for each: its FDR is then taken over all.
    Raises ValueError where patients have several visits: its comparison between arms is of one visit, and its
    difference-in-differences asks whether the change differs, which is another question.
    """
    if cohort.repeated:
        raise ValueError("sctrial compares arms at one visit")
    import anndata
    import sctrial as package

    obs = cohort.sheet.iloc[cohort.sample].reset_index(drop=True)
    obs.index = obs.index.astype(str)
    cells = anndata.AnnData(cohort.counts.astype(np.float32), obs=obs, var=pd.DataFrame(index=cohort.genes))
    package.add_log1p_cpm_layer(cells, counts_layer=None)
    yes, no = LEVELS
    design = package.TrialDesign("patient", "timepoint", TERM, yes, no, None)
    parts = []
    for start in range(0, len(genes), 100):
        some = list(genes[start : start + 100])
        part = package.between_arm_comparison(
            cells[:, some].copy(),
            cohort.samples["timepoint"][0],
            some,
            design,
            layer="log1p_cpm",
            covariates=["anakinra"],
        )
        parts.append(part.set_index("feature")[["beta_arm", "p_arm"]])
    found = pd.concat(parts).set_axis(["estimate", "p"], axis=1).reindex(genes)
    return found.assign(q=benjamini_hochberg(found["p"].to_numpy()))


# The peers by name. cartox itself comes first in every comparison, as it says which genes are tested.
PEERS: dict[str, Callable[[Cohort, pd.Index], pd.DataFrame]] = {
    "wilcoxon_cells": cells_wilcoxon,
    "pydeseq2": pydeseq2,
    "sctrial": sctrial,
}
