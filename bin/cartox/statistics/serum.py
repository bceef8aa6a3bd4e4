"""Serum analytes, and their rank correlation with features across patients."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cartox.columns import CORRELATED, CORRELATIONS, FEATURE, PARTIAL
from cartox.contrasts import Contrast
from cartox.files import known, typed
from cartox.statistics.families import benjamini_hochberg, declared
from cartox.statistics.permutation import plan
from cartox.statistics.rank_correlation import Correlation, Covariates, correlate
from cartox.statistics.stratum import averaging

MIN_DF = 3  # residual degrees of freedom that a p needs: five patients, one more for each covariate
N_BOOTSTRAP = 1000
AVERAGED = "all"  # instead of a time point, where visits are averaged
VISIT = ["patient", "timepoint"]


def log2_values(table: pd.DataFrame) -> pd.DataFrame:
    """analytes.csv as patient, timepoint, analyte, value (log2), censored (share); replicates averaged.

    Censored values are at their limit, so that they tie. Values of 0 or less have no logarithm: they are
    taken as half of the analyte's smallest positive value.
    """
    long = table.assign(value=pd.to_numeric(table["value"], errors="coerce")).dropna(subset=["value"])
    if not len(long):
        return pd.DataFrame(columns=["patient", "timepoint", "analyte", "value", "censored"])
    smallest = long["value"].where(long["value"] > 0).groupby(long["analyte"]).transform("min") / 2
    long["value"] = np.log2(long["value"].where(long["value"] > 0, smallest.fillna(1)))
    long["censored"] = long["censored"].fillna("").isin(["left", "right"]).astype(float)
    keys = ["patient", "timepoint", "analyte"]
    return long.groupby(keys, sort=True)[["value", "censored"]].mean().reset_index()


def beside_the_term(contrasts: Iterable[Contrast], clinical: Iterable[str]) -> list[str]:
    """Clinical columns that stand beside the tested term in some contrast and are tested in none, sorted."""
    from cartox.statistics.design import variables

    used: set[str] = set()
    tested: set[str] = set()
    for contrast in contrasts:
        used |= variables(contrast.formula)
        tested |= variables(f"~ 0 + {contrast.term}")
    return sorted((used - tested - {"patient"}) & set(clinical))


def adjusting(clinical: pd.DataFrame, names: Sequence[str], contrasts: Iterable[Contrast]) -> pd.DataFrame:
    """The named columns by patient: numbers where a whole column is numeric and no formula has it as C(…).

    clinical: all columns str, '' where a value is missing.
    """
    formulas = " ".join(contrast.formula for contrast in contrasts)
    frame = clinical.set_index("patient")[list(names)].copy()
    for name in names:
        as_category = re.search(rf"\bC\(\s*{re.escape(name)}\b", formulas)
        frame[name] = (known if as_category else typed)(frame[name])
    return frame


def chosen(features: pd.DataFrame, focus: list[dict]) -> pd.DataFrame:
    """Rows of features.parquet to correlate: few kinds in full, pairs only where declared."""
    text = ["patient", "timepoint", "sample", "cell_type", "kind", "feature"]
    full = ["pathway", "car", "tensor"]
    rows = features[features["kind"].isin([*full, "composition", "ligrec"])].astype(dict.fromkeys(text, str))
    keys = [rows[name].to_numpy(dtype=str) for name in FEATURE]
    pairs = (keys[0] == "ligrec") & declared(focus, *keys)
    types = (keys[0] == "composition") & (keys[2] == "clr")
    return rows[pairs | types | np.isin(keys[0], full)]


@dataclass
class Correlator:
    """Correlates patients × features with patients × analytes.

    covariates: of `adjusting`; patients who lack one are left out of the partial correlation alone.
    """

    covariates: pd.DataFrame
    n_permutations: int
    seed: int

    def rows(self, features: pd.DataFrame, analytes: pd.DataFrame, share: pd.Series) -> pd.DataFrame:
        """Rows of correlations.csv without time point and q. share: of each analyte's values, censored."""
        n = len(features)
        made = self._correlate(features, analytes)
        grid = np.indices(made.rho.shape).reshape(2, -1)
        rows = features.columns.to_frame(index=False).iloc[grid[1]].reset_index(drop=True)
        rows["analyte"] = analytes.columns.to_numpy(dtype=str)[grid[0]]
        rows[CORRELATED] = _columns(made)
        few = n - 2 < MIN_DF
        if few:
            rows[CORRELATED[1:]] = np.nan
        rows[PARTIAL], given, said = self._partial(features, analytes)
        explained = given & rows["rho_partial"].isna() & rows["rho"].notna()
        limits = share.reindex(analytes.columns).to_numpy(float)[grid[0]]
        notes = [
            np.full(len(rows), f"fewer than {MIN_DF + 2} patients: no p" if few else "", dtype=object),
            [f"{100 * s:.0f} % of values at the limit of detection" if s > 0 else "" for s in limits],
            np.where(rows["rho"].isna(), "no variation", ""),
            np.full(len(rows), said, dtype=object),
            np.where(explained, "no partial correlation: the covariates leave no variation", ""),
        ]
        rows["note"] = ["; ".join(filter(None, words)) for words in zip(*notes, strict=True)]
        return rows.assign(n=n, covariates="+".join(self.covariates.columns))

    def _correlate(
        self, features: pd.DataFrame, analytes: pd.DataFrame, covariates: Covariates | None = None
    ) -> Correlation:
        n = len(features)
        orders = plan(np.arange(n), None, self.n_permutations, self.seed).orders
        draws = np.random.default_rng(self.seed).integers(0, n, (N_BOOTSTRAP, n))
        return correlate(features.to_numpy(float), analytes.to_numpy(float), orders, draws, covariates)

    def _partial(self, features: pd.DataFrame, analytes: pd.DataFrame) -> tuple[np.ndarray, bool, str]:
        """Partial columns (rows × 4), whether they could be computed, and what there is to say of them."""
        none = np.full((features.shape[1] * analytes.shape[1], len(PARTIAL)), np.nan)
        if not len(self.covariates.columns):
            return none, False, ""
        every = self.covariates.reindex(features.index)
        complete = every.notna().all(axis=1)
        known, names = every[complete], list(map(str, every.columns))
        note = ""
        if not complete.all():
            lacking = ", ".join(name for name in names if every[name].isna().any())
            note = f"partial over {len(known)} of {len(every)} patients, as others lack {lacking}"
        if not len(known):
            return none, False, f"no partial correlation: no patient has {' and '.join(names)}"
        constant = [name for name in names if known[name].nunique() < 2]
        if constant:
            verb = "have one value" if len(constant) > 1 else "has one value"
            return none, False, f"no partial correlation: {', '.join(constant)} {verb} among these patients"
        given = coded(known)
        if len(known) - 2 - given.size < MIN_DF:
            many = f"{len(known)} patients are too few to adjust for {', '.join(names)}"
            return none, False, f"no partial correlation: {many}"
        if np.linalg.matrix_rank(given.matrix()) <= given.size:
            alike = " and ".join(names)
            return none, False, f"no partial correlation: {alike} cannot be told apart in these patients"
        made = self._correlate(features[complete], analytes[complete], given)
        return _columns(made), True, note


