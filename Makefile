# Everything a developer or CI runs. `make help` lists it.
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: help venv bundle check format lint types unit test clean
help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 16

venv: $(VENV)/.ready ## the virtual environment with everything pinned

$(VENV)/.ready: requirements.lock requirements-dev.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes -r requirements.lock -r requirements-dev.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

bundle: venv ## generate API type data and gRPC stubs
	$(BIN)/python -m kubeinstall.api.bundle

check: bundle format lint types unit ## the gate before each commit

format:
	$(BIN)/ruff format --check .

lint:
	$(BIN)/ruff check .
	$(BIN)/lint-imports

types:
	$(BIN)/mypy kubeinstall tests benchmarks

unit:
	$(BIN)/pytest -q tests/unit

test: check ## everything that CI runs
	$(BIN)/pytest -q tests -m "not e2e" --ignore tests/unit
	$(BIN)/pytest -q tests -m e2e

clean: ## remove what make made here
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache kubeinstall/api/_bundle kubeinstall/_wire
