"""Messages of a journey by the clock: what their plan carries for the claim, and that who was late is not forgotten."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from assets import identity
from assets.journeys import tables
from models.policy import Policy
from models.sync import Destination, Mode, Sync, SyncEntry
from tests.assets.syncs.loop import Loop, loop
from warehouse import batches

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NIGHT = {"begin": "21:00", "end": "08:00"}
LUNCH = {"begin": "12:30", "end": "13:30"}


@pytest.fixture
def here() -> Iterator[Loop]:
    """A journey with nothing to send yet, at noon of London's summer."""
    with loop() as made:
        for part in (identity, tables):
            part.prepare(made.warehouse)
        made.sync = message_sync(made.sync)
        made.policy = Policy(salt="test", quiet_hours=NIGHT)
        made.clock = NOON
        made.warehouse.execute("create table profiles (profile_id varchar, email varchar)")
        made.warehouse.execute(
            "create table consent (profile_id varchar, contact_point varchar, purpose varchar, granted boolean, "
            "suppressed boolean)"
        )
        yield made


def message_sync(of: Sync, purpose: str = "marketing") -> Sync:
    entry = SyncEntry(sink="crm", name="hello", purpose=purpose, contact="email", mode=Mode.SEND_ON_ENTRY)
    return of.model_copy(
        update={
            "model": "message_outbox",
            "relation": ("tailrace", "message_outbox"),
            "profiles": ("main", "profiles"),
            "consent": ("main", "consent"),
            "entry": entry.model_copy(update={"fields": ("email",)}),
            "destination": Destination(sink="recorder", channel="email"),
            "identity": ("entry_id",),
            "journey": "hello",
        }
    )


def admit(here: Loop, who: str, zone: str = "UTC", **fields: Any) -> None:
    """A message to them that may go, decided where their clock was `zone`."""
    message = {"send_key": who, "round": 1, "run_id": who, "node": "1", "journey": "hello", "unit_id": who}
    message |= {"sink": "crm", "template": "hello", "purpose": "marketing", "zone": zone, "decision": "admitted"}
    message |= {"not_before": NOON - HOUR, "expires_at": NOON + DAY} | fields
    append(here, tables.OUTBOX, message)
    append(here, tables.RUNS, {"run_id": who, "journey": "hello", "properties": "{}"})
    here.warehouse.execute(f"insert into profiles values ('{who}', '{who}@shop.example')")
    here.warehouse.execute(f"insert into consent values ('{who}', '{who}@shop.example', 'marketing', true, false)")


def move(here: Loop, who: str, zone: str | None, at: datetime) -> None:
    append(here, tables.PROFILES, {"profile_id": who, "time_zone": zone, "as_of": at, "known_by": at})


def append(here: Loop, log: str, row: Mapping[str, Any]) -> None:
    batch = batches.Batch(here.warehouse, f"test/{log}/{row}")
    batch.append(log, pa.Table.from_pylist([dict(row)]))
    batch.commit(NOON)


def quiet_at(here: Loop) -> dict[str, datetime | None]:
    """Who is written to now, and from when not any more."""
    here.plan()
    rows = here.warehouse.rows("select entry_id, _quiet_at from plan_rows where _op is not null")
    return {row["entry_id"]: row["_quiet_at"] and row["_quiet_at"].astimezone(UTC) for row in rows}


def test_the_plan_carries_expiry_and_the_next_quiet_hours(here: Loop) -> None:
    """Each row has the moments in UTC from which it may not leave, by its recipient's clock."""
    admit(here, "ann", "Europe/Berlin")
    admit(here, "bob", "America/New_York")
    admit(here, "cleo", "Asia/Tokyo")
    assert quiet_at(here) == {"ann": NOON + 7 * HOUR, "bob": NOON + 13 * HOUR}
    rows = here.warehouse.rows("select distinct _expires_at from plan_rows where _op is not null")
    assert [row["_expires_at"] for row in rows] == [NOON + DAY]


def test_quiet_hours_that_do_not_go_through_midnight(here: Loop) -> None:
    """Before them they begin today, after them tomorrow, in them nobody is written to."""
    here.policy = Policy(salt="test", quiet_hours=LUNCH)
    admit(here, "ann", "UTC")
    admit(here, "bob", "Europe/London")
    admit(here, "cleo", "Europe/Berlin")
    assert quiet_at(here) == {"ann": NOON + HOUR / 2, "cleo": NOON + DAY - 1.5 * HOUR}


