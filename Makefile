# Every target sets up what it needs inside this folder: .venv/ (Python packages) and .engine/ (Nextflow).
# the Pythons that `make test-install` tries: those of pyenv that are wanted, else the one of the environment
PYTHONS ?= $(or $(wildcard $(foreach v,3.11 3.12 3.13,$(HOME)/.pyenv/versions/$(v).*/bin/python)),$(PYTHON))

# packages and Nextflow are fetched side by side
MAKEFLAGS += --jobs=2

.PHONY: help demo demo-full test test-data test-fast test-install test-places lint format docs engine lock images clean

PYTHON ?= python3
BIN := $(CURDIR)/.venv/bin
export PATH := $(BIN):$(PATH)
# what the demo needs, without torch (the packages of the core image), and what everything needs
CORE := .venv/.core
VENV := .venv/.installed
PIP := -m pip install --quiet --disable-pip-version-check --require-hashes
ENGINE := .engine/.installed
LINTER := .engine/.linter
MAVEN := mvn --batch-mode --quiet dependency:copy-dependencies

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(CORE) $(ENGINE) ## Run the whole study on 6 Mb of human chromosome 19; ends with the report's path
	engine/nextflow run . -profile demo -resume -ansi-log false
	@echo "Report: results/demo/report.html"

FULL := .cache/demo_full
demo-full: $(VENV) $(ENGINE) ## Run the demo with every embedder: CI-SpliceAI's own weights, Sei and DNABERT-2 of random ones
	$(BIN)/python bin/fetch_weights.py cispliceai --cache-dir $(FULL)
	$(BIN)/python tests/helpers/random_checkpoints.py sei $(FULL)/sei
	$(BIN)/python tests/helpers/random_checkpoints.py dnabert2 $(FULL)/dnabert2
	engine/nextflow run . -profile demo_full -resume -ansi-log false

REAL := .cache/real/human_chr19p_GRCh38
test-data: $(REAL) ## Fetch the real data of the tests that are too large to ship, 8 MB, from the package index

# threads that wait keep no processor busy: tools that run side by side have more threads than there are processors
TESTS := OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive $(BIN)/python -m pytest -q --numprocesses auto --dist loadfile

test: $(VENV) $(ENGINE) $(REAL) ## Run every test, as many files side by side as there are processors
	$(TESTS) --no-loadscope-reorder

test-fast: $(VENV) $(REAL) ## Run the tests that take seconds: those of the library
	$(TESTS) -m "not slow"

test-install: $(VENV) ## Install the package into a clean environment of each Python and run it there
	tests/install.sh $(PYTHONS)

test-places: $(VENV) $(ENGINE) ## Run the demo under Podman, on Slurm and through kills, its results in MultiQC and IGV, and the tools in Galaxy; as root, with the Debian packages podman runc debootstrap slurm-wlm munge chromium npm
	tests/places/run.sh

lint: $(VENV) $(LINTER) ## Check Python with ruff and mypy, and the pipeline with Nextflow's strict linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	INTRONAUT_NEXTFLOW_JARS=.engine/linter engine/nextflow lint main.nf reproduce.nf nextflow.config conf modules workflows

format: $(VENV) ## Format the Python code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV) ## Write docs/cli.md, docs/params.md and docs/api.md from --help, the params schema and docstrings
	$(BIN)/python docs/make.py

engine: $(ENGINE) ## Fetch Nextflow 24.10.0 into .engine/ unless PATH has one

lock: $(VENV) ## Pin every Python package anew
	$(BIN)/python -m pip install --quiet uv
	PATH=$(BIN):$$PATH $(BIN)/python containers/lock.py

images: ## Build the images of containers/ with docker or podman and print their sizes
	containers/build.sh

clean: ## Remove what runs leave behind, not the results
	rm -rf work .nextflow .nextflow.log* .pytest_cache .ruff_cache .hypothesis

$(CORE): containers/core/requirements.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Intronaut needs Python 3.11 or newer")'
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python $(PIP) --no-compile -r containers/core/requirements.txt
	touch $@

# the demo imports a part of the packages, and compiles that; tests look at what a tool prints, compiling included
$(VENV): requirements.txt $(CORE)
	$(BIN)/python $(PIP) -r requirements.txt
	-$(BIN)/python -m compileall -qq -j 0 .venv/lib
	touch $@

$(REAL): | $(VENV)
	$(BIN)/python tests/fetch_data.py .cache/real

$(ENGINE): engine/nextflow-pom.xml
	@mkdir -p .engine
	@engine/nextflow -version >/dev/null 2>&1 \
	    || $(MAVEN) -f engine/nextflow-pom.xml -DoutputDirectory=$(CURDIR)/.engine/nextflow
	touch $@

$(LINTER): engine/nextflow-lint-pom.xml
	@mkdir -p .engine
	$(MAVEN) -f engine/nextflow-lint-pom.xml -DoutputDirectory=$(CURDIR)/.engine/linter
	touch $@
