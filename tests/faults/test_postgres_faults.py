"""The same promise with the warehouse on PostgreSQL: processes killed, connections cut, the server begun again.

One case again: TAILRACE_TEST_ENGINES=1 pytest -m faults tests/faults -k postgres17-
"""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.faults.cases import REFRESH_STEPS, SYNC_STEPS, VENDOR, behaviour
from tests.faults.conftest import STRUCK
from tests.faults.journey_world import AFTERNOON, NOON, PEOPLE, SYNC, JourneyWorld, build_journeys
from tests.faults.postgres_world import Server
from tests.faults.test_faults import COUNT, TODAY, check, done, recover
from tests.faults.test_journey_faults import TICK
from tests.faults.test_journey_faults import recover as recover_journeys
from tests.faults.world import MESSAGE, MIRROR, Child, Ran, World, build, moment
from warehouse.postgres import Postgres

pytestmark = pytest.mark.faults
SEEDS = range(72 if COUNT >= 300 else max(COUNT // 2, 9))
KINDS = ("kill", "cut at", "restart at", "refresh", "cut", "tick", "journal lost", "tick cut", "warehouse of yesterday")
STRIKES = ("cut", "restart", "crash")
MART, SYNCED, PROFILES = (f"tailrace_dev_models.{name}" for name in ("segment_sizes", "seg_badge", "profiles"))
GIVEN_BACK = "Badge Returned", PEOPLE[:15], "2026-09-03T09:00:00Z"  # who leaves the journey


@dataclass(frozen=True)
class Struck:
    """One fault. `how`: kill, cut, restart or crash; `where`: a share of the step's occurrences, or of the time."""

    seed: int
    kind: str
    command: str
    step: str
    where: float
    how: str
    behaviour: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        vendor = "+".join(rule["do"] for rule in self.behaviour.get("rules", []))
        parts = (f"postgres{self.seed}", self.command, f"{self.how}@{self.step}:{self.where:.2f}", vendor)
        return "-".join(part for part in parts if part)


def struck(seed: int) -> Struck:
    """The case of this seed. Kinds take turns, and within a kind the steps."""
    chance = random.Random(seed)
    kind, turn, where = KINDS[seed % len(KINDS)], seed // len(KINDS), chance.random()
    command = "refresh" if kind == "refresh" else "tick" if kind.startswith("tick") else "sync"
    steps = {"refresh": REFRESH_STEPS, "tick": TICK, "sync": SYNC_STEPS}[command]
    how = chance.choice(STRIKES)
    if kind in ("cut", "tick cut"):  # at any time, whatever is under way: every third a refresh
        command = "refresh" if kind == "cut" and turn % 3 == 2 else command
        return Struck(seed, kind, command, "never", where, how)
    step = steps[(turn * 5 + seed % len(KINDS)) % len(steps)]
    if kind in ("cut at", "restart at"):
        given = behaviour(chance, chance.choice(VENDOR)) if turn % 2 else {}
        return Struck(seed, kind, command, step, where, "cut" if kind == "cut at" else how, given)
    if kind in ("refresh", "tick"):
        return Struck(seed, kind, command, step, where, chance.choice(("kill", *STRIKES)))
    return Struck(seed, kind, command, step, where, "kill")


@dataclass(frozen=True)
class Template:
    """What the cases begin from, how often each step comes and how long a command takes where nothing strikes."""

    worlds: dict[str, World]  # by the command that is struck
    counts: dict[str, dict[str, int]]
    seconds: dict[str, float]


@pytest.fixture(scope="module")
def template(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Template:
    folder = tmp_path_factory.mktemp("postgres")
    found = Template({}, {}, {})
    landed = postgres.settled(build(folder / "landed"))
    landed.start_recorder()
    landed.land(1)
    done(landed.tailrace("refresh", "--as-of", moment(1)))
    done(landed.tailrace("sync", "--as-of", moment(1)))
    check(landed, 1)
    landed.stop_recorder()
    landed.land(2)
    found.worlds["refresh"] = landed
    found.worlds["sync"] = counted(found, postgres, folder, "refresh")
    counted(found, postgres, folder, "sync", lambda synced: check(synced, TODAY))
    journey = postgres.settled(build_journeys(folder / "journey"))
    journey.start_recorder()
    journey.begin()
    done(journey.tailrace("refresh", "--as-of", moment(2)))
    done(journey.tailrace("sync", SYNC, "--as-of", moment(2)))
    journey.stop_recorder()
    found.worlds["tick"] = journey
    counted(found, postgres, folder, "tick", JourneyWorld.check)
    return found


def counted(
    found: Template, postgres: Server, folder: Path, command: str, good: Callable[[Any], None] | None = None
) -> World:
    """A copy in which the command came to its end; how often its steps come, and how long it takes."""
    world = postgres.copied(found.worlds[command], folder / f"after {command}")
    world.start_recorder()
    began = time.monotonic()
    done(world.tailrace(*words(command), fault=("never", 1, "count")))
    found.seconds[command] = time.monotonic() - began
    found.counts[command] = world.counted()
    if good:
        good(world)
    world.stop_recorder()
    return world


def words(command: str) -> tuple[str, ...]:
    return command, "--as-of", NOON if command == "tick" else moment(TODAY)


@contextmanager
def working_copy(postgres: Server, template: Template, command: str, folder: Path) -> Iterator[World]:
    world = postgres.copied(template.worlds[command], folder / "world")
    world.start_recorder()
    try:
        yield world
    finally:
        world.stop_recorder()
        postgres.forget(world.warehouse, world.journal)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("fault", [struck(seed) for seed in SEEDS], ids=str)
def test_nothing_is_lost_and_nothing_is_doubled(
    fault: Struck, postgres: Server, template: Template, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Whatever strikes process or server whenever: no row lost, none doubled, every doubt listed, and it converges."""
    record_property(STRUCK, [f"postgres {fault.how}", fault.step, []])
    with working_copy(postgres, template, fault.command, tmp_path) as world:
        strike(postgres, world, fault, template)
        if isinstance(world, JourneyWorld):
            recover_journeys(world, fault.command)
            world.check()
        else:
            recover(world, fault.command)
            check(world, TODAY)


@pytest.mark.parametrize(
    ("bug", "fault"),
    [
        ("visible before whole", Struck(-1, "kill", "refresh", "committed", 0, "kill")),
        ("claim after send", Struck(-2, "kill", "sync", "answered", 0.9, "kill")),
        ("unknown forgotten", Struck(-3, "kill", "sync", "claimed", 0.9, "kill")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_planted_bug_is_caught(bug: str, fault: Struck, postgres: Server, template: Template, tmp_path: Path) -> None:
    """The checks have teeth on this engine, too."""
    with working_copy(postgres, template, fault.command, tmp_path) as world:
        strike(postgres, world, fault, template, bug=bug)
        with pytest.raises((AssertionError, pytest.fail.Exception), match=r"mirror|doubled|lost|converge"):
            come_to_rest(world, fault.command, bug)


def come_to_rest(world: World, command: str, bug: str | None = None) -> None:
    """Nothing more to say, and everything right."""
    recover(world, command, bug=bug)
    check(world, TODAY)


def test_four_at_once(postgres: Server, template: Template, tmp_path: Path) -> None:
    """A refresh, a tick and both syncs begun at the same moment: each comes to its end, and nothing is doubled."""
    with working_copy(postgres, template, "sync", tmp_path) as world:
        at = ("--as-of", moment(TODAY))
        begun = [world.begun("sync", each, *at) for each in (MIRROR, MESSAGE)]
        begun += [world.begun(command, *at) for command in ("refresh", "tick")]
        for ran in [world.ended(child) for child in begun]:
            done(ran)
        recover(world, "sync")
        check(world, TODAY)


def test_a_refresh_keeps_nobody_waiting(postgres: Server, template: Template, tmp_path: Path) -> None:
    """While one builds, however long that takes, both syncs deliver and a tick moves; it ends as if it were alone."""
    with working_copy(postgres, template, "refresh", tmp_path) as world:
        at = ("--as-of", moment(TODAY))
        with stuck_at(MART, world, *at) as refresh:
            for command in (("sync", MIRROR), ("sync", MESSAGE), ("tick",)):
                done(world.tailrace(*command, *at))
            check(world, TODAY)
            assert refresh.poll() is None
        done(world.ended(refresh))
        recover(world, "sync")
        check(world, TODAY)


def test_a_sync_waits_for_a_model_that_is_not_tested_yet(postgres: Server, template: Template, tmp_path: Path) -> None:
    """While what it reads is made it does not begin, and a tick goes on; what it sends then is of the new model."""
    with working_copy(postgres, template, "refresh", tmp_path) as world:
        at = ("--as-of", moment(TODAY))
        with stuck_at(SYNCED, world, *at) as refresh:
            sync = world.begun("sync", MIRROR, *at)
            done(world.tailrace("tick", *at))
            assert (refresh.poll(), sync.poll()) == (None, None)
        for child in (refresh, sync):
            done(world.ended(child))
        recover(world, "sync")
        check(world, TODAY)


def test_nobody_decides_while_people_are_made(postgres: Server, template: Template, tmp_path: Path) -> None:
    """Neither a tick nor a plan of messages reads profiles of which the record is missing; both go on after it."""
    with working_copy(postgres, template, "tick", tmp_path) as world:
        assert isinstance(world, JourneyWorld)
        world.say(*GIVEN_BACK)
        at = ("--as-of", AFTERNOON)
        with stuck_at(PROFILES, world, *at) as refresh:
            waiting = [world.begun("tick", *at), world.begun("sync", SYNC, *at)]
            until_in_line(world, *waiting)
        for child in (refresh, *waiting):
            done(world.ended(child))
        done(world.tailrace("tick", *at))
        check_given_back(world)


def test_what_is_withdrawn_between_a_plan_and_its_opening_is_taken_back(
    postgres: Server, template: Template, tmp_path: Path
) -> None:
    """A refresh was killed that knew who had left; a tick withdraws their messages, and sees no run to tell of it."""
    with working_copy(postgres, template, "tick", tmp_path) as world:
        assert isinstance(world, JourneyWorld)
        done(world.tailrace("refresh", "--as-of", NOON))
        world.say(*GIVEN_BACK)
        at = ("--as-of", AFTERNOON)
        with stuck_at(SYNCED, world, *at) as refresh:
            refresh.kill()
            refresh.communicate()
        sync = world.stopped("sync", SYNC, *at, step="planned")
        in_words(world.tailrace("tick", *at), None)  # the sync is another's
        done(world.go_on(sync))
        check_given_back(world)


def check_given_back(world: JourneyWorld) -> None:
    """Who gave the badge back got no second message, everybody else did."""
    heard = {who for who, template in world.mailed() if template == "badge_again"}
    assert heard == set(PEOPLE) - set(GIVEN_BACK[1])
    world.check_journeys()


def test_a_warehouse_of_yesterday_is_refreshed_and_synced_at_once(
    postgres: Server, template: Template, tmp_path: Path
) -> None:
    """What was sent for entries that it has forgotten is put back beside a refresh that finds the same people enter."""
    with working_copy(postgres, template, "sync", tmp_path) as world:
        assert world.warehouse
        yesterday = postgres.database(like=world.warehouse)
        done(world.tailrace("sync", "--as-of", moment(TODAY)))
        postgres.put_back(world.warehouse, yesterday)
        at = ("--as-of", moment(TODAY))
        for child in [world.begun(command, *at) for command in ("refresh", "sync")]:
            done(world.ended(child))
        recover(world, "sync")
        check(world, TODAY)


def until_in_line(world: World, *children: Child) -> None:
    """Until each of them waits for a turn that somebody else has."""
    assert world.warehouse
    waiting = "select 1 as n from pg_locks where locktype = 'advisory' and not granted and database = (select oid from "
    waiting += "pg_database where datname = current_database())"
    with Postgres(world.warehouse) as watching:
        while len(watching.rows(waiting)) < len(children):
            assert not any(child.poll() for child in children)
            time.sleep(0.05)
    assert [child.poll() for child in children] == [None] * len(children)


@contextmanager
def stuck_at(relation: str, world: World, *at: str) -> Iterator[Child]:
    """For the block a refresh stands before this model: somebody reads it, so it is not replaced meanwhile."""
    assert world.warehouse
    with Postgres(world.warehouse) as reader:
        reader.execute("begin")
        reader.execute(f"lock table {relation} in access share mode")
        refresh = world.begun("refresh", *at)
        while not reader.rows(f"select 1 as n from pg_locks where not granted and relation = '{relation}'::regclass"):
            assert refresh.poll() is None, refresh.communicate()
            time.sleep(0.05)
        yield refresh


def strike(postgres: Server, world: World, fault: Struck, template: Template, bug: str | None = None) -> None:
    """Let it strike the journal, if it is on the server, or the warehouse; what is said then is words, or nothing."""
    url = world.journal or world.warehouse
    assert url
    kept = postgres.database(like=url)
    world.behave(fault.behaviour)
    command = words(fault.command)
    nth = 1 + int(fault.where * template.counts[fault.command].get(fault.step, 0))
    if fault.step == "never":
        child = world.begun(*command, bug=bug)
        time.sleep(fault.where * template.seconds[fault.command])
        postgres.strike(url, fault.how)
        ran = world.ended(child)
    elif fault.how == "kill":
        ran = world.tailrace(*command, fault=(fault.step, nth, "kill"), bug=bug)
        assert bug or ran.code == -9, f"the step did not come: {ran.code} {ran.err}"
    else:
        child = world.stopped(*command, step=fault.step, nth=nth, bug=bug)
        postgres.strike(url, fault.how)
        ran = world.go_on(child)
    print(f"{fault}: exit {ran.code}: {ran.err[-300:]}")  # noqa: T201 - the suite's account
    in_words(ran, bug)
    if fault.kind == "journal lost" and world.journal:
        postgres.put_back(world.journal, None)
    elif fault.kind == "journal lost":
        for file in world.root.glob("journal.sqlite*"):
            file.unlink()
    if fault.kind.endswith("of yesterday"):
        postgres.put_back(url, kept)
    else:
        postgres.forget(kept)
    world.behave({})


def in_words(ran: Ran, bug: str | None) -> None:
    """Killed, well, or an error that a person can read."""
    assert bug or "Traceback" not in ran.err + ran.out, ran.err + ran.out
    assert bug or ran.code in (-9, 0, 1, 2, 3), ran.err
