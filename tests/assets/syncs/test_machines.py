"""Two machines with one warehouse and one journal: what a lost one left is settled by the other, without its files."""

import pickle
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from typing import Any

import psycopg2
import pytest

from models.errors import NeedsPerson, WarehouseHeld
from models.journal_place import JournalServer
from models.settings import Settings
from orchestration import doctor
from sinks.journal import Journal
from tests.assets.syncs.test_restored import DAYS, MESSAGE, MIRROR, check, copy, night, restore, shop
from tests.sinks.desk import CHECKOUT

__all__ = ["shop"]  # a fixture

pytestmark = [pytest.mark.stores("server"), pytest.mark.slow, pytest.mark.sampled]

Machines = tuple[Any, Settings, Settings]
STRIKES = [
    (MIRROR, "answered", 1, 0),  # may be done twice: it is planned again
    (MIRROR, "folding", 1, 0),
    (MESSAGE, "opened", 1, 0),
    (MESSAGE, "received", 2, 1),  # and the third claimed in the same commit
    (MESSAGE, "folded", 1, 0),
]

RUN = """
import logging, os, pickle, signal, sys
from assets import deliveries
from models.clock import Clock
settings, clock, names, manifest, strikes_at, nth = pickle.loads(bytes.fromhex(sys.argv[1]))

class Striker(logging.Handler):
    left = nth

    def emit(self, record):
        self.left -= record.step == strikes_at
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)

logging.getLogger("tailrace.step").setLevel(logging.INFO)
logging.getLogger("tailrace.step").addHandler(Striker())
for result in deliveries.sync(settings, Clock.at(clock), names, manifest=manifest):
    print(result)
"""


@pytest.fixture
def machines(shop) -> Machines:
    """The shop as two machines have it: each with a home of its own, with spool and locks."""
    first = replace(shop.settings, warehouse_url=f"duckdb://{shop.settings.warehouse}")
    shop.settings = first
    return shop, first, replace(first, home=first.home.with_name("another home"))


def dies(world, name: str, step: str, nth: int) -> None:
    """A sync in a process of its own, which is killed at the n-th such step."""
    given = (world.settings, world.clock, [name], world.manifest, step, nth)
    line = [sys.executable, "-c", RUN, pickle.dumps(given).hex()]
    ran = subprocess.run(line, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert ran.returncode == -signal.SIGKILL, (ran.stdout, ran.stderr)


def told(settings: Settings, statement: str) -> None:
    """Said to the journal's database from outside."""
    server = settings.journal
    assert isinstance(server, JournalServer)
    with psycopg2.connect(server.url) as connection:
        connection.cursor().execute(statement.format(schema=server.schema))


@pytest.mark.parametrize(("name", "step", "nth", "in_doubt"), STRIKES)
def test_another_machine_settles_what_a_lost_one_left(
    machines: Machines, name: str, step: str, nth: int, in_doubt: int
) -> None:
    """Once the lease is over: receipts are folded without their spool, what was on its way is unknown or goes again."""
    world, first, second = machines
    night(world, DAYS[1])
    dies(world, name, step, nth)
    told(first, "update {schema}.lease set expires_at = clock_timestamp()")
    world.settings = second
    assert all(result.ok for result in world.sync())
    check(world, 1)
    assert len(world.sql("select profile_id from tailrace.unknowns")) == in_doubt
    assert world.sql("select * from tailrace.sync_runs where closed_at is null") == []
    night(world, DAYS[2])
    world.settings = first  # it is back, with all its files
    assert all(result.ok for result in world.sync())
    check(world, 2)
    assert [world.plan(each).operations for each in (MIRROR, MESSAGE)] == [0, 0]
    with Journal(first.journal) as journal:
        assert journal.open_deliveries() == []


def test_only_the_machine_itself_knows_that_its_runner_is_gone(machines: Machines) -> None:
    """Another one waits for the lease and says whose it is; the same one goes on at once: the OS lock has ended."""
    world, first, second = machines
    night(world, DAYS[1])
    dies(world, MESSAGE, "claimed", 2)
    world.settings = second
    refused = world.sync(MESSAGE, hours=0)[0]
    assert isinstance(refused.error, WarehouseHeld)
    assert f"{MESSAGE} is held by process" in str(refused.error)
    assert any(found.what.startswith(f"{MESSAGE} is held by process") for found in doctor.examine(second))
    world.settings = first
    assert all(result.ok for result in world.sync())
    check(world, 1)


def test_journal_and_machine_are_lost(machines: Machines) -> None:
    """With the warehouse alone what was under way is unknown, row by row, and the rest of the day goes on."""
    world, first, second = machines
    night(world, DAYS[1])
    dies(world, MESSAGE, "received", 2)
    told(first, "drop schema {schema} cascade")
    shutil.rmtree(first.spool)
    world.settings = second
    assert all(result.ok for result in world.sync())
    listed = world.sql(f"select reason from tailrace.unknowns where sync = '{MESSAGE}'")
    assert [row["reason"] for row in listed] == ["the journal of this run is lost"] * 3
    with Journal(second.journal) as journal:
        lost = f"select journal_id from tailrace.delivery_opened where journal_id <> '{journal.id}'"
        assert len(world.sql(lost)) == 1


def test_a_restored_warehouse_asks_each_machine_once(machines: Machines) -> None:
    """Of runs that machines sent in turns each puts back all of its own, and the last one goes on."""
    world, first, second = machines
    night(world, DAYS[1])
    assert all(result.ok for result in world.sync())
    copy(world, "yesterday")
    for day, of_mirror, of_message in ((2, first, second), (3, second, first)):
        night(world, DAYS[day])
        for name, world.settings in ((MIRROR, of_mirror), (MESSAGE, of_message)):
            assert all(result.ok for result in world.sync(name))
    world.settings = first
    restore(world, "warehouse", "yesterday")
    night(world, DAYS[4], minted="2")
    theirs = {path.stem for path in second.spool.glob("*.json")}
    (refused, _) = world.sync(hours=0)
    assert isinstance(refused.error, NeedsPerson)
    assert str(refused.error).count("the spool of another machine has them") == 1
    assert any(run_id in str(refused.error) for run_id in theirs)
    for world.settings in (second, first):
        assert all(result.ok for result in world.sync())
    check(world, 4)
    assert [world.plan(each).operations for each in (MIRROR, MESSAGE)] == [0, 0]
