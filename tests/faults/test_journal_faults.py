"""The same promise with the journal on PostgreSQL, as machines share it: lost, cut off, restored, a machine lost.

One case again: TAILRACE_TEST_ENGINES=1 pytest -m faults tests/faults -k postgres4017-
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psycopg2
import pytest

from models.journal_place import JournalServer
from tests.faults.cases import STRUCK, SYNC_STEPS, VENDOR, behaviour
from tests.faults.postgres_template import Worlds, counted, working_copy
from tests.faults.postgres_world import Server
from tests.faults.test_faults import COUNT, TODAY, check, done
from tests.faults.test_postgres_faults import STRIKES, Struck, come_to_rest, strike
from tests.faults.world import World, build, moment

pytestmark = pytest.mark.faults
FIRST = 4000  # of the seeds: other than those of the warehouse
SEEDS = range(FIRST, FIRST + (42 if COUNT >= 300 else max(COUNT // 4, 6)))
KINDS = ("machine lost", "cut at", "kill", "journal lost", "restart at", "journal of yesterday")


def struck(seed: int) -> Struck:
    """The case of this seed. Kinds take turns, and within a kind the steps; every third vendor is in trouble."""
    chance = random.Random(seed)
    kind, turn, where = KINDS[seed % len(KINDS)], (seed - FIRST) // len(KINDS), chance.random()
    step = SYNC_STEPS[(turn * 5 + seed % len(KINDS)) % len(SYNC_STEPS)]
    how = "cut" if kind == "cut at" else chance.choice(STRIKES[1:]) if kind == "restart at" else "kill"
    if kind == "cut at" and turn % 4 == 3:
        return Struck(seed, kind, "sync", "never", where, how)  # at any time
    given = behaviour(chance, chance.choice(VENDOR)) if turn % 3 == 2 and how != "kill" else {}
    return Struck(seed, kind, "sync", step, where, how, given)


@pytest.fixture(scope="module")
def template(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Worlds:
    folder = tmp_path_factory.mktemp("journal")
    found = Worlds({}, {}, {})
    world = postgres.settled(build(folder / "world"), journal=True)
    world.start_recorder()
    for day in (1, TODAY):
        world.land(day)
        done(world.tailrace("refresh", "--as-of", moment(day)))
        if day != TODAY:
            done(world.tailrace("sync", "--as-of", moment(day)))
            check(world, day)
    world.stop_recorder()
    found.worlds["sync"] = world
    counted(found, postgres, folder, "sync", lambda synced: check(synced, TODAY))
    return found


@pytest.mark.parametrize("fault", [struck(seed) for seed in SEEDS], ids=str)
def test_nothing_is_lost_and_nothing_is_doubled(
    fault: Struck,
    postgres: Server,
    template: Worlds,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """Whatever becomes of the journal or of who wrote it: no row lost, none doubled, every doubt listed."""
    record_property(STRUCK, [f"journal {fault.how}", fault.step, []])
    with working_copy(postgres, template, fault.command, tmp_path) as world:
        strike(postgres, world, fault, template)
        come_to_rest(elsewhere(world) if fault.kind == "machine lost" else world, fault.command)


@pytest.mark.parametrize(
    ("bug", "fault"),
    [
        ("claim after send", Struck(-1, "kill", "sync", "answered", 0.9, "kill")),
        ("unknown forgotten", Struck(-2, "machine lost", "sync", "claimed", 0.9, "kill")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_planted_bug_is_caught(bug: str, fault: Struck, postgres: Server, template: Worlds, tmp_path: Path) -> None:
    """The checks have teeth here, too."""
    with working_copy(postgres, template, fault.command, tmp_path) as world:
        strike(postgres, world, fault, template, bug=bug)
        there = elsewhere(world) if fault.kind == "machine lost" else world
        with pytest.raises((AssertionError, pytest.fail.Exception), match=r"mirror|doubled|lost|converge"):
            come_to_rest(there, fault.command, bug)


def elsewhere(world: World) -> World:
    """Another machine: what landed is shared, spool and locks are gone with the other; its lease is over."""
    other = replace(world, home_name="another home")
    other.root.mkdir(parents=True)
    shutil.move(world.root / "landing", other.root / "landing")
    shutil.rmtree(world.home)
    journal = other.settings.journal
    assert isinstance(journal, JournalServer)
    with psycopg2.connect(journal.url) as connection:
        connection.cursor().execute(f"update {journal.schema}.lease set expires_at = clock_timestamp()")
    return other
