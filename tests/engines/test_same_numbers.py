"""The same files and clocks give the same rows, whatever engine they are on; what differs is found."""

import shutil
from dataclasses import replace
from datetime import UTC, date, timedelta
from pathlib import Path

import pytest

from assets import demo_shop, store
from assets.refresh import RefreshResult, refresh
from models.clock import Clock, end_of_day
from models.settings import Settings
from orchestration import comparing, journeys
from tests import nights
from warehouse.duckdb import DuckDB

PEOPLE, NIGHTS = 100, 3
PASSWORD = "s3cret-of-the-warehouse"  # the server asks for none, and is given it all the same
JOURNEYS = ("cart_recovery", "post_purchase", "welcome", "win_back")

pytestmark = [pytest.mark.slow, pytest.mark.sampled("module")]


@pytest.fixture(scope="module")
def targets(tmp_path_factory, database) -> tuple[Settings, Settings]:
    """Some nights of a shop with its journeys, on DuckDB and on PostgreSQL."""
    folder = tmp_path_factory.mktemp("engines")
    shop = demo_shop.generate(folder / "shop", people=PEOPLE, days=NIGHTS, seed=20)
    on_duckdb = nights.project(folder)
    url = database.replace("postgres@", f"postgres:{PASSWORD}@")
    on_postgres = replace(on_duckdb, home=folder / "other home", warehouse_url=url)
    for settings in (on_duckdb, on_postgres):
        for ago in reversed(range(NIGHTS)):
            night(settings, folder / "shop", shop.last_day - timedelta(days=ago))
            if ago == NIGHTS - 1:
                for name in JOURNEYS:
                    journeys.publish(settings, name, last_clock(shop.last_day - timedelta(days=ago), 1))
    return on_duckdb, on_postgres


def last_clock(day: date, microseconds: int = 0) -> Clock:
    return Clock.at(end_of_day(day, UTC) + timedelta(microseconds=microseconds))


def night(settings: Settings, shop: Path, day: date) -> RefreshResult:
    """The files of the day, and a refresh that comes out whole."""
    nights.deliver(settings, shop, day)
    done = refresh(settings, last_clock(day))
    assert done.ok, done
    return done


def last(settings: Settings) -> Clock:
    with store.reading(settings) as copy:
        return Clock.at(copy.rows("select max(as_of) as as_of from segment_evaluation")[0]["as_of"])


def compared(settings: Settings, first: str, second: str) -> dict[str, int]:
    """Tables that differ, and in how many rows."""
    found = comparing.compare(settings, first, second)
    assert len(found) > 40
    return {each.name: each.differing for each in found if not each.is_same}


def test_every_table_is_the_same(targets):
    """Profiles, segments, histories, journeys' runs, their outbox and the marts hold the same rows on both engines."""
    on_duckdb, on_postgres = targets
    assert on_postgres.warehouse_url
    assert compared(on_duckdb, f"duckdb://{on_duckdb.warehouse}", on_postgres.warehouse_url) == {}
    with DuckDB(on_duckdb.published, read_only=True) as copy:
        counted = {
            name: copy.rows(f"select count(*) as n from {name}")[0]["n"]
            for name in (
                "profiles",
                "segment_history",
                "journey_run",
                "journey_transition",
                "message_outbox",
                "segment_sizes",
            )
        }
    assert all(counted.values()), counted


def test_a_planted_difference_is_found(targets, tmp_path):
    """A row too few, a value that is another, a row there twice: each is found, in the one table where it is."""
    on_duckdb, on_postgres = targets
    assert on_postgres.warehouse_url
    shutil.copy(on_duckdb.published, tmp_path / "published.duckdb")
    with DuckDB(tmp_path / "published.duckdb") as copy:
        copy.execute("delete from profiles where profile_id = (select min(profile_id) from profiles)")
        copy.execute(
            "update seg_active set profile_id = 'x' where profile_id = (select min(profile_id) from seg_active)"
        )
        copy.execute("insert into segment_history select * from segment_history limit 1")
    changed = f"duckdb://{tmp_path / 'warehouse.duckdb'}"
    assert compared(on_duckdb, changed, on_postgres.warehouse_url) == {
        "profiles": 1,
        "seg_active": 2,
        "segment_history": 1,
    }


def test_a_run_again_changes_nothing(targets):
    """What was refreshed at a clock is so: again, on PostgreSQL too, nothing is built, recorded or published."""
    for settings in targets:
        done = refresh(settings, last(settings))
        assert (done.staged.built, done.identity.skipped, done.published) == (False, True, ())


def test_readers_see_nothing_of_a_compaction(targets):
    """Nor does anything that is published become another."""
    on_duckdb, on_postgres = targets
    assert on_postgres.warehouse_url
    assert {nights.kept_small(settings).merged > 10 for settings in targets} == {True}
    for settings in targets:
        assert refresh(settings, last(settings)).ok
    assert compared(on_duckdb, f"duckdb://{on_duckdb.warehouse}", on_postgres.warehouse_url) == {}


def test_the_password_is_written_nowhere(targets):
    """Not into dbt's profile, its logs and manifest, the journal or anything else of the target; no repr has it."""
    assert PASSWORD not in repr(targets[1])
    files = [path for path in targets[1].home.rglob("*") if path.is_file()]
    assert len(files) > 10
    assert not [path for path in files if PASSWORD.encode() in path.read_bytes()]


@pytest.mark.sampled(one_of=1)
def test_a_night_on_spark_is_the_same(catalogue, tmp_path):
    """Of a few people, for a statement takes tenths of a second there; the loop on Spark is in test_loop_same.py."""
    shop = demo_shop.generate(tmp_path / "shop", people=20, days=1, seed=20)
    on_duckdb = nights.project(tmp_path)
    on_spark = replace(on_duckdb, home=tmp_path / "other home", warehouse_url=catalogue)
    for settings in (on_duckdb, on_spark):
        night(settings, tmp_path / "shop", shop.last_day)
    assert compared(on_duckdb, f"duckdb://{on_duckdb.warehouse}", catalogue) == {}
    with store.reading(on_spark) as copy:
        assert all(copy.rows(f"select 1 as n from {name} limit 1") for name in ("profiles", "consent", "seg_active"))
