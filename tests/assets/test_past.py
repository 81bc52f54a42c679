"""The past, worked out, is what the nights were; and it leaves today alone."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from assets import night as nights_past
from assets import segment_days, stages, store
from assets.ingest import ingest
from assets.past import backfill
from models.clock import Clock
from models.errors import ConfigError, Refused, UserError, WarehouseHeld
from models.settings import Settings
from tests.nights import (
    Members,
    contents,
    copied,
    day,
    land,
    lines,
    night,
    project,
    published_members,
    run,
)
from tests.nights import segment_days as days_of
from warehouse.duckdb import DuckDB
from warehouse.lock import hold

NIGHTS = 6
SHOWN = ("stg_events", "int_events", "consent", "profiles")

pytestmark = [pytest.mark.slow, pytest.mark.sampled("module")]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, dict[int, Members], dict[int, dict[str, Any]]]:
    """Real nights: the home they left, the members each published, and the models each left."""
    settings = project(tmp_path_factory.mktemp("ran"))
    landed, members, models, merged = lines(NIGHTS, seed=1), {}, {}, 0
    for number in range(1, NIGHTS + 1):
        land(settings, f"shop/{number}.ndjson", landed[number])
        merged += run(settings, number).identity.merged
        members[number] = published_members(settings, number)
        with DuckDB(settings.warehouse) as warehouse:
            models[number] = rows(warehouse, {name: f"main.{name}" for name in SHOWN})
    assert merged > 0
    return settings, members, models


@pytest.fixture
def settings(ran, tmp_path: Path) -> Settings:
    return copied(ran[0], tmp_path)


def rows(warehouse: DuckDB, relations: dict[str, str]) -> dict[str, list[str]]:
    return {name: sorted(map(str, warehouse.rows(f"select * from {where}"))) for name, where in relations.items()}


def union(members: dict[int, Members]) -> Members:
    return frozenset().union(*members.values())


def test_day_end_gives_what_each_night_published_and_leaves_today_alone(ran, settings) -> None:
    """By what each night could know, every day's members are those the night published; nothing else changes."""
    before = contents(settings)
    told: list[tuple[str, int | None, int | None]] = []
    done = backfill(
        settings,
        night(NIGHTS),
        day(1),
        day(NIGHTS),
        known_by="day-end",
        on_progress=lambda *said: told.append((*said, None, None)[:3]),
    )
    assert days_of(settings) == union(ran[1])
    assert (done.days, done.skipped, done.rows) == (NIGHTS, 0, len(union(ran[1])))
    assert told[0] == (f"working out {day(1)}", 0, NIGHTS)
    assert contents(settings) == before


def test_events_people_and_consent_of_a_night_are_those_of_then(ran, settings) -> None:
    """A night of the past makes the events, people and consent that the night itself made."""
    for number in (2, NIGHTS - 1):
        models = nights_past.compiled(settings, night(number))
        with store.locked(settings), stages.opened(settings) as warehouse:
            nothing = segment_days.derived_before(warehouse, day(1))
            _, derived = nights_past.build(settings, warehouse, night(number), models, nothing)
            found = rows(warehouse, {name: f"{warehouse.scratch()}.{name}" for name in SHOWN})
        assert derived.is_empty()
        for name in SHOWN:
            assert found[name] == ran[2][number][name], (number, name)


def test_nights_that_never_ran_give_the_ids_they_would_have_minted(ran, tmp_path) -> None:
    """Files loaded night by night and refreshed once at the end: the past has the ids that real nights mint.

    In two parts, so that the second finds the ids that the first derived.
    """
    settings = copied(ran[0], tmp_path)
    landing = settings.landing.rename(tmp_path / "landed")
    shutil.rmtree(settings.root, ignore_errors=True)
    for number in range(1, NIGHTS + 1):
        land(settings, f"shop/{number}.ndjson", [])
        shutil.copy(landing / "shop" / f"{number}.ndjson", settings.landing / "shop")
        ingest(settings, night(number))
    run(settings, NIGHTS + 1)
    for first, last in ((1, 3), (4, NIGHTS)):
        backfill(settings, night(NIGHTS + 1), day(first), day(last), known_by="day-end")
    assert days_of(settings) == union(ran[1])


