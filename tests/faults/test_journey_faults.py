"""Faults over tick → outbox → claim → recorder, and races of withdrawal, unsubscription and pause against claims.

One case again: pytest -m faults tests/faults -k journey17-
"""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sinks.writer import EXPIRED, QUIET
from tests.faults.cases import VENDOR, behaviour
from tests.faults.journey_world import AFTERNOON, NOON, PEOPLE, SYNC, JourneyWorld, build_journeys
from tests.faults.test_faults import COUNT, done
from tests.faults.world import moment

pytestmark = pytest.mark.faults
SEEDS = range(100 if COUNT >= 300 else max(COUNT // 4, 3))
REFRESH = ("appended", "committed", "landed", "staged", "published")
TICK = (
    "appended", "committed", "planned", "opened", "spooled", "claimed", "sent", "answered", "received", "folding",
    "folded", "closed", "staged", "published",
)  # fmt: skip
CONVERGED_AFTER = 4


@dataclass(frozen=True)
class Struck:
    """What is struck, where (a share of the step's occurrences), and what is lost besides."""

    seed: int
    command: str
    step: str
    where: float
    behaviour: dict[str, Any] = field(default_factory=dict)
    afterwards: str = ""

    def __str__(self) -> str:
        vendor = "+".join(rule["do"] for rule in self.behaviour.get("rules", []))
        parts = (f"journey{self.seed}", self.command, f"{self.step}:{self.where:.2f}", vendor, self.afterwards)
        return "-".join(part for part in parts if part)


def struck(seed: int) -> Struck:
    """The case of this seed; steps take turns."""
    chance = random.Random(seed)
    turn, where = seed // 4, chance.random()
    if seed % 4 == 0:
        return Struck(seed, "refresh", REFRESH[turn % len(REFRESH)], where)
    if seed % 4 == 1:
        return Struck(seed, "tick", "never", 0, behaviour(chance, VENDOR[turn % len(VENDOR)]))
    afterwards = "journal" if seed % 8 == 7 else "yesterday" if seed % 8 == 3 else ""
    return Struck(seed, "tick", TICK[seed // 2 % len(TICK)], where, afterwards=afterwards)


@dataclass(frozen=True)
class Template:
    landed: JourneyWorld  # the second day landed
    refreshed: JourneyWorld  # … and refreshed and sent
    counts: dict[str, dict[str, int]]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    folder = tmp_path_factory.mktemp("journeys")
    landed = build_journeys(folder / "landed")
    landed.begin()
    refreshed = JourneyWorld(copied(landed, folder / "refreshed"))
    refreshed.start_recorder()
    done(refreshed.tailrace("refresh", "--as-of", moment(2), fault=("never", 1, "count")))
    counts = {"refresh": refreshed.counted()}
    done(refreshed.tailrace("sync", SYNC, "--as-of", moment(2)))
    refreshed.stop_recorder()
    trial = JourneyWorld(copied(refreshed, folder / "trial"))
    trial.start_recorder()
    done(trial.tailrace("tick", "--as-of", NOON, fault=("never", 1, "count")))
    trial.check()
    trial.stop_recorder()
    return Template(landed, refreshed, counts | {"tick": trial.counted()})


def copied(world: JourneyWorld, folder: Path) -> Path:
    shutil.copytree(world.folder, folder, symlinks=True)
    return folder


@pytest.fixture
def copy(template: Template, tmp_path: Path) -> Iterator[Any]:
    """Makes a working copy with a recorder of its own."""
    made: list[JourneyWorld] = []

    def of(command: str) -> JourneyWorld:
        world = JourneyWorld(copied(template.refreshed if command == "tick" else template.landed, tmp_path / "world"))
        world.start_recorder()
        made.append(world)
        return world

    yield of
    for world in made:
        world.stop_recorder()


def strike(world: JourneyWorld, fault: Struck, counts: dict[str, int], bug: str | None = None) -> None:
    before = world.folder / "yesterday.duckdb"
    shutil.copy(world.root / "warehouse.duckdb", before)
    world.behave(fault.behaviour)
    often = counts.get(fault.step, 0)
    nth = 1 + int(fault.where * often)
    as_of = moment(2) if fault.command == "refresh" else NOON
    ran = world.tailrace(fault.command, "--as-of", as_of, fault=(fault.step, nth, "kill"), bug=bug)
    assert bug or "Traceback" not in ran.err, ran.err
    if fault.step != "never" and bug is None:
        assert ran.code == -9, f"the step did not come: {ran.code} {ran.err}"
    if fault.afterwards == "journal":
        for file in world.root.glob("journal.sqlite*"):
            file.unlink()
    elif fault.afterwards == "yesterday":
        shutil.copy(before, world.root / "warehouse.duckdb")
        (world.root / "warehouse.duckdb.wal").unlink(missing_ok=True)
    world.behave({})


def recover(world: JourneyWorld, command: str, bug: str | None = None) -> None:
    """What an operator would do: run it again until it has nothing more to say."""
    if command == "refresh":
        done(world.tailrace("refresh", "--as-of", moment(2), bug=bug))
        done(world.tailrace("sync", SYNC, "--as-of", moment(2), bug=bug))
    for _ in range(CONVERGED_AFTER):
        ran = world.tailrace("tick", "--as-of", NOON, "--json", bug=bug)
        assert ran.code in (0, 1), f"{ran.code}\n{ran.out}\n{ran.err}"
        assert bug or "Traceback" not in ran.err, ran.err
        if not ran.json["sent"]:
            return
    pytest.fail(f"it does not converge: {ran.out}")


@pytest.mark.parametrize("fault", [struck(seed) for seed in SEEDS], ids=str)
def test_no_message_is_lost_or_doubled(fault: Struck, template: Template, copy: Any) -> None:
    """Whatever strikes a tick or its sending: each message once or listed, every row the oracle's."""
    world = copy(fault.command)
    strike(world, fault, template.counts[fault.command])
    recover(world, fault.command)
    world.check()


def go_back(template: Template, world: JourneyWorld, bug: str | None = None) -> None:
    """The warehouse of before the second day is put back beside the journal of after it, and everything runs again."""
    shutil.copy(template.landed.root / "warehouse.duckdb", world.root / "warehouse.duckdb")
    (world.root / "warehouse.duckdb.wal").unlink(missing_ok=True)
    recover(world, "refresh", bug=bug)


def test_a_warehouse_of_yesterday_sends_nothing_again(template: Template, copy: Any) -> None:
    """A message is called the same however often it is worked out: what the journal saw leave does not leave again."""
    world = copy("tick")
    go_back(template, world)
    assert set(world.mailed().values()) == {1}


def test_a_counter_in_the_run_id_is_caught(template: Template, copy: Any) -> None:
    """With that bug planted, the warehouse of yesterday sends everything again."""
    world = copy("tick")
    go_back(template, world, bug="counter in run_id")
    assert max(world.mailed().values()) > 1


def test_a_latest_state_by_clock_is_caught(template: Template, copy: Any) -> None:
    """With that bug planted, runs are taken for where they were, and the tables differ from the oracle's."""
    fault = Struck(-2, "tick", "never", 0)
    world = copy("tick")
    strike(world, fault, template.counts["tick"], bug="latest by clock")
    with pytest.raises(AssertionError, match=r"doubled|lost|journeys"):
        world.check()


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
def test_nobody_is_mailed_after_the_withdrawal_won(take_back: Any, step: str, seed: int, copy: Any) -> None:
    """Who unsubscribed or left while messages were going out gets none that was not claimed by then."""
    world = copy("tick")
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
def test_a_pause_holds_what_is_not_claimed(scope: str, step: str, copy: Any) -> None:
    """From the pause on nothing is claimed; after it everybody gets the message once."""
    world = copy("tick")
    child = world.stopped("tick", "--as-of", NOON, step=step)
    claimed = world.claimed()
    done(world.tailrace("pause", scope, "--as-of", NOON))
    world.go_on(child)
    assert {row["payload"]["entry_id"] for row in world.received(SYNC)} <= claimed
    done(world.tailrace("resume", scope, "--as-of", "2026-09-03T13:00:00+00:00"))
    done(world.tailrace("tick", "--as-of", "2026-09-03T13:30:00+00:00"))
    assert all(world.mailed()[who, "badge_again"] == 1 for who in PEOPLE)
    world.check_journeys()


def test_a_claim_without_the_suppression_check_is_caught(copy: Any) -> None:
    """With that bug planted, who unsubscribed meanwhile is mailed: the race above would fail."""
    world = copy("tick")
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
def test_nobody_is_mailed_what_has_expired(how: str, copy: Any) -> None:
    """What a held-up sending reaches after its expiry is not sent, then or later, and says why."""
    world = copy("tick")
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
def test_nobody_is_mailed_in_the_night(how: str, copy: Any) -> None:
    """What a held-up sending reaches in the quiet hours of its recipient waits for their end, and then goes once."""
    world = copy("tick")
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
def test_a_claim_without_the_expiry_check_is_caught(how: str, copy: Any) -> None:
    """With that bug planted, all are mailed what has expired: the case above would fail."""
    world = copy("tick")
    claimed = held_up(world, EXPIRY, how, bug="claim without expiry")
    assert mailed_late(world, claimed)
