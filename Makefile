# The handful of commands a developer needs; `make help` lists them.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help setup check format test quick demo docs lock
help:    ## List these commands
	@grep -E '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'
setup:   ## Make .venv with everything for development
	$(PYTHON) -m venv .venv && $(BIN)/pip install -c constraints.txt -e ".[all,dev]"
check:   ## Formatting, lint, types
	$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy
format:  ## Put the code into shape
	$(BIN)/ruff check --fix . ; $(BIN)/ruff format .
test:    ## All tests (the README's command)
	$(BIN)/pytest -n auto
quick:   ## The tests that need seconds
	$(BIN)/pytest -n auto -m "not slow"
demo:    ## The guarded run on the demonstration project
	$(BIN)/holdfast init --demo demo && $(BIN)/holdfast run demo
docs:    ## Pages that are generated from code (the site: pip install -e ".[docs]" && mkdocs build)
	$(BIN)/python scripts/import_graph.py --write
lock:    ## Write constraints.txt from .venv
	$(BIN)/python scripts/lock.py
