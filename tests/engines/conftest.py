"""Real container engines and schedulers, with the runner of tests/pipeline."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# by its path: pytest knows two files by the name of conftest
_spec = importlib.util.spec_from_file_location("pipeline_runs", ROOT / "tests/pipeline/conftest.py")
assert _spec and _spec.loader
pipeline_runs = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = pipeline_runs
_spec.loader.exec_module(pipeline_runs)
engine, pipeline, trial_flags = pipeline_runs.engine, pipeline_runs.pipeline, pipeline_runs.trial_flags
