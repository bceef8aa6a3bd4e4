"""The works that a run's methods text may cite, and how they are numbered."""

from __future__ import annotations

WORKS = {
    "aitchison": (
        "Aitchison J. The statistical analysis of compositional data. J R Stat Soc B 44:139–160 (1982). "
        "doi:10.1111/j.2517-6161.1982.tb01195.x"
    ),
    "armingol": (
        "Armingol E et al. Context-aware deconvolution of cell–cell communication with Tensor-cell2cell. "
        "Nat Commun 13:3665 (2022). doi:10.1038/s41467-022-31369-2"
    ),
    "badia": (
        "Badia-i-Mompel P et al. decoupleR: ensemble of computational methods to infer biological "
        "activities from omics data. Bioinform Adv 2:vbac016 (2022). doi:10.1093/bioadv/vbac016"
    ),
    "benjamini": (
        "Benjamini Y, Hochberg Y. Controlling the false discovery rate. J R Stat Soc B 57:289–300 (1995). "
        "doi:10.1111/j.2517-6161.1995.tb02031.x"
    ),
    "chen": (
        "Chen Y, Lun ATL, Smyth GK. From reads to genes to pathways. F1000Research 5:1438 (2016). "
        "doi:10.12688/f1000research.8987.2"
    ),
    "dimitrov": (
        "Dimitrov D et al. Comparison of methods and resources for cell–cell communication inference from "
        "single-cell RNA-Seq data. Nat Commun 13:3224 (2022). doi:10.1038/s41467-022-30755-0"
    ),
    "ditommaso": (
        "Di Tommaso P et al. Nextflow enables reproducible computational workflows. Nat Biotechnol "
        "35:316–319 (2017). doi:10.1038/nbt.3820"
    ),
    "ewels": (
        "Ewels P et al. MultiQC: summarize analysis results for multiple tools and samples in a single "
        "report. Bioinformatics 32:3047–3048 (2016). doi:10.1093/bioinformatics/btw354"
    ),
    "freedman": (
        "Freedman D, Lane D. A nonstochastic interpretation of reported significance levels. J Bus Econ "
        "Stat 1:292–298 (1983). doi:10.2307/1391660"
    ),
    "gillespie": (
        "Gillespie M et al. The Reactome pathway knowledgebase 2022. Nucleic Acids Res 50:D687–D692 "
        "(2022). doi:10.1093/nar/gkab1028"
    ),
    "grogger": (
        "Grogger JT, Carson RT. Models for truncated counts. J Appl Econom 6:225–238 (1991). "
        "doi:10.1002/jae.3950060302"
    ),
    "holm": "Holm S. A simple sequentially rejective multiple test procedure. Scand J Stat 6:65–70 (1979).",
    "ianevski": (
        "Ianevski A, Giri AK, Aittokallio T. Fully-automated and ultra-fast cell-type identification "
        "using specific marker combinations from single-cell transcriptomic data. Nat Commun 13:1246 "
        "(2022). doi:10.1038/s41467-022-28803-w"
    ),
    "jiang": (
        "Jiang P et al. Systematic investigation of cytokine signaling activity at the tissue and single-"
        "cell levels. Nat Methods 18:1181–1191 (2021). doi:10.1038/s41592-021-01274-5"
    ),
    "johnson": (
        "Johnson J, Douze M, Jégou H. Billion-scale similarity search with GPUs. IEEE Trans Big Data "
        "7:535–547 (2021). doi:10.1109/TBDATA.2019.2921572"
    ),
    "kim": (
        "Kim S. ppcor: an R package for a fast calculation to semi-partial correlation coefficients. "
        "Commun Stat Appl Methods 22:665–674 (2015). doi:10.5351/CSAM.2015.22.6.665"
    ),
    "korsunsky": (
        "Korsunsky I et al. Fast, sensitive and accurate integration of single-cell data with Harmony. "
        "Nat Methods 16:1289–1296 (2019). doi:10.1038/s41592-019-0619-0"
    ),
    "law": (
        "Law CW et al. voom: precision weights unlock linear model analysis tools for RNA-seq read "
        "counts. Genome Biol 15:R29 (2014). doi:10.1186/gb-2014-15-2-r29"
    ),
    "liberzon": (
        "Liberzon A et al. The Molecular Signatures Database hallmark gene set collection. Cell Syst "
        "1:417–425 (2015). doi:10.1016/j.cels.2015.12.004"
    ),
    "mccarthy": (
        "McCarthy DJ et al. Scater: pre-processing, quality control, normalization and visualization of "
        "single-cell RNA-seq data in R. Bioinformatics 33:1179–1186 (2017). "
        "doi:10.1093/bioinformatics/btw777"
    ),
    "lun": (
        "Lun ATL, McCarthy DJ, Marioni JC. A step-by-step workflow for low-level analysis of single-cell "
        "RNA-seq data with Bioconductor. F1000Research 5:2122 (2016). doi:10.12688/f1000research.9501.2"
    ),
    "mcinnes": (
        "McInnes L et al. UMAP: uniform manifold approximation and projection. J Open Source Softw 3:861 "
        "(2018). doi:10.21105/joss.00861"
    ),
    "phipson": (
        "Phipson B, Smyth GK. Permutation p-values should never be zero. Stat Appl Genet Mol Biol 9:39 "
        "(2010). doi:10.2202/1544-6115.1585"
    ),
    "robinson": (
        "Robinson MD, Oshlack A. A scaling normalization method for differential expression analysis of "
        "RNA-seq data. Genome Biol 11:R25 (2010). doi:10.1186/gb-2010-11-3-r25"
    ),
    "schubert": (
        "Schubert M et al. Perturbation-response genes reveal signaling footprints in cancer gene "
        "expression. Nat Commun 9:20 (2018). doi:10.1038/s41467-017-02391-6"
    ),
    "smyth": (
        "Smyth GK. Linear models and empirical Bayes methods for assessing differential expression in "
        "microarray experiments. Stat Appl Genet Mol Biol 3:3 (2004). doi:10.2202/1544-6115.1027"
    ),
    "squair": (
        "Squair JW et al. Confronting false discoveries in single-cell differential expression. Nat "
        "Commun 12:5692 (2021). doi:10.1038/s41467-021-25960-2"
    ),
    "storey": (
        "Storey JD, Tibshirani R. Statistical significance for genomewide studies. PNAS 100:9440–9445 "
        "(2003). doi:10.1073/pnas.1530509100"
    ),
    "stuart": (
        "Stuart T et al. Comprehensive integration of single-cell data. Cell 177:1888–1902 (2019). "
        "doi:10.1016/j.cell.2019.05.031"
    ),
    "traag": (
        "Traag VA, Waltman L, van Eck NJ. From Louvain to Leiden: guaranteeing well-connected "
        "communities. Sci Rep 9:5233 (2019). doi:10.1038/s41598-019-41695-z"
    ),
    "westfall": "Westfall PH, Young SS. Resampling-based multiple testing. Wiley, New York (1993).",
    "wolock": (
        "Wolock SL, Lopez R, Klein AM. Scrublet: computational identification of cell doublets in single-"
        "cell transcriptomic data. Cell Syst 8:281–291 (2019). doi:10.1016/j.cels.2018.11.005"
    ),
    "young": (
        "Young MD, Behjati S. SoupX removes ambient RNA contamination from droplet-based single-cell RNA "
        "sequencing data. GigaScience 9:giaa151 (2020). doi:10.1093/gigascience/giaa151"
    ),
}


class References:
    """Numbers works in the order in which they are first cited."""

    def __init__(self) -> None:
        """Nothing is cited yet."""
        self.cited: list[str] = []

    def __call__(self, *keys: str) -> str:
        """`[1, 4]` for these works."""
        self.cited += [key for key in dict.fromkeys(keys) if key not in self.cited]
        return f"[{', '.join(str(n) for n in sorted(self.cited.index(key) + 1 for key in keys))}]"

    def listed(self) -> list[str]:
        """The works that were cited, in order."""
        return [WORKS[key] for key in self.cited]
