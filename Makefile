# Two commands set everything up: `make demo` and `make test`. Python 3.11 or newer is all they need.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install test test-faults lint format demo bench quality goldens proto compose-test lock clean \
	clean-kernels

help: ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

install: $(STAMP) ## .venv with everything, from the hash-pinned lock

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: \
		--require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
		--no-index --editable .
	@touch $@

test: lint ## everything that must hold before a commit
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal

test-faults: install ## tests that take minutes: thousands of copies, long lists, large tables
	$(BIN)/python -m pytest -m faults -s

lint: install ## style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: install ## let ruff put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

demo: install ## the service on the story families of seeds/
	@$(BIN)/dedup demo

bench: install ## speed, memory and recall beside live peers; BENCH="index --quick" for a part, or a quick run
	$(BIN)/python -m bench $(BENCH)

quality: install ## what the service and its peers find on labelled news; QUALITY="seeds --ours" for a part
	$(BIN)/python -m bench.quality $(QUALITY)

goldens: install ## whether the service finds what it once found; GOLDENS="check seeds" for a part
	$(BIN)/python -m bench.goldens $(or $(GOLDENS),check)

proto: install ## generate dedup/v1 from proto/
	$(BIN)/python proto/generate.py

compose-test: install ## docker compose: up, ingest, export, down, up, export (ENGINE=1 makes the engine too)
	bash tests/compose/run.sh $(if $(ENGINE),--engine)

lock: ## pin the newest versions that pyproject.toml admits, with the hashes of every platform's files
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet uv
	$(COMPILE) --group dev --output-file requirements.lock
	$(COMPILE) --group build --constraint requirements.lock --output-file requirements-runtime.lock

COMPILE = build/lock/bin/uv --no-config pip compile --quiet --upgrade --universal --python-version 3.11 \
	--generate-hashes --no-annotate --custom-compile-command "make lock" --extra html pyproject.toml

clean-kernels: ## remove compiled kernels: after a change in a kernel that kernels of other files call
	find dedup -path '*/__pycache__/*.nb[ci]' -delete

clean: ## remove what make made
	rm -rf $(VENV) build .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info
