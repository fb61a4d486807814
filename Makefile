# `make demo` and `make test` are all it takes: each makes the environment that it needs.

PYTHON ?= python3
VENV := .venv
BENCH := .bench
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

# Interpreters that pyenv keeps, for tox to find.
export PATH := $(PATH):$(subst $(eval) ,:,$(wildcard $(HOME)/.pyenv/versions/*/bin))

.PHONY: demo demo-librato test lint types unit versions bench clean

demo: $(VENV)/.runtime
	@$(BIN)/python -m segment_librato.devserver.demo

demo-librato: $(VENV)/.runtime
	@$(BIN)/python -m segment_librato.devserver.demo --librato

test: lint types unit versions

lint: $(VENV)/.development
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.development
	$(BIN)/mypy

unit: $(VENV)/.development
	$(BIN)/coverage run -m pytest -q -m "not slow"
	$(BIN)/coverage report
	$(BIN)/python -m pytest -q -m slow

versions: $(VENV)/.development
	$(BIN)/tox run-parallel --parallel 2 --quiet

# make bench ROUNDS=1 QUICK=1 SUBJECTS=segment,segment_librato,floor MEASURES=cpu,threads
bench: $(BENCH)/.installed
	@$(BENCH)/bin/python -m compileall -q segment_librato benchmarks  # as pip does for the others
	@$(BENCH)/bin/python -m benchmarks $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(QUICK),--quick) \
		$(if $(SUBJECTS),--subjects $(SUBJECTS)) $(if $(MEASURES),--measures $(MEASURES))

clean:
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

# An option is declared in segment_librato/config/; this writes it wherever else it is spelled out.
.PHONY: options
options: $(VENV)/.development
	@$(BIN)/python tools/options.py
