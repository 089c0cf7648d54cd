# The ways into the house. `make` alone lists them.
#
# Every target makes what it needs first: a virtual environment in .venv, and what only tests and
# benchmarks want (ROOT, coffea) in the user's cache. Nothing else is written outside the tree.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:
.NOTPARALLEL:
MAKEFLAGS += --no-builtin-rules --no-print-directory

VENV ?= .venv
BIN := $(VENV)/bin
DEMO_DATA ?= demo-data
BUILD := build
TEST_PROCESSES ?= 3
PYTEST ?=
BENCH ?=
REHEARSAL ?=

# The Python of an environment of its own, unless you name one; without it, those tests skip.
WITH_ROOT = $${HIGGSDEMO_ROOT_PYTHON:-$$(scripts/outside-environment root ROOT)}
WITH_COFFEA = $${HIGGSDEMO_COFFEA_PYTHON:-$$(scripts/outside-environment coffea coffea)}

# Stamps: made anew when pyproject.toml asks for something else, or the folder was moved.
HERE := $(shell pwd -P | cksum | cut -d ' ' -f 1)
INSTALLED := $(VENV)/.installed-$(HERE)
INSTALLED_TEST := $(INSTALLED)-test
INSTALLED_LINT := $(INSTALLED)-lint
INSTALLED_DOCS := $(INSTALLED)-docs

.PHONY: help
help: ## list the targets
	@echo "make TARGET, where TARGET is one of"
	@sed -nE 's/^([a-z]+):.*## (.*)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16
	@echo "settings: VENV=.venv  PYTHON=python3  DEMO_DATA=demo-data  PYTEST='-k ledger'  BENCH=--quick"

.PHONY: demo
demo: $(INSTALLED) ## simulated events, analysed: the plot with the peak at 125 GeV
	@$(BIN)/higgsdemo generate --output $(DEMO_DATA)
	@$(BIN)/higgsdemo run $(DEMO_DATA) --run demo-$$(date +%Y%m%d-%H%M%S)

.PHONY: test
test: $(INSTALLED_TEST) ## all tests (PYTEST='...' for arguments of pytest)
	@if root=$(WITH_ROOT); then export HIGGSDEMO_ROOT_PYTHON=$$root; fi; \
	scripts/install-test-services || true; \
	scripts/install-test-kubernetes && scripts/build-image >/dev/null || true; \
	$(BIN)/python -m pytest -p tests.ci_skips -n $(TEST_PROCESSES) --dist loadgroup \
	  -o cache_dir=$(BUILD)/pytest $(PYTEST)

.PHONY: coverage
coverage: ## the same, with what the tests do not reach (half as long again)
	@rm -rf $(BUILD)/coverage && mkdir -p $(BUILD)/coverage
	@COVERAGE_FILE="$(CURDIR)/$(BUILD)/coverage/data" \
	  $(MAKE) test PYTEST="--cov --cov-report term $(PYTEST)"

.PHONY: lint
lint: $(INSTALLED_LINT) ## ruff, formatting, mypy, layers
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

.PHONY: docs
docs: $(INSTALLED_DOCS) ## this documentation, as HTML; a warning is an error
	@$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going -d $(BUILD)/docs/doctrees docs $(BUILD)/docs/html
	@echo "documentation: $(BUILD)/docs/html/index.html"

.PHONY: bench
bench: $(INSTALLED_TEST) ## speed against ROOT, coffea and uproot (BENCH=--quick for a first look)
	@if root=$(WITH_ROOT); then export HIGGSDEMO_ROOT_PYTHON=$$root; fi; \
	if coffea=$(WITH_COFFEA); then export HIGGSDEMO_COFFEA_PYTHON=$$coffea; fi; \
	$(BIN)/python benchmarks/run.py $(BENCH); \
	$(BIN)/python benchmarks/merge.py; \
	$(BIN)/python benchmarks/plan.py; \
	$(BIN)/python benchmarks/live.py

.PHONY: benchstorage
benchstorage: $(INSTALLED_TEST) ## bytes, requests and CPU time per kind of store (BENCH=--quick)
	@if root=$(WITH_ROOT); then export HIGGSDEMO_ROOT_PYTHON=$$root; fi; \
	if coffea=$(WITH_COFFEA); then export HIGGSDEMO_COFFEA_PYTHON=$$coffea; fi; \
	scripts/install-test-services || true; \
	$(BIN)/python benchmarks/storage.py $(BENCH)

.PHONY: rehearsal
rehearsal: $(INSTALLED_TEST) ## 26,920 tasks on simulated nodes of three real control planes (REHEARSAL=--help)
	@scripts/install-test-kubernetes
	@$(BIN)/python -m tests.kubernetes.rehearsal --output $(BUILD)/rehearsal.json $(REHEARSAL)

.PHONY: clean
clean: ## remove what make has built: demo data, documentation, caches (not runs/, not .venv)
	@rm -rf $(BUILD) dist demo-data docs/_build .coverage .coverage.* .hypothesis
	@rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	@find src tests benchmarks docs -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml scripts/install scripts/python.sh
	@scripts/install $(VENV) --editable .
	@touch $@

$(INSTALLED_TEST): pyproject.toml scripts/install scripts/python.sh
	@scripts/install $(VENV) --editable . --group test
	@touch $@

$(INSTALLED_LINT): pyproject.toml scripts/install scripts/python.sh
	@scripts/install $(VENV) --editable . --group lint
	@touch $@

$(INSTALLED_DOCS): pyproject.toml scripts/install scripts/python.sh
	@scripts/install $(VENV) --editable . --group docs
	@touch $@
