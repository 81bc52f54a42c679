"""Ticks of a journey of nine steps: entries, moves, arbitration, nothing to do, one event among many waiting runs.

The limit of what writes is the bare insert of the rows it left, copied into fresh tables of the same file; the limit of
what finds nothing is one scan of the moments it has to look at.
"""

from __future__ import annotations

import resource
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import report

from assets import identity, segments
from assets.journeys import publication, tables, ticking
from assets.journeys.program import Version
from assets.journeys.tick import Inputs, Ticked
from models.clock import Clock
from models.journey import Journey
from models.policy import Policy
from warehouse import batches
from warehouse.base import Warehouse
from warehouse.batches import Batch
from warehouse.duckdb import DuckDB

Result = TypeVar("Result")
SIZES, QUICK = (100_000, 1_000_000), (1_000, 10_000)
GOALS = {"entries": 5.0, "three hops": 10.0, "arbitration": 10.0}  # seconds at the larger size
PLANNING = 0.3  # seconds that a tick may take whatever the size: its statements are planned each time
SLACK = 0.5  # more at a small size, where planning is most of it
MEMORY_MB = 6_000
START = datetime(2026, 3, 2, 10, tzinfo=UTC)
BEFORE = START - timedelta(days=1)
DECIDES = timedelta(hours=4)  # the timeout: all runs are due within ten minutes from then
JOURNEY = {
    "journey": "cart_recovery",
    "entry": {"event": "Cart Updated", "key": "cart_id"},
    "exit": [{"segment": "seg_unsubscribed"}],
    "goal": {"event": "Order Completed", "match": "cart_id"},
    "holdout": 0.1,
    "steps": [
        {"wait_for": {"event": "Order Completed", "match": "cart_id", "timeout": "4 hours", "then": "exit"}},
        {
            "branch": {
                "segment": "seg_high_value",
                "then": [{"send": {"sink": "text", "template": "cart_sms"}}],
                "else": [{"send": {"sink": "mail", "template": "cart_reminder"}}],
            }
        },
        {"wait": "1 day"},
        {
            "split": {
                "a": 50,
                "b": 50,
                "steps": {
                    "a": [{"send": {"sink": "mail", "template": "cart_offer"}}],
                    "b": [{"sync": {"audience": "left_cart", "op": "enter"}}],
                },
            }
        },
        {"exit": "done"},
    ],
}
POLICY = Policy(
    salt="bench",
    caps=({"max": 2, "per": "1 day"}, {"max": 5, "per": "1 week", "channel": "email"}),
    quiet_hours={"begin": "21:00", "end": "08:00"},
    default_zone="America/New_York",
    global_holdout=0.05,
)
EVENTS = "main.event"
ZONES = "['Europe/Berlin', 'America/New_York', 'Asia/Kolkata', null]"
EVENT_ROWS = """
select 'shop' as source, '{kind}' || n as event_id, 'p' || n as profile_id, '{name}' as name,
    {occurred_at} as occurred_at, {known_at} as known_at, '{{"cart_id": "c' || n || '", "total": ' || n % 300 || '}}'
    as properties
from range({first}, {last}) as numbers (n)
order by hash(n)
"""
PEOPLE = {
    tables.PROFILES: """
        select 'p' || n as profile_id, case when n % 20 > 0 then 'p' || n || '@example.com' end as email,
            case when n % 3 > 0 then '+49' || (1700000000 + n) end as phone, null as push_token,
            {zones}[1 + n % 4] as time_zone, '{{}}' as dates, {before} as as_of, {before} as known_by
        from range({size}) as numbers (n) order by hash(n)
    """,
    tables.CONSENT: """
        select 'p' || n as profile_id, channel, case channel when 'email' then 'p' || n || '@example.com'
            else '+49' || (1700000000 + n) end as contact_point, 'marketing' as purpose, n % 10 > 0 as granted,
            n % 50 = 7 as suppressed, '' as reason, {before} as as_of, {before} as known_by
        from range({size}) as numbers (n), (values ('email'), ('sms')) as channels (channel) order by hash(n)
    """,
    segments.HISTORY: """
        select 'high' || n as entry_id, 'seg_high_value' as segment, 'p' || n as profile_id, 'entered' as change,
            'data' as cause, {before} as as_of, {before} as known_by
        from range(0, {size}, 5) as numbers (n)
        union all
        select 'gone' || n, 'seg_unsubscribed', 'p' || n, 'entered', 'data', {before}, {before}
        from range(3, {size}, 1000) as numbers (n)
    """,
    segments.EVALUATIONS: """
        select name as segment, {before} as as_of, {before} as known_by, '' as definition
        from (values ('seg_high_value'), ('seg_unsubscribed')) as names (name)
    """,
    identity.HISTORY: """
        select 'profile_id' as identifier_type, 'old' || n as identifier, 'p' || n as profile_id, 'merged' as change,
            'old' || n as from_profile_id, {before} as as_of, {before} as known_by, 1 as number
        from range(0, {size}, 100) as numbers (n)
    """,
    tables.OUTBOX: """
        select md5('before' || n) as send_key, 1 as round, 'before' || n as run_id, '1' as node, 1 as hop,
            'newsletter' as journey, 1 as version, 'p' || n as unit_id, 'p' || n as profile_id, 'email' as channel,
            'mail' as sink, 'newsletter' as template, 'marketing' as purpose, 50 as priority, {before} as logical_at,
            {before} as window_at, {start} - interval '20' hour as not_before, {start} as expires_at, 'UTC' as zone,
            'admitted' as decision, cast(null as varchar) as reason
        from range(0, {size}, 2) as numbers (n)
    """,
    tables.LOADED: """
        select 'shop' as source, {start} + interval '30' day as through, {before} as known_at
    """,
}


