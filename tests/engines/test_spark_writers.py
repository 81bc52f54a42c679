"""Several processes of one home write to Spark at once: nothing is lost and nothing is there twice."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from models.settings import Settings
from warehouse import batches
from warehouse.engine import engine

ROOT = Path(__file__).parents[2]
WRITERS, BATCHES, ROWS = 4, 3, 500
WRITER = f"""
import sys
from datetime import UTC, datetime
from pathlib import Path
import pyarrow as pa
from models.settings import Settings
from warehouse import batches
from warehouse.engine import engine
folder, url, who = sys.argv[1:]
home = engine(Settings(Path(folder), Path(folder), warehouse_url=url))
with home.open() as warehouse:
    batches.prepare(warehouse)
    batches.create_log(warehouse, "tailrace.notes", {{"who": "varchar", "n": "bigint"}})
    for number in range({BATCHES}):
        batch = batches.Batch(warehouse, f"{{who}}/{{number}}")
        for part in range(2):
            rows = range(part * {ROWS}, (part + 1) * {ROWS})
            batch.append("tailrace.notes", pa.table({{"who": [who] * {ROWS}, "n": rows}}))
        batch.commit(datetime(2026, 1, 1, tzinfo=UTC))
"""


@pytest.mark.slow
def test_overlapping_writers_lose_and_double_nothing(catalogue, tmp_path):
    """Two plain inserts into one table of Spark at once lose rows, and no error says so."""
    (tmp_path / "dev").mkdir()
    program = tmp_path / "writer.py"  # Spark's client takes `python -c` for a test of its own
    program.write_text(WRITER)
    arguments = [sys.executable, str(program), str(tmp_path), catalogue]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    writers = [
        subprocess.Popen([*arguments, name], env=environ, stderr=subprocess.PIPE, text=True)
        for name in "abcd"[:WRITERS]
    ]
    failed = [said for writer in writers if (said := writer.communicate()[1]) and writer.returncode]
    assert failed == []
    with engine(Settings(tmp_path, tmp_path, warehouse_url=catalogue)).open() as warehouse:
        found = warehouse.rows("select who, n, count(*) as times from tailrace.notes group by who, n")
        assert Counter(row["who"] for row in found) == dict.fromkeys("abcd"[:WRITERS], 2 * ROWS)
        assert {row["times"] for row in found} == {BATCHES}
        assert len(batches.visible_in(warehouse, "tailrace.notes")) == WRITERS * BATCHES
