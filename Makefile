# Everything a reader or an author needs. `make help` lists it.
#
# Variables you may set on the command line:
#   PYTHON       the interpreter that makes the virtual environment  (python3)
#   VENV         the environment; point it to one with your own PyTorch, for example a GPU build
#   TORCH_ARGS   options of the pip call that installs PyTorch, for example an index of CPU builds
#   CONSTRAINTS  the exact versions; empty for the newest ones that pyproject.toml allows
#   JOBS         how many chapters or groups of tests run at a time  (one for each core)

PYTHON ?= python3
VENV ?= .venv
TORCH_ARGS ?=
CONSTRAINTS ?= constraints.txt
JOBS ?= auto

BIN := $(abspath $(VENV))/bin
RUN := $(BIN)/python
STAMP := $(VENV)/.course-installed
PAGE := _build/html/book/index.html

# What the pages are made of. The stamp is younger than all of it where the book is up to date.
SOURCES := $(shell find book companion tools _config.yml _toc.yml -type f \
    -not -name '*.pyc' -not -path '*/.ipynb_checkpoints/*')
BUILT := _build/.built-$(or $(COMPANION_PROFILE),quick)

# Work runs in parallel processes. More than one thread in each makes them wait for each other:
# on two busy cores a training loop becomes twenty times slower.
PARALLEL := OMP_NUM_THREADS=1

JOBS_OPTION := $(if $(filter auto,$(JOBS)),,--jobs $(JOBS))

# Never export MPLBACKEND: kernels would then show no figures.
unexport MPLBACKEND
export JUPYTER_PLATFORM_DIRS := 1
export PATH := $(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup expect book test check-pages lint lab notebooks lock clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile
	@echo "Set VENV, PYTHON, TORCH_ARGS or CONSTRAINTS as the head of the Makefile explains."

setup: $(STAMP)  ## install the course into .venv (the other targets do it for you)

$(STAMP): constraints.txt pyproject.toml tools/install.py | expect
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(RUN) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed.")'
	$(RUN) tools/install.py --constraints "$(CONSTRAINTS)" --torch-args "$(TORCH_ARGS)"
	touch $(STAMP)

# It comes first and makes nothing. Before the installation there is no other interpreter than PYTHON.
expect:
	@$(or $(wildcard $(RUN)),$(PYTHON)) tools/estimate.py $(JOBS_OPTION) $(if $(wildcard $(STAMP)),,--install)

book: $(BUILT)  ## execute the chapters that changed, build the pages, check them
	@echo "The book is ready. Open $(abspath $(PAGE))"

$(BUILT): $(SOURCES) $(STAMP) | expect
	$(RUN) -m tools.assets
	$(PARALLEL) $(RUN) -m tools.execute $(JOBS_OPTION)
	$(PARALLEL) $(BIN)/jupyter-book build . --all -W -n --keep-going --quiet
	$(RUN) -m tools.check_book
	rm -f _build/.built-*
	touch $@

# Tests of the sources and of every notebook come first, in one parallel run. Then the book is
# built and its pages are tested in a browser. The notebooks are executed once: by nbval, as a
# reader opens them. The plugin tools.keep_outputs hands their outputs to the build.
test: setup lint  ## every test: code, notebooks, book, built pages
	$(PARALLEL) $(RUN) -m pytest -p tools.keep_outputs -n $(JOBS) --dist loadscope -m "not pages" \
	    --nbval-lax --nbval-current-env --nbval-cell-timeout 3600 --nbval-kernel-startup-timeout 600 \
	    tests companion book
	$(MAKE) --no-print-directory book
	$(MAKE) --no-print-directory check-pages

check-pages: setup  ## the tests of the built pages only (after make book)
	$(PARALLEL) $(BIN)/pytest -n $(JOBS) --dist loadscope -m pages tests/book

lint: setup  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(RUN) -m tools.format_cells --check

lab: setup  ## open the chapters in JupyterLab
	$(BIN)/jupyter lab --notebook-dir=book

notebooks: setup  ## format the chapters' cells, write the .ipynb beside each again
	$(RUN) -m tools.format_cells
	$(RUN) -m tools.sync_notebooks

lock:  ## derive constraints.txt anew from pyproject.toml and constraints.in
	$(RUN) -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-annotate --upgrade \
	    --custom-compile-command "make lock" --all-extras -c constraints.in pyproject.toml -o constraints.txt

clean:  ## remove what the book and the tests made (the environment stays)
	rm -rf _build .pytest_cache .ruff_cache .mypy_cache .hypothesis tests/book/node_modules
	find book companion tests tools -name __pycache__ -o -name .ipynb_checkpoints | xargs rm -rf
