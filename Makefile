# Each target makes the environment that it needs: `make demo` and `make test` are all it takes.

PYTHON ?= python3
VENV := .venv
BENCH := .bench
DOCS := .docs
BIN := $(VENV)/bin

pip_of = $(1)/bin/python -m pip --disable-pip-version-check --quiet
PIP := $(call pip_of,$(VENV))

# Make an environment: its folder, and what to install.
define environment
	@echo "Making an environment in $(1), once ..."
	@$(PYTHON) -m venv --clear $(1)
	@$(call pip_of,$(1)) install --upgrade "pip>=25.1"
	@$(call pip_of,$(1)) install $(2)
	@touch $@
endef

# Of tox, for `test-all`.
ENVIRONMENTS := 3.10,3.12,3.13,3.14,lowest,field,examples,browser,spark,spark-3,package

# Idle workers take the tests that others have not come to.
PYTEST := -m pytest -q --numprocesses auto --maxprocesses 8 --dist worksteal --durations 10

# Interpreters that pyenv keeps, for tox to find.
export PATH := $(PATH):$(subst $(eval) ,:,$(wildcard $(HOME)/.pyenv/versions/*/bin))

# The tests start thousands of processes, each of which would compile the library again.
unexport PYTHONDONTWRITEBYTECODE

# Debian's packages are for root.
APT := $(if $(filter 0,$(shell id -u)),,sudo )apt-get

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo demo-librato test test-all lint javascript types unit versions field browser spark java screenshots chromium slow package options bench clean

help: ## This list.
	@awk -F ': .*## |: ## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/.runtime ## Events on their way to a local server, and what became of them.
	@$(BIN)/python -m segment_librato.devserver.demo

demo-librato: $(VENV)/.runtime ## The same with gauges, delivered to a local Librato.
	@$(BIN)/python -m segment_librato.devserver.demo --librato

.PHONY: debugger
debugger: $(VENV)/.debugger ## The debugger in your browser, with four web servers that track into it.
	@$(BIN)/python -m segment_librato.devserver.demo.live --open

test: lint types unit ## What to run before each commit: lint, types, tests with coverage; a quarter of an hour on two cores.

test-all: test environments docs versions field examples browser spark slow package ## Before a release: every interpreter at hand, oldest dependencies, slow tests.

lint: $(VENV)/.development workflows ## Ruff, its rules and format; the types of the page's JavaScript, if npm is there; `workflows`.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@if command -v npm > /dev/null; then $(MAKE) --no-print-directory javascript; \
		else echo "npm is not there: the page's JavaScript is not checked."; fi

.PHONY: workflows
workflows: $(VENV)/.development ## The files of .github/: their schemas, and what zizmor finds.
	$(BIN)/zizmor --offline --quiet --no-progress .github
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/[!c]*.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml

javascript: $(VENV)/.javascript ## TypeScript's checker over the page's JavaScript.
	$(VENV)/javascript/node_modules/.bin/tsc --project jsconfig.json

types: $(VENV)/.development ## Mypy and Pyright, strict; and whether the types of all public names are known.
	$(BIN)/mypy
	$(BIN)/pyright
	@PATH="$(CURDIR)/$(BIN):$$PATH" PYTHONPATH=typings $(BIN)/pyright --verifytypes segment_librato --ignoreexternal \
		> $(VENV)/public-types.txt || { cat $(VENV)/public-types.txt; exit 1; }
	@grep "Type completeness" $(VENV)/public-types.txt

unit: $(VENV)/.development ## The tests of one interpreter, with the coverage of all processes.
	@$(BIN)/coverage erase
	$(BIN)/coverage run $(PYTEST) -m "not slow"
	@$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --omit "segment_librato/spark/*,segment_librato/integrations/django.py"  # see `make spark field`

.PHONY: environments
environments: $(VENV)/.development ## Install the environments of tox, several at a time, which the targets of `test-all` would do one by one.
	@$(BIN)/tox run-parallel --parallel 3 --parallel-no-spinner --notest --quiet -e $(ENVIRONMENTS)

versions: $(VENV)/.development ## The tests on every interpreter at hand, and with the oldest dependencies.
	$(BIN)/tox run --colored no

field: $(VENV)/.development ## The tests with packages that applications use beside it, such as uWSGI.
	$(BIN)/tox run -e field --colored no

.PHONY: examples
examples: $(VENV)/.development ## The programs of examples/, each with the framework it is for.
	$(BIN)/tox run -e examples --colored no

browser: $(VENV)/.development chromium ## The debugger's page in Debian's Chromium.
	$(BIN)/tox run -e browser --colored no

spark: $(VENV)/.development java ## The import from Spark 4 and 3.5, each on this machine.
	$(BIN)/tox run -e spark,spark-3 --colored no

screenshots: $(VENV)/.development chromium ## Make the pictures of docs/images/ from the running page.
	@$(BIN)/tox run -e screenshots --colored no

# With the fonts of the pictures.
chromium:
	@command -v chromium > /dev/null || { $(APT) update -q && \
		$(APT) install -qy --no-install-recommends chromium fonts-inter fonts-jetbrains-mono; }

java:
	@command -v java > /dev/null || { $(APT) update -q && \
		$(APT) install -qy --no-install-recommends openjdk-17-jre-headless; }

slow: $(VENV)/.development ## Real servers, much work, and a minute under faults (SOAK_SECONDS).
	SOAK_SECONDS=$${SOAK_SECONDS:-60} $(BIN)/python $(PYTEST) -m "slow or soak"

package: $(VENV)/.development ## Build what a release uploads into dist/, and check that it can be published.
	$(BIN)/tox run -e package --colored no

options: $(VENV)/.development ## Write out, wherever an option is repeated, what its declaration says.
	@$(BIN)/python tools/options.py

.PHONY: docs docs-serve
docs: $(DOCS)/.installed ## Build the documentation into .site/; a broken link or a missing name fails.
	@NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build
	@$(DOCS)/bin/python tools/site/check.py

docs-serve: $(DOCS)/.installed ## The documentation at http://127.0.0.1:8000, built anew when a file changes.
	@NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs serve --no-strict --livereload

.PHONY: events
events: $(VENV)/.development ## Write out, wherever the standard events are repeated, what their table says.
	@$(BIN)/python tools/events.py

# make bench ROUNDS=1 QUICK=1 SUBJECTS=segment,segment_librato,floor MEASURES=cpu,threads
bench: $(BENCH)/.installed ## Measure against other clients; the variables are in the Makefile.
	@$(BENCH)/bin/python -m compileall -q segment_librato benchmarks  # as pip does for the others
	@$(BENCH)/bin/python -m benchmarks $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(QUICK),--quick) \
		$(if $(SUBJECTS),--subjects $(SUBJECTS)) $(if $(MEASURES),--measures $(MEASURES))

clean: ## Remove the environments.
	rm -rf $(VENV) $(BENCH) $(DOCS) .site .tox

$(VENV)/.runtime: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or later is needed: make PYTHON=python3.11 ...")'
	$(call environment,$(VENV),--editable .)

$(VENV)/.debugger: pyproject.toml $(VENV)/.runtime
	@$(PIP) install --editable ".[debugger]"
	@touch $@

$(VENV)/.development: pyproject.toml $(VENV)/.runtime
	@$(PIP) install --editable ".[cli,fast,oauth,otel,plan]" --group lint --group test --group tox
	@touch $@

$(VENV)/.javascript: jsconfig.json $(VENV)/.runtime
	@npm install --silent --no-audit --no-fund --no-save --prefix $(VENV)/javascript typescript@~7.0
	@touch $@

$(BENCH)/.installed: pyproject.toml
	$(call environment,$(BENCH),--editable . --group bench)

$(DOCS)/.installed: pyproject.toml
	$(call environment,$(DOCS),--editable . --group docs)
