"""The first page: what was asked and what was found, in plain sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cartox.labels import UNASSIGNED
from cartox.report import context, doublets, labels, patients, remarks, wording
from cartox.report.page import Chapter, Column, Section, anchor, bullets, esc, paragraphs, records, table
from cartox.report.wording import compared, groups_text, plain, where_text

if TYPE_CHECKING:
    import pandas as pd

    from cartox.report.inputs import Inputs
    from cartox.report.labels import Names

RESULT_COLUMNS = (
    Column("where", "Cell type"),
    Column("what", "Feature", "long"),
    Column(
        "estimate",
        "Estimate",
        "number",
        "The difference for the term tested, adjusted for the formula's other terms",
    ),
    Column("interval", "95 % interval", "html"),
    Column("p", "p", "p", "From the moderated t statistic"),
    Column("p_permutation", "Permutation p", "p", "From permuting patients"),
    Column("p_pooled", "Pooled p", "p", "From all features of the kind with patients permuted"),
    Column("p_floor", "Floor", "p", "The smallest p-value that a permutation of these patients can give"),
    Column("q", "q", "p", "p corrected for the number of features in the family"),
    Column("groups", "Patients", "tight", "Patients in each group"),
    Column("note", "Note", "long"),
)


def result_rows(results: pd.DataFrame, names: Names) -> list[dict[str, Any]]:
    """Rows for `RESULT_COLUMNS`, in the order given."""
    rows = []
    for row in records(results):
        low, high = labels.number(row["ci_low"]), labels.number(row["ci_high"])
        rows.append(
            row
            | {
                "where": names.cell_type(row["cell_type"]) if row["cell_type"] else "",
                "what": names.feature(row["feature"], row["kind"]),
                "interval": f"{low} to {high}" if low else "",
                "interval_sort": row["ci_low"],
                "groups": groups_text(row["n_per_group"]) or str(row["n"]),
            }
        )
    return rows


def chapter(inputs: Inputs, names: Names) -> Chapter:
    """Findings first: the cohort, the questions, the answers, what could not be answered."""
    content = [paragraphs([cohort_sentence(inputs)]), bullets([*sample_sentences(inputs), *_unnamed(inputs)])]
    content.append(_in_brief(inputs))
    for contrast in inputs.contrasts.values():
        content.append(_answer(contrast, inputs, names))
    if missing := not_asked(inputs):
        content.append('<h4 class="cx-question">Not asked</h4>' + paragraphs(missing))
    sections = [Section("summary", "Summary", "".join(content))]
    primary = inputs.associations[inputs.associations["family"] == "primary"]
    if len(primary):
        tables = []
        for key in inputs.contrasts:
            part = primary[primary["contrast"] == key].sort_values("p", kind="stable")
            title = inputs.contrasts[key].get("label") or key
            tables += [table(result_rows(part, names), RESULT_COLUMNS, str(title))] if len(part) else []
        about = "The features that were named before the analysis. q is corrected over this family: by Holm, "
        about += "and by max-T over permuted patients."
        sections.append(Section("primary_family", "Primary family", "".join(tables), description=about))
    about = "What was asked and what was found. Every p-value stands on patients, not on cells."
    return Chapter("findings", "Findings", sections, description=about)


def _in_brief(inputs: Inputs) -> str:
    """A line for each question: how much of what was declared differs, and how much else stands out."""
    items = []
    for key, contrast in inputs.contrasts.items():
        results = inputs.associations[inputs.associations["contrast"] == key]
        tested = results[results["p"].notna()]
        declared = results["family"] == "primary"
        said = []
        if not len(tested):
            said.append("nothing could be tested")
        else:
            found = tested["q"] <= inputs.fdr
            first = tested["family"] == "primary"
            if n := int(declared.sum()):
                could = int(first.sum())
                left = f" ({n - could} could not be tested)" if could < n else ""
                said.append(
                    f"of {labels.plural(n, 'declared feature')}, {int((found & first).sum())} "
                    f"{'differs' if (found & first).sum() == 1 else 'differ'}{left}"
                )
            rest = patients.explored(results)
            n, rest = int((rest["q"] <= inputs.fdr).sum()), rest[rest["p"].notna()]
            stand = "none stands" if not n else "1 stands" if n == 1 else f"{n:,} stand"
            said.append(f"of {len(rest):,} explored, {stand} out at q ≤ {inputs.fdr:g}")
        label = esc(contrast.get("label") or key)
        items.append(f'<li><a href="#{_place(key)}">{label}</a>: {esc("; ".join(said))}.</li>')
    return f'<h4 class="cx-question">In brief</h4><ul>{"".join(items)}</ul>' if items else ""


def _place(key: str) -> str:
    return anchor(f"question_{key}")


def cohort_sentence(inputs: Inputs) -> str:
    """Size of the cohort, in one sentence."""
    sheet = inputs.samples
    times = labels.timepoint_order(sheet["timepoint"])
    kept, seen = inputs.passed
    people = labels.plural(len(set(sheet["patient"])), "patient")
    samples = labels.plural(len(sheet), "sample")
    visits = f"{labels.plural(len(times), 'time point')} ({labels.joined(times)})"
    text = f"{people} gave {samples} at {visits}. Of {seen:,} barcodes, {kept:,} passed quality control"
    if not len(inputs.cells):
        return f"{text}."
    return f"{text}; {doublets.left(inputs)}."


def sample_sentences(inputs: Inputs) -> list[str]:
    """One sentence for each sample that was dropped or flagged."""
    out = []
    for status, word in (("dropped", "was dropped"), ("flagged", "was kept but flagged")):
        for q in inputs.qc:
            if q["status"] == status:
                out.append(
                    f"Sample {q['sample']} {word}: {labels.joined(q['reasons']) or 'no reason given'}."
                )
    return out


def _unnamed(inputs: Inputs, most: float = 0.05) -> list[str]:
    """A sentence on cells without a type, where they are more than a share of all."""
    if "cell_type" not in inputs.cells or not len(inputs.cells):
        return []
    share = float((inputs.cells["cell_type"] == UNASSIGNED).mean())
    by_sample = "their share by sample is under Composition"
    return [f"{100 * share:.0f} % of the cells could not be given a type (Unassigned); {by_sample}."] * (
        share > most
    )


def _answer(contrast: Mapping[str, Any], inputs: Inputs, names: Names) -> str:
    key = contrast["id"]
    results = inputs.associations[inputs.associations["contrast"] == key]
    model = f"{plain(contrast.get('term', ''))} in the model {contrast.get('formula', '')}"
    where = " ".join(part for part in (model, where_text(contrast)) if part)
    sizes = contrast.get("n_per_group") or ""
    groups = groups_text(sizes, bool(contrast.get("within"))) or str(contrast.get("n", "?"))
    out = [
        f'<h4 class="cx-question" id="{_place(key)}">{esc(contrast.get("label") or key)}</h4>',
        paragraphs([f"Tested: {where}. Patients: {groups}. {compared(contrast)}".rstrip()]),
    ]
    tested = bool(results["p"].notna().any())
    if not tested:
        out.append(paragraphs(["Nothing could be tested for this question."]))
    if len(results):
        values = inputs.by_patient[inputs.by_patient["contrast"] == key]
        drawn = {patients.place(key, row) for row in patients.chosen(values, results, inputs.fdr)}
        out.append(_primary(results, drawn, contrast, inputs, names))
        out.append(_explored(results, drawn, contrast, inputs.fdr, names))
    if tested:
        out.append(_families(results, inputs.fdr, str(contrast.get("label") or key), names))
    notes = remarks.of_question(contrast, inputs, names)
    out.append(remarks.listed(notes, most=max(8, len(contrast.get("notes") or []))))
    if len(results) or notes:
        target = anchor(f"contrast_{key}")
        out.append(f'<p><a href="#{target}">Figures and table for this question</a></p>')
    return "".join(out)


def _explored(
    results: pd.DataFrame, drawn: set[str], contrast: Mapping[str, Any], fdr: float, names: Names
) -> str:
    """The first of each family that stand out beyond the declared features, as sentences."""
    items = []
    found = patients.standing_out(results, fdr)
    for row in records(found.groupby("family", sort=False).head(patients.EXPLORED)):
        items.append(_item(row, wording.claim(row, contrast, names), drawn, contrast, ()))
    if not items:
        return ""
    more = f", the first {patients.EXPLORED} of each family" if len(found) > len(items) else ""
    about = f"Explored, not declared, and standing out at q ≤ {fdr:g} within its family{more}:"
    return f"<p>{esc(about)}</p><ul>{''.join(items)}</ul>"


def _item(
    row: Mapping[str, Any],
    sentence: str,
    drawn: set[str],
    contrast: Mapping[str, Any],
    more: Sequence[str],
    tag: str = "strong",
) -> str:
    """A finding: the sentence, a link to its figure, its numbers and what stands beside it."""
    place = patients.place(contrast["id"], row)
    link = f' <a class="cx-see" href="#{place}">Figure</a>' if place in drawn else ""
    said = [wording.statistics(row, bool(contrast.get("within"))), *more]
    numbers = "".join(f"<br>{esc(s)}" for s in said)
    return f'<li class="cx-found"><{tag}>{esc(sentence)}.</{tag}>{link}{numbers}</li>'


def _families(results: pd.DataFrame, fdr: float, label: str, names: Names) -> str:
    """How many of each family were tested and found, and which is strongest."""
    rows = []
    place = list(labels.KINDS).index
    rest = results[results["family"] != "primary"]
    families = {str(family): part for family, part in rest.groupby("family")}
    for family in sorted(families, key=lambda f: place(f) if f in labels.KINDS else len(labels.KINDS)):
        part = families[family]
        tested = part[part["q"].notna()]
        best = next(iter(records(tested.sort_values(["q", "p"]).head(1))), None)
        rows.append(
            {
                "family": labels.KINDS.get(str(family), str(family)),
                "tested": len(tested),
                "found": int((tested["q"] <= fdr).sum()),
                "best": "" if best is None else names.both(best["cell_type"], best["feature"], best["kind"]),
                "q": None if best is None else best["q"],
            }
        )
    columns = (
        Column("family", "Family"),
        Column("tested", "Tested", "count"),
        Column("found", f"q ≤ {fdr:g}", "count"),
        Column("best", "Strongest", "long"),
        Column("q", "Its q", "p"),
    )
    caption = f"{label}: how many features were tested in each family, and how many stand out"
    nothing = f"In no family does a feature stand out at q ≤ {fdr:g}."
    found = "" if any(row["found"] for row in rows) else paragraphs([nothing])
    return found + table(rows, columns, caption) if rows else ""


def _primary(
    results: pd.DataFrame, drawn: set[str], contrast: Mapping[str, Any], inputs: Inputs, names: Names
) -> str:
    """The declared features: what differs, what was tested and does not, what could not be tested."""
    primary = results[results["family"] == "primary"]
    if not len(primary):
        return paragraphs(["No primary family was declared: what follows explores, it does not confirm."])
    found, null, untested = [], [], []
    for row in records(primary.sort_values("p")):
        if row["p"] != row["p"]:
            what, why = wording.untestable(row, contrast, names), names.in_text(labels.full_stop(row["note"]))
            untested.append(f"<li>{esc(what)}. {esc(why)}</li>")
        elif row["q"] <= inputs.fdr:
            more = context.sentences(row, contrast, inputs)
            found.append(_item(row, wording.claim(row, contrast, names), drawn, contrast, more))
        else:
            sentence = wording.no_difference(row, contrast, names)
            null.append(_item(row, sentence, drawn, contrast, (), "span"))
    out = f"<p>Primary family ({labels.plural(len(primary), 'feature')}):</p>"
    for heading, items in (
        ("Found", found),
        ("Tested, and no difference shown", null),
        ("Could not be tested", untested),
    ):
        out += f"<h5>{heading}</h5><ul>{''.join(items)}</ul>" if items else ""
    return out


def not_asked(inputs: Inputs) -> list[str]:
    """What the user did not give, and what the report therefore lacks."""
    out = []
    if not inputs.contrasts:
        missing = "clinical data and " if len(inputs.clinical.columns) < 2 else ""
        out.append(f"No {missing}contrasts were given, so nothing was tested against outcome.")
    if not len(inputs.analytes):
        out.append("No serum analytes were given, so nothing was correlated with them.")
    if not inputs.params.get("car_features") and not _has_car(inputs):
        out.append("No CAR features were named, so CAR+ cells were not looked for.")
    return out


def _has_car(inputs: Inputs) -> bool:
    return "car" in inputs.cells and bool((inputs.cells["car"] > 0).any())
