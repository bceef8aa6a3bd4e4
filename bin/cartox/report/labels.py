"""Names and numbers as a clinician reads them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cartox.cells.markers import read_markers
from cartox.labels import UNNAMED

CELL_TYPES = {
    "CD14_Mono": "CD14+ monocytes",
    "CD16_Mono": "CD16+ monocytes",
    "CD4_T": "CD4+ T cells",
    "CD8_T": "CD8+ T cells",
    "NK": "NK cells",
    "B": "B cells",
    "T": "T cells",
    "pDC": "Plasmacytoid dendritic cells",
    "cDC1": "Conventional dendritic cells 1",
    "cDC2": "Conventional dendritic cells 2",
    "Myeloid": "Myeloid cells",
    "Unassigned": "Unassigned",
    "Mixed": "Mixed (two lineages)",
}
KINDS = {
    "expression": "Genes",
    "pathway": "Pathways",
    "ligrec": "Ligand–receptor pairs",
    "tensor": "Communication programmes",
    "composition": "Composition",
    "car": "CAR+ cells",
    "analyte": "Serum",
    "primary": "Primary family",
}
UNITS = {
    "expression": "log2 fold change",
    "pathway": "difference in score",
    "ligrec": "difference in mean log expression",
    "tensor": "difference in loading",
    "composition": "difference in log ratio",
    "car": "difference in log odds",
    "car_state": "difference in log ratio",
    "analyte": "difference in log2 level",
}
AXES = {
    "expression": "log2 counts per million",
    "pathway": "pathway score",
    "ligrec": "mean log expression of the pair",
    "tensor": "loading on the programme",
    "composition": "log ratio to the median type",
    "car": "log odds of CAR+",
    "car_state": "log ratio to the median state",
    "analyte": "log2 level",
}
LEVELS = AXES | {  # of a sample in features.parquet, where AXES are of what is tested
    "car": "share of T cells",
    "car_state": "share of CAR+ T cells",
}
FEATURES = {
    "fraction": "fraction of cells",
    "clr": "share of cells (log ratio)",
    "car_fraction": "CAR+ fraction of T cells",
    "car_state": "share of CAR+ T cells",
}
REASONS = {
    "kept": "Kept",
    "low counts": "Too few counts",
    "high counts": "Too many counts",
    "low genes": "Too few genes",
    "high genes": "Too many genes",
    "high mito": "High mitochondrial share",
    "high haemoglobin": "Haemoglobin (red cells)",
}
COLLECTIONS = {"HALLMARK": "Hallmark", "REACTOME": "Reactome", "CYTOSIG": "CytoSig", "PROGENY": "PROGENy"}
CYTOKINES = {
    "IFNG": "IFN-γ",
    "IFN1": "Type I IFN",
    "IFNL": "IFN-λ",
    "TNFA": "TNF-α",
    "TNF": "TNF-α",
    "NFKB": "NF-κB",
}
CYTOKINES |= {"ANDROGEN": "Androgen", "ESTROGEN": "Estrogen", "HYPOXIA": "Hypoxia", "IL-1RA": "IL-1Ra"}
CYTOKINES |= {
    "IL1A": "IL-1α",
    "IL1B": "IL-1β",
    "TGFB": "TGF-β",
    "TGFB1": "TGF-β1",
    "GMCSF": "GM-CSF",
    "GCSF": "G-CSF",
}
CYTOKINES |= {"NO": "Nitric oxide", "IL1RA": "IL-1Ra", "JAK_STAT": "JAK-STAT", "P53": "p53"}
ACRONYMS = {"akt", "dna", "jak", "kras", "mhc", "mtor", "myc", "oas", "rna", "stat", "tgf", "tlr", "uv"}
SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
WORDS = {"tnfa": "TNF-α", "nfkb": "NF-κB", "ifng": "IFN-γ"}


def cell_type_names(markers: Path | None) -> dict[str, str]:
    """Display names of cell types: the marker table's `label` column where it has one, else ours."""
    given = read_markers(markers) if markers else []
    return CELL_TYPES | {
        marker.cell_type: marker.label for marker in given if marker.label != marker.cell_type
    }


class Names:
    """Display names for one report; unknown names are shown as they are, underscores as spaces."""

    def __init__(self, cell_types: Mapping[str, str]):
        """Take the cell types' display names."""
        self.cell_types = cell_types

    def cell_type(self, name: str) -> str:
        """A cell type, or two of them (`CD8_T^CD14_Mono` is `CD8+ T cells → CD14+ monocytes`)."""
        parts = str(name).split("^")
        return " → ".join(self.cell_types.get(p, p.replace("_", " ")) for p in parts)

    def in_text(self, text: str) -> str:
        """A remark as people write it: `CD14_Mono^CD4_T` by display names, `arm[T.b]` as `arm (b)`."""
        text = re.sub(r"(\w+)\[T\.([^\]]+)\]", r"\1 (\2)", text)
        text = re.sub(r"(?<=\w)\^(?=\w)", " → ", text)
        return re.sub(r"\b(?:\w+_\w+|[a-z]+(?:DC\d?|T))\b", lambda m: self.cell_types.get(m[0], m[0]), text)

    def in_order(self, types: Iterable[str]) -> list[str]:
        """Cell types by display name, what could not be named last."""
        return sorted(set(types), key=lambda t: (t in UNNAMED, self.cell_type(t).lower()))

    def feature(self, name: str, kind: str = "") -> str:
        """A feature of any kind: gene set, ligand–receptor pair, gene, share or analyte."""
        name = str(name)
        if kind in ("expression", "gene"):
            return name
        if kind == "analyte":
            return cytokine(name)
        if kind == "tensor":
            return name.replace("factor_", "programme ")
        if "^" in name:
            return " → ".join(part.replace("_", "+") for part in name.split("^"))
        collection, _, rest = name.partition("_")
        if collection == "CYTOSIG" and rest:
            return f"{cytokine(rest)} response (CytoSig)"
        if collection == "PROGENY" and rest:
            return f"{cytokine(rest)} activity (PROGENy)"
        if collection in COLLECTIONS and rest:
            return f"{sentence(rest)} ({COLLECTIONS[collection]})"
        return FEATURES.get(name, name.replace("_", " "))

    def both(self, cell_type: str, feature: str, kind: str = "") -> str:
        """Cell type and feature in one line; either may be empty."""
        where = (
            self.cell_type(cell_type)
            if isinstance(cell_type, str) and cell_type and feature != "car_fraction"
            else ""
        )
        return ": ".join(part for part in (where, self.feature(feature, kind)) if part)


