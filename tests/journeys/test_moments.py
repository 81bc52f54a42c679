"""One person and a few moments: visible late, at once, after the last step, while a journey waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from assets.journeys import tables
from models.journey import Journey
from models.policy import Policy
from tests.journeys import harness
from tests.journeys.oracle import Consent, Event, Facts, Loaded, Oracle, Tick, Version, World
from warehouse.duckdb import DuckDB

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
TEN = datetime(2026, 6, 1, 10, tzinfo=UTC)
BEFORE = TEN - 10 * HOUR
CART = {"event": "Cart Updated", "key": "cart_id"}
REMIND = {"send": {"sink": "mail", "template": "cart"}}
ORDER = {"event": "Order Completed", "match": "cart_id"}
UNLESS_ORDERED = {"wait_for": {**ORDER, "timeout": "4 hours", "then": "exit"}}
Run = Callable[..., DuckDB]


def event(
    name: str, hours: float, *, event_id: str = "", known: float | None = None, seen: float | None = None
) -> Event:
    """What Ann did so many hours after ten."""
    at = TEN + hours * HOUR
    visible = None if seen is None else TEN + seen * HOUR
    known_at = at if known is None else TEN + known * HOUR
    return Event("shop", event_id or f"{name}/{hours}", "ann", name, at, known_at, {"cart_id": "c1"}, visible)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Tick a journey at hours after ten; every row is also the oracle's."""
    opened: list[DuckDB] = []

    def ticked(
        events: Sequence[Event],
        steps: Sequence[dict[str, Any]],
        hours: Sequence[float],
        *,
        waits: Sequence[float] = (),
        policy: dict[str, Any] | None = None,
        then: Policy | None = None,
        **journey: Any,
    ) -> DuckDB:
        given = {"journey": "cart", "entry": CART, "steps": list(steps), **journey}
        world = World(Policy.model_validate({"salt": "s", **(policy or {})}), events=list(events))
        world.facts = [Facts("ann", "ann@example.com", None, None, {}, BEFORE, BEFORE)]
        said = {"granted": True, "suppressed": False, "as_of": BEFORE, "known_by": BEFORE}
        world.consents = [Consent("ann", "email", "ann@example.com", "marketing", **said)]
        world.loaded = [Loaded("shop", TEN + (hour - 1) * HOUR, TEN + hour * HOUR) for hour in range(60)]
        sources, channels = {"Order Completed": ["shop"]}, {"mail": "email"}
        world.versions = [Version(Journey.model_validate(given), 1, BEFORE, "s", sources, channels)]
        oracle = Oracle(world)
        warehouse = harness.open_world(tmp_path / f"{len(opened)}.duckdb", world)
        opened.append(warehouse)
        for place, hour in enumerate(hours):
            world.policy = then if then and place else world.policy
            at = TEN + hour * HOUR
            tick = Tick(at, at, frozenset() if hour in waits else None)
            oracle.tick(tick)
            harness.tick(warehouse, world, tick)
        assert not harness.differences(harness.of_oracle(oracle), harness.of_engine(warehouse))
        return warehouse

    yield ticked
    for warehouse in opened:
        warehouse.close()


def kinds(warehouse: DuckDB) -> list[str]:
    return [row["kind"] for row in warehouse.rows(f"select kind from {tables.TRANSITIONS} order by run_id, hop")]


def messages(warehouse: DuckDB) -> list[str]:
    """What became of each, in order of their steps."""
    rows = warehouse.rows(
        f"select coalesce(taken.reason, outbox.reason, outbox.decision) as what from {tables.OUTBOX} as outbox "
        f"left join {tables.MESSAGES} as taken on outbox.send_key = taken.send_key order by outbox.logical_at"
    )
    return [row["what"] for row in rows]


def test_what_is_visible_later_than_its_clock_says_lets_in(run: Run) -> None:
    """A load that waited for the lock has an older clock than the tick before it: its cart enters all the same."""
    assert kinds(run([event("Cart Updated", 0, seen=2)], [{"wait": "1 hour"}], [1, 3])) == ["entered", "waited"]


def test_an_order_that_is_visible_later_than_its_clock_says_ends_the_wait(run: Run) -> None:
    """Nobody is told they left their cart because the load of their order waited for the lock."""
    carts = [event("Cart Updated", 0), event("Order Completed", 1, known=1, seen=3.5)]
    assert kinds(run(carts, [UNLESS_ORDERED, REMIND], [0.5, 3, 4, 9])) == ["entered", "matched"]


