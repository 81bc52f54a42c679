"""A timeout says "did not buy", and only when that is known: late orders, quiet nights, the future, silence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from models.journey import Journey
from models.policy import Policy
from tests.journeys import harness
from tests.journeys.oracle import Consent, Event, Facts, Loaded, Oracle, Tick, Version, World

HOUR = timedelta(hours=1)
TEN = datetime(2026, 6, 1, 10, tzinfo=UTC)
JOURNEY = {
    "journey": "cart",
    "entry": {"event": "Cart Updated", "key": "cart_id"},
    "max_stale": "1 day",
    "steps": [
        {
            "wait_for": {
                "event": "Order Completed",
                "match": "cart_id",
                "timeout": "4 hours",
                "then": [{"exit": "bought"}],
            }
        },
        {"send": {"sink": "mail", "template": "cart"}},
    ],
}
Run = Callable[[Sequence[Event], Sequence[Loaded], Sequence[int]], list[dict[str, Any]]]


def event(name: str, occurred: datetime, known: datetime) -> Event:
    return Event("shop", f"{name}/{occurred}", "ann", name, occurred, known, {"cart_id": "c1"})


CART = event("Cart Updated", TEN, TEN)


def looked(*hours: int) -> list[Loaded]:
    """The source was looked at in full at these hours after ten; it declares a lag of one."""
    return [Loaded("shop", TEN + (hour - 1) * HOUR, TEN + hour * HOUR) for hour in hours]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Ticks at hours after ten; the transitions and messages, which are also the oracle's."""

    def ticked(events: Sequence[Event], loaded: Sequence[Loaded], hours: Sequence[int]) -> list[dict[str, Any]]:
        before = TEN - 10 * HOUR
        world = World(Policy(salt="s"), events=[CART, *events], loaded=list(loaded))
        world.facts = [Facts("ann", "ann@example.com", None, None, {}, before, before)]
        world.consents = [
            Consent(
                "ann",
                "email",
                "ann@example.com",
                "marketing",
                granted=True,
                suppressed=False,
                as_of=before,
                known_by=before,
            )
        ]
        sources, channels = {"Order Completed": ["shop"]}, {"mail": "email"}
        world.versions = [Version(Journey.model_validate(JOURNEY), 1, before, "s", sources, channels)]
        oracle = Oracle(world)
        with harness.open_world(tmp_path / "warehouse.duckdb", world) as warehouse:
            for hour in hours:
                tick = Tick(TEN + hour * HOUR, TEN + hour * HOUR)
                oracle.tick(tick)
                harness.tick(warehouse, world, tick)
            assert not harness.differences(harness.of_oracle(oracle), harness.of_engine(warehouse))
            return warehouse.rows("select kind, ended, logical_at from tailrace.journey_transition order by hop")

    return ticked


def kinds(rows: Sequence[dict[str, Any]]) -> list[str]:
    return [row["kind"] for row in rows]


def test_an_order_that_is_known_hours_late_stops_the_message(run: Run) -> None:
    """Nobody says "you left your cart" to who ordered in time, however late the order becomes known."""
    order = event("Order Completed", TEN + HOUR, TEN + 10 * HOUR)
    assert kinds(run([order], looked(1, 10), range(1, 12))) == ["entered", "matched", "finished"]


def test_a_quiet_night_closes_no_gate(run: Run) -> None:
    """Where nothing happens but the source is looked at, the timeout fires, as of when it was due."""
    rows = run([], looked(*range(1, 9)), range(1, 9))
    assert kinds(rows) == ["entered", "timed_out", "sent"]
    assert rows[1]["logical_at"] == TEN + 4 * HOUR


def test_an_event_from_the_future_opens_no_gate(run: Run) -> None:
    """One event dated years ahead does not make anybody believe that all before it is known."""
    future = event("Order Completed", TEN + 100_000 * HOUR, TEN + HOUR)
    assert kinds(run([future], looked(1), range(1, 12))) == ["entered"]


def test_nobody_waits_for_ever(run: Run) -> None:
    """A source that stays silent past `max_stale` ends the run, with that reason and without a message."""
    rows = run([], looked(1), range(1, 40))
    assert kinds(rows) == ["entered", "stale"]
    assert rows[-1]["ended"] == "stale"
    assert rows[-1]["logical_at"] == TEN + 28 * HOUR


def test_an_order_after_the_timeout_is_too_late(run: Run) -> None:
    """What comes after the timeout is no order in time, also where the gate was closed until then."""
    order = event("Order Completed", TEN + 5 * HOUR, TEN + 6 * HOUR)
    assert kinds(run([order], looked(1, 8), range(1, 12))) == ["entered", "timed_out", "sent"]
