"""Copies of yesterday in place of the journal, the warehouse or both: nothing lost, nothing doubled, doubts listed."""

import logging
import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from time import monotonic, sleep

import pytest

from assets import delivery_tables, identity, segments
from assets.store import writing
from assets.suppressions import copy_suppressions, position_known
from models.clock import Clock
from models.journal_place import JournalServer, Place
from orchestration import upkeep
from sinks.journal import Journal
from sinks.journal_store import connect
from tests.assets.syncs import schemas

pytestmark = pytest.mark.sampled

MIRROR, MESSAGE = "crm/seg_x", "crm/seg_x/hello"
FILES = {"journal": "journal.sqlite", "warehouse": "warehouse.duckdb"}
DAYS = {1: "abc", 2: "bcde", 3: "cdefghijk", 4: "defghijklm"}  # who is in the segment; `b` leaves on the third day


@pytest.fixture
def shop(world):
    """A segment that is mirrored and written to, one row a request; evaluated once, when nobody was in it."""
    options = {"sink": "crm", "rows": 1, "connections": 1}
    world.declare(
        "seg_x",
        {**options, "audience": "members", "key": ["email"], "fields": ["n"], "guards": {"max_remove": "100%"}},
        {**options, "name": "hello", "mode": "send_on_entry", "fields": ["email"]},
        columns=["profile_id", "email", "n"],
        pii=("email",),
    )
    night(world, "")
    return world


def night(world, people: str, minted: str = "") -> None:
    """A day later these are the segment's members, and a refresh has seen it.

    `minted` marks the profiles of people first seen after the first day, as a warehouse that was restored mints anew.
    """
    world.clock += timedelta(days=1)
    with writing(world.settings) as warehouse:
        for part in (identity, segments, delivery_tables):
            part.prepare(warehouse)
        rows = ", ".join(f"('{name}{minted if name > 'c' else ''}', '{name}@x', {n})" for n, name in enumerate(people))
        rows = rows or "('', '', 0)"
        warehouse.execute(
            f"create or replace table seg_x as select * from (values {rows}) as listed (profile_id, email, n) "
            "where profile_id <> ''"
        )
        segments.record(warehouse, Clock.at(world.clock), {"seg_x": "one"})


def copy(world, folder: str) -> None:
    """Both files as they lie there, with what belongs to them; a journal on a server as a schema beside it."""
    kept = world.settings.home / folder
    kept.mkdir()
    if isinstance(world.settings.journal, JournalServer):
        schemas.copy(world.settings.journal, folder)
    for name in FILES.values():
        for file in world.settings.root.glob(f"{name}*"):
            shutil.copy(file, kept)


def restore(world, what: str, folder: str) -> None:
    """Put that copy in its place; `lost` has none."""
    if what == "journal" and isinstance(world.settings.journal, JournalServer):
        schemas.restore(world.settings.journal, folder)
        return
    for file in world.settings.root.glob(f"{FILES[what]}*"):
        file.unlink()
    for file in (world.settings.home / folder).glob(f"{FILES[what]}*"):
        shutil.copy(file, world.settings.root)


def sync_hot(world, folder: str) -> None:
    """Both syncs; a copy of the files is taken while the second request of the messages waits for its answer."""
    world.sync(MIRROR, hours=0)
    before = len(world.recorder.received(MESSAGE))
    world.recorder.behave(rules=[{"do": "slow", "at": [2], "seconds": 2}])
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(world.sync, MESSAGE)
        until = monotonic() + 30
        while len(world.recorder.received(MESSAGE)) == before:
            assert monotonic() < until
            sleep(0.02)
        sleep(0.3)
        copy(world, folder)
        with Journal(copied(world, folder)) as journal:
            assert len(journal.open_deliveries()) == 1
        assert run.result()[0].ok
    world.recorder.behave()


def copied(world, folder: str) -> Place:
    """The journal of a copy."""
    place = world.settings.journal
    if isinstance(place, JournalServer):
        return replace(place, schema=folder)
    return world.settings.home / folder / FILES["journal"]


