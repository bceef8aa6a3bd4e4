"""What stands beside a declared finding: does it depend on a covariate, and does it track serum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cartox.columns import FEATURE
from cartox.report import labels
from cartox.report.page import records
from cartox.statistics.serum import AVERAGED

if TYPE_CHECKING:
    from cartox.report.inputs import Inputs


def sentences(row: Mapping[str, Any], contrast: Mapping[str, Any], inputs: Inputs) -> list[str]:
    """Sentences on one result of the primary family; none where nothing is known."""
    return [*_interactions(row, contrast), *_serum(row, contrast, inputs)]


def _interactions(row: Mapping[str, Any], contrast: Mapping[str, Any]) -> list[str]:
    """How far the effect could differ with each covariate: an interval, as no evidence is not equality."""
    out = []
    for found in contrast.get("interactions") or []:
        if any(found[name] != row[name] for name in FEATURE) or found.get("ci_low") is None:
            continue
        covariate = str(found["with"]).replace("_", " ")
        estimate, low, high = (labels.number(found[name]) for name in ("estimate", "ci_low", "ci_high"))
        spans = found["ci_low"] <= 0 <= found["ci_high"]
        claim = "the data neither show nor exclude that the effect depends" if spans else "it seems to depend"
        out.append(
            f"Interaction with {covariate}: {estimate} (95 % interval {low} to {high}; "
            f"{labels.p_equals('p', found.get('p'))}): {claim} on {covariate}."
        )
    return out


def _serum(row: Mapping[str, Any], contrast: Mapping[str, Any], inputs: Inputs) -> list[str]:
    """The analyte that the feature follows most closely at the contrast's time points, or over all."""
    found = inputs.correlations
    times = [str(t) for t in (contrast.get("where") or {}).get("timepoint") or [AVERAGED]]
    same = found["timepoint"].isin(times) & found["p_permutation"].notna()
    for name in FEATURE:
        same &= found[name] == row[name]
    best = records(found[same].sort_values("p_permutation").head(1))
    return [_closest(b) for b in best]


def _closest(found: Mapping[str, Any]) -> str:
    analyte, n = labels.cytokine(str(found["analyte"])), labels.plural(int(found["n"]), "patient")
    rho, low, high = (labels.number(found[name]) for name in ("rho", "ci_low", "ci_high"))
    p, q = labels.p_equals("permutation p", found["p_permutation"]), labels.p_equals("q", found["q"])
    when = "over all visits" if found["timepoint"] == AVERAGED else f"at {found['timepoint']}"
    text = f"Closest serum analyte {when}: {analyte}, ρ = {rho} (95 % interval {low} to {high}), "
    text += f"{p}, {q} of all correlations, {n}"
    if (adjusted := labels.number(found["rho_partial"])) and found["covariates"]:
        covariates = labels.joined(name.replace("_", " ") for name in found["covariates"].split("+"))
        text += f"; with {covariates} held fixed, ρ = {adjusted}, {labels.p_equals('p', found['p_partial'])}"
    return f"{text}."
