# setup: make or reuse .venv   demo: the main job in one command   docs: the site   lint, bench: what they say
# test: the tests, in minutes   test-all: further cases and heavy ones too
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
OUT ?= demo-out

AT_ONCE ?= 2
PYTEST := $(BIN)/python -m pytest -n $(AT_ONCE)

.PHONY: setup demo test test-all lint bench docs
setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the pinned packages into $(VENV); the first time takes a few minutes" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "torch==2.14.1" "torchvision==0.29.1" -c constraints.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

demo: setup
	@$(BIN)/remotereasoner demo --out $(OUT)

test: setup
	$(PYTEST)

test-all: setup
	$(PYTEST) -m "not slow"

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup
	$(BIN)/python -m benchmarks

docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
