"""What is append-only comes over to another engine as it was, wherever the move was stopped."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pyarrow as pa
import pytest

from assets import moving, stages, store
from models.errors import NeedsPerson, Refused, UserError
from models.settings import Settings
from orchestration.console import silent
from tests.engines.agreement import TEXTS
from warehouse import batches
from warehouse.batches import Batch, Batches
from warehouse.engine import engine
from warehouse.lock import hold
from warehouse.postgres import Postgres

ROOT = Path(__file__).parents[2]
CHILD = ROOT / "tests" / "faults" / "child.py"
AT = datetime(2026, 1, 1, tzinfo=UTC)
MANY = 2_500  # batches: they become visible in three parts
KINDS = {
    "said": "varchar",
    "small": "integer",
    "whole": "bigint",
    "huge": "hugeint",
    "money": "decimal(18,2)",
    "exact": "decimal(38,10)",
    "share": "double",
    "single": "float",
    "is_so": "boolean",
    "day": "date",
    "written_at": "timestamp",
    "moment": "timestamptz",
    "words": "varchar[]",
    'odd "name"': "varchar",
}
EXTREMES = [
    (None,) * len(KINDS),
    (
        *("", 0, 0, 0, Decimal("0.00"), Decimal(0), 0.0, -1.5, False),
        *(datetime(1, 1, 1).date(), datetime(1970, 1, 1), AT, [], "x"),  # noqa: DTZ001 - that type has no zone
    ),
    (
        *("it's\n🎈", -(2**31), -(2**63), -(10**37), Decimal("-9999999999999999.99"), Decimal("1.0000000001")),
        *(0.1 + 0.2, 1.5, True, datetime(9999, 12, 31).date(), datetime(2026, 3, 29, 2, 30)),  # noqa: DTZ001
        *(datetime(2026, 3, 29, 1, 30, 0, 1, tzinfo=UTC), ["", "a,b", None, '"', "{}"], ""),
    ),
    (
        *("null", 2**31 - 1, 2**63 - 1, 10**37, Decimal("9999999999999999.99"), Decimal("-0.0000000001")),
        *(5e-324, float("nan"), None, None, None, datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), None, None),
    ),
]


@pytest.fixture
def elsewhere(server, tmp_path) -> Iterator[Callable[[], Settings]]:
    """The same target on databases of their own, each empty."""
    made = []

    def create() -> Settings:
        made.append(f"t{uuid4().hex[:10]}")
        with Postgres(server) as opened:
            opened.execute(f"create database {made[-1]}")
        url = urlsplit(server)._replace(path=f"/{made[-1]}").geturl()
        return Settings(ROOT, tmp_path / "home", warehouse_url=url)

    yield create
    with Postgres(server) as opened:
        for name in made:
            opened.execute(f"drop database {name} with (force)")


@pytest.fixture
def here(tmp_path) -> Settings:
    """A warehouse with a log of many small batches, one that is replaced, and rows that never became visible."""
    settings = Settings(ROOT, tmp_path / "home")
    settings.root.mkdir(parents=True)
    with store.locked(settings), stages.opened(settings) as warehouse:
        batches.create_log(warehouse, "tailrace.ledger_x", KINDS)
        batches.create_log(warehouse, "raw.gone", {"record": "varchar"})
        rows = ", ".join(map(_row, EXTREMES))
        names = ", ".join(map(warehouse.dialect.quote, KINDS))
        batch = Batch(warehouse, "it's/one")
        batch.append("tailrace.ledger_x", f"select * from (values {rows}) as listed({names})")
        batch.append("raw.gone", pa.table({"record": TEXTS}))
        batch.commit(AT)
        names = [f"raw/{number:05}" for number in range(MANY)]
        many = Batches(warehouse, names)
        many.append("raw.gone", pa.table({"record": names, "batch_id": names}))
        many.commit(dict.fromkeys(names, 1), AT)
        compacted = Batch(warehouse, "compact", replaces=names[:10])
        compacted.append("raw.gone", "select 'all ten' as record")
        compacted.commit(AT)
        Batch(warehouse, "never").append("raw.gone", "select 'nobody sees it' as record")
    return settings


def _row(values: tuple[object, ...]) -> str:
    cast = (f"cast({_literal(value)} as {kind})" for value, kind in zip(values, KINDS.values(), strict=True))
    return f"({', '.join(cast)})"


def _literal(value: object) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(_literal, value)) + "]"
    if isinstance(value, str | datetime) or hasattr(value, "isoformat"):
        return "'" + str(value).replace("'", "''") + "'"
    return "null" if value is None else f"'{value!r}'" if isinstance(value, float) else str(value)


def visible(settings: Settings) -> dict[str, list]:
    """Every log → the rows that are visible, in an order of their own."""
    with engine(settings).open() as warehouse:
        names = [*batches.logs(warehouse), "tailrace.batch"]
        return {name: sorted(map(_shown, warehouse.rows(f"select * from {name}"))) for name in names}


def _shown(row: dict[str, object]) -> str:
    """What it says, whatever kind of number an engine makes of it."""
    return str({name: str(value) for name, value in sorted(row.items())})


def move(settings: Settings, destination: Settings) -> moving.Moved:
    return moving.move(settings, destination, silent)


def commanded(settings: Settings, *command: str) -> subprocess.CompletedProcess[str]:
    """A command line of this target, run from `tests/faults/child.py` or as it is."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "TAILRACE_HOME": str(settings.home)}
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )


