# Deep Prior: set-up, demo, tests, checks and packaging. `make help` lists the targets.
#
# Three Python environments, all made with the system's Python (never one from PATH: QGIS's embedded Python
# would adopt it):
#   .venv-engine  the worker's: torch, numpy, rasterio...; no QGIS. Built by the very code of the plugin.
#   .venv-host    QGIS's own Python modules, with pytest; no torch. The two prove the process boundary.
#   .venv-tools   linters.
# Each holds a stamp that is newer than the files it was made from; where it is, set-up does nothing.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

PYTHON := /usr/bin/python3
ENGINE := .venv-engine/.ready
HOST := .venv-host/.ready
TOOLS := .venv-tools/.ready
PYTEST_ARGS ?=
BENCH_ARGS ?=
PAPERS := $(addprefix bench-papers-,inpaint denoise superresolve volume cascade)

.PHONY: help setup system demo test test-core test-qgis check format \
    bench bench-gaps bench-scenes bench-crops bench-networks bench-superresolve bench-uncertainty bench-papers $(PAPERS) install package \
    clean distclean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */\1\t/' | expand -t 14

setup: system $(ENGINE) $(HOST) $(TOOLS) ## install all that the other targets need (nothing when done)

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

demo: system $(ENGINE) ## fill the gaps of a small scene by qgis_process; results in demo-results/
	tools/demo.sh demo-results

test: system $(ENGINE) $(HOST) ## run all tests: the core's without QGIS, QGIS's without torch
	tools/run-tests core qgis -- $(PYTEST_ARGS)

test-core: system $(ENGINE) ## run the core's tests only
	tools/run-tests core -- $(PYTEST_ARGS)

test-qgis: system $(ENGINE) $(HOST) ## run the QGIS tests only
	tools/run-tests qgis -- $(PYTEST_ARGS)

check: system $(ENGINE) $(TOOLS) ## lint, check types, and scan as the plugin repository does on upload
	tools/check

format: system $(TOOLS) ## format the code
	.venv-tools/bin/ruff check --fix-only --quiet .
	.venv-tools/bin/ruff format .

bench: system $(ENGINE) ## every task beside its peers; in benchmarks/results/ and README.md
	OMP_WAIT_POLICY=PASSIVE .venv-engine/bin/python -m benchmarks $(BENCH_ARGS)

bench-gaps: system $(ENGINE) ## the GAP paper's table, reproduced (about 40 minutes on two cores); in benchmarks/results/
	OMP_WAIT_POLICY=PASSIVE .venv-engine/bin/python -m benchmarks.gap_paper $(BENCH_ARGS)

bench-scenes: system $(ENGINE) ## every test scene against GDAL's fill-nodata (about half an hour); in benchmarks/results/
	OMP_WAIT_POLICY=PASSIVE .venv-engine/bin/python -m benchmarks.gap_scenes $(BENCH_ARGS)

bench-crops: system $(ENGINE) ## the mixture against its own best expert on 20 pieces (about a quarter of an hour); in benchmarks/results/
	OMP_WAIT_POLICY=PASSIVE .venv-engine/bin/python -m benchmarks.crops $(BENCH_ARGS)

bench-networks: system $(ENGINE) ## the lean networks' time an iteration beside the paper's (about three minutes); in benchmarks/results/
	OMP_WAIT_POLICY=PASSIVE .venv-engine/bin/python -m benchmarks.networks $(BENCH_ARGS)

bench-superresolve: system $(ENGINE) ## super-resolution of four scenes, expert by expert (about 5 minutes); in benchmarks/results/
	OMP_WAIT_POLICY=PASSIVE .venv-engine/bin/python -m benchmarks.superresolve $(BENCH_ARGS)

bench-uncertainty: system $(ENGINE) ## shares of the errors within the deviations of denoising and super-resolution (about 5 minutes); in benchmarks/results/
	OMP_WAIT_POLICY=PASSIVE .venv-engine/bin/python -m benchmarks.uncertainty $(BENCH_ARGS)

bench-papers: $(PAPERS) ## the tables of DHP and CASCADE (about 3 hours); bench-papers-inpaint, -denoise, -superresolve, -volume, -cascade: one

$(PAPERS): bench-papers-%: system $(ENGINE)
	OMP_WAIT_POLICY=PASSIVE .venv-engine/bin/python -m benchmarks.papers $* $(BENCH_ARGS)

install: ## link this checkout into the user's QGIS profile (QGIS_PROFILE_DIR: another profile)
	tools/install-plugin

package: ## make the zip for the plugin repository in build/
	tools/build-package build

clean: ## remove results and caches
	rm -rf build demo-results .cache .mypy_cache .pytest_cache .ruff_cache .qgis-settings
	find . -name __pycache__ -type d -not -path './.venv-*' -prune -exec rm -rf {} +

distclean: clean ## remove the Python environments too
	rm -rf .venv-engine .venv-engine.lock .venv-host .venv-tools
