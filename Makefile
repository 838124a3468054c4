# Deep Prior: set-up, demo, tests, checks and packaging. `make help` lists the targets.
#
# Three Python environments, all made with the system's Python (never one from PATH, because QGIS's embedded Python
# would use it):
#   .venv-engine  the worker's: torch, numpy, rasterio...; no QGIS. Built by the code of the plugin.
#   .venv-host    QGIS's own Python modules, with pytest; no torch. The two prove the process boundary.
#   .venv-tools   linters.
# A fourth one, .venv-docs, is made by `make docs` only.
# Each contains a stamp that is newer than the files it was made from; then set-up does nothing.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

PYTHON := /usr/bin/python3
ENGINE := .venv-engine/.ready
HOST := .venv-host/.ready
TOOLS := .venv-tools/.ready
DOCS := .venv-docs/.ready
PYTEST_ARGS ?=
BENCH_ARGS ?=
PAPERS := $(addprefix bench-papers-,inpaint denoise superresolve volume cascade)

.PHONY: help setup system demo test test-all test-core test-qgis check format docs \
    bench bench-gaps bench-scenes bench-crops bench-networks bench-superresolve bench-uncertainty bench-papers \
    bench-pages $(PAPERS) install package clean distclean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */\1\t/' | expand -t 20

setup: system $(ENGINE) $(HOST) $(TOOLS) ## install everything that the other targets need (skips finished steps)

system:
	@tools/setup-system

$(ENGINE): dip_core/requirements.txt tools/requirements-engine.txt tools/constraints.txt tools/build-engine | system
	$(PYTHON) tools/build-engine .venv-engine
	touch $@

$(HOST): tools/requirements-host.txt tools/build-host | system
	tools/build-host .venv-host
	touch $@

$(TOOLS): tools/requirements-tools.txt | system
	$(PYTHON) -m venv --clear .venv-tools
	.venv-tools/bin/python -m pip install --quiet -r tools/requirements-tools.txt
	touch $@

$(DOCS): tools/requirements-docs.txt | system
	$(PYTHON) -m venv --clear .venv-docs
	.venv-docs/bin/python -m pip install --quiet -r tools/requirements-docs.txt
	touch $@

demo: system $(ENGINE) ## fill the gaps of a small scene with qgis_process; results in demo-results/
	tools/demo.sh demo-results

test: system $(ENGINE) $(HOST) ## run all tests that are not slow: core tests without QGIS, QGIS tests without torch
	tools/run-tests core qgis -- $(PYTEST_ARGS)

test-all: system $(ENGINE) $(HOST) ## run all tests, including slow ones
	tools/run-tests --all core qgis -- $(PYTEST_ARGS)

test-core: system $(ENGINE) ## run the core tests only
	tools/run-tests core -- $(PYTEST_ARGS)

test-qgis: system $(ENGINE) $(HOST) ## run the QGIS tests only
	tools/run-tests qgis -- $(PYTEST_ARGS)

check: system $(ENGINE) $(TOOLS) ## lint, check types, and run the security scan of the plugin repository
	tools/check

format: system $(TOOLS) ## format the code
	.venv-tools/bin/ruff check --fix-only --quiet .
	.venv-tools/bin/ruff format .

docs: system $(DOCS) ## build the documentation into build/site and the help pages into resources/help; fails at a broken link
	.venv-docs/bin/python tools/build-help
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict --clean

bench: system $(ENGINE) ## compare every task with other methods; results in benchmarks/results/ and README.md
	OMP_WAIT_POLICY=PASSIVE .venv-engine/bin/python -m benchmarks $(BENCH_ARGS)

bench-gaps: system $(ENGINE) ## reproduce the table of the GAP paper (about 40 minutes on two cores)
	OMP_WAIT_POLICY=PASSIVE .venv-engine/bin/python -m benchmarks.gap_paper $(BENCH_ARGS)

bench-scenes: system $(ENGINE) ## compare all test scenes with GDAL's Fill nodata (about half an hour)
	OMP_WAIT_POLICY=PASSIVE .venv-engine/bin/python -m benchmarks.gap_scenes $(BENCH_ARGS)

bench-crops: system $(ENGINE) ## compare METHOD best with the best of its estimators on 20 crops (about a quarter of an hour)
	OMP_WAIT_POLICY=PASSIVE .venv-engine/bin/python -m benchmarks.crops $(BENCH_ARGS)

bench-networks: system $(ENGINE) ## time the lean networks and the paper's (about three minutes)
	OMP_WAIT_POLICY=PASSIVE .venv-engine/bin/python -m benchmarks.networks $(BENCH_ARGS)

bench-superresolve: system $(ENGINE) ## super-resolution of four scenes, by estimator (about 5 minutes)
	OMP_WAIT_POLICY=PASSIVE .venv-engine/bin/python -m benchmarks.superresolve $(BENCH_ARGS)

bench-uncertainty: system $(ENGINE) ## compare the uncertainty of denoising and super-resolution with their errors (about 5 minutes)
	OMP_WAIT_POLICY=PASSIVE .venv-engine/bin/python -m benchmarks.uncertainty $(BENCH_ARGS)

bench-papers: $(PAPERS) ## reproduce the tables of DHP and CASCADE (about 3 hours); parts: bench-papers-inpaint, -denoise, -superresolve, -volume, -cascade

$(PAPERS): bench-papers-%: system $(ENGINE)
	OMP_WAIT_POLICY=PASSIVE .venv-engine/bin/python -m benchmarks.papers $* $(BENCH_ARGS)

bench-pages: system $(ENGINE) ## make the result pages and the README's summary again from the stored results
	.venv-engine/bin/python -m benchmarks --pages

install: ## link this checkout into your QGIS profile (QGIS_PROFILE_DIR: another profile)
	tools/install-plugin

package: ## make the zip for the plugin repository in build/
	tools/build-package build

clean: ## remove results and caches
	rm -rf build demo-results .cache .mypy_cache .pytest_cache .ruff_cache .qgis-settings
	find . -name __pycache__ -type d -not -path './.venv-*' -prune -exec rm -rf {} +

distclean: clean ## remove the Python environments too
	rm -rf .venv-engine .venv-engine.lock .venv-host .venv-tools .venv-docs