def meaning(of: Mapping[str, str], row: Mapping[str, Any], unknown: str = "value") -> str:
    """The unit or axis (`UNITS`, `AXES`, `LEVELS`) of a row: its feature's own, else its kind's."""
    return of.get(row["feature"]) or of.get(row["kind"], unknown)


def cytokine(name: str) -> str:
    """A cytokine's or pathway's usual spelling."""
    if name in CYTOKINES:
        return CYTOKINES[name]
    if match := re.fullmatch(r"IL(\d+[A-Z]?)", name):
        return f"IL-{match[1]}"
    return name.replace("_", " ")


def sentence(name: str) -> str:
    """`INTERFERON_GAMMA_RESPONSE` as `Interferon gamma response`, acronyms kept."""
    words = [_word(word) for word in name.lower().split("_") if word]
    text = " ".join(words)
    return text[:1].upper() + text[1:]


def _word(word: str) -> str:
    if word in WORDS:
        return WORDS[word]
    if match := re.fullmatch(r"il(\d+)", word):
        return f"IL-{match[1]}"
    gene = re.search(r"\d", word) and re.search(r"[a-z]", word)
    return word.upper() if gene or word in ACRONYMS else word


def shortened(name: str, most: int = 44) -> str:
    """A name that fits beside a picture: of a longer one the end is left out, but not what is in brackets."""
    head, bracket, tail = name.rpartition(" (")
    end = f" ({tail}" if bracket else ""
    head = head if bracket else name
    return name if len(name) <= most else f"{head[: max(1, most - len(end) - 1)].rstrip()}…{end}"


def number(value: object, digits: int = 2) -> str:
    """A number with so many decimals, minus sign and thousands separated; empty when missing."""
    if not isinstance(value, int | float) or math.isnan(value):
        return ""
    return f"{value:,.{digits}f}".replace("-", "−")


def p_value(value: object) -> str:
    """A p-value with two significant digits; below a millionth only that: no cohort supports finer claims."""
    if not isinstance(value, int | float) or math.isnan(value):
        return ""
    if value < 1e-6:
        return "< 10⁻⁶"
    if value >= 0.1:
        return f"{value:.2f}"
    if value >= 0.0001:
        return f"{float(f'{value:.2g}'):f}".rstrip("0")
    mantissa, _, power = f"{value:.1e}".partition("e-")
    return f"{mantissa} × 10⁻{power.lstrip('0').translate(SUPERSCRIPT)}"


def p_equals(name: str, value: object) -> str:
    """`p = 0.02`, or `p < 10⁻⁶`."""
    text = p_value(value)
    return f"{name} {text}" if text.startswith("<") else f"{name} = {text}"


def full_stop(text: str) -> str:
    """A remark as a sentence: capital first, full stop last."""
    text = text.strip()
    first = text.split(" ")[0]
    if not first.rstrip(".:").count("."):  # not the name of a file
        text = text[:1].upper() + text[1:]
    return text + ("" if text.endswith((".", "!", "?")) else ".")


def joined(items: Iterable[str], last: str = "and") -> str:
    """`a, b and c`."""
    words = list(items)
    return f" {last} ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def plural(n: int, word: str) -> str:
    """`1 sample`, `2 samples`."""
    return f"{n:,} {word}" if n == 1 else f"{n:,} {word}s"


def timepoint_order(names: Iterable[str]) -> list[str]:
    """Time points in the order of a trial: before, product, then by day; the rest by name.

    `D-5` is a day before day 0 where other days are written without a dash (`D7`), else day 5.
    """
    known = set(names)
    undashed = any(re.search(r"(?:^|[a-z\s_])\d", name.lower()) for name in known)

    def key(name: str) -> tuple[int, float, str]:
        low = name.lower()
        if re.search(r"baseline|screen|pre|apheresis", low):
            return (0, 0, name)
        if re.search(r"product|^ip$", low):
            return (1, 0, name)
        if match := re.search(r"(day|week|month|year|[dwmy])?[\s_]*(-?)[\s_]*(\d+(?:\.\d+)?)", low):
            days = {"w": 7, "m": 30, "y": 365}.get((match[1] or "d")[0], 1)
            return (2, float(match[3]) * days * (-1 if match[2] and undashed else 1), name)
        return (3, 0, name)

    return sorted(known, key=key)
