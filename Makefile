# `make` lists the targets. Everything runs in .venv, which the first target that needs it makes.
PYTHON ?= python3
BIN := .venv/bin
ZOO ?= digits+printed
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help install demo download preprocess test test-all lint fix bench clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

install: .venv/installed ## make .venv from constraints.txt

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "mzsane needs Python 3.11 to 3.13, and $(PYTHON) is " + sys.version.split()[0] + "; try: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: install ## build small zoos, pretrain, sample, evaluate, report; ARGS adds overrides
	$(BIN)/python -m mzsane.train $(ARGS)

download: install ## fetch the published zoo ZOO
	$(BIN)/python -m mzsane.download zoo=$(ZOO) $(ARGS)

preprocess: install ## write the token stores of ZOO (digits+printed)
	$(BIN)/python -m mzsane.preprocess zoo=$(ZOO) $(ARGS)

test: install ## pass the tests
	$(BIN)/python -m pytest $(ARGS)

test-all: install ## the tests that take minutes, too
	$(BIN)/python -m pytest -m 'not gpu' $(ARGS)

lint: install ## check style and types; changes nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fix: install ## mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install ## measure, and write benchmarks/results/
	$(BIN)/python -m benchmarks $(ARGS)

clean: ## remove caches and builds; never data, runs or .venv
	rm -rf dist build .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
