# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test lint format bench lock clean

demo: $(READY)
	$(BIN)/xinshao demo $(DEMO_FLAGS)

test: $(READY) lint
	$(BIN)/pytest tests/unit -n auto $(PYTEST_FLAGS)
	$(BIN)/pytest tests/stream tests/chaos tests/e2e -n 3 $(PYTEST_FLAGS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.ingest
	$(BIN)/python -m benchmarks.gateway

# The lock file names every package with its hashes, for every supported Python and platform.
lock:
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

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache
