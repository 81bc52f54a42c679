"""A backtest: one tick over the past, by what is known now, that counts as the oracle does and writes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from assets.journeys import backtest, rerun, unknown_past
from assets.journeys.rerun import Past
from models.errors import UserError
from models.journey import Journey
from models.policy import Policy
from tests.journeys import harness, worlds
from tests.journeys.oracle import Consent, Event, Facts, Membership, Oracle, Tick, Version, World
from tests.sampling import sampled
from warehouse.duckdb import DuckDB

SEEDS = range(4_000, sampled(4_006, 4_002))
COPIED = (
    *("profile_id_history", "segment_history", "segment_evaluation", "profile_history", "consent_history"),
    *("source_loaded", "pause_change", "journey_version", "message_outbox"),
)
START = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
Dated = TypeVar("Dated", Facts, Consent)


@contextmanager
def scratch(
    folder: Path, world: World, days: dict[date, dict[str, list[str]]] | None = None, ticks: tuple[Tick, ...] = ()
) -> Iterator[DuckDB]:
    """A database in memory beside a copy of the world's tables, as a published copy has them."""
    with harness.open_world(folder / "warehouse.duckdb", world) as warehouse:
        for tick in ticks:
            harness.tick(warehouse, world, tick)
        warehouse.execute(f"attach '{folder / 'copy.duckdb'}' as kept")
        for name in COPIED:
            warehouse.execute(f"create table kept.main.{name} as select * from tailrace.{name}")
        warehouse.execute(f"create table kept.main.event as select * from {harness.EVENTS}")
        warehouse.execute("create table kept.main.profiles (profile_id varchar, renewal_at varchar)")
        warehouse.execute("create table kept.main.segment_days (day date, segment varchar, profile_id varchar)")
        for day, segments in (days or {}).items():
            for segment, members in segments.items():
                for member in members:
                    warehouse.execute("insert into kept.main.segment_days values (?, ?, ?)", [day, segment, member])
        warehouse.execute("detach kept")
    with DuckDB(Path(":memory:")) as memory:
        memory.attach("kept", folder / "copy.duckdb")
        yield memory


def past(start: datetime, end: datetime) -> Past:
    return Past("kept.main", "kept.main.event", start, end, end + 60 * DAY)


def by_oracle(world: World, version: Version, start: datetime, end: datetime) -> dict[str, Any]:
    """What the oracle counts of one tick at the end of the range that knows what is known now."""
    alone = replace(version, version=1, published_at=start)
    events = [each for each in world.events if start <= each.occurred_at <= end]
    facts, consents = as_ever(world, world.facts), as_ever(world, world.consents)
    oracle = Oracle(replace(world, events=events, versions=[alone], pauses=[], facts=facts, consents=consents))
    oracle.tick(Tick(end, end + 60 * DAY))
    ended = [next((each.ended for each in run.transitions if each.ended), None) for run in oracle.runs]
    gone = {each.send_key: each.occurred_at for each in oracle.withdrawals}
    reasons: Counter[str | None] = Counter()
    for each in {each.send_key: each for each in oracle.decisions}.values():
        is_gone = each.send_key in gone and gone[each.send_key] < each.not_before
        reasons["withdrawn" if is_gone else each.reason] += 1
    return {
        "entered": len(oracle.runs),
        "exited": dict(Counter(each for each in ended if each)),
        "sent": reasons[None],
        "refused": {str(reason): count for reason, count in reasons.items() if reason},
        "goals": sum(any(each.ended == "goal" for each in run.transitions) for run in oracle.runs),
    }


def as_ever(world: World, rows: Sequence[Dated]) -> list[Dated]:
    """What was recorded first counts for all that was before it."""
    recorded, ever = min(fact.as_of for fact in world.facts), datetime(1900, 1, 1, tzinfo=UTC)
    return [replace(row, as_of=ever, known_by=ever) if row.as_of == recorded else row for row in rows]


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_a_backtest_counts_as_the_oracle_does(seed: int, tmp_path: Path) -> None:
    """Whatever the journey and the streams: who enters, leaves, is sent to or refused is the oracle's count."""
    case = worlds.make(seed, 120)
    world, start = case.world, min(each.published_at for each in case.world.versions)
    world.events = [replace(each, visible_at=None) for each in world.events]  # by the end all of them are there
    end = max(tick.as_of for tick in case.ticks)
    with scratch(tmp_path, world) as memory:
        before = (tmp_path / "copy.duckdb").read_bytes()
        for version in world.versions:
            found = asdict(rerun.rerun(memory, world.policy, past(start, end), harness.published(version)))
            assert found == by_oracle(world, version, start, end), (version.journey.journey, version.version)
    assert (tmp_path / "copy.duckdb").read_bytes() == before


