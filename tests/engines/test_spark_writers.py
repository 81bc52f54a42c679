"""Several processes of one home write to Spark at once: nothing is lost and nothing is there twice."""

import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from models.errors import NeedsPerson, UserError
from models.settings import Settings
from warehouse import batches
from warehouse.engine import Engine, engine

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


def test_one_home_writes_until_another_takes_over(catalogue, tmp_path):
    """The locks of a home are its files: a second one would write beside it. Spark hides what has `url` in it."""
    first, second = (home(tmp_path / name, f"{catalogue}_w") for name in ("hurley", "b"))
    assert first.take_over(0) is None  # there is nothing yet
    with first.locked(0):
        pass
    for _ in range(2):
        with pytest.raises(NeedsPerson, match=rf"another home .* {tmp_path}/hurley/dev on .*`tailrace take-over`"):
            second.locked(0).__enter__()
    assert first.take_over(0) is None
    assert second.take_over(0).startswith(f"{tmp_path}/hurley/dev on ")
    with second.locked(0):
        pass
    with pytest.raises(NeedsPerson, match=f"{tmp_path}/b/dev"):
        first.locked(0).__enter__()


def test_of_homes_that_begin_at_once_one_writes(catalogue, tmp_path):
    """To create a database is one step of the catalogue."""
    homes = [home(tmp_path / name, f"{catalogue}_once") for name in "abcd"]

    def writes(each):
        try:
            with each.locked(0):
                return True
        except NeedsPerson:
            return False

    with ThreadPoolExecutor(len(homes)) as pool:
        assert [*pool.map(writes, homes)].count(True) == 1


def test_a_database_that_was_there_already_is_the_first_homes(catalogue, tmp_path):
    """Whoever made it, and whatever properties it has."""
    one, other = (home(tmp_path / name, f"{catalogue}_there") for name in "ab")
    name = one.schemas["tailrace"]
    with one.open() as warehouse:
        warehouse.execute(f"create schema {name} with dbproperties ('team' = 'marketing (eu), (tailrace.home,x y)')")
        with one.locked(0):
            pass
        with pytest.raises(NeedsPerson, match="another home"):
            other.locked(0).__enter__()
        (told,) = [
            row for row in warehouse.rows(f"describe schema extended {name}") if row["info_name"] == "Properties"
        ]
    assert "(team,marketing" in told["info_value"]


def test_targets_whose_databases_have_one_name_do_not_share_them(catalogue, tmp_path):
    """`…/shop_dev` in prod is what `…/shop` is in dev; `…/shop_raw` would be among what `…/shop` has."""
    with home(tmp_path, f"{catalogue}_x").locked(0):
        pass
    with pytest.raises(NeedsPerson, match="another home"):
        home(tmp_path, f"{catalogue}_x_dev", target="prod").locked(0).__enter__()
    for name in ("raw", "models", "published", "published_7", "preview_a_b"):
        with pytest.raises(UserError, match=f"take a name without _{name}"):
            home(tmp_path, f"{catalogue}_{name}", target="prod")
    home(tmp_path, f"{catalogue}_raw_milk", target="prod")


def home(folder: Path, url: str, **settings: str) -> Engine:
    return engine(Settings(folder, folder, warehouse_url=url, **settings))
