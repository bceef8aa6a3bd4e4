"""The methods of this very run, ready to paste: from its parameters, tables and versions, with references."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from cartox.cells.neighbours import EXACT_UP_TO
from cartox.report import doublets, labels
from cartox.report.citations import References
from cartox.report.page import Chapter, Section, esc, paragraphs
from cartox.report.wording import where_text

if TYPE_CHECKING:
    from cartox.report.inputs import Inputs

GENE_SETS = {
    "hallmark": ("the MSigDB Hallmark collection (7.5.1)", "liberzon"),
    "reactome": ("interleukin and interferon sets of Reactome", "gillespie"),
    "progeny": ("PROGENy", "schubert"),
    "cytosig": ("CytoSig", "jiang"),
}


def written(inputs: Inputs) -> tuple[list[tuple[str, str]], list[str]]:
    """Heading and text of each part that this run had, and the references that they cite by number."""
    cite = References()
    parts: list[tuple[str, Callable[[Inputs, References], str]]] = [
        ("Analysis", _frame),
        ("Quality control", _quality),
        ("Integration and clusters", _integration),
        ("Cell types", _cell_types),
        ("CAR+ cells", _car),
        ("Pathways and ligand–receptor pairs", _scores),
        ("Association", _associations),
        ("Serum", _serum),
        ("Software", _software),
    ]
    made = [(heading, text(inputs, cite)) for heading, text in parts]
    return [(heading, text) for heading, text in made if text], cite.listed()


def markdown(inputs: Inputs) -> str:
    """The text as a file of its own."""
    parts, references = written(inputs)
    body = "\n\n".join(f"## {heading}\n\n{text}" for heading, text in parts)
    numbered = "\n".join(f"{i}. {work}" for i, work in enumerate(references, start=1))
    return f"# Methods\n\n{body}\n\n## References\n\n{numbered}\n"


def chapter(inputs: Inputs) -> Chapter:
    """The same in the report."""
    parts, references = written(inputs)
    content = "".join(f"<h4>{esc(heading)}</h4>{paragraphs([text])}" for heading, text in parts)
    content += "<h4>References</h4><ol>" + "".join(f"<li>{esc(work)}</li>" for work in references) + "</ol>"
    about = "What this run did, from its own parameters and versions; also in run/methods.md."
    return Chapter("methods", "Methods", [Section("methods_text", "Methods", content)], description=about)


def _given(inputs: Inputs, name: str) -> str:
    value = inputs.params.get(name)
    return "" if value is None else f"{value:g}" if isinstance(value, int | float) else str(value)


def _version(inputs: Inputs, name: str) -> str:
    version = dict(inputs.versions).get(name)
    return f" {version}" if version else ""


def _frame(inputs: Inputs, cite: References) -> str:
    version, engine = inputs.run.get("version", ""), inputs.run.get("nextflow", "")
    patients = labels.plural(len(set(inputs.samples["patient"])), "patient")
    of = f"{labels.plural(len(inputs.samples), 'sample')} of {patients}"
    seed = f" Random steps used the seed {_given(inputs, 'seed')}." if "seed" in inputs.params else ""
    return (
        f"Count matrices of {of} were analysed with cartox{f' {version}' * bool(version)}, a pipeline in "
        f"Nextflow{f' {engine}' * bool(engine)} {cite('ditommaso')}; its report was made with MultiQC"
        f"{_version(inputs, 'multiqc')} {cite('ewels')}. "
        f"The patient was the unit of every test {cite('squair')}.{seed}"
    )


def _quality(inputs: Inputs, cite: References) -> str:
    mode = _given(inputs, "qc_mode")
    limits = (
        f"at least {_given(inputs, 'min_counts')} counts and {_given(inputs, 'min_genes')} genes, at most "
        f"{_given(inputs, 'max_mito')} % mitochondrial and 20 % haemoglobin counts"
    )
    out = [] if mode == "none" else [f"Barcodes were kept as cells with {limits}."]
    if mode == "none":
        out.append("Barcodes with any count were kept as cells.")
    if mode == "adaptive":
        out.append(
            f"Within these limits each sample set bounds of its own, {_given(inputs, 'nmads')} scaled "
            "median absolute deviations around the median of log counts, log genes and mitochondrial share "
            f"{cite('mccarthy')}, wider for a class of cells that they would erase."
        )
    dropped = sum(q["status"] == "dropped" for q in inputs.qc)
    kept, seen = inputs.passed
    lost = f", and {labels.plural(dropped, 'sample')} dropped" if dropped else ""
    out.append(f"{kept:,} of {seen:,} barcodes were kept{lost}.")
    if corrected := sum(a["corrected"] for a in inputs.ambient):
        out.append(
            "Ambient RNA was estimated from empty droplets and taken out by SoupX "
            f"(pysoupx{_version(inputs, 'pysoupx')}) {cite('young')} in {corrected} of "
            f"{labels.plural(len(inputs.ambient), 'sample')}."
        )
    if lanes := doublets.scored(inputs):
        lane = _given(inputs, "doublet_group")
        fate = "marked" if _given(inputs, "doublet_action") == "flag" else "removed"
        own = " or one that was given" if _given(inputs, "doublet_thresholds") else ""
        if expected := sum(d["method"] == "expected rate" for d in lanes):
            of = f"{expected} of {labels.plural(len(lanes), 'lane')}"
            own += f" (where that was implausible, in {of}, as many as doublets are expected)"
        out.append(
            f"Doublets were scored by {lane} as Scrublet does {cite('wolock')}, called above the score at "
            f"which one cell in three is a doublet{own}, and {fate}."
        )
    else:
        none = _given(inputs, "doublet_method") == "none"
        out.append("Doublets were not looked for." if none else "No lane could be scored for doublets.")
    return " ".join(out)


def _integration(inputs: Inputs, cite: References) -> str:
    if not len(inputs.cells):
        return ""
    out = [
        f"Counts were normalised to 10,000 per cell and log1p-transformed. {_given(inputs, 'n_hvg')} "
        f"variable genes were chosen by batch as in Seurat v3 {cite('stuart')}, without CAR transgenes, sex "
        f"genes and V(D)J segments, and reduced to {_given(inputs, 'n_pcs')} principal components."
    ]
    if inputs.harmony.get("corrected"):
        by = inputs.harmony["harmony_by"]
        out.append(
            f"These were integrated by {by} with Harmony {cite('korsunsky')} "
            f"(harmonypy{_version(inputs, 'harmonypy')})."
        )
    else:
        out.append("Batches were not integrated.")
    how = "exact" if len(inputs.cells) <= EXACT_UP_TO else "approximate (HNSW)"
    out.append(
        f"The 15 nearest neighbours of each cell ({how}, faiss {cite('johnson')}) gave Leiden clusters at "
        f"resolution {_given(inputs, 'resolution')} {cite('traag')} and a UMAP {cite('mcinnes')}."
    )
    if len(inputs.cluster_markers):
        out.append(
            "Genes that mark a cluster were ranked by the area under the ROC curve against each other "
            f"cluster, within samples {cite('lun')} (scranpy{_version(inputs, 'scranpy')})."
        )
    return " ".join(out)


def _cell_types(inputs: Inputs, cite: References) -> str:
    if not inputs.annotate:
        return ""
    table = "a marker table of our own" if _given(inputs, "markers") else "cartox's table of markers"
    out = [
        "Cells were named by scores of positive and negative marker genes, after scType "
        f"{cite('ianevski')}, with {table}, joined with their place in the integrated space by a linear "
        "discriminant; cells without a clear call were left unassigned."
    ]
    if given := inputs.annotate.get("cell_labels"):
        out.append(f"{given['used']:,} cells have labels that were given.")
    if inputs.reference:
        out.append(
            "As a second opinion that changed no label, cells were also named by a labelled reference, "
            f"with Harmony {cite('korsunsky')} and multinomial logistic regression "
            f"(scikit-learn{_version(inputs, 'scikit-learn')})."
        )
    return " ".join(out)


def _car(inputs: Inputs, cite: References) -> str:
    car = inputs.annotate.get("car")
    if not car:
        return ""
    return (
        f"T cells with at least {labels.plural(car['min_umi'], 'count')} of "
        f"{labels.joined(car['features'])} were called CAR+, with a higher threshold in lanes where ambient "
        "CAR RNA, as seen in cells that have no CAR, would pass it in over 0.5 % of T cells. T cells below "
        "it were called CAR- where a CAR+ cell of their depth would have been found with probability 0.9 "
        f"by a zero-truncated negative binomial model {cite('grogger')}, and left undetermined otherwise."
    )


def _scores(inputs: Inputs, cite: References) -> str:
    kinds = set(inputs.features["kind"].astype(str)) if "kind" in inputs.features else set()
    out = []
    if "pathway" in kinds:
        names = [name.strip() for name in _given(inputs, "gene_sets").split(",") if name.strip()]
        shipped = [f"{GENE_SETS[name][0]} {cite(GENE_SETS[name][1])}" for name in names if name in GENE_SETS]
        own = ["gene sets of our own"] * any(name not in GENE_SETS for name in names)
        out.append(
            f"Counts were summed by sample and cell type (at least {_given(inputs, 'min_cells')} cells). "
            f"Gene sets of {labels.joined([*shipped, *own])} were scored on these sums with univariate "
            f"linear models {cite('badia')}, genes standardised over the samples of the question."
        )
    if "ligrec" in kinds:
        resource = _given(inputs, "ligrec_resource")
        pairs = "a table of our own" if re.search(r"[./]", resource) else f"LIANA's resource {resource}"
        out.append(
            f"Ligand–receptor pairs of {pairs} (LIANA{_version(inputs, 'liana')}) {cite('dimitrov')} were "
            "scored in each sample by the mean log expression of ligand in the source and receptor in the "
            "target."
        )
    if "tensor" in kinds:
        out.append(
            f"{_given(inputs, 'tensor_rank')} communication programmes per time point were found with "
            f"Tensor-cell2cell (cell2cell{_version(inputs, 'cell2cell')}) {cite('armingol')}; those found "
            f"again from {_given(inputs, 'tensor_seeds')} random starts were tested."
        )
    return " ".join(out)


def _associations(inputs: Inputs, cite: References) -> str:
    tested = inputs.associations[inputs.associations["p"].notna()]
    if not len(tested):
        return ""
    kinds = set(tested["kind"])
    used = [c for key, c in inputs.contrasts.items() if key in set(tested["contrast"])]
    within = any(c.get("within") for c in used)
    unit = "patient (and condition, where the term varies within patients)" if within else "patient"
    out = [
        f"Linear models were fitted with one value per {unit} and feature: "
        f"{'; '.join(dict.fromkeys(_asked(c) for c in used))}."
    ]
    if "expression" in kinds:
        out.append(
            f"Expression was tested on pseudobulk counts, with edgeR's filter {cite('chen')}, TMM factors "
            f"{cite('robinson')} and, where a patient had one sample, voom's weights {cite('law')}."
        )
    if "composition" in kinds:
        out.append(f"Composition was tested as log-ratio to the median over cell types {cite('aitchison')}.")
    out.append(
        f"p-values are of moderated t statistics {cite('smyth')}; beside them stand p-values from permuting "
        f"residuals over patients {cite('freedman')}, all rearrangements or "
        f"{_given(inputs, 'n_permutations')} of them {cite('phipson')}, and, for families of many features, "
        f"from all features pooled {cite('storey')}."
    )
    if (tested["family"] == "primary").any():
        out.append(
            f"The {int((tested['family'] == 'primary').sum())} features declared beforehand were corrected "
            f"by Holm's method {cite('holm')} or, where they share their patients, by max-T "
            f"{cite('westfall')}."
        )
    if (tested["family"] != "primary").any():
        out.append(
            f"The others were corrected by Benjamini and Hochberg's {cite('benjamini')}, by kind and "
            "question."
        )
    out.append(
        f"Features with q ≤ {inputs.fdr:g} are called; q was never let below the smallest permutation p of "
        "the design."
    )
    return " ".join(out)


def _asked(contrast: Mapping[str, Any]) -> str:
    """A question's model, its samples and its patients."""
    parts = [f"term {contrast.get('term', '')}"]
    parts += [f"change from {contrast['baseline']}"] if contrast.get("level") == "change" else []
    parts += ["within patients"] if contrast.get("within") else []
    where = where_text(contrast)
    of = "of " if where.startswith("(") else ""
    parts += [f"samples {of}{where.replace('(', '').replace(')', '')}"] if where else []
    parts += [f"{contrast['n']} patients"] if contrast.get("n") else []
    return f"{contrast.get('formula', '')} ({'; '.join(parts)})"


def _serum(inputs: Inputs, cite: References) -> str:
    if not len(inputs.correlations):
        return ""
    out = [
        "Spearman correlations with serum analytes were computed across patients, with p from permuting "
        "patients and intervals from 1,000 bootstrap samples, corrected by Benjamini and Hochberg's method "
        f"{cite('benjamini')}."
    ]
    covariates = sorted({c for c in inputs.correlations["covariates"] if isinstance(c, str) and c})
    if covariates:
        out.append(
            f"Partial rank correlations {cite('kim')} hold {labels.joined(covariates)} fixed; their p "
            f"permutes residuals {cite('freedman')}."
        )
    return " ".join(out)


def _software(inputs: Inputs, _cite: References) -> str:
    found = [f"{name} {version}" for name, version in inputs.versions]
    return f"Versions: {', '.join(found)}." if found else ""
