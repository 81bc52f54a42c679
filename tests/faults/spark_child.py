"""One night on Spark in this process, struck at a durable step: a fold of two logs, a model built of them, published.

    python tests/faults/spark_child.py STEP NTH ACTION URL NUMBER [BUG]

TAILRACE_HOME is the home. ACTION as child.py has them. Exits with 1 and one line where a person can act on what failed.
"""

from __future__ import annotations

import logging
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from models.errors import TailraceError
from models.settings import Settings
from models.steps import step
from tests.faults import bugs
from tests.faults.child import Striker
from warehouse import batches
from warehouse.engine import engine

ROWS = 2_000
NOW = datetime(2026, 1, 1, tzinfo=UTC)
NOTES, TOLD = "tailrace.notes", "tailrace.told"


def night(home: Path, url: str, number: int) -> None:
    """Again is nothing; what an interrupted one left is replaced."""
    here = engine(Settings(home, home, warehouse_url=url))
    with here.locked(60), here.open() as warehouse:
        batches.prepare(warehouse)
        batches.create_log(warehouse, NOTES, {"night": "bigint", "n": "bigint"})
        batches.create_log(warehouse, TOLD, {"night": "bigint", "word": "varchar"})
        batch = batches.Batch(warehouse, f"night/{number}")
        rows = pa.table({"night": pa.array([number] * ROWS, pa.int64()), "n": pa.array(range(ROWS), pa.int64())})
        batch.append(NOTES, rows)
        batch.append(NOTES, f"select night, n + {ROWS} as n from tailrace.notes__log where batch_id = 'night/{number}'")
        batch.append(TOLD, pa.table({"night": pa.array([number], pa.int64()), "word": ["kept"]}))
        batch.commit(NOW)
        warehouse.execute("create schema if not exists main")
        found = f"select night, count(*) as notes, sum(n) as total from {NOTES} group by night"
        warehouse.create_table("main.nights", found)
        here.publish(warehouse, {"nights": "main.nights"}, {"nights": str(number)})
        step("published", names=1)
        here.tidy(warehouse)


def main() -> None:
    step, nth, action, url, number, *planted = sys.argv[1:]
    for bug in planted:
        bugs.plant(bug)
    logger = logging.getLogger("tailrace.step")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(Striker(step, int(nth), action))
    try:
        night(Path(os.environ["TAILRACE_HOME"]), url, int(number))
    except TailraceError as error:
        sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