def cases(options: report.Options) -> Iterator[report.Case]:
    """Every stage of the same journey at each size, then how each grows."""
    done: list[report.Case] = []
    for size in options.pick(SIZES, QUICK):
        with tempfile.TemporaryDirectory(prefix="bench-journeys-") as folder:
            for case in Stages(Path(folder), size, options.rounds).cases():
                done.append(case)
                yield case
    yield from report.growths(case for case in done if case.unit == "s")


@dataclass
class Stages:
    """One warehouse after the other: each tick is repeated on a copy of what the tick before it left."""

    folder: Path
    size: int
    rounds: int
    made: int = field(default=0)

    def cases(self) -> Iterator[report.Case]:
        with DuckDB(self.folder / "0.duckdb") as warehouse:
            prepare(warehouse, self.size)
            tick(warehouse, START)
            add_events(warehouse, "cart", "Cart Updated", 0, self.size, START)
        entered = self.writing("entries", START + timedelta(minutes=11))
        yield entered[0]
        assert entered[1].entered == self.size, entered[1]
        at = START + DECIDES
        hops = self.writing("three hops", at + timedelta(minutes=12))
        yield hops[0]
        gone = len(range(3, self.size, 1000))  # left at once
        assert hops[1].moved == 3 * (self.size - gone), hops[1]
        decided = self.writing("arbitration", at + timedelta(minutes=20))
        yield decided[0]
        assert sum(decided[1].decided.values()) == self.size - gone, decided[1]
        yield from self.reading(at + timedelta(minutes=40))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        yield report.Case("peak memory", self.size, peak, MEMORY_MB, "MB", MEMORY_MB, "ours at most")

    def writing(self, name: str, at: datetime) -> tuple[report.Case, Ticked]:
        """The best of some ticks, each on its own copy; the last copy is where the next stage begins."""
        base, copy = (self.folder / f"{self.made + more}.duckdb" for more in (0, 1))
        times, limits = [], []
        for _ in range(self.rounds):
            shutil.copyfile(base, copy)
            with DuckDB(copy) as warehouse:
                ticked, taken = timed(lambda warehouse=warehouse: tick(warehouse, at))
                times.append(taken)
                limits.append(insert_again(warehouse, ticked.number))
        base.unlink()
        self.made += 1
        goal = GOALS[name] if self.size >= SIZES[-1] else GOALS[name] * self.size / SIZES[-1] + SLACK
        return report.Case(name, self.size, min(times), min(limits), "s", goal, "ours at most"), ticked

    def reading(self, at: datetime) -> Iterator[report.Case]:
        """What finds nothing, or one run among all."""
        with DuckDB(self.folder / f"{self.made}.duckdb") as warehouse:
            for name, events in (("idle", 0), ("one event", 1)):
                times, limits = [], []
                for number in range(self.rounds + 2):
                    moment = at + timedelta(minutes=number + 20 * events)
                    first = 10 * number + 11
                    for kind in ["order"] * events:
                        add_events(warehouse, kind, "Order Completed", first, first + 1, moment)
                    ticked, taken = timed(lambda moment=moment: tick(warehouse, moment + timedelta(seconds=30)))
                    assert ticked.moved == events, ticked
                    times.append(taken)
                    limits.append(timed(lambda moment=moment: scan(warehouse, moment))[1])
                yield report.Case(name, self.size, min(times), min(limits), "s", PLANNING, "ours at most")


