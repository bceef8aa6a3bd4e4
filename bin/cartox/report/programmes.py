"""Communication programmes: what each factor of Tensor-cell2cell is made of, and whether it was tested."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cartox.report import labels
from cartox.report.page import Column, Section, esc, table

if TYPE_CHECKING:
    from cartox.report.inputs import Inputs
    from cartox.report.labels import Names

PAIRS = 6  # shown of each programme
SHARE = 0.1  # least share of a programme's weight of a cell type that is named

COLUMNS = (
    Column("programme", "Programme"),
    Column(
        "stability", "Stability", "number", "Mean likeness to its match from the other random starts, 0 to 1"
    ),
    Column("from", "From", help="Cell types that carry a tenth or more of its weight"),
    Column("to", "To", help="Cell types that carry a tenth or more of its weight"),
    Column("pairs", "Strongest pairs", "long"),
    Column("tested", "Tested"),
)


def section(inputs: Inputs, names: Names) -> Section | None:
    """A table of programmes for each time point and tissue; None where none were asked."""
    if not inputs.tensor:
        return None
    strata = {each["stratum"]: each for each in inputs.tensor["strata"]}
    content = "".join(_stratum(strata[key], inputs, names) for key in labels.timepoint_order(strata))
    about = (
        "Sets of pairs that rise and fall together over samples, between the cell types that carry them "
        "(Tensor-cell2cell). A sample's loading on each is tested against outcome. What depends on the "
        f"random start (stability below {inputs.tensor['stable_from']}) is shown, and not tested."
    )
    return Section("ligrec_programmes", "Communication programmes", content, description=about)


def _stratum(about: dict[str, Any], inputs: Inputs, names: Names) -> str:
    title = about["stratum"].replace("_", " ")
    if about["note"]:
        return f"<p>{esc(labels.full_stop(title + ': ' + about['note']))}</p>"
    samples, pairs = labels.plural(len(about["samples"]), "sample"), labels.plural(about["n_pairs"], "pair")
    said = f"{title}: {samples}, {pairs}; {100 * about['explained_variance']:.0f} % of the variance explained"
    if left := about["samples_left_out"]:
        said += f". Left out, with too few cell types: {labels.joined(left)}"
    of = [row for row in inputs.programmes if row["stratum"] == about["stratum"]]
    rows = [_row(each, [r for r in of if r["factor"] == each["factor"]], names) for each in about["factors"]]
    return f"<p>{esc(labels.full_stop(said))}</p>" + table(
        rows, COLUMNS, f"{title}: communication programmes"
    )


def _row(factor: dict[str, Any], loadings: list[dict[str, Any]], names: Names) -> dict[str, Any]:
    pairs = [row["name"] for row in loadings if row["mode"] == "pair"][:PAIRS]
    return {
        "programme": names.feature(factor["factor"], "tensor").capitalize(),
        "stability": factor["stability"],
        "from": _types(loadings, "sender", names),
        "to": _types(loadings, "receiver", names),
        "pairs": ", ".join(names.feature(pair, "ligrec") for pair in pairs),
        "tested": "yes" if factor["stable"] else "no: differs between starts",
    }


def _types(loadings: list[dict[str, Any]], mode: str, names: Names) -> str:
    """Cell types with their share of the programme (squared loadings add up to 1), largest first."""
    shares = [(row["name"], row["loading"] ** 2) for row in loadings if row["mode"] == mode]
    return ", ".join(
        f"{names.cell_type(name)} {100 * share:.0f} %" for name, share in shares if share >= SHARE
    )
