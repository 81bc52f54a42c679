# Everything a person or CI runs. The environment is made from the hashed lock on first use.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
BENCHMARKS := diff deliver ingest idle

.PHONY: demo test quick faults ui check lint bench docs shots lock

demo: $(STAMP)
	$(BIN)/tailrace demo

# Every test but the long fault suite.
test: $(STAMP)
	$(BIN)/pytest -m "not faults" -n 2

# The tests that answer in seconds.
quick: $(STAMP)
	$(BIN)/pytest -m "not faults and not slow" -n 2 -x

# 300 seeded faults against the real command line, counted at the receiver.
faults: $(STAMP)
	$(BIN)/pytest -m faults -n 2 tests/faults

# Dagster with its daemon, on this project's own home; Ctrl-C stops all of it.
ui: $(STAMP)
	$(BIN)/tailrace ui

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/sqlfluff lint --processes 2 dbt_project
	$(BIN)/tailrace check

check: lint test

bench: $(STAMP)
	for name in $(BENCHMARKS); do $(BIN)/python benchmarks/$$name.py || exit 1; done

# The reference pages, written anew from the code.
docs: $(STAMP)
	$(BIN)/python docs/reference.py

# The pictures of the Dagster UI in docs/images, taken from the real one; needs Debian's chromium.
shots: $(STAMP)
	$(BIN)/python docs/shots.py

lock:
	echo 'duckdb==1.5.5' | uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header --no-strip-extras --no-annotate --extra dev -c - pyproject.toml -o requirements.lock

$(STAMP): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --require-hashes --no-deps -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	touch $@
