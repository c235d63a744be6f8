# GNU make 3.81 or newer. `make` alone lists the targets.

PYTHON ?= python3
VENV ?= .venv
VENV_OLDEST ?= .venv-oldest
# One worker a core, four at most, and one torch thread in each.
PYTEST_ARGS ?= -n auto --maxprocesses 4 --dist loadgroup
OMP_NUM_THREADS ?= 1
# "sysmon" is the fastest on Python 3.12 or newer.
COVERAGE_CORE ?= ctrace
# Examples that run at the same time.
DOCS_JOBS ?= 2

SCRIPTS := $(if $(filter Windows_NT,$(OS)),Scripts,bin)
BIN = $(VENV)/$(SCRIPTS)
BIN_OLDEST = $(VENV_OLDEST)/$(SCRIPTS)
PYTEST = -m pytest $(PYTEST_ARGS)

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-14s %s\n", $$1, $$2}' Makefile

.PHONY: demo
demo: $(VENV)/.stamp-demo ## Classify digits from a few labels
	$(BIN)/python examples/plot_digits_few_labels.py

.PHONY: test
test: lint ## Lint, then run the tests and the doctests
	OMP_NUM_THREADS=$(OMP_NUM_THREADS) $(BIN)/python $(PYTEST)

# It takes half as long again as the tests, and less from Python 3.12 on.
.PHONY: coverage
coverage: $(VENV)/.stamp-test ## Run the tests and the doctests, and measure the coverage
	OMP_NUM_THREADS=$(OMP_NUM_THREADS) COVERAGE_CORE=$(COVERAGE_CORE) \
		$(BIN)/python $(PYTEST) --cov

# The benchmarks need more recent versions than the package.
.PHONY: test-oldest
test-oldest: $(VENV_OLDEST)/.stamp-test ## Run the tests against the lowest supported versions
	OMP_NUM_THREADS=$(OMP_NUM_THREADS) $(BIN_OLDEST)/python $(PYTEST) \
		-m "not slow" --hypothesis-profile=oldest --ignore=tests/test_benchmarks.py tests

.PHONY: examples
examples: $(VENV)/.stamp-demo ## Run every example, headless
	@tmp=$$(mktemp -d) && trap 'rm -rf "$$tmp"' EXIT && \
	for script in $(wildcard examples/*.py); do \
		echo "$$script"; \
		(cd "$$tmp" && MPLBACKEND=Agg $(abspath $(BIN))/python "$(CURDIR)/$$script") || exit 1; \
	done

.PHONY: docs
docs: $(VENV)/.stamp-docs ## Build the documentation, with every example, into docs/_build/html
	OMP_NUM_THREADS=$(OMP_NUM_THREADS) DOCS_JOBS=$(DOCS_JOBS) MPLBACKEND=Agg \
		$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html

.PHONY: check-docs
check-docs: $(VENV)/.stamp-docs ## Look at the built documentation in a browser: links, search, console
	$(BIN)/python docs/check_site.py docs/_build/html

.PHONY: check-figures
check-figures: $(VENV)/.stamp-test ## List results of earlier code, and figures in the text without a result
	$(BIN)/python benchmarks/check_figures.py

.PHONY: release-check
release-check: $(VENV)/.stamp-release ## Build the distributions and check them
	OMP_NUM_THREADS=$(OMP_NUM_THREADS) $(BIN)/python .ci/check_release.py

.PHONY: lint
lint: $(VENV)/.stamp-test ## Check style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.PHONY: format
format: $(VENV)/.stamp-test ## Fix style and format in place
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: clean
clean: ## Remove build output and caches, but not the environments
	rm -rf build dist docs/_build docs/auto_examples docs/api/generated docs/api/backreferences
	rm -rf docs/sg_execution_times.rst examples/output
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache
	rm -rf __pycache__ */__pycache__ */*/__pycache__

$(VENV)/pyvenv.cfg:
	$(PYTHON) -m venv $(VENV)

$(VENV_OLDEST)/pyvenv.cfg:
	$(PYTHON) -m venv $(VENV_OLDEST)

# Dependency groups need pip 25.1.
PIP_WITH_GROUPS = pip install -q --upgrade "pip>=25.1"

$(VENV)/.stamp-demo: pyproject.toml constraints.txt | $(VENV)/pyvenv.cfg
	$(BIN)/python -m pip install -q -e ".[examples]" -c constraints.txt
	@touch $@

$(VENV)/.stamp-docs: pyproject.toml constraints.txt | $(VENV)/pyvenv.cfg
	$(BIN)/python -m $(PIP_WITH_GROUPS)
	$(BIN)/python -m pip install -q -e . --group docs -c constraints.txt
	@touch $@

$(VENV)/.stamp-release: pyproject.toml constraints.txt | $(VENV)/pyvenv.cfg
	$(BIN)/python -m $(PIP_WITH_GROUPS)
	$(BIN)/python -m pip install -q -e . --group release -c constraints.txt
	@touch $@

$(VENV)/.stamp-test: pyproject.toml constraints.txt | $(VENV)/pyvenv.cfg
	$(BIN)/python -m $(PIP_WITH_GROUPS)
	$(BIN)/python -m pip install -q -e . --group test-all -c constraints.txt
	@touch $@

$(VENV_OLDEST)/.stamp-test: pyproject.toml constraints-oldest.txt | $(VENV_OLDEST)/pyvenv.cfg
	$(BIN_OLDEST)/python -m $(PIP_WITH_GROUPS)
	$(BIN_OLDEST)/python -m pip install -q -e . --group test -c constraints-oldest.txt
	@touch $@
