"""Small batches written as one on every engine: whoever reads sees the same, whenever it is killed."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from assets import identity, small_batches, suppressions
from assets.small_batches import merge
from warehouse import batches

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TOLD, COPIED = suppressions.TOLD, suppressions.COPIED
POSITION = "position", lambda number: [number]  # a column, and what a batch has in it


class Killed(BaseException):
    """The process is gone."""


@pytest.fixture
def logged(warehouse, monkeypatch):
    """Forty batches in two logs, and others that no one may merge; enough to be many."""
    monkeypatch.setattr(small_batches, "MANY", 10)
    columns = {"journal_id": "varchar", "contact": "varchar", "purpose": "varchar", "suppressed_at": "timestamptz"}
    batches.create_log(warehouse, TOLD, columns)
    batches.create_log(warehouse, COPIED, {"journal_id": "varchar", "position": "bigint"})
    batches.create_log(warehouse, "raw.web", {"record": "varchar"})
    tell(warehouse, range(40), {TOLD: ("contact", lambda number: [f"c{number}", None]), COPIED: POSITION})
    append(warehouse, "ingest/web/1", {"raw.web": {"record": ["{}"]}})
    append(warehouse, "both/1", {"raw.web": {"record": ["{}"]}, COPIED: {"position": [99]}})
    return warehouse


def tell(warehouse, numbers, logs):
    """A batch a number, with the values that each of the logs has in a column for it; a statement a log."""
    ids = [f"told/{number}" for number in numbers]
    told, counts = batches.Batches(warehouse, ids), Counter()
    for log, (column, made) in logs.items():
        rows = [(batch_id, value) for batch_id, number in zip(ids, numbers, strict=True) for value in made(number)]
        told.append(log, pa.table({"batch_id": [row[0] for row in rows], column: [row[1] for row in rows]}))
        counts.update(row[0] for row in rows)
    told.commit(counts, NOW)


def append(warehouse, batch_id, rows, replaces=()):
    batch = batches.Batch(warehouse, batch_id, replaces)
    for log, columns in rows.items():
        batch.append(log, pa.table(columns))
    batch.commit(NOW)


def seen(warehouse):
    """What people read, the ids of batches aside."""
    told = warehouse.rows(f"select contact from {TOLD} order by contact nulls last")
    return told, warehouse.rows(f"select position from {COPIED} order by position")


def kept(warehouse, log):
    return warehouse.rows(f"select count(*) as n from {log}{batches.LOG_SUFFIX}")[0]["n"]


def test_nobody_sees_another_row(logged):
    """Before, after, and when what was replaced is freed a day later; raw rows keep their batch, and what is with them.

    Again is nothing, and what was visible once is known for ever.
    """
    before = seen(logged)
    assert merge(logged, NOW) == 40
    assert seen(logged) == before
    assert {*batches.visible_in(logged, COPIED)} > {"both/1"}
    assert len(batches.visible_in(logged, COPIED)) == 2
    assert merge(logged, NOW) == 0
    assert [batches.discard_replaced(logged, log, NOW) for log in (TOLD, COPIED)] == [0, 0]
    assert [batches.discard_replaced(logged, log, NOW + timedelta(days=2)) for log in (TOLD, COPIED)] == [40, 40]
    assert seen(logged) == before
    assert [kept(logged, log) for log in (TOLD, COPIED)] == [80, 41]
    assert batches.is_committed(logged, "told/7")
    append(logged, "told/7", {COPIED: {"position": [7]}})
    assert seen(logged) == before


@pytest.mark.parametrize("died", [0, 1, "commit"])
def test_killed_it_leaves_nothing_that_is_seen(logged, monkeypatch, died):
    """Between two logs, or before the commit; the next one writes the same anew."""
    before, appended = seen(logged), []
    append_, commit = batches.Batch.append, batches.Batch.commit

    def dying(batch, name, rows):
        if len(appended) == died:
            raise Killed
        appended.append(name)
        return append_(batch, name, rows)

    def die(batch, at):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(batches.Batch, "append", dying)
        if died == "commit":
            patched.setattr(batches.Batch, "commit", die)
        with pytest.raises(Killed):
            merge(logged, NOW)
    assert batches.Batch.commit is commit
    assert seen(logged) == before
    append(logged, "told/40", {COPIED: {"position": [40]}})  # the next one is of other batches
    small_batches.forget_killed(logged)
    assert merge(logged, NOW) == 41
    assert kept(logged, COPIED) == 42 + 41
    before[1].insert(40, {"position": 40})
    assert seen(logged) == before


def test_a_merged_batch_grows_until_it_is_large(logged, monkeypatch):
    """Then it is left alone: a row is written again a few times and not every night."""
    assert merge(logged, NOW) == 40
    tell(logged, range(40, 60), {COPIED: POSITION})
    assert merge(logged, NOW) == 21
    monkeypatch.setattr(small_batches, "SMALL_ROWS", 100)
    tell(logged, range(60, 80), {COPIED: POSITION})
    assert merge(logged, NOW) == 20
    assert [row["position"] for row in seen(logged)[1]] == [*range(80), 99]


def test_one_part_is_bounded(logged, monkeypatch):
    """By batches and by rows, the smallest first: a large one keeps no others from being merged."""
    monkeypatch.setattr(small_batches, "AT_ONCE", 15)
    assert merge(logged, NOW) == 15
    monkeypatch.setattr(small_batches, "PART_ROWS", 36)
    assert [merge(logged, NOW) for _ in range(3)] == [12, 12, 0]


def test_the_logs_are_those_of_the_modules():
    assert {identity.HISTORY, TOLD, "tailrace.journey_tick", "tailrace.deliveries"} < small_batches.LOGS
    assert not {log for log in small_batches.LOGS if log.startswith("raw.") or "ledger_" in log or "day" in log}
