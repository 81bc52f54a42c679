"""A warehouse moves when a run of a sync was killed: what only the journal knew is known on the other engine."""

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from assets import delivery_tables, identity, segments
from assets.moving import move
from assets.store import writing
from models.clock import Clock
from models.settings import Settings
from orchestration.console import silent
from sinks.journal import Journal
from tests import recorders
from tests.assets.syncs.conftest import Recorder, World
from tests.parsed import project

MIRROR, MESSAGE = "crm/seg_x", "crm/seg_x/hello"
FIRST, THEN = "abcd", "bcdefg"


class Killed(BaseException):
    """What a run does not survive."""


@pytest.fixture
def world(tmp_path) -> Iterator[World]:
    """A segment that is mirrored and written to, one row a request, evaluated once when nobody was in it."""
    with recorders.running(tmp_path / "recorder.sqlite") as running:
        settings = Settings(project(tmp_path / "project"), tmp_path / "home", recorder=running.url)
        (settings.project / "sinks.yml").write_text("sinks: {crm: {sink: recorder, options: {rows: 50}}}\n")
        made = World(settings, Recorder(running))
        options = {"sink": "crm", "rows": 1, "connections": 1}
        made.declare(
            "seg_x",
            {**options, "audience": "members", "key": ["email"], "fields": ["n"], "guards": {"max_remove": "100%"}},
            {**options, "name": "hello", "mode": "send_on_entry", "fields": ["email"]},
            columns=["profile_id", "email", "n"],
            pii=("email",),
        )
        night(made, "")
        yield made


def night(world: World, people: str) -> None:
    """A day later these are the segment's members, and a refresh has seen it."""
    world.clock += timedelta(days=1)
    with writing(world.settings) as warehouse:
        warehouse.execute("create schema if not exists main")
        for part in (identity, segments, delivery_tables):
            part.prepare(warehouse)
        rows = ", ".join(f"('{name}', '{name}@x', cast({n} as bigint))" for n, name in enumerate(people))
        rows = rows or "('', '', cast(0 as bigint))"
        listed = f"select * from (values {rows}) as listed (profile_id, email, n)"
        warehouse.create_table("main.seg_x", f"{listed} where profile_id <> ''")
        segments.record(warehouse, Clock.at(world.clock), {"seg_x": "one"})


@contextmanager
def killed(step: str) -> Iterator[None]:
    """Every run ends at this step."""
    handler, log = logging.Handler(logging.INFO), logging.getLogger("tailrace.step")

    def emit(record: logging.LogRecord) -> None:
        if getattr(record, "step", None) == step:
            raise Killed

    handler.emit = emit
    log.addHandler(handler)
    before = log.level
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(before)


def test_what_was_under_way_is_known_after_the_move(world, database):
    """Receipts that only the journal had are folded on the new engine: nobody is written to twice, nothing is lost."""
    night(world, FIRST)
    with killed("folding"), pytest.raises(Killed):
        world.sync(MESSAGE)
    assert len(world.recorder.received(MESSAGE)) == len(FIRST)
    there = replace(world.settings, warehouse_url=database)
    assert move(world.settings, there, silent).differing == ()
    moved = replace(world, settings=there)
    with writing(there) as warehouse, Journal(there.journal) as journal:
        opened = warehouse.rows("select distinct journal_id from tailrace.delivery_opened")
        assert opened == [{"journal_id": journal.id}]
        assert warehouse.rows("select count(*) as n from tailrace.deliveries") == [{"n": 0}]
    night(moved, THEN)
    for _ in range(2):
        assert all(result.ok for result in moved.sync())
    assert [moved.plan(name).operations for name in (MIRROR, MESSAGE)] == [0, 0]
    audience = world.recorder.audience(MIRROR)
    assert {key: row["n"] for key, row in audience.items()} == {f"{name}@x": n for n, name in enumerate(THEN)}
    heard = Counter(row["payload"]["email"] for row in world.recorder.received(MESSAGE))
    assert heard == Counter(f"{name}@x" for name in {*FIRST, *THEN})
