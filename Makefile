# Everything a person or CI runs. The environment is made from the hashed lock on first use.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test quick faults ui check bench docs shots lock clean

$(STAMP): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes --no-deps -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

demo: $(STAMP)
	$(BIN)/tailrace demo

test: $(STAMP)
	$(BIN)/pytest -m "not faults"

lock:
	echo 'duckdb==1.5.5' | uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header --no-strip-extras --no-annotate --extra dev -c - pyproject.toml -o requirements.lock
