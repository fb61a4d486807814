# Each target makes the environment that it needs: `make demo` and `make test` are all it takes.

PYTHON ?= python3
VENV := .venv
BENCH := .bench
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

# Idle workers take the tests that others have not come to.
PYTEST := -m pytest -q --numprocesses auto --maxprocesses 8 --dist worksteal --durations 10

# Interpreters that pyenv keeps, for tox to find.
export PATH := $(PATH):$(subst $(eval) ,:,$(wildcard $(HOME)/.pyenv/versions/*/bin))

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo demo-librato test test-all lint types unit versions field slow options bench clean

help: ## This list.
	@awk -F ': .*## |: ## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/.runtime ## Events on their way to a local server, and what became of them.
	@$(BIN)/python -m segment_librato.devserver.demo

demo-librato: $(VENV)/.runtime ## The same with gauges, delivered to a local Librato.
	@$(BIN)/python -m segment_librato.devserver.demo --librato

test: lint types unit ## What to run before each commit: lint, types, tests with coverage; about 3 minutes.

test-all: test versions field slow ## Before a release: every interpreter at hand, oldest dependencies, slow tests.

lint: $(VENV)/.development ## Ruff: its rules and its format.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.development ## Mypy, strict.
	$(BIN)/mypy

unit: $(VENV)/.development ## The tests of one interpreter, with the coverage of all processes.
	@$(BIN)/coverage erase
	$(BIN)/coverage run $(PYTEST) -m "not slow"
	@$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

versions: $(VENV)/.development ## The tests on every interpreter at hand, and with the oldest dependencies.
	@$(BIN)/tox run-parallel --parallel auto --parallel-no-spinner --notest --quiet
	$(BIN)/tox run --colored no

field: $(VENV)/.development ## The tests with packages that applications use beside it, such as uWSGI.
	$(BIN)/tox run -e field --colored no

slow: $(VENV)/.development ## Real servers, much work, and a minute under faults (SOAK_SECONDS).
	SOAK_SECONDS=$${SOAK_SECONDS:-60} $(BIN)/python $(PYTEST) -m "slow or soak"

options: $(VENV)/.development ## Write out, wherever an option is repeated, what its declaration says.
	@$(BIN)/python tools/options.py

# make bench ROUNDS=1 QUICK=1 SUBJECTS=segment,segment_librato,floor MEASURES=cpu,threads
bench: $(BENCH)/.installed ## Measure against other clients; the variables are in the Makefile.
	@$(BENCH)/bin/python -m compileall -q segment_librato benchmarks  # as pip does for the others
	@$(BENCH)/bin/python -m benchmarks $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(QUICK),--quick) \
		$(if $(SUBJECTS),--subjects $(SUBJECTS)) $(if $(MEASURES),--measures $(MEASURES))

clean: ## Remove the environments.
	rm -rf $(VENV) $(BENCH) .tox

$(VENV)/.runtime: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or later is needed: make PYTHON=python3.11 ...")'
	@echo "Making an environment in $(VENV), once ..."
	@$(PYTHON) -m venv --clear $(VENV)
	@$(PIP) install --upgrade "pip>=25.1"
	@$(PIP) install --editable .
	@touch $@

$(VENV)/.development: pyproject.toml $(VENV)/.runtime
	@$(PIP) install --editable ".[fast,oauth,otel]" --group lint --group test --group tox
	@touch $@

$(BENCH)/.installed: pyproject.toml
	@echo "Making an environment in $(BENCH), once ..."
	@$(PYTHON) -m venv --clear $(BENCH)
	@$(BENCH)/bin/python -m pip --disable-pip-version-check --quiet install --upgrade "pip>=25.1"
	@$(BENCH)/bin/python -m pip --disable-pip-version-check --quiet install --editable . --group bench
	@touch $@
