"""From measures of samples to blocks of units that share a design."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from cartox.signals.edger import filter_by_expr, log_cpm, tmm_factors
from cartox.statistics.association import Block
from cartox.statistics.design import Design, subset
from cartox.statistics.measures import CountsOfType, Measure
from cartox.statistics.stratum import Stratum, averaging
from cartox.statistics.voom import voom

MIN_GENES = 20  # below this a mean–variance curve cannot be drawn: no voom weights


class Assembler:
    """Turns the samples of a stratum into the rows of its design."""

    def __init__(self, stratum: Stratum, design: Design):
        """design: of the stratum's units."""
        self.stratum, self.design = stratum, design
        self.notes: list[str] = []
        self.row = {unit: i for i, unit in enumerate(design.units["_unit"])}
        self._averages: dict[tuple, tuple[np.ndarray, np.ndarray]] = {}

    def average(self, samples: pd.DataFrame, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the design that these samples (mask) give, and the weights rows × samples seen."""
        key = (len(samples), "".join(samples["sample"][:1]), seen.tobytes())
        if key not in self._averages:
            part = samples[seen].reset_index(drop=True)
            units, weights = averaging(part, self.stratum.level == "change", self.stratum.adjust)
            held = np.array([unit in self.row for unit in units], dtype=bool)
            rows = np.array([self.row[unit] for unit in units if unit in self.row], dtype=int)
            weights = weights[held]
            if self.design.blocks is not None and len(rows):
                # within patients, a patient seen once here tells nothing
                names, counts = np.unique(self.design.blocks[rows], return_counts=True)
                paired = np.isin(self.design.blocks[rows], names[counts > 1])
                rows, weights = rows[paired], weights[paired]
            self._averages[key] = rows, weights
        return self._averages[key]

    def blocks(
        self, measure: Measure, samples: pd.DataFrame, by_type: bool = False, scale: str = ""
    ) -> list[Block]:
        """Blocks of a measure: features missing in the same samples; a prior by kind, or by cell type.

        scale: names the units where a kind has features in several, which share no prior.
        """
        made = []
        for name in sorted(set(measure.cell_type)) if by_type else [None]:
            part = measure if name is None else measure.only(measure.cell_type == name)
            seen = ~np.isnan(part.data)
            patterns, which = np.unique(seen, axis=1, return_inverse=True)
            for i in range(patterns.shape[1]):
                rows, weights = self.average(samples, patterns[:, i])
                if not len(rows):
                    continue
                block = part.only(which.ravel() == i)
                data = weights @ block.data[patterns[:, i]]
                family = f"{part.kind}{scale}" if name is None else f"{part.kind}|{name}"
                made.append(Block(part.kind, family, block.cell_type, block.feature, rows, data))
        return made

    def expression(self, bulks: Iterable[CountsOfType]) -> list[Block]:
        """Blocks of gene expression, one per cell type.

        Where each unit is one sample: voom's log-CPM and weights. Where units are averages or differences of
        samples, their variance is no function of one count: log-CPM, equal weights, prior with a trend.
        """
        made = []
        samples = self.stratum.samples
        for bulk in bulks:
            seen = samples["sample"].isin(bulk.samples).to_numpy()
            rows, weights = self.average(samples, seen)
            used = np.abs(weights).sum(axis=0) > 0
            if len(rows) < 2:
                self.notes.append(
                    f"Expression in {bulk.cell_type} not tested: too few samples with enough cells."
                )
                continue
            counts, weights = bulk.counts[used], weights[:, used]
            own = np.abs(weights).argmax(axis=0)  # the unit that each sample belongs to
            kept = filter_by_expr(counts, self.design.matrix[rows[own]])
            counts, genes = counts[:, kept], bulk.genes[kept]
            if not counts.any(axis=1).all():
                self.notes.append(f"Expression in {bulk.cell_type} not tested: too few counts.")
                continue
            factors = tmm_factors(counts)
            names = np.full(len(genes), bulk.cell_type)
            design = subset(self.design, rows, self.design.coefficients[0])
            model = design.matrix
            if design.reason and not design.descriptive:  # the tested column adds nothing to the others
                model = np.delete(model, design.tested, axis=1)
            level = log_cpm(counts, factors).mean(axis=0)
            one_each = weights.shape[0] == weights.shape[1] and np.allclose(weights, np.eye(len(rows))[own].T)
            family = f"expression|{bulk.cell_type}"
            if one_each and len(rows) > model.shape[1] and len(genes) >= MIN_GENES:
                data, precision = voom(counts, factors, model[own])
                order = np.argsort(own)
                made.append(Block("expression", family, names, genes, rows, data[order], precision[order]))
            else:
                data = weights @ log_cpm(counts, factors)
                made.append(Block("expression", family, names, genes, rows, data, level=level))
        return made


def visits(stratum: Stratum) -> pd.DataFrame:
    """The stratum's patients and time points in the form of its samples, for what is measured per visit."""
    frame = stratum.samples[["patient", "timepoint", "_unit", "_baseline"]].drop_duplicates()
    frame = frame.sort_values(["patient", "timepoint", "_unit"], ignore_index=True)
    return frame.assign(sample=frame["patient"] + "|" + frame["timepoint"])
