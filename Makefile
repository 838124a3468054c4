# Deep Prior: set-up, demo, tests, checks and packaging. `make help` lists the targets.
#
# Python environments, all made with the system's Python (not the first one in PATH, because QGIS's embedded Python
# would use that one too):
#   .venv-engine  the worker's: torch, numpy, rasterio...; no QGIS. Built by the code of the plugin.
#   .venv-host    QGIS's own Python modules and pytest; no torch. So the tests prove that both sides are independent.
#   .venv-tools   linters.
#   .venv-docs    mkdocs; made by `make docs` and `make site`.
# An environment is made again if a file that it depends on is newer than its stamp, `.ready`.

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
BEFORE ?=
COMPARE_ARGS ?=
MINUTES ?= 30
SOAK_ARGS ?=
RASTERS ?=
PAPERS := $(addprefix bench-papers-,inpaint denoise superresolve volume cascade)

.PHONY: help setup system demo test test-all test-core test-qgis compare soak odd-rasters check format \
    docs site help-pages bench bench-gaps bench-scenes bench-crops bench-networks bench-superresolve \
    bench-uncertainty bench-papers bench-pages $(PAPERS) install package clean distclean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */\1\t/' | expand -t 20

setup: system $(ENGINE) $(HOST) $(TOOLS) ## install what the other targets need; skips finished steps

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

compare: system $(ENGINE) ## compare the outputs with those of the checkout BEFORE=FOLDER (5 minutes on two cores)
	@[ -n "$(BEFORE)" ] || { echo "Name the other checkout: make compare BEFORE=FOLDER" >&2; exit 2; }
	OMP_WAIT_POLICY=PASSIVE .venv-engine/bin/python -m tools.compare_outputs "$(BEFORE)" $(COMPARE_ARGS)

soak: system $(ENGINE) ## run random jobs on random rasters, kill some, check the promises (30 minutes; MINUTES=N)
	OMP_WAIT_POLICY=PASSIVE .venv-engine/bin/python -m tools.soak --minutes $(MINUTES) $(SOAK_ARGS)

odd-rasters: system $(ENGINE) ## print what every restorer does with every raster in RASTERS=FOLDER
	@[ -n "$(RASTERS)" ] || { echo "Name the folder of rasters: make odd-rasters RASTERS=FOLDER" >&2; exit 2; }
	OMP_WAIT_POLICY=PASSIVE .venv-engine/bin/python -m tools.odd_rasters "$(RASTERS)"

check: system $(ENGINE) $(TOOLS) ## lint, check types, and run the security checks of the plugin repository
	tools/check

format: system $(TOOLS) ## format the code
	.venv-tools/bin/ruff check --fix-only --quiet .
	.venv-tools/bin/ruff format .

docs: help-pages site ## build the help pages (resources/help) and the documentation (build/site)

help-pages: system $(DOCS)
	.venv-docs/bin/python tools/build-help

site: system $(DOCS) ## build the documentation only; fails if a link is broken
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict --clean

bench: system $(ENGINE) ## compare all tasks with other methods; results in benchmarks/results/ and README.md
	OMP_WAIT_POLICY=PASSIVE .venv-engine/bin/python -m benchmarks $(BENCH_ARGS)

bench-gaps: system $(ENGINE) ## reproduce the table of the GAP paper (40 minutes on two cores)
	OMP_WAIT_POLICY=PASSIVE .venv-engine/bin/python -m benchmarks.gap_paper $(BENCH_ARGS)

bench-scenes: system $(ENGINE) ## compare gap filling of all scenes with GDAL's Fill nodata (30 minutes)
	OMP_WAIT_POLICY=PASSIVE .venv-engine/bin/python -m benchmarks.gap_scenes $(BENCH_ARGS)

bench-crops: system $(ENGINE) ## compare METHOD best with its best expert on 20 crops (15 minutes)
	OMP_WAIT_POLICY=PASSIVE .venv-engine/bin/python -m benchmarks.crops $(BENCH_ARGS)

bench-networks: system $(ENGINE) ## time the lean networks and the paper's (3 minutes)
	OMP_WAIT_POLICY=PASSIVE .venv-engine/bin/python -m benchmarks.networks $(BENCH_ARGS)

bench-superresolve: system $(ENGINE) ## compare super-resolution experts on four scenes (5 minutes)
	OMP_WAIT_POLICY=PASSIVE .venv-engine/bin/python -m benchmarks.superresolve $(BENCH_ARGS)

bench-uncertainty: system $(ENGINE) ## compare UNCERTAINTY with errors: denoising, super-resolution (5 minutes)
	OMP_WAIT_POLICY=PASSIVE .venv-engine/bin/python -m benchmarks.uncertainty $(BENCH_ARGS)

# One table each: bench-papers-inpaint, -denoise, -superresolve, -volume, -cascade.
bench-papers: $(PAPERS) ## reproduce the tables of the DHP and CASCADE papers (3 hours)

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