def check(world, day: int) -> None:
    """The mirror holds the day's people; everybody who entered was written to once, or is listed."""
    people = DAYS[day]
    audience = world.recorder.audience(MIRROR)
    assert {identity: row["n"] for identity, row in audience.items()} == {
        f"{name}@x": n for n, name in enumerate(people)
    }
    heard = Counter(row["payload"]["email"][0] for row in world.recorder.received(MESSAGE))
    entered = {name for each in DAYS if each <= day for name in DAYS[each]}
    assert heard.keys() <= entered
    assert {name: count for name, count in heard.items() if count > 1} == {}, "doubled"
    listed = world.sql(f"select profile_id from tailrace.unknowns where sync = '{MESSAGE}'")
    assert {row["profile_id"][0] for row in listed} | heard.keys() == entered, "lost"


ON_SERVER = [("hot", "current"), ("yesterday", "current"), ("lost", "yesterday")]
RESTORED = [
    *product(["file"], ["current", "hot", "yesterday", "lost"], ["current", "hot", "yesterday"]),
    *(("server", *case) for case in ON_SERVER),
]


@pytest.mark.parametrize(("journal_url", "journal", "warehouse"), RESTORED, indirect=["journal_url"])
def test_whatever_is_restored(shop, journal: str, warehouse: str) -> None:
    """The next refresh and syncs converge: the audience is the model, and no message goes twice or goes missing."""
    night(shop, DAYS[1])
    assert all(result.ok for result in shop.sync())
    copy(shop, "yesterday")
    night(shop, DAYS[2])
    assert all(result.ok for result in shop.sync())
    night(shop, DAYS[3])
    sync_hot(shop, "hot")
    check(shop, 3)
    for what, folder in (("journal", journal), ("warehouse", warehouse)):
        if folder != "current":
            restore(shop, what, folder)
    night(shop, DAYS[4], minted="2" if warehouse == "yesterday" else "")
    for _ in range(2):
        assert all(result.ok for result in shop.sync())
    check(shop, 4)
    assert [shop.plan(name).operations for name in (MIRROR, MESSAGE)] == [0, 0]


@pytest.mark.stores
def test_an_older_journal_is_noticed_while_another_sync_delivers(shop) -> None:
    """What was under way when another sync made it anew is recorded or listed, and goes once."""
    (mirror, message) = shop.models["seg_x"]["config"]["meta"]["syncs"]
    shop.declare("seg_x", mirror, {**message, "connections": 2}, columns=["profile_id", "email", "n"], pii=("email",))
    night(shop, DAYS[3])
    assert shop.sync(MIRROR, hours=0)[0].ok
    shop.recorder.behave(rules=[{"do": "slow", "at": [3, 4], "seconds": 3, "sync": MESSAGE}])
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(shop.sync, MESSAGE, hours=0)
        until = monotonic() + 30
        while len(shop.recorder.received(MESSAGE)) < 2:
            assert monotonic() < until
            sleep(0.02)
        sleep(0.5)
        with closing(connect(shop.settings.journal)) as journal, journal.transaction():  # a copy without its last run
            journal.execute("delete from delivery where sync = ?", [MIRROR])
        with Journal(shop.settings.journal) as journal:
            before = journal.id
            assert shop.sync(MIRROR, hours=0)[0].ok
            assert journal.id != before
            (result,) = run.result()
            assert journal.begin_fold(shop.clock) is None
    assert result.stopped
    shop.recorder.behave()
    heard = Counter(row["payload"]["email"][0] for row in shop.recorder.received(MESSAGE))
    recorded = shop.sql(f"select profile_id, outcome from tailrace.deliveries where sync = '{MESSAGE}'")
    outcomes = {row["profile_id"][0]: row["outcome"] for row in recorded}
    assert outcomes.keys() == {*DAYS[3]}
    assert {name for name, outcome in outcomes.items() if outcome == "accepted"} <= heard.keys()
    assert {outcomes[name] for name in outcomes.keys() - heard.keys()} == {"unknown"}
    assert shop.sync(MESSAGE)[0].ok
    assert {*Counter(row["payload"]["email"][0] for row in shop.recorder.received(MESSAGE)).values()} == {1}


class Interrupted(BaseException):
    """What a run does not survive."""


class Interrupt(logging.Handler):
    """Ends the run when the batch of this name became visible, or at the step."""

    def __init__(self, where: str) -> None:
        super().__init__(logging.INFO)
        self.where = where

    def emit(self, record: logging.LogRecord) -> None:
        if self.where in (record.step, record.fields.get("batch", "").partition("/")[0]):
            raise Interrupted