def coded(known: pd.DataFrame) -> Covariates:
    """Numbers as they are, categories by treatment coding. known: patients × covariates, none missing."""
    from formulaic import model_matrix

    numeric = [name for name in known if pd.api.types.is_numeric_dtype(known[name])]
    groups = [f"C(`{name}`)" for name in known.columns if name not in numeric]
    matrix = np.asarray(model_matrix(" + ".join(["1", *groups]), known), dtype=float)
    return Covariates(matrix[:, 1:], known[numeric].to_numpy(float))


def _columns(made: Correlation) -> np.ndarray:
    return np.column_stack([part.ravel() for part in (made.rho, made.low, made.high, made.p)])


def correlations(
    features: pd.DataFrame,
    analytes: pd.DataFrame,
    covariates: pd.DataFrame,
    n_permutations: int,
    seed: int,
) -> pd.DataFrame:
    """Rows of correlations.csv: every feature with every analyte of the same time point.

    analytes: of `log2_values`. covariates: of `adjusting`. Values of one patient and time point are averaged.
    Where patients have several of the time points, a further block named AVERAGED holds the correlation of
    their time-adjusted means. q is Benjamini–Hochberg over all pairs of a block, for p_permutation and
    p_partial apart.
    """
    correlator = Correlator(covariates, n_permutations, seed)
    times = sorted(set(features["timepoint"]) & set(analytes["timepoint"]))
    wide, levels, share = (
        table.pivot_table(index=VISIT, columns=columns, values=value)
        for table, columns, value in (
            (features, FEATURE, "value"),
            (analytes, "analyte", "value"),
            (analytes, "analyte", "censored"),
        )
    )
    parts = []
    for name, held in _blocks(times).items():
        rows = []
        for visits, columns, names in _complete(wide, levels, held):
            if name == AVERAGED and not visits.duplicated("patient").any():
                continue
            weights, patients = _averages(visits)
            if len(patients) < 3:
                continue
            at = pd.MultiIndex.from_frame(visits)
            mean, level = (
                pd.DataFrame(weights @ t.loc[at].to_numpy(), patients, t.columns)
                for t in (wide.loc[:, columns], levels.loc[:, names])
            )
            rows.append(correlator.rows(mean, level, (share.loc[at, names] > 0).mean()))
        if rows:
            part = pd.concat(rows, ignore_index=True).assign(timepoint=name)
            q, partial = (benjamini_hochberg(part[p].to_numpy(float)) for p in ("p_permutation", "p_partial"))
            parts.append(part.assign(q=q, q_partial=partial))
    if not parts:
        return pd.DataFrame(columns=CORRELATIONS)
    order = ["timepoint", *FEATURE, "analyte"]
    return pd.concat(parts)[CORRELATIONS].sort_values(order, ignore_index=True)