def test_the_night_before_the_clocks_change(here: Loop) -> None:
    """Quiet hours begin when the clock on the wall says so, on a day of 23 hours too."""
    here.clock = datetime(2026, 3, 28, 20, 30, tzinfo=UTC)  # 21:30 in Berlin; the clocks jump at 02:00 of tomorrow
    here.policy = Policy(salt="test", quiet_hours={"begin": "21:00", "end": "21:15"})
    times = {"not_before": here.clock, "expires_at": here.clock + 7 * DAY}
    admit(here, "ann", "Europe/Berlin", **times)
    assert quiet_at(here) == {"ann": datetime(2026, 3, 29, 19, tzinfo=UTC)}


def test_without_quiet_hours_there_is_no_such_moment(here: Loop) -> None:
    """Neither where the policy has none nor for what is transactional."""
    admit(here, "ann", "Asia/Tokyo", purpose="transactional")
    here.sync = message_sync(here.sync, "transactional")
    assert quiet_at(here) == {"ann": None}
    here.policy = Policy(salt="test")
    here.sync = message_sync(here.sync)
    admit(here, "bob", "Asia/Tokyo")
    assert quiet_at(here) == {"bob": None}


def test_who_moved_is_written_to_by_the_clock_on_their_wall(here: Loop) -> None:
    """The zone is that of the person now, of whom it is unknown that of the decision."""
    for who in ("ann", "bob", "cleo"):
        admit(here, who, "Europe/London")
    move(here, "ann", "Europe/London", NOON - DAY)
    move(here, "ann", "Asia/Tokyo", NOON - HOUR)
    move(here, "bob", "Europe/London", NOON - DAY)
    move(here, "bob", "America/New_York", NOON - HOUR)
    move(here, "cleo", None, NOON - HOUR)
    assert quiet_at(here) == {"bob": NOON + 13 * HOUR, "cleo": NOON + 8 * HOUR}


def test_who_slept_when_their_turn_came_is_written_to_in_the_morning(here: Loop) -> None:
    """Held back by quiet hours that began during the delivery: not settled, not lost, planned again after them."""
    admit(here, "ann", "Europe/London", expires_at=NOON + 3 * DAY)
    admit(here, "bob", "America/New_York", expires_at=NOON + 3 * DAY)
    admit(here, "cleo", "America/New_York", expires_at=NOON + 8 * HOUR)
    here.clock = NOON + 6 * HOUR  # 19:00 in London; a run begins an hour later than this clock
    summary = here.run(late=1.5 * HOUR)
    assert summary
    assert (summary.counts, summary.unsent) == ({"accepted": 1, "retry": 1, "withdrawn": 1}, 0)
    here.clock = NOON + 9 * HOUR
    assert quiet_at(here) == {}  # ann sleeps, bob and cleo are settled
    here.clock = NOON + 20 * HOUR
    summary = here.run()
    assert summary
    assert summary.counts == {"accepted": 1}
    assert here.vendor.taken == {"ann": 1, "bob": 1}
    outcomes = here.warehouse.rows("select key, outcome, reason, attempt from tailrace.deliveries order by all")
    assert [tuple(row.values()) for row in outcomes] == [
        ("ann", "accepted", "", 1),
        ("ann", "retry", "the quiet hours of the recipient have begun since the plan", 0),
        ("bob", "accepted", "", 1),
        ("cleo", "withdrawn", "expired since the plan", 0),
    ]
    assert not here.listed("unknowns")
    assert not here.listed("rejects")


@pytest.mark.parametrize(("answer", "listed"), [("reject", "rejects"), ("cut", "unknowns")])
def test_a_message_that_is_held_goes_again_when_a_person_says_so(here: Loop, answer: str, listed: str) -> None:
    """Rejected, or of unknown outcome: not planned until released, then once; what was withdrawn never."""
    for who in ("ann", "bob"):
        admit(here, who)
        here.run(answer)
    assert here.listed(listed) == {"ann", "bob"}
    assert quiet_at(here) == {}
    here.release("ann")
    assert set(quiet_at(here)) == {"ann"}
    append(here, tables.MESSAGES, {"send_key": "bob", "event": "withdrawn", "reason": "goal", "occurred_at": NOON})
    here.release()
    assert set(quiet_at(here)) == {"ann"}
    here.clock += HOUR
    summary = here.run()
    assert summary
    assert summary.counts == {"accepted": 1}
    assert quiet_at(here) == {}
