# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
# What Python compiles is kept, whatever the shell says: each start of it is seconds quicker.
export PYTHONDONTWRITEBYTECODE =

.PHONY: help demo unit test lint format bench peers lock clean

help: ## list what can be made
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

demo: $(READY) ## June 2022 through the embedded stack; DEMO_FLAGS="--scale 0.05" is quick
	$(BIN)/xinshao demo $(DEMO_FLAGS)

unit: $(READY) ## the quick tests, for every save; PYTEST_FLAGS="-k NAME" chooses
	$(BIN)/pytest tests/unit -n auto -m "not slow" $(PYTEST_FLAGS)

test: $(READY) lint ## lint and every test there is; PYTEST_FLAGS="-k NAME" chooses
	$(BIN)/pytest tests/unit -n auto --hypothesis-profile=thorough --cov $(PYTEST_FLAGS)
	$(BIN)/pytest tests/stream tests/chaos tests/e2e -n 3 $(PYTEST_FLAGS)

lint: $(READY) ## style, types, and who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(READY) ## put the code into the one form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY) ## measure speed, as docs/benchmarks.md tells it
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.ingest
	$(BIN)/python -m benchmarks.gateway

peers: .cache/peers/.ready ## the other stream processors, for bench to measure beside ours

.cache/peers/.ready: benchmarks/peers.txt
	@$(PYTHON) -m venv .cache/peers
	.cache/peers/bin/pip install --quiet --no-deps -r benchmarks/peers.txt
	@touch $@

# The lock file names every package with its hashes, for every supported Python and platform.
lock: ## write requirements.lock after a change of dependencies (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --no-header --extra dev pyproject.toml -o requirements.lock

$(READY): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || \
	    { echo "Python 3.11, 3.12 or 3.13 is needed: make PYTHON=python3.11 …"; exit 2; }
	@$(PYTHON) -m venv $(VENV) || \
	    { echo "This Python cannot make a virtual environment (on Debian: apt-get install python3-venv)"; exit 2; }
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps -e .
	@touch $(READY)

clean: ## remove the virtual environment and the caches
	rm -rf $(VENV) .mypy_cache .ruff_cache