def paired(
    features: pd.DataFrame, analytes: pd.DataFrame, times: Sequence[str], timepoint: str
) -> pd.DataFrame:
    """The values behind one correlation: patient, feature, analyte, censored (whether any of its values was).

    features, analytes: rows of one feature and one analyte. times: all time points that have both, in the
    whole cohort. timepoint: one of them, or AVERAGED.
    """
    held = _blocks(times).get(timepoint, [])
    of, serum = (
        table[table["timepoint"].isin(held)].groupby(VISIT)[value].mean()
        for table, value in ((features, ["value"]), (analytes, ["value", "censored"]))
    )
    both = of.join(serum, how="inner", lsuffix="_feature").dropna().sort_index()
    visits = both.index.to_frame(index=False)
    weights, patients = _averages(visits)
    mean = pd.DataFrame(weights @ both[["value_feature", "value"]].to_numpy(), columns=["feature", "analyte"])
    censored = (both["censored"] > 0).groupby("patient").any().reindex(patients)
    return mean.assign(patient=patients, censored=censored.to_numpy())


def _blocks(times: Sequence[str]) -> dict[str, list[str]]:
    """The time points of each block of correlations, by its name."""
    alone: dict[str, list[str]] = {time: [time] for time in times}
    return alone | ({AVERAGED: list(times)} if AVERAGED not in times else {})


def _averages(visits: pd.DataFrame) -> tuple[np.ndarray, list[str]]:
    """Weights patients × visits of the time-adjusted patient means, and the patients."""
    if not visits.duplicated("patient").any():
        return np.eye(len(visits)), visits["patient"].tolist()
    frame = visits.assign(_unit=visits["patient"], _baseline=False)
    patients, weights = averaging(frame, change=False, adjust=True)
    return weights, patients


def _complete(
    wide: pd.DataFrame, serum: pd.DataFrame, times: list[str]
) -> Iterator[tuple[pd.DataFrame, np.ndarray, np.ndarray]]:
    """Visits, features and analytes (masks) without missing values, one group per pattern of visits."""
    both = wide.index.intersection(serum.index)
    visits = both[both.get_level_values("timepoint").isin(times)].sort_values()
    seen = [np.unique(t.loc[visits].notna().to_numpy(), axis=1, return_inverse=True) for t in (wide, serum)]
    frame = visits.to_frame(index=False)
    for i, features in enumerate(seen[0][0].T):
        for j, analytes in enumerate(seen[1][0].T):
            if (features & analytes).any():
                here = frame[features & analytes].reset_index(drop=True)
                yield here, seen[0][1].ravel() == i, seen[1][1].ravel() == j
