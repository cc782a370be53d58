# `make` lists the targets. Everything is set up in $(VENV) on first use; nothing else is touched.
VENV    ?= .venv
PYTHON  ?= $(firstword $(shell command -v python3.11 python3.12 python3.13 python3.10 python3 2>/dev/null))
BIN     := $(VENV)/bin
EXTRAS  ?= ros,sim,vision,learn,viz,orca,baselines,dev
STAMP   := $(VENV)/.setup-done
MESSAGES := $(VENV)/.interfaces-done
MESSAGE_SOURCES := $(shell find interfaces -type f -not -name '*.md')
ARGS    ?=

.DEFAULT_GOAL := help
.PHONY: help setup sim test lint check mutation bench format docs clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

setup: $(STAMP) ## Make the virtual environment with pinned wheels and build the messages

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "No Python 3.10 to 3.13 found: install python3.11 or set PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=24'

# two wheels of generated code: our messages, and TFMessage, which has no wheel on PyPI
$(MESSAGES): $(MESSAGE_SOURCES) constraints.txt | $(BIN)/python
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir $(VENV)/wheels ./interfaces ./interfaces/tf2_msgs_standin
	$(BIN)/python -m pip install --quiet --no-deps --force-reinstall $(VENV)/wheels/*.whl
	@touch $@

$(STAMP): setup.py setup.cfg pyproject.toml constraints.txt $(MESSAGES)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[$(EXTRAS)]'
	@touch $@

sim: setup ## The simulated robot runs ten errands among people; report at the end (ARGS=--help for options)
	@$(BIN)/lifelong-nav sim $(ARGS)

test: setup ## Every test
	@$(BIN)/python -m pytest $(ARGS)

lint: setup ## ruff, mypy, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test ## What CI runs

mutation: setup ## Mutation test of the safety gate (minutes)
	$(BIN)/python test/mutation/run.py

format: setup ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: setup ## Write the generated pages: topics, parameters, default parameter file
	$(BIN)/lifelong-nav docs

bench: setup ## Every benchmark, full length; results go to docs/results
	@for name in $$($(BIN)/lifelong-nav bench --list); do \
		$(BIN)/lifelong-nav bench $$name --json docs/results/$$name.json || exit 1; done

clean: ## Remove the virtual environment and what runs left behind
	rm -rf $(VENV) build runs *.egg-info
