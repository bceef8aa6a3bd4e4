"""Whether an effect is the same whatever a covariate: the interaction's interval, for the declared features.

"Regardless of anakinra" is a claim about the interaction: the additive term holds, and the interval of
toxicity × anakinra says how different the effect could still be between the arms.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cartox.statistics.association import Engine, Tested, limit
from cartox.statistics.design import Design, build
from cartox.statistics.moderated import moderate
from cartox.statistics.stratum import Stratum

COLUMNS = ("kind", "cell_type", "feature", "with", "coefficient", "estimate", "ci_low", "ci_high", "p")


def additive(formula: str, term: str) -> list[str]:
    """Covariates that stand beside the term on their own, without an interaction with it."""
    from formulaic import Formula

    # formulas and terms may be written with and without spaces
    terms = [[str(factor).replace(" ", "") for factor in t.factors] for t in Formula.from_spec(formula)]
    term = term.replace(" ", "")
    crossed = {factor for factors in terms if len(factors) > 1 and term in factors for factor in factors}
    excluded = {"1", "0", "patient", term} | crossed
    return [factors[0] for factors in terms if len(factors) == 1 and factors[0] not in excluded]


def intervals(
    stratum: Stratum, design: Design, tested: Sequence[Tested], declared: set[tuple[str, str, str]]
) -> list[dict]:
    """Interaction of the term with each additive covariate, for the declared (kind, cell_type, feature).

    Moderated among the features of its block. What the design cannot estimate is left
    out.
    """
    if stratum.within or ":" in stratum.term or len(design.coefficients) > 1:
        return []
    found = []
    for covariate in additive(stratum.formula, stratum.term):
        term = f"{stratum.term}:{covariate}"
        try:
            crossed = build(stratum.units, f"{stratum.formula} + {term}", term, False)
        except ValueError:  # the covariate has one level here
            continue
        engine = Engine(crossed, 0, 0)
        for coefficient in crossed.coefficients:
            for one in tested:
                block = one.block
                keys = [(block.kind, c, f) for c, f in zip(block.cell_type, block.feature, strict=True)]
                wanted = [i for i, key in enumerate(keys) if key in declared]
                if not wanted or not one.testable:
                    continue
                both = engine.examine(block, coefficient, planned=False)
                if not len(both.estimate) or not both.df:
                    continue
                test = moderate(
                    both.estimate, both.unscaled, both.variance, both.df, block.level, limit([both])
                )
                for i in wanted:
                    numbers = np.array([test.estimate[i], test.low[i], test.high[i], test.p[i]])
                    if not np.isfinite(numbers).all():
                        continue
                    rounded = np.round(numbers, 6).tolist()
                    values = (*keys[i], covariate, coefficient.meaning, *rounded)
                    found.append(dict(zip(COLUMNS, values, strict=True)))
    return found
