"""On PostgreSQL runs overlap: who waits for whom, and what is sent when they do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.journey_world import AFTERNOON, NOON, PEOPLE, SYNC, JourneyWorld
from tests.faults.postgres_template import Worlds, working_copy
from tests.faults.postgres_world import Server
from tests.faults.test_faults import TODAY, check, done, recover
from tests.faults.test_postgres_faults import in_words
from tests.faults.world import MESSAGE, MIRROR, Child, World, moment
from warehouse.postgres import Postgres

pytestmark = pytest.mark.faults
MART, SYNCED, PROFILES = (f"tailrace_dev_models.{name}" for name in ("segment_sizes", "seg_badge", "profiles"))
GIVEN_BACK = "Badge Returned", PEOPLE[:15], "2026-09-03T09:00:00Z"  # who leaves the journey


def test_four_at_once(postgres: Server, on_postgres: Worlds, tmp_path: Path) -> None:
    """A refresh, a tick and both syncs begun at the same moment: each comes to its end, and nothing is doubled."""
    with working_copy(postgres, on_postgres, "sync", tmp_path) as world:
        at = ("--as-of", moment(TODAY))
        begun = [world.begun("sync", each, *at) for each in (MIRROR, MESSAGE)]
        begun += [world.begun(command, *at) for command in ("refresh", "tick")]
        for ran in [world.ended(child) for child in begun]:
            done(ran)
        recover(world, "sync")
        check(world, TODAY)


def test_a_refresh_keeps_nobody_waiting(postgres: Server, on_postgres: Worlds, tmp_path: Path) -> None:
    """While one builds, however long that takes, both syncs deliver and a tick moves; it ends as if it were alone."""
    with working_copy(postgres, on_postgres, "refresh", tmp_path) as world:
        at = ("--as-of", moment(TODAY))
        with stuck_at(MART, world, *at) as refresh:
            for command in (("sync", MIRROR), ("sync", MESSAGE), ("tick",)):
                done(world.tailrace(*command, *at))
            check(world, TODAY)
            assert refresh.poll() is None
        done(world.ended(refresh))
        recover(world, "sync")
        check(world, TODAY)


def test_a_sync_waits_for_a_model_that_is_not_tested_yet(postgres: Server, on_postgres: Worlds, tmp_path: Path) -> None:
    """While what it reads is made it does not begin, and a tick goes on; what it sends then is of the new model."""
    with working_copy(postgres, on_postgres, "refresh", tmp_path) as world:
        at = ("--as-of", moment(TODAY))
        with stuck_at(SYNCED, world, *at) as refresh:
            sync = world.begun("sync", MIRROR, *at)
            done(world.tailrace("tick", *at))
            assert (refresh.poll(), sync.poll()) == (None, None)
        for child in (refresh, sync):
            done(world.ended(child))
        recover(world, "sync")
        check(world, TODAY)


def test_nobody_decides_while_people_are_made(postgres: Server, on_postgres: Worlds, tmp_path: Path) -> None:
    """Neither a tick nor a plan of messages reads profiles of which the record is missing; both go on after it."""
    with working_copy(postgres, on_postgres, "tick", tmp_path) as world:
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
    postgres: Server, on_postgres: Worlds, tmp_path: Path
) -> None:
    """A refresh was killed that knew who had left; a tick withdraws their messages, and sees no run to tell of it."""
    with working_copy(postgres, on_postgres, "tick", tmp_path) as world:
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
    heard = {who for who, on_postgres in world.mailed() if on_postgres == "badge_again"}
    assert heard == set(PEOPLE) - set(GIVEN_BACK[1])
    world.check_journeys()


def test_a_warehouse_of_yesterday_is_refreshed_and_synced_at_once(
    postgres: Server, on_postgres: Worlds, tmp_path: Path
) -> None:
    """What was sent for entries that it has forgotten is put back beside a refresh that finds the same people enter."""
    with working_copy(postgres, on_postgres, "sync", tmp_path) as world:
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
    asked = "select 1 as n from pg_locks inner join pg_database on pg_database.oid = pg_locks.database "
    asked += "where locktype = 'advisory' and not granted and datname = current_database()"
    with Postgres(world.warehouse) as watching:
        while len(watching.rows(asked)) < len(children):
            assert all(child.poll() is None for child in children)
            time.sleep(0.05)


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
