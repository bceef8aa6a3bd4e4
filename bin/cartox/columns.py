"""Columns of the tables that people take away, in their order; docs/output.md says what each means."""

from __future__ import annotations

FEATURE = ["kind", "cell_type", "feature"]  # what a result is about

# features.parquet
FEATURES = ["patient", "timepoint", "sample", "cell_type", "kind", "feature", "value", "n_cells"]

# samples.csv: the columns that every cohort has
SAMPLES = ("sample", "patient", "timepoint", "batch")

# analytes.csv
ANALYTES = ["patient", "timepoint", "analyte", "value", "unit", "censored"]

# <contrast>.associations.csv; LOGIT: propeller's test beside the log-ratio's
TESTED = ["estimate", "ci_low", "ci_high", "statistic", "p", "p_permutation", "p_floor"]
LOGIT = {"estimate": "logit_estimate", "statistic": "logit_statistic", "p": "logit_p"}
ASSOCIATIONS = ["contrast", *FEATURE, *TESTED, "q", "family", "family_size", "n", "n_per_group", "note"]
ASSOCIATIONS += ["coefficient", "p_max_t", "p_pooled", *LOGIT.values()]

# <contrast>.values.parquet
VALUES = ["contrast", *FEATURE, "patient", "timepoint", "group", "value"]

# <contrast>.calibration.csv
CALIBRATION = ["contrast", "family", "n_tests", "n_permutations", "share_below_0.05"]
CALIBRATION += ["ci_low", "ci_high", "note"]
BAND = (0.03, 0.07)  # share of p < 0.05 under permutation that is as it should be; outside, the note says so
BAND_SHOWN = f"{BAND[0]}–{BAND[1]}"

# correlations.csv; PARTIAL: adjusted for covariates
CORRELATED = ["rho", "ci_low", "ci_high", "p_permutation"]
PARTIAL = ["rho_partial", "ci_low_partial", "ci_high_partial", "p_partial"]
CORRELATIONS = ["timepoint", *FEATURE, "analyte", *CORRELATED, "q", "n", "note", *PARTIAL]
CORRELATIONS += ["q_partial", "covariates"]
