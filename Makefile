# Everything a person or CI runs. The environment is made from the hashed lock on first use.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
BENCHMARKS := diff deliver ingest idle journeys messages webhooks engines

# A module is one worker's: what it makes for all its tests is made once.
PYTEST := $(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder --durations=25 --durations-min=10

SPARK := .spark/.installed
SPARK_VERSION := 4.3.0
SPARK_DATA ?= .spark
SPARK_PORT ?= 15002

.PHONY: demo test test-engines test-spark postgres spark spark-server quick faults oracle ui check lint bench docs shots lock

# A month; `make demo DEMO="--nights 4"` runs its last nights only.
demo: $(STAMP)
	$(BIN)/tailrace demo $(DEMO)

# Every test but the long fault suite; what needs a server that is not there says how to get it.
test: $(STAMP)
	$(PYTEST) -m "not faults$(if $(TAILRACE_TEST_ENGINES), and not spark)"

# The tests that answer in seconds.
quick: $(STAMP)
	$(PYTEST) -m "not faults and not slow and not spark" -x

# What the engines must agree on: DuckDB, PostgreSQL servers and a Spark cluster of its own; and what is said of the
# journal, in a file and in PostgreSQL.
test-engines: $(STAMP) postgres
	TAILRACE_TEST_ENGINES=1 $(PYTEST) -m "not spark" tests/engines
	TAILRACE_TEST_ENGINES=1 $(PYTEST) -m stores
	$(MAKE) test-spark

# One cluster for all of them, for a server of Java's gets fast by and by.
test-spark: $(STAMP) $(SPARK)
	TAILRACE_TEST_ENGINES=1 $(BIN)/pytest -m "spark and not faults" --durations=25 --durations-min=10

# Debian's programs of the server, which each test that needs one starts for itself.
postgres:
	test -n "$$TAILRACE_TEST_POSTGRES" || ls /usr/lib/postgresql/*/bin/initdb > /dev/null 2>&1 \
	  || { apt-get -qq update && apt-get -qq install -y --no-install-recommends postgresql; }

# Spark with its jars (450 MB) for `make test-spark`, apart from the client in .venv; needs Java 17.
spark: $(SPARK)

# One of this machine alone, to try it: on loopback, with its tables and its catalogue in SPARK_DATA; Ctrl-C ends it.
spark-server: $(SPARK)
	export SPARK_LOCAL_IP=127.0.0.1 SPARK_HOME="$$(echo $(CURDIR)/.spark/lib/python3*/site-packages/pyspark)"; \
	  cd "$(SPARK_DATA)" && exec "$$SPARK_HOME/bin/spark-submit" --master 'local[*]' --driver-memory 4g \
	  --class org.apache.spark.sql.connect.service.SparkConnectServer --conf spark.connect.grpc.binding.address=127.0.0.1 \
	  --conf spark.connect.grpc.binding.port=$(SPARK_PORT) --conf spark.ui.enabled=false \
	  --conf spark.sql.catalogImplementation=hive --conf spark.hadoop.datanucleus.schema.autoCreateAll=true \
	  --conf spark.hadoop.hive.metastore.schema.verification=false --conf spark.sql.shuffle.partitions=4 \
	  --conf spark.sql.filesourceTableRelationCacheSize=0 --conf spark.sql.hive.filesourcePartitionFileCacheSize=0 \
	  spark-internal

$(SPARK):
	command -v java > /dev/null || { apt-get -qq update && apt-get -qq install -y --no-install-recommends openjdk-17-jre-headless; }
	$(PYTHON) -m venv .spark
	.spark/bin/pip install --quiet --no-deps pyspark==$(SPARK_VERSION)
	touch $@

# Every seeded fault against the real command line, the gateway and the recorder, counted at the receiver; on PostgreSQL
# and Spark too, which it starts.
faults: $(STAMP) $(SPARK) postgres
	TAILRACE_TEST_ENGINES=1 $(BIN)/pytest -m faults -n 2 --dist loadgroup --no-loadscope-reorder --durations=15 --durations-min=10 tests/faults

# 500 random worlds of journeys, the engine beside the oracle row by row; TAILRACE_ORACLE says how many (`make test`: 12).
oracle: $(STAMP)
	TAILRACE_ORACLE=$${TAILRACE_ORACLE:-500} $(BIN)/pytest -m oracle -n 2 tests/journeys

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
	$(BIN)/python docs/message_shots.py

# The versions of everything, for a checkout and for the image of deploy/Dockerfile.
COMPILE := uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
  --no-strip-extras --no-annotate pyproject.toml

lock:
	echo 'duckdb==1.5.5' | $(COMPILE) --extra dev -c - -o requirements.lock
	$(COMPILE) --extra deploy -c requirements.lock -o deploy/requirements.lock

$(STAMP): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --require-hashes --no-deps -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	touch $@
