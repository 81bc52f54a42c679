"""What the cases on PostgreSQL begin from: the small worlds before a refresh, before a sync and before a tick."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.journey_world import NOON, SYNC, JourneyWorld, build_journeys
from tests.faults.postgres_world import Server
from tests.faults.test_faults import TODAY, check, done
from tests.faults.world import World, build, moment


@dataclass(frozen=True)
class Worlds:
    """What the cases begin from, how often each step comes and how long a command takes where nothing strikes."""

    worlds: dict[str, World]  # by the command that is struck
    counts: dict[str, dict[str, int]]
    seconds: dict[str, float]


def template_on(postgres: Server, folder: Path) -> Worlds:
    found = Worlds({}, {}, {})
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
    found: Worlds, postgres: Server, folder: Path, command: str, good: Callable[[Any], None] | None = None
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
def working_copy(postgres: Server, template: Worlds, command: str, folder: Path) -> Iterator[World]:
    world = postgres.copied(template.worlds[command], folder / "world")
    world.start_recorder()
    try:
        yield world
    finally:
        world.stop_recorder()
        postgres.forget(world.warehouse, world.journal)
        shutil.rmtree(folder, ignore_errors=True)