@pytest.mark.parametrize("where", ["planned", "spooled", "open", "opened"])
def test_an_interrupted_opening_is_no_older_journal(shop, where: str) -> None:
    """Nothing was claimed, so nothing is in doubt: the next run sends everything, with the same journal."""
    night(shop, DAYS[1])
    before = Journal(shop.settings.journal).id
    steps, interrupt = logging.getLogger("tailrace.step"), Interrupt(where)
    steps.setLevel(logging.INFO)
    steps.addHandler(interrupt)
    try:
        with pytest.raises(Interrupted):
            shop.sync(MESSAGE)
    finally:
        steps.removeHandler(interrupt)
    assert all(result.ok for result in shop.sync())
    check(shop, 1)
    assert shop.sql("select * from tailrace.unknowns") == []
    assert Journal(shop.settings.journal).id == before


def test_an_older_journal_hears_of_who_says_no_from_now_on(shop) -> None:
    """What it was told since its copy was made is told again, and until then a claim looks at all of its list."""

    def refuse(*people: str) -> int:
        listed = " union all ".join(
            f"select '{name}@x' as contact_point, 'marketing' as purpose, timestamptz '2026-01-01' as decided_at, "
            "false as granted, false as suppressed"
            for name in people
        )
        with writing(shop.settings) as warehouse, Journal(shop.settings.journal) as journal:
            warehouse.execute(f"create or replace table consent as {listed}")
            return copy_suppressions(warehouse, journal, "test", shop.clock)

    assert refuse("a") == 1
    copy(shop, "yesterday")
    assert refuse("a", "b", "c") == 2
    restore(shop, "journal", "yesterday")
    night(shop, DAYS[1])
    shop.sync()
    with writing(shop.settings) as warehouse, Journal(shop.settings.journal) as journal:
        assert position_known(warehouse, journal) == 0
    assert refuse("a", "b", "c") == 2


def test_a_copy_of_days_ago_is_told_of_every_run_since(shop) -> None:
    """Whatever was tidied up in the meantime: the warehouse is a week older than its journal, and nothing stops."""
    night(shop, DAYS[1])
    shop.sync()
    copy(shop, "yesterday")
    night(shop, DAYS[2])
    shop.sync()
    upkeep.tidy(shop.settings, datetime.now(UTC) + timedelta(days=7))
    restore(shop, "warehouse", "yesterday")
    night(shop, DAYS[3], minted="2")
    assert all(result.ok for result in shop.sync())
    check(shop, 3)
    assert shop.sql("select * from tailrace.unknowns") == []


def test_who_left_and_came_back_is_written_to_again(shop) -> None:
    """An entry that the restored warehouse forgot covers no later one."""
    night(shop, "ab")
    shop.sync()
    copy(shop, "yesterday")
    night(shop, "abc")
    shop.sync()
    restore(shop, "warehouse", "yesterday")
    night(shop, "ab")
    night(shop, "abc")
    shop.sync()
    shop.sync()
    heard = Counter(row["payload"]["email"][0] for row in shop.recorder.received(MESSAGE))
    assert heard == {"a": 1, "b": 1, "c": 2}


def test_people_who_share_an_address_are_told_apart(shop) -> None:
    """After a restore as many messages are left to send to an address as entries were not written to."""
    night(shop, "ab")
    shop.sync()
    copy(shop, "yesterday")
    night(shop, "abc")
    shop.sync()
    restore(shop, "warehouse", "yesterday")
    night(shop, "abcd", minted="2")
    shop.sql("update seg_x set email = 'c@x' where profile_id = 'd2'")
    assert shop.plan(MESSAGE).send == 1


def test_a_second_destination_is_remembered_too(shop) -> None:
    """A restored warehouse is told of the ledger of every destination, and the old one's stays what it was."""
    night(shop, "ab")
    shop.sync()
    copy(shop, "yesterday")
    night(shop, "abc")
    (mirror, message) = shop.models["seg_x"]["config"]["meta"]["syncs"]
    shop.declare("seg_x", {**mirror, "audience": "others"}, message, columns=["profile_id", "email", "n"])
    shop.sync()
    restore(shop, "warehouse", "yesterday")
    shop.sync()
    known = shop.sql(f"select generation from tailrace.ledger where sync = '{MIRROR}' order by generation")
    assert [row["generation"] for row in known] == [1, 2]
    assert shop.plan(MIRROR).operations == 0
