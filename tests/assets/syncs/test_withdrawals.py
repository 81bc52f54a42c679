"""Messages to people who leave, or become somebody else, while the run that would send them is under way."""

import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from time import monotonic, sleep

import pytest

from assets import delivery_tables, identity, segments
from assets.opening import Opener
from assets.store import writing
from assets.sync_run import SyncResult
from assets.withdrawals import withdraw_departed
from models.clock import Clock
from sinks.journal import Journal
from warehouse import batches
from warehouse.base import Warehouse

X = "crm/seg_x"


def night(world, *members: str, merged: dict[str, str] | None = None) -> None:
    """A day later these are the segment's members, and a refresh has seen it."""
    world.clock += timedelta(days=1)
    clock = Clock.at(world.clock)
    with writing(world.settings) as warehouse, Journal(world.settings.journal) as journal:
        for part in (identity, segments, delivery_tables):
            part.prepare(warehouse)
        for loser, winner in (merged or {}).items():
            merge(warehouse, loser, winner, clock)
        listed = ", ".join(f"('{name}')" for name in members) or "('')"
        rows = f"select * from (values {listed}) as listed (profile_id) where profile_id <> ''"
        warehouse.execute(f"create or replace table seg_x as {rows}")
        segments.record(warehouse, clock, {"seg_x": "one"})
        withdraw_departed(Opener(world.settings, warehouse, journal), ["seg_x"], clock.known_by)


def merge(warehouse: Warehouse, loser: str, winner: str, clock: Clock) -> None:
    """The loser, and whoever had become the loser before, is the winner now."""
    number = int(clock.as_of.timestamp())
    batch = batches.Batch(warehouse, f"identity/{loser}/{number}")
    batch.append(
        identity.HISTORY,
        f"select 'profile_id' as identifier_type, identifier, '{winner}' as profile_id, 'merged' as change, "
        f"{number} as number from (select '{loser}' as identifier union select identifier from tailrace.profile_map "
        f"where profile_id = '{loser}') as before",
    )
    batch.commit(clock.known_by)


@pytest.fixture
def messages(world):
    """A segment with a message to everyone who enters, one a request; evaluated and planned when nobody was in it."""
    world.declare(
        "seg_x", {"sink": "crm", "mode": "send_on_entry", "rows": 1, "connections": 1}, columns=["profile_id"]
    )
    night(world)
    world.plan(X)
    return world


def meanwhile(world, happens: Callable[[], None]) -> SyncResult:
    """A run during which something happens: its first message is claimed, and the vendor answers only afterwards."""
    with ThreadPoolExecutor(1) as pool:
        with world.recorder.hanging():
            run = pool.submit(world.sync)
            until = monotonic() + 30
            while not claimed(world) and not run.done():
                assert monotonic() < until
                sleep(0.02)
            happens()
        return run.result()[0]


def claimed(world) -> int:
    with closing(sqlite3.connect(world.settings.journal)) as journal:
        return int(journal.execute("select count(*) from claim").fetchone()[0])


def in_order(world) -> list[str]:
    """People in the order in which their messages leave."""
    rows = world.sql("select profile_id from tailrace.segment_history where change = 'entered' order by entry_id")
    return [row["profile_id"] for row in rows]


def heard(world) -> list[str]:
    return sorted(row["payload"]["profile_id"] for row in world.recorder.received(X))


def test_who_left_before_the_claim_is_withdrawn(messages) -> None:
    """The message is not sent and is recorded as withdrawn; who comes back gets the message of the new entry."""
    night(messages, "a", "b", "c", "d")
    first, *others, last = in_order(messages)
    result = meanwhile(messages, lambda: night(messages, first, *others))
    assert result.counts == {"accepted": 3, "withdrawn": 1}
    assert heard(messages) == sorted([first, *others])
    (row,) = messages.sql("select profile_id, reason from tailrace.deliveries where outcome = 'withdrawn'")
    assert row == {"profile_id": last, "reason": "left the segment"}
    assert messages.sql("select accepted, withdrawn from tailrace.sync_runs") == [{"accepted": 3, "withdrawn": 1}]
    assert messages.plan(X).operations == 0
    night(messages, "a", "b", "c", "d")
    assert messages.sync()[0].counts == {"accepted": 1}
    assert heard(messages) == ["a", "b", "c", "d"]


def test_who_comes_back_during_a_run_gets_the_new_message_only(messages) -> None:
    """The entry that ended is withdrawn by the run under way; the next run sends the one that began."""
    night(messages, "a", "b")
    first, last = in_order(messages)

    def goes_and_comes() -> None:
        night(messages, first)
        night(messages, first, last)

    assert meanwhile(messages, goes_and_comes).counts == {"accepted": 1, "withdrawn": 1}
    assert messages.sync()[0].counts == {"accepted": 1}
    assert heard(messages) == ["a", "b"]
    (sent,) = messages.sql(
        "select history.as_of = (select max(as_of) from tailrace.segment_history) as is_new "
        "from tailrace.ledger_crm__seg_x as ledger inner join tailrace.segment_history as history "
        "on ledger.entry_id = history.entry_id and history.change = 'entered' "
        f"where ledger._outcome = 'accepted' and ledger.profile_id = '{last}'"
    )
    assert sent["is_new"]


def test_what_was_claimed_first_is_sent(messages) -> None:
    """A message on its way when its person leaves is beyond recall, and is not said to be withdrawn."""
    night(messages, "a", "b")
    _, last = in_order(messages)
    assert meanwhile(messages, lambda: night(messages, last)).counts == {"accepted": 2}
    assert heard(messages) == ["a", "b"]


def test_the_winner_of_a_merge_keeps_the_losers_message(messages) -> None:
    """Who turns out to be somebody else has not left, unless that person is not in the segment."""
    night(messages, "a", "b", "c")
    first, second, last = in_order(messages)
    merged = {second: "x", last: "y"}
    result = meanwhile(messages, lambda: night(messages, first, "x", merged=merged))
    assert result.counts == {"accepted": 2, "withdrawn": 1}
    assert heard(messages) == sorted([first, second])
    assert messages.plan(X).operations == 0


def test_a_message_survives_several_merges(messages) -> None:
    """The last winner owns the first loser's entry: its message, not yet sent, goes once."""
    night(messages, "a")
    night(messages, "b", merged={"a": "b"})
    night(messages, "c", merged={"b": "c"})
    assert messages.plan(X).send == 1
    messages.sync()
    assert heard(messages) == ["c"]
    night(messages, "d", merged={"c": "d"})
    assert messages.plan(X).operations == 0


def test_who_left_does_not_own_what_was_before(messages) -> None:
    """After a merge and a departure only the new entry counts."""
    night(messages, "a")
    night(messages, "b", merged={"a": "b"})
    night(messages)
    assert messages.plan(X).operations == 0
    night(messages, "b")
    assert messages.sync()[0].counts == {"accepted": 1}
    night(messages)
    night(messages, "b")
    assert messages.sync()[0].counts == {"accepted": 1}
