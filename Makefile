# What a newcomer runs: `make demo` and `make test`. Needs Python 3.11, git and make, no more.
SHELL := /bin/bash
PYTHON ?= $(firstword $(shell command -v python3.11 python3))
UV_VERSION := 0.13.9
UV := .engine/bootstrap/bin/uv
RUN := .venv/bin
DEMO := results/demo_cohort
NEXTFLOW := .engine/nextflow
DEMO_NOTE := This cohort is simulated: counts are drawn from real cells' profiles, and the effects are planted.

.PHONY: help setup demo test test-engines test-fast bench lint images nextflow clean
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

help: ## show this
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(UV):
	@echo "setup: uv $(UV_VERSION)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' \
	    || { echo "cartox needs Python 3.11: make PYTHON=/path/to/python3.11 …"; exit 1; }
	@$(PYTHON) -m venv .engine/bootstrap
	@.engine/bootstrap/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.venv/.synced: uv.lock pyproject.toml | $(UV)
	@echo "setup: the locked Python environment into .venv (about 2.4 GB)"
	@$(UV) sync --quiet --frozen --compile-bytecode --python $(PYTHON)
	@$(RUN)/python -W ignore -c 'import liana' # compiles its kernels, once
	@touch $@

$(NEXTFLOW): scripts/install_engine.sh jgo.toml | .venv/.synced
	@scripts/install_engine.sh
	@touch $@

setup: .venv/.synced $(NEXTFLOW) ## install the Python environment and the engine, in this folder only

$(DEMO)/samples.csv: bin/simulate_cohort.py $(wildcard bin/cartox/demo/*.py assets/demo/*) | setup
	@echo "demo: drawing the cohort into $(DEMO)"
	@$(RUN)/python bin/simulate_cohort.py --out $(DEMO)
	@touch $@

demo: setup $(DEMO)/samples.csv ## simulate a trial, run the pipeline on it, print where the report is
	@echo "demo: running the pipeline; a second run reuses what is done"
	@start=$$(date +%s) && $(NEXTFLOW) run . -profile venv -resume \
	    --input $(DEMO)/samples.csv --clinical $(DEMO)/patients.csv --analytes $(DEMO)/serum.csv \
	    --contrasts $(DEMO)/contrasts.yml --car_features FMC63-CD19SCFV \
	    --report_note "$(DEMO_NOTE)" --outdir results/demo \
	    && echo "demo: done in $$(( $$(date +%s) - start )) s; open $(CURDIR)/results/demo/report.html"

images: ## build the container images: make images BASE_IMAGE=… TAG=… REGISTRY=… IMAGES="counts stats"
	@$(PYTHON) containers/build.py $(IMAGES) $(if $(BASE_IMAGE),--base_image $(BASE_IMAGE)) \
	    $(if $(TAG),--tag $(TAG)) $(if $(REGISTRY),--registry $(REGISTRY)) $(if $(PUSH),--push)

nextflow: setup ## run the installed engine: make nextflow ARGS="run . --help"
	@$(NEXTFLOW) $(ARGS)

lint: setup ## style, types and strict syntax
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/basedpyright
	$(NEXTFLOW) lint main.nf subworkflows modules conf nextflow.config

test: setup lint ## everything: lint, unit tests, the pipeline on the demo and on real cohorts
	$(RUN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder tests/unit tests/pipeline
	@if command -v nf-test >/dev/null; then nf-test test --profile venv; fi

test-engines: setup ## the pipeline in Docker and on Slurm, where they answer (scripts/start_docker.sh, start_slurm.sh)
	$(RUN)/python -m pytest tests/engines

bench: setup ## cartox beside a plain script: make bench SIZE=20k (2k, 100k, 400k, 1M; demo: overheads; PLAIN=no)
	$(RUN)/python benchmarks/bench.py --size $(or $(SIZE),20k) --plain $(or $(PLAIN),yes)

test-fast: setup ## unit tests only
	$(RUN)/python -m pytest tests/unit -m "not real"

clean: ## remove work folders and results; the environment stays
	rm -rf work results .nextflow .nextflow.log* .nf-test
