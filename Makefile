# Suimon: every command does all the set-up it needs. `make` alone lists them.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.ready
ORACLE := $(VENV)/.oracle
ASSETS := $(VENV)/.assets
# uv reads its own certificate store unless told to read the system's.
export UV_SYSTEM_CERTS := 1
export UV_NATIVE_TLS := 1
export UV_PROJECT_ENVIRONMENT := $(VENV)

.PHONY: help setup check fix unit test demo torture bench fuzz mutations shots clean
.DEFAULT_GOAL := help

help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

setup: $(STAMP) $(ASSETS)  ## make .venv with everything, from the lock file

$(STAMP): pyproject.toml uv.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Suimon needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try 'make PYTHON=python3.11 $(MAKECMDGOALS)'." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "Python's venv is missing. On Debian and Raspberry Pi OS: sudo apt install python3-venv" >&2; exit 1; }
	@echo "Setting up $(VENV) from the lock file, once ..." >&2
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.7"
	@$(BIN)/uv sync --frozen --all-extras --quiet --python $(BIN)/python
	@touch $(STAMP)

# The page's libraries. Without them everything runs and the page shows its list; the next `make` tries again.
$(ASSETS): $(STAMP) deploy/assets.py gateway/web/static/package-lock.json
	@$(BIN)/python deploy/assets.py && touch $(ASSETS) || true

# What only the quality tests are compared with: large, so that nobody else waits for it.
$(ORACLE): $(STAMP)
	@$(BIN)/uv sync --frozen --all-extras --group oracle --quiet --python $(BIN)/python
	@touch $(ORACLE)

check: $(STAMP) $(ORACLE) $(ASSETS)  ## format, lint, types, architecture and unit tests: what must hold before a commit
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -q -n auto tests --ignore=tests/live --ignore=tests/bench -m "not live and not slow"

fix: $(STAMP)  ## format and mend what can be mended by machine
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

test: check  ## everything: check, then the tests against real servers (missing ones are skipped by name)
	@$(BIN)/python -m pytest -q -n auto --dist worksteal tests -m "slow and not live"
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder tests -m live

demo: $(STAMP) $(ASSETS)  ## flood a small river for two minutes and close the account
	@$(BIN)/suimon demo $(ARGS)

torture: $(STAMP)  ## a thousand faults against real processes, and the account that must close: make torture FAULTS=1000
	@$(BIN)/python -m tests.crash.torture $(or $(FAULTS),1000) $(ARGS)

bench: $(STAMP)  ## the figures of the README, measured here
	@$(BIN)/python -m tests.bench $(ARGS)

fuzz: $(STAMP)  ## every property test with new examples for an hour: make fuzz ARGS=300 for five minutes
	@$(BIN)/python -m tests.fuzz $(ARGS)

mutations: $(STAMP)  ## break each promise on purpose, in a scratch copy, and see that a test tells
	@$(BIN)/python -m tests.crash.mutations $(ARGS)

shots: $(STAMP) $(ASSETS)  ## pictures of the page, to be looked at: phone and wall, light, dark, colour-blind, grey paper
	@$(BIN)/python -m tests.shots $(ARGS)

clean:  ## remove the environment and caches
	@rm -rf $(VENV) gateway/web/static/vendor shots .pytest_cache .mypy_cache .ruff_cache .hypothesis dist build
