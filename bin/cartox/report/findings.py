"""The first page: what was asked and what was found, in plain sentences."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cartox.report import context, doublets, labels, remarks
from cartox.report.page import Chapter, Column, Section, anchor, bullets, esc, paragraphs, records, table

if TYPE_CHECKING:
    import pandas as pd

    from cartox.report.inputs import Inputs
    from cartox.report.labels import Labels

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


def groups_of(text: str) -> dict[str, int]:
    """`no:6 yes:7` as a mapping; empty for a numeric term (a bare number or nothing)."""
    return {m[1].strip(): int(m[2]) for m in re.finditer(r"(.+?):(\d+)(?:\s+|$)", str(text))}


def groups_text(text: str, within: bool = False) -> str:
    """`no:6 yes:7` as `6 no, 7 yes`; patients seen under every condition are counted once."""
    sizes = groups_of(text)
    if within and sizes and len(set(sizes.values())) == 1:
        return f"{next(iter(sizes.values()))}, each with {labels.joined(sizes)}"
    return ", ".join(f"{n} {name}" for name, n in groups_of(text).items()) or str(text)


def result_rows(results: pd.DataFrame, names: Labels) -> list[dict[str, Any]]:
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


def where_text(contrast: Mapping[str, Any]) -> str:
    """`at D7`, `in blood at D7`, or nothing when all samples were used."""
    where = dict(contrast.get("where") or {})
    times = _listed(where.pop("timepoint", None), "or")
    others = [f"{_plain(k)} {_listed(v, 'or')}" for k, v in where.items()]
    return " ".join([*([f"at {times}"] if times else []), *([f"({'; '.join(others)})"] if others else [])])


def _listed(value: object, last: str = "and") -> str:
    if value is None:
        return ""
    return labels.joined(map(str, value), last) if isinstance(value, list | tuple) else str(value)


def _plain(term: str) -> str:
    return re.sub(r"^C\((\w+).*\)$", r"\1", str(term).split("[")[0]).replace("_", " ")


def direction(row: Mapping[str, Any], contrast: Mapping[str, Any]) -> str:
    """`is higher where toxicity is yes than where it is no`, or `rises with grade`."""
    term, up = _plain(contrast.get("term", "the term")), row["estimate"] > 0
    level, minus, reference = str(row.get("coefficient") or "").partition(" − ")
    if not minus:
        reference = str(contrast.get("reference") or "")
        others = [g for g in groups_of(row["n_per_group"]) if g != reference]
        level = others[0] if len(others) == 1 else ""
    if level and reference:
        return f"is {'higher' if up else 'lower'} where {term} is {level} than where it is {reference}"
    return f"{'rises' if up else 'falls'} with {term}"


def statistics(row: Mapping[str, Any], within: bool = False) -> str:
    """Estimate, interval, p-values, q and n of one result, in words."""
    unit = labels.meaning(labels.UNITS, row, "estimate")
    estimate, low, high = (labels.number(row[name]) for name in ("estimate", "ci_low", "ci_high"))
    permuted, floor = labels.p_equals("permutation p", row["p_permutation"]), labels.p_value(row["p_floor"])
    parts = [
        f"{unit} {estimate} (95 % interval {low} to {high})",
        labels.p_equals("p", row["p"]),
        f"{permuted} (the smallest this design can give: {floor})",
        labels.p_equals("q", row["q"]),
        f"patients: {groups_text(row['n_per_group'], within) or row['n']}",
    ]
    text = "; ".join(parts)
    return labels.full_stop(f"{text}. {row['note']}" if row["note"] else text)


def chapter(inputs: Inputs, names: Labels) -> Chapter:
    """Findings first: the cohort, the questions, the answers, what could not be answered."""
    content = [paragraphs([cohort_sentence(inputs)]), bullets([*sample_sentences(inputs), *_unnamed(inputs)])]
    for contrast in inputs.contrasts.values():
        content.append(_answer(contrast, inputs, names))
    content += [paragraphs(not_asked(inputs))]
    sections = [Section("summary", "Findings", "".join(content))]
    primary = inputs.associations[inputs.associations["family"] == "primary"]
    if len(primary):
        tables = []
        for key, part in primary.groupby("contrast", sort=True):
            title = inputs.contrasts.get(str(key), {}).get("label") or str(key)
            tables.append(table(result_rows(part, names), RESULT_COLUMNS, str(title)))
        about = "The features that were named before the analysis. q is corrected over this family: by Holm, "
        about += "and by max-T over permuted patients."
        sections.append(Section("primary_family", "Primary family", "".join(tables), description=about))
    about = "What was asked and what was found. Every p-value stands on patients, not on cells."
    return Chapter("findings", "Findings", sections, description=about)


def cohort_sentence(inputs: Inputs) -> str:
    """Size of the cohort, in one sentence."""
    sheet = inputs.samples
    times = labels.timepoint_order(sheet["timepoint"])
    kept, seen = sum(q["n_kept"] for q in inputs.qc), sum(q["n_barcodes"] for q in inputs.qc)
    patients, samples = (
        labels.plural(len(set(sheet["patient"])), "patient"),
        labels.plural(len(sheet), "sample"),
    )
    visits = f"{labels.plural(len(times), 'time point')} ({labels.joined(times)})"
    text = f"{patients} gave {samples} at {visits}. Of {seen:,} barcodes, {kept:,} passed quality control"
    if not len(inputs.cells):
        return f"{text}."
    if kept_doublets := doublets.kept(inputs):
        return f"{text}; {kept_doublets:,} of them are predicted doublets, kept as asked."
    return f"{text}, and {len(inputs.cells):,} cells remain without doublets."


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
    share = float((inputs.cells["cell_type"] == "Unassigned").mean())
    by_sample = "their share by sample is under Composition"
    return [f"{100 * share:.0f} % of the cells could not be given a type (Unassigned); {by_sample}."] * (
        share > most
    )


def _answer(contrast: Mapping[str, Any], inputs: Inputs, names: Labels) -> str:
    results = inputs.associations[inputs.associations["contrast"] == contrast["id"]]
    label = contrast.get("label") or contrast["id"]
    model = f"{_plain(contrast.get('term', ''))} in the model {contrast.get('formula', '')}"
    where = " ".join(part for part in (model, where_text(contrast)) if part)
    sizes = contrast.get("n_per_group") or ""
    groups = groups_text(sizes, bool(contrast.get("within"))) or str(contrast.get("n", "?"))
    out = [
        f'<h4 class="cx-question">{esc(label)}</h4>',
        paragraphs([f"Tested: {where}. Patients: {groups}."]),
    ]
    primary = results[results["family"] == "primary"]
    tested = bool(results["p"].notna().any())
    if not tested:
        out.append(paragraphs(["Nothing could be tested for this question."]))
    if len(results):
        out.append(_primary(primary, contrast, inputs, names))
    if tested:
        out.append(_families(results, inputs.fdr, names))
    notes = remarks.of_question(contrast, inputs, names)
    out.append(remarks.listed(notes, most=max(8, len(contrast.get("notes") or []))))
    if len(results) or notes:
        target = anchor(f"contrast_{contrast['id']}")
        out.append(f'<p><a href="#{target}">Figures and table for this question</a></p>')
    return "".join(out)


def _families(results: pd.DataFrame, fdr: float, names: Labels) -> str:
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
    caption = "All families: how many features were tested, and how many stand out"
    nothing = f"In no family does a feature stand out at q ≤ {fdr:g}."
    found = "" if any(row["found"] for row in rows) else paragraphs([nothing])
    return found + table(rows, columns, caption) if rows else ""


def _primary(primary: pd.DataFrame, contrast: Mapping[str, Any], inputs: Inputs, names: Labels) -> str:
    if not len(primary):
        return paragraphs(["No primary family was declared: what follows explores, it does not confirm."])
    items, within = [], bool(contrast.get("within"))
    for row in records(primary.sort_values("p")):
        what = names.both(row["cell_type"], row["feature"], row["kind"])
        if row["p"] != row["p"]:
            why = names.in_text(labels.full_stop(row["note"]))
            items.append(f"<li>{esc(what)} could not be tested. {esc(why)}</li>")
        elif row["q"] <= inputs.fdr:
            verb = direction(row, contrast)
            claim = ", ".join(part for part in (f"{what} {verb}", where_text(contrast)) if part)
            more = "".join(f"<br>{esc(s)}" for s in context.sentences(row, contrast, inputs))
            found = f"<strong>{esc(claim)}</strong><br>{esc(statistics(row, within))}{more}"
            items.append(f'<li class="cx-found">{found}</li>')
        else:
            items.append(
                f"<li>No difference could be shown for {esc(what)}<br>{esc(statistics(row, within))}</li>"
            )
    return f"<p>Primary family ({labels.plural(len(primary), 'feature')}):</p><ul>{''.join(items)}</ul>"


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
