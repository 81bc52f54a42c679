"""A sending of a journey stands still, while somebody takes something back or until it is too late."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sinks.writer import EXPIRED, QUIET
from tests.faults.conftest import CopyOf
from tests.faults.journey_world import AFTERNOON, NOON, PEOPLE, SYNC, JourneyWorld
from tests.faults.test_faults import COUNT, done

pytestmark = pytest.mark.faults

# --- races: the sending stands still at a step while somebody takes something back


def unsubscribe(world: JourneyWorld, people: list[str]) -> None:
    world.say("Consent Withdrawn", people, "2026-09-03T09:00:00Z")
    done(world.tailrace("refresh", "--as-of", AFTERNOON))


def give_back(world: JourneyWorld, people: list[str]) -> None:
    world.say("Badge Returned", people, "2026-09-03T09:00:00Z")
    done(world.tailrace("refresh", "--as-of", AFTERNOON))


@pytest.mark.parametrize("step", ["claimed", "answered"])
@pytest.mark.parametrize("take_back", [unsubscribe, give_back])
@pytest.mark.parametrize("seed", range(3 if COUNT >= 300 else 1))
def test_nobody_is_mailed_after_the_withdrawal_won(
    take_back: Any, step: str, seed: int, copy_of_journeys: CopyOf
) -> None:
    """Who unsubscribed or left while messages were going out gets none that was not claimed by then."""
    world = copy_of_journeys("tick")
    people = random.Random(seed).sample(PEOPLE, 15)
    child = world.stopped("tick", "--as-of", NOON, step=step, nth=1 + seed)
    claimed = world.claimed()
    take_back(world, people)
    assert world.go_on(child).code == 0
    done(world.tailrace("tick", "--as-of", "2026-09-03T13:00:00+00:00"))
    heard = [row["payload"] for row in world.received(SYNC)]
    late = {row["email"] for row in heard if row["entry_id"] not in claimed and row["email"] in people}
    assert not late, f"mailed after it was taken back: {late}"
    assert {who for who in PEOPLE if world.mailed()[who, "badge_again"] == 1} >= set(PEOPLE) - set(people), "lost"
    world.check_journeys()


@pytest.mark.parametrize("scope", ["journey:badge", "channel:email", "all"])
@pytest.mark.parametrize("step", ["claimed", "answered"])
def test_a_pause_holds_what_is_not_claimed(scope: str, step: str, copy_of_journeys: CopyOf) -> None:
    """From the pause on nothing is claimed; after it everybody gets the message once."""
    world = copy_of_journeys("tick")
    child = world.stopped("tick", "--as-of", NOON, step=step)
    claimed = world.claimed()
    done(world.tailrace("pause", scope, "--as-of", NOON))
    world.go_on(child)
    assert {row["payload"]["entry_id"] for row in world.received(SYNC)} <= claimed
    done(world.tailrace("resume", scope, "--as-of", "2026-09-03T13:00:00+00:00"))
    done(world.tailrace("tick", "--as-of", "2026-09-03T13:30:00+00:00"))
    assert all(world.mailed()[who, "badge_again"] == 1 for who in PEOPLE)
    world.check_journeys()


def test_a_claim_without_the_suppression_check_is_caught(copy_of_journeys: CopyOf) -> None:
    """With that bug planted, who unsubscribed meanwhile is mailed: the race above would fail."""
    world = copy_of_journeys("tick")
    child = world.stopped("tick", "--as-of", NOON, step="claimed", bug="claim without suppression")
    claimed = world.claimed()
    unsubscribe(world, PEOPLE)
    world.go_on(child)
    assert {row["payload"]["entry_id"] for row in world.received(SYNC)} - claimed


# --- time: the sending is held up until it is too late

EXPIRY = datetime(2026, 9, 5, 8, tzinfo=UTC)  # of the second message
NIGHT = datetime(2026, 9, 3, 14, tzinfo=UTC)  # a day on which nobody is disturbed from two to three
SHORT, LONG = timedelta(seconds=4), timedelta(seconds=6)  # from plan to deadline, and how long the sending stands
HELD_UP = ["claimed", "answered", "throttled"]


def held_up(world: JourneyWorld, deadline: datetime, how: str, bug: str | None = None) -> set[str]:
    """A tick just before the deadline whose sending goes on after it; the messages claimed by then."""
    as_of = (deadline - SHORT).isoformat()
    if how == "throttled":
        world.behave({"rules": [{"do": "throttle", "at": [1], "seconds": LONG.total_seconds()}]})
        done(world.tailrace("tick", "--as-of", as_of, bug=bug))
        return set()
    child = world.stopped("tick", "--as-of", as_of, step=how, bug=bug)
    claimed = world.claimed()
    time.sleep(LONG.total_seconds())
    assert world.go_on(child).code == 0
    return claimed


def mailed_late(world: JourneyWorld, claimed: set[str]) -> set[str]:
    """Whose second message left without having been claimed in time."""
    heard = [row["payload"] for row in world.received(SYNC) if row["payload"]["template"] == "badge_again"]
    return {row["email"] for row in heard if row["entry_id"] not in claimed}


@pytest.mark.parametrize("how", HELD_UP)
def test_nobody_is_mailed_what_has_expired(how: str, copy_of_journeys: CopyOf) -> None:
    """What a held-up sending reaches after its expiry is not sent, then or later, and says why."""
    world = copy_of_journeys("tick")
    claimed = held_up(world, EXPIRY, how)
    done(world.tailrace("tick", "--as-of", (EXPIRY + timedelta(hours=1)).isoformat()))
    assert not mailed_late(world, claimed)
    outcomes = world.outcomes()
    assert outcomes.keys() == set(PEOPLE), "lost"
    for who in PEOPLE:
        settled = [outcome for outcome in outcomes[who].elements() if outcome[0] != "retry"]
        assert settled == [("accepted", "") if world.mailed()[who, "badge_again"] else ("withdrawn", EXPIRED)]
    world.check_journeys()


@pytest.mark.parametrize("how", HELD_UP)
def test_nobody_is_mailed_in_the_night(how: str, copy_of_journeys: CopyOf) -> None:
    """What a held-up sending reaches in the quiet hours of its recipient waits for their end, and then goes once."""
    world = copy_of_journeys("tick")
    with (world.folder / "project" / "policy.yml").open("a") as policy:
        policy.write('quiet_hours: {begin: "14:00", end: "15:00"}\n')
    claimed = held_up(world, NIGHT, how)
    assert not mailed_late(world, claimed)
    asleep = {who for who in PEOPLE if not world.mailed()[who, "badge_again"]}
    assert len(asleep) >= len(PEOPLE) - 6  # a request takes six
    assert all(world.outcomes()[who]["retry", QUIET] == 1 for who in asleep)
    done(world.tailrace("tick", "--as-of", (NIGHT + timedelta(minutes=30)).isoformat()))
    assert {who for who in PEOPLE if not world.mailed()[who, "badge_again"]} == asleep
    done(world.tailrace("tick", "--as-of", (NIGHT + timedelta(hours=1)).isoformat()))
    world.check()


@pytest.mark.parametrize("how", HELD_UP)
def test_a_claim_without_the_expiry_check_is_caught(how: str, copy_of_journeys: CopyOf) -> None:
    """With that bug planted, all are mailed what has expired: the case above would fail."""
    world = copy_of_journeys("tick")
    claimed = held_up(world, EXPIRY, how, bug="claim without expiry")
    assert mailed_late(world, claimed)
