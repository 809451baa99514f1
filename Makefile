# The two commands of the README are `make demo` and `make test`; both need Python >= 3.11 and pip only.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test test-all check bench docs clean

PYTHON ?= python3
BIN := .venv/bin
# One thread for each numerical library: on few cores their thread pools slow one another down.
export OMP_NUM_THREADS ?= 1
SOURCES := pyproject.toml constraints.txt README.md $(shell find automl_meta tasks -type f -not -path '*/__pycache__/*')

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 12

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'

.venv/.installed: $(SOURCES) | $(BIN)/python
	$(BIN)/python -m pip install --quiet -c constraints.txt .
	touch $@

.venv/.developing: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -c 'import pip, sys; v = tuple(map(int, pip.__version__.split(".")[:2])); sys.exit(v < (25, 1))' \
	  || $(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[boosting]' --group test
	touch $@

demo: .venv/.installed  ## Fit a bundled real task with no network and show where the report is
	rm -rf demo-run
	$(BIN)/automl-meta fit --task openml:9946 --offline --output demo-run
	@echo
	@echo "Open $(CURDIR)/demo-run/report.html in a browser."

test: .venv/.developing  ## Run the tests
	$(BIN)/python -m pytest

test-all: .venv/.developing  ## Run the slow tests too, with coverage
	$(BIN)/python -m pytest -m "not network and not gpu" --cov --cov-report=term

check: .venv/.developing  ## Everything that a change must pass: lint, types, layers, tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest

bench: .venv/.developing  ## Time the small kernels
	$(BIN)/python -m pytest tests/integration/test_kernels.py -m "" --benchmark-only

docs: .venv/.developing  ## Check the documentation: links, commands, doctests
	$(BIN)/python -m pytest tests/test_docs.py
	$(BIN)/python -m pytest --doctest-modules automl_meta

clean:  ## Remove what these commands made, the virtual environment included
	rm -rf .venv demo-run dist build .pytest_cache .mypy_cache .ruff_cache .coverage .coverage.*