def test_with_all_that_is_known_now_the_ids_are_todays(settings) -> None:
    """By default what arrived late counts, and people are who they are known to be now."""
    backfill(settings, night(NIGHTS), day(1), day(NIGHTS))
    last = frozenset(row for row in days_of(settings) if row[0] == day(NIGHTS))
    assert last == published_members(settings, NIGHTS)
    with DuckDB(settings.published, read_only=True) as copy:
        aliases = copy.rows(
            "select count(*) as n from segment_days where profile_id in "
            "(select identifier from profile_map where identifier_type = 'profile_id' and identifier <> profile_id)"
        )
    assert aliases[0]["n"] == 0


def test_days_that_are_there_are_skipped_and_others_join_them(ran, settings) -> None:
    """Ranges that overlap work each day out once; the result is that of one range."""
    first = backfill(settings, night(NIGHTS), day(2), day(4), known_by="day-end")
    then = backfill(settings, night(NIGHTS), day(1), day(NIGHTS), known_by="day-end")
    again = backfill(settings, night(NIGHTS), day(1), day(NIGHTS), known_by="day-end")
    assert [(each.days, each.skipped) for each in (first, then, again)] == [(3, 0), (3, 3), (0, 6)]
    assert days_of(settings) == union(ran[1])


def test_a_day_known_otherwise_or_asked_for_again_replaces_itself(settings) -> None:
    """Another `known_by`, another definition or `again` work a day out anew, in place of what it had."""
    clock = night(NIGHTS)
    assert backfill(settings, clock, day(3), day(3), known_by="day-end").days == 1
    then = days_of(settings)
    assert backfill(settings, clock, day(3), day(3)).days == 1
    assert days_of(settings) != then
    assert backfill(settings, clock, day(3), day(3), known_by="day-end").days == 1
    assert days_of(settings) == then
    assert backfill(settings, clock, day(3), day(3), known_by="day-end", again=True).days == 1
    edited = settings.dbt_project / "models" / "segments" / "seg_high_value.sql"
    edited.write_text(edited.read_text() + "    and orders > 0\n")
    assert backfill(settings, clock, day(3), day(3), known_by="day-end").days == 1
    assert days_of(settings) == then


def test_a_range_must_be_over(settings) -> None:
    """A day that is not over at the clock, or a range that runs backwards, is refused before anything runs."""
    noon = Clock.at(night(NIGHTS).as_of - timedelta(hours=12))
    with pytest.raises(UserError, match=f"{day(NIGHTS)} is not over at"):
        backfill(settings, noon, day(1), day(NIGHTS))
    with pytest.raises(UserError, match="before it starts"):
        backfill(settings, noon, day(3), day(2))


def test_files_that_no_refresh_has_read_are_refused(settings) -> None:
    """The event log must hold all that had arrived; the message says what to do."""
    land(settings, "shop/late.ndjson", lines(1, seed=9)[1])
    ingest(settings, night(NIGHTS))
    with pytest.raises(Refused, match="run `tailrace refresh`"):
        backfill(settings, night(NIGHTS), day(1), day(2))


def test_a_broken_segment_stops_with_its_file_line_and_column(settings) -> None:
    """The day stays as it was; the message names the file, the place and the closest column."""
    path = settings.dbt_project / "models" / "segments" / "seg_mine.sql"
    path.write_text("select profile_id\nfrom {{ ref('profiles') }}\nwhere\n    ordrs > 0\n")
    with pytest.raises(ConfigError, match=r"seg_mine\.sql:4:5: there is no column 'ordrs'; did you mean 'orders'\?"):
        backfill(settings, night(NIGHTS), day(1), day(1))
    path.unlink()
    assert backfill(settings, night(NIGHTS), day(1), day(1)).days == 1