def small(entry: dict[str, Any], template: str = "hello") -> Version:
    journey = {"journey": "hello", "entry": entry, "steps": [{"send": {"sink": "mail", "template": template}}]}
    return Version(Journey.model_validate(journey), 1, START, "salt", {}, {"mail": "email"})


def people(names: list[str], since: datetime) -> dict[str, Any]:
    """Facts and consent of some people, recorded from a moment on."""
    return {
        "facts": [Facts(each, f"{each}@example.com", None, None, {}, since, since) for each in names],
        "consents": [
            Consent(
                each,
                "email",
                f"{each}@example.com",
                "marketing",
                granted=True,
                suppressed=False,
                as_of=since,
                known_by=since,
            )
            for each in names
        ],
    }


def test_days_stand_in_where_the_history_does_not_reach(tmp_path: Path) -> None:
    """Who is in a segment at a day's end and was not the day before enters then, also where the history begins."""
    days = {
        date(2026, 3, 1): {"seg_a": ["ann"]},
        date(2026, 3, 2): {"seg_a": ["ann", "bea"]},
        date(2026, 3, 3): {"seg_a": ["ann", "bea"]},
    }
    first = START + 3 * DAY + timedelta(hours=12)
    memberships = [
        Membership(f"e{number}", "seg_a", person, "entered", "first", first, first)
        for number, person in enumerate(("ann", "cleo"))
    ]
    memberships.append(Membership("e9", "seg_a", "dan", "entered", "data", first + DAY, first + DAY))
    world = World(Policy(salt="s"), memberships=memberships, **people(["ann", "bea", "cleo", "dan"], first))
    version = harness.published(small({"segment": "seg_a"}))
    with scratch(tmp_path, world, days) as memory:
        found = rerun.rerun(memory, world.policy, past(START, START + 6 * DAY), version)
        entered = memory.rows("select unit_id, cause from tailrace.journey_run order by entered_at")
        noted = unknown_past.notes(memory, world.policy, past(START + 2 * DAY, START + 6 * DAY), [version])
    assert [row["unit_id"] for row in entered] == ["bea", "cleo", "dan"]
    assert (found.entered, found.sent) == (3, 3)
    assert any("seg_a: by the days" in note for note in noted)
    assert any("are recorded since 2026-03-04 12:00 UTC" in note for note in noted)


def test_what_other_journeys_sent_counts_for_caps(tmp_path: Path) -> None:
    """A person who had the only message a day allows from another journey gets none of this one."""
    at = START + timedelta(hours=9)
    events = [
        Event("shop", f"{name}/{number}", "ann", name, at + number * timedelta(hours=1), at)
        for number, name in enumerate(("One", "Two"))
    ]
    policy = Policy.model_validate({"salt": "s", "caps": [{"max": 1, "per": "1 day"}]})
    one = small({"event": "One"}, "other")
    other = replace(one, journey=one.journey.model_copy(update={"journey": "other"}))
    world = World(policy, events=events, versions=[other], **people(["ann"], START - DAY))
    found = []
    for number, ticks in enumerate(((), (Tick(at + DAY, at + DAY),))):
        folder = tmp_path / str(number)
        folder.mkdir()
        with scratch(folder, world, ticks=ticks) as memory:
            version = harness.published(small({"event": "Two"}))
            counts = rerun.rerun(memory, policy, past(START, START + DAY), version)
            noted = unknown_past.notes(memory, policy, past(START, START + DAY), [version])
        found.append((counts.sent, counts.refused, any("other journeys" in note for note in noted)))
    assert found == [(1, {}, False), (0, {"capped": 1}, True)]


def test_a_range_without_data_is_refused(tmp_path: Path) -> None:
    """A range in which nothing is known that could make anybody enter says so, with how far the data reaches."""
    world = World(Policy(salt="s"), events=[Event("shop", "1", "ann", "One", START, START)])
    with scratch(tmp_path, world) as memory:
        with pytest.raises(UserError, match=r"nothing is known of 2026-04-01 to 2026-04-02.*reach from 2026-03-01"):
            backtest.require_data(
                memory, past(START + 31 * DAY, START + 32 * DAY), harness.published(small({"event": "One"}))
            )
        with pytest.raises(UserError, match="seg_a: there are none"):
            backtest.require_data(memory, past(START, START + DAY), harness.published(small({"segment": "seg_a"})))