def test_it_takes_back_what_was_not_sent(run: Run) -> None:
    """… and where the timeout was over by then, the message that has not left is withdrawn."""
    carts = [event("Cart Updated", 0), event("Order Completed", 1, known=1, seen=8)]
    quiet = {"quiet_hours": {"begin": "14:00", "end": "20:00"}}
    assert messages(run(carts, [UNLESS_ORDERED, REMIND], [0.5, 6, 9], policy=quiet)) == ["late_event"]


def test_an_order_of_the_same_second_counts(run: Run) -> None:
    """A source that knows seconds, or days, says cart and order of one moment: that is an order."""
    both = [event("Cart Updated", 0), event("Order Completed", 0)]
    assert kinds(run(both, [UNLESS_ORDERED, REMIND], [9])) == ["entered", "matched"]
    at_once = {"wait_for": {"event": "Order Completed", "timeout": "4 hours", "then": "exit"}}
    assert kinds(run(both, [at_once, REMIND], [9])) == ["entered", "matched"]


def test_an_event_does_not_end_what_it_began(run: Run) -> None:
    """An event that lets in is no exit of its own run; the same again at that moment is one of the run before."""
    twice = [event("Cart Updated", 0, event_id="a"), event("Cart Updated", 0, event_id="b")]
    rule = {"exit": [{"event": "Cart Updated"}], "entry": {"event": "Cart Updated", "reentry": "after_exit"}}
    assert sorted(kinds(run(twice[:1], [{"wait": "1 day"}], [1], **rule))) == ["entered"]
    assert sorted(kinds(run(twice, [{"wait": "1 day"}], [1], **rule))) == ["entered", "entered", "exited"]


def test_who_leaves_after_the_last_step_gets_no_message_that_has_not_left(run: Run) -> None:
    """A message that waits for the morning is withdrawn by a condition to leave, though no step was left by then."""
    did = [event("Cart Updated", 0), event("Order Refunded", 3)]
    rule = {"policy": {"quiet_hours": {"begin": "10:00", "end": "18:00"}}, "exit": [{"event": "Order Refunded"}]}
    assert messages(run(did[:1], [REMIND], [2, 4], **rule)) == ["admitted"]
    assert messages(run(did, [REMIND], [2, 4], **rule)) == ["exit_condition"]
    assert messages(run(did, [REMIND], [5], **rule)) == ["exit_condition"]


def test_a_journey_that_waits_decides_nothing(run: Run) -> None:
    """Whose exit is not looked at gets no message meanwhile: it is decided, or withdrawn, when the journey moves on."""
    did = [event("Cart Updated", 0), event("Order Refunded", 0.1)]
    steps, rule = [REMIND, {"wait": "1 day"}], {"exit": [{"event": "Order Refunded"}]}
    assert messages(run(did[:1], steps, [0.05, 1, 2], waits=[1, 2], **rule)) == []
    assert messages(run(did[:1], steps, [0.05, 1, 9], waits=[1], **rule)) == ["admitted"]
    assert messages(run(did, steps, [0.05, 1, 9], waits=[1], **rule)) == ["withdrawn"]


def test_a_smaller_cap_window_loses_no_message(run: Run) -> None:
    """What was waiting for an hour to close is decided where the policy says a quarter of one meanwhile."""
    smaller = Policy(salt="s", cap_window="15 minutes")
    found = run([event("Cart Updated", 0.1)], [REMIND], [0.6, 0.7, 2], policy={"cap_window": "1 hour"}, then=smaller)
    assert messages(found) == ["admitted"]


def test_ticks_with_nothing_to_do_write_nothing(run: Run) -> None:
    """Also where a campaign was, or is to come: only when a clock on earth shows its time a tick is written down."""
    campaign = {"segment": "seg_a", "at": "2026-06-01 09:00"}
    quiet = run([], [REMIND], [30 + step / 60 for step in range(9)], entry=campaign)
    assert quiet.rows(f"select count(distinct tick) as n from {tables.TICKS}") == [{"n": 1}]  # it is new
    around = run([], [REMIND], [-2 + step / 60 for step in range(31)], entry=campaign)
    assert around.rows(f"select count(distinct tick) as n from {tables.TICKS}") == [
        {"n": 3}
    ]  # a quarter of an hour each