def killed(settings: Settings, destination: Settings, step: str, nth: int) -> None:
    """`tailrace move`, killed at that step."""
    done = commanded(settings, str(CHILD), step, str(nth), "kill", "--", "move", "--to", str(destination.warehouse_url))
    assert done.returncode == -signal.SIGKILL, done.stderr


def test_what_there_is_comes_over_there_and_back(here, elsewhere, tmp_path):
    """Every type, extreme and odd text is the same on the other engine, and in a file that it is moved back to."""
    there = elsewhere()
    moved = move(here, there)
    back = replace(here, warehouse_url=f"duckdb://{tmp_path / 'back.duckdb'}")
    assert move(there, back).differing == moved.differing == ()
    before = visible(here)
    assert visible(back) == before
    assert len(before["tailrace.ledger_x"]) == len(EXTREMES)
    assert len(before["raw.gone"]) == len(TEXTS) + MANY - 10 + 1
    assert (moved.batches, moved.before) == (MANY + 2, 0)
    with engine(back).open() as copy, engine(here).open() as original:
        assert copy.columns("raw.gone") == original.columns("raw.gone")
        assert copy.rows("select 1 from raw.gone__log where batch_id in ('never', 'raw/00003')") == []


def test_a_warehouse_holds_logs_and_nothing_that_a_move_forgets(here):
    """Every table of `tailrace` and `raw` is a log, the list of batches, or what each engine writes for itself."""
    with engine(here).open() as warehouse:
        tables = warehouse.rows(
            "select table_schema || '.' || table_name as name from information_schema.tables "
            "where table_type = 'BASE TABLE' and table_schema in ('tailrace', 'raw')"
        )
        logs = {name + batches.LOG_SUFFIX for name in batches.logs(warehouse)}
    own = {"tailrace.batch", "tailrace.metadata", "tailrace.relation_definition"}
    assert {row["name"] for row in tables} == logs | own


@pytest.mark.slow
@pytest.mark.sampled
def test_a_move_that_was_killed_goes_on(here, elsewhere):
    """Meanwhile the destination is no warehouse; then what was moved stays, what was half there is replaced."""
    there = elsewhere()
    for step, nth, before in (("appended", 2, 0), ("moved", 2, 2_000), ("appended", 1, 2_000)):
        killed(here, there, step, nth)
        with engine(there).open() as copy:
            assert copy.rows("select count(*) as n from tailrace.batch")[0]["n"] == before
        with pytest.raises(NeedsPerson, match="not all of it is here"), store.writing(there):
            pass
    done = commanded(here, "-m", "orchestration", "move", "--to", str(there.warehouse_url), "--json")
    assert done.returncode == 0, done.stderr
    moved = json.loads(done.stdout)
    assert (moved["before"], moved["batches"]) == (2_000, MANY + 2 - 2_000)
    assert {table["name"]: table["differing"] for table in moved["tables"]}["raw.gone"] == 0
    assert visible(there) == visible(here)
    with store.writing(there):
        pass