def timed(work: Callable[[], Result]) -> tuple[Result, float]:
    """What it gave, and how long it took."""
    found: list[Result] = []
    taken = report.seconds(lambda: found.append(work()))
    return found[0], taken


def prepare(warehouse: Warehouse, size: int) -> None:
    """Everybody's history, other events than the journey's, and the published journey."""
    batches.prepare(warehouse)
    for part in (identity, segments, tables):
        part.prepare(warehouse)
    literal = warehouse.dialect.literal
    warehouse.execute(
        f"create table {EVENTS} (source varchar, event_id varchar, profile_id varchar, name varchar, "
        "occurred_at timestamptz, known_at timestamptz, properties varchar)"
    )
    add_events(warehouse, "page", "Page Viewed", 0, size, BEFORE)
    for log, query in PEOPLE.items():
        batch = Batch(warehouse, f"bench/{log}")
        batch.append(log, query.format(size=size, zones=ZONES, before=literal(BEFORE), start=literal(START)))
        batch.commit(BEFORE)
    published = START - timedelta(hours=1)
    version = Version(
        Journey.model_validate(JOURNEY), 1, published, "salt", {"Order Completed": ["shop"]},
        {"mail": "email", "text": "sms"},
    )  # fmt: skip
    publication.append(warehouse, version, Clock.at(published))


def add_events(warehouse: Warehouse, kind: str, name: str, first: int, last: int, at: datetime) -> None:
    """One event of each of these people, within ten minutes."""
    moment = (
        f"{warehouse.dialect.literal(at)} + to_seconds(n % 600)" if last - first > 1 else warehouse.dialect.literal(at)
    )
    known_at = f"{warehouse.dialect.literal(at)} + interval '11' minute" if last - first > 1 else moment
    rows = EVENT_ROWS.format(kind=kind, name=name, first=first, last=last, occurred_at=moment, known_at=known_at)
    warehouse.execute(f"insert into {EVENTS} {rows}")


def tick(warehouse: Warehouse, at: datetime) -> Ticked:
    clock = Clock.at(at)
    return ticking.tick(warehouse, POLICY, clock, Inputs(EVENTS, clock, publication.published(warehouse, clock)))


def insert_again(warehouse: Warehouse, number: int) -> float:
    """The rows that a tick left, inserted once more into fresh tables: how long that takes."""
    own = warehouse.dialect.literal(f"tick/{number}")
    for place, log in enumerate(tables.LOGS):
        warehouse.execute(f"create temporary table kept_{place} as select * from {log}__log where batch_id = {own}")
        warehouse.execute(f"create table main.fresh_{place} as select * from {log}__log limit 0")
    taken = report.seconds(
        lambda: [
            warehouse.execute(f"insert into main.fresh_{place} select * from kept_{place}")
            for place in range(len(tables.LOGS))
        ]
    )
    for place in range(len(tables.LOGS)):
        warehouse.execute(f"drop table main.fresh_{place}")
        warehouse.execute(f"drop table kept_{place}")
    return taken


def scan(warehouse: Warehouse, at: datetime) -> None:
    """Whether anything is due or new: the least that a tick reads."""
    moment = warehouse.dialect.literal(at)
    warehouse.rows(f"select count(*) as n from {tables.TRANSITIONS}__log where due_at <= {moment}")
    warehouse.rows(f"select count(*) as n from {EVENTS} where known_at > {moment}")


if __name__ == "__main__":
    report.main("journeys", cases, __doc__.splitlines()[0])