def test_two_at_once_do_not_mix(settings) -> None:
    """A second backfill is told who is at work."""
    with hold(settings.locks / "past.lock"), pytest.raises(WarehouseHeld, match="the past is held by process"):
        backfill(settings, night(NIGHTS), day(1), day(1))


def test_others_may_write_between_two_days(settings) -> None:
    """The warehouse is free between two days: whoever waits for it gets it."""
    got: list[str] = []

    def told(what: str, done: int | None = None, total: int | None = None) -> None:
        with store.writing(settings, wait_seconds=0):
            got.append(what)

    backfill(settings, night(NIGHTS), day(1), day(2), on_progress=told)
    assert got == [f"working out {day(1)}", f"working out {day(2)}", "publishing"]


IN_PLACE = """\
{{ config(materialized='table') }}

select
    id as event_id,
    'till' as source,
    'Order Completed' as name,
    bought_at as occurred_at,
    cast(null as timestamptz) as received_at,
    heard_at as known_at,
    'till' as batch_id,
    cast(null as varchar) as anonymous_id,
    person as user_id,
    cast(null as varchar) as email,
    cast(null as varchar) as phone,
    cast(null as varchar) as crm_id,
    cast(null as varchar) as profile_id,
    '{"revenue": 900, "quantity": 1}' as properties
from {{ raw('till') }} as raw_till
"""


def till(settings: Settings, known_at: str | None) -> None:
    """A source in place, with an event a day that is heard of a day later."""
    with duckdb.connect(str(settings.project / "till.duckdb")) as other:
        other.execute(
            "create table orders as select 'o' || n as id, 'buyer' || n as person, "
            "timestamptz '2026-01-01 12:00:00+00' + n * interval 1 day as bought_at, "
            "timestamptz '2026-01-02 12:00:00+00' + n * interval 1 day as heard_at from range(3) as numbers (n)"
        )
    path = settings.project / "sources.yml"
    entry: dict[str, str] = {"database": "till.duckdb", "table": "main.orders"}
    declared = yaml.safe_load(path.read_text())
    declared["sources"]["till"] = entry | ({"known_at": known_at} if known_at else {})
    path.write_text(yaml.safe_dump(declared))
    (settings.dbt_project / "models" / "staging" / "stg_till.sql").write_text(IN_PLACE)


def test_a_table_in_place_is_replayed_by_what_it_knew(settings) -> None:
    """With a declared known_at its past is that of the night; without one it is refused."""
    till(settings, "heard_at")
    run(settings, NIGHTS + 1)
    backfill(settings, night(NIGHTS + 1), day(1), day(3), known_by="day-end")
    with DuckDB(settings.warehouse) as warehouse:
        heard = warehouse.rows(
            "select day, count(*) as n from tailrace.segment_days where segment = 'seg_one_time_buyers' "
            "and profile_id in (select profile_id from tailrace.derived_profile_id where identifier like 'buyer%') "
            "group by day order by day"
        )
    assert [(row["day"], row["n"]) for row in heard] == [(day(2), 1), (day(3), 2)]


def test_a_table_in_place_that_says_not_when_is_refused(settings) -> None:
    """Nothing is guessed about what was known when."""
    till(settings, None)
    run(settings, NIGHTS + 1)
    with pytest.raises(UserError, match="till is read in place and declares no known_at"):
        backfill(settings, night(NIGHTS + 1), day(1), day(1))


def test_nothing_is_left_in_the_warehouse(settings) -> None:
    """What a night needed lived in memory: the live file has no schema and no table of it."""

    def there() -> list[dict[str, object]]:
        asked = "select schema_name, null as table_name from duckdb_schemas() union all "
        asked += "select schema_name, table_name from duckdb_tables() order by all"
        with DuckDB(settings.warehouse, read_only=True) as warehouse:
            return warehouse.rows(asked)

    before = there()
    backfill(settings, night(NIGHTS), day(1), day(1))
    assert there() == before