def test_a_planted_difference_is_found(here, elsewhere):
    """A row too few and a value changed by hand are found, and the destination stays closed."""
    there = elsewhere()

    def stop(what: str, done: int | None = None, total: int | None = None) -> None:
        if what.startswith("comparing"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        moving.move(here, there, stop)
    with engine(there).open() as copy:
        copy.execute("delete from raw.gone__log where batch_id = 'raw/00020'")
        copy.execute("update tailrace.ledger_x__log set share = share + 1e-16 where money = -9999999999999999.99")
    moved = move(here, there)
    assert {each.name: each.differing for each in moved.differing} == {"raw.gone": 1, "tailrace.ledger_x": 2}
    with pytest.raises(NeedsPerson, match="not all of it is here"), store.writing(there):
        pass


def test_what_cannot_be_moved_is_refused(here, elsewhere, tmp_path):
    """No source, the same engine, a destination with a warehouse or with another's move begun, a sync under way."""
    there = elsewhere()
    nobody = replace(here, home=tmp_path / "nobody")
    with pytest.raises(UserError, match="no warehouse to move"):
        move(nobody, there)
    with pytest.raises(UserError, match="is on duckdb already"):
        move(here, replace(here, warehouse_url=f"duckdb://{tmp_path / 'other.duckdb'}"))
    with hold(here.locks / "crm__seg_x.lock"), pytest.raises(Refused, match="crm/seg_x: under way"):
        move(here, there)
    with store.writing(nobody) as warehouse:
        batches.create_log(warehouse, "tailrace.other", {"a": "bigint"})
        batch = Batch(warehouse, "raw/00007")
        batch.append("tailrace.other", "select cast(1 as bigint) as a")
        batch.commit(AT.replace(year=2025))
    with engine(there).open() as copy:  # as a move from there that was stopped leaves it
        batches.prepare(copy, moving=True)
        copy.execute(f"insert into tailrace.batch values ('raw/00007', '', 1, {copy.dialect.text_list(())}, now())")
    with pytest.raises(Refused, match="a move of another warehouse to there was begun: 1 batches"):
        move(here, there)
    there = elsewhere()
    move(nobody, there)
    with pytest.raises(Refused, match="all of it is there already"):
        move(nobody, there)
    with pytest.raises(Refused, match="holds a warehouse already, of 1 batches"):
        move(here, there)


def test_a_text_that_the_other_engine_cannot_keep_is_named(here, elsewhere):
    """The log and the column; nothing of its batch is visible there."""
    with store.writing(here) as warehouse:
        batch = Batch(warehouse, "nul")
        batch.append("raw.gone", "select 'a' || chr(0) as record")
        batch.commit(AT.replace(year=2027))
    there = elsewhere()
    with pytest.raises(UserError, match=r"gone__log.record: a text holds the character U\+0000"):
        move(here, there)
    with engine(there).open() as copy:
        assert copy.rows("select count(*) as n from tailrace.batch")[0]["n"] in {0, 2_000}


def test_a_column_of_a_type_that_the_other_engine_lacks_is_refused_at_once(here, elsewhere):
    """Before anything is copied, by the name of its log."""
    with store.writing(here) as warehouse:
        batches.create_log(warehouse, "tailrace.ledger_y", {"id": "uuid"})
    there = elsewhere()
    with pytest.raises(UserError, match=r"tailrace\.ledger_y cannot be moved: .*uuid"):
        move(here, there)
