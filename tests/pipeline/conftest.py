"""Real Nextflow runs of this checkout; what is run and read stands in tests/pipeline_runs.py."""

from pipeline_runs import demo, demo_cohort, engine, pipeline

__all__ = ["demo", "demo_cohort", "engine", "pipeline"]
