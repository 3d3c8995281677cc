# Everything a contributor or a CI runner does, by name. `make` alone lists it.
#
# Needs Python >= 3.11, git and make; nothing else has to be installed first. ARGS goes to the command behind a
# target: `make test ARGS="-k resume"`, `make run ARGS="--port 9000"`.

PYTHON ?= python3
ARGS   ?=

VENV    := .venv
BIN     := $(VENV)/bin
READY   := $(VENV)/.ready
SOURCES := $(wildcard src tests benchmarks docs examples hatch_build.py)
PIP     := $(BIN)/python -m pip --disable-pip-version-check -qq

.DEFAULT_GOAL := help
.PHONY: help setup check test soak run demo compile bench docs format lock clean
MAKEFLAGS += --no-print-directory

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

setup: $(READY) ## create .venv and install what requirements.lock names
	@echo "Ready in $(VENV)."

check: $(READY) ## formatting, lint, types, import direction
	@$(BIN)/ruff format --check --quiet --output-format concise $(SOURCES) || { echo "Not formatted: run 'make format'."; exit 1; }
	@$(BIN)/ruff check --quiet --output-format concise $(SOURCES)
	@$(BIN)/mypy --no-error-summary $(SOURCES)
	@$(BIN)/python -m pytest -q --no-header tests/house/test_layers.py

test: $(READY) ## the whole suite; says what it skipped and how to enable it
	@$(BIN)/python -m pytest -q $(ARGS)

soak: $(READY) ## the whole suite with the full figures (long)
	@HEADGATE_SOAK=1 $(BIN)/python -m pytest -q $(ARGS)

run: $(READY) ## start the gateway
	@$(BIN)/headgate serve $(ARGS)

demo: $(READY) ## show what it does, without any provider
	@$(BIN)/headgate demo $(ARGS)

compile: $(READY) ## compile the hot modules again, after they were edited
	@$(BIN)/python hatch_build.py

bench: $(READY) ## measure it
	@$(BIN)/python -m benchmarks $(ARGS)

docs: $(READY) ## write the generated reference pages
	@$(BIN)/python docs/generate.py

format: $(READY) ## format, and mend what lint can mend
	@$(BIN)/ruff format --quiet $(SOURCES)
	@$(BIN)/ruff check --quiet --fix $(SOURCES)

lock: ## compile requirements.lock from pyproject.toml (needs uv)
	@command -v uv >/dev/null || { echo "make lock needs uv; nothing else here does."; exit 1; }
	@uv pip compile pyproject.toml --group dev --universal --generate-hashes \
		--no-emit-index-url --no-header --quiet -o requirements.lock

clean: ## remove caches and build output; .venv stays
	@rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis dist benchmarks/build tests/e2e/npm/node_modules
	@find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp is written last, so an installation that broke off is done again.
$(READY): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || \
		{ echo "Headgate needs Python 3.11 or newer, and there is no '$(PYTHON)'. Name yours: make $(or $(MAKECMDGOALS),setup) PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Headgate needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) -V 2>&1). Name another: make $(or $(MAKECMDGOALS),setup) PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
		{ echo "'$(PYTHON)' has no venv module. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@echo "Installing into $(VENV) (once; again when requirements.lock or pyproject.toml change)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --require-hashes -r requirements.lock
	@echo "Compiling the hot modules, if there is a C compiler (a minute or two; HEADGATE_COMPILE=0 leaves it)"
	@$(PIP) install --no-deps --no-build-isolation -e .
	@$(BIN)/headgate --version
	@touch $(READY)
