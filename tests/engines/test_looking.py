"""Looking on PostgreSQL is as on DuckDB: previews, backtests and the past say the same, and leave nothing behind."""

import shutil
from dataclasses import asdict, replace
from datetime import UTC, date, timedelta

import pytest

from assets import demo_shop, store
from assets.journeys.backtest import backtest
from assets.past import backfill
from assets.preview import preview
from assets.refresh import refresh
from models.clock import Clock, end_of_day
from models.errors import ConfigError
from models.settings import Settings
from orchestration import journeys, preview_report
from tests import nights
from warehouse.engine import engine
from warehouse.postgres import Postgres

PEOPLE, NIGHTS = 90, 3
BEGINS = date(2026, 9, 1)
JOURNEYS = ("cart_recovery", "win_back")
DAYS = {name for log in nights.LOGS for name in (log, f"{log}__log")}  # what a backfill writes,
DAYS |= {"batch", "visible_batch", "publication"}  # and where it says so

pytestmark = [pytest.mark.slow, pytest.mark.sampled("module")]

Shops = tuple[Settings, Settings]


@pytest.fixture(scope="module")
def shops(tmp_path_factory, database) -> Shops:
    """A shop after a few nights, with its journeys, on DuckDB and on PostgreSQL."""
    folder = tmp_path_factory.mktemp("shops")
    shop = demo_shop.generate(folder / "shop", people=PEOPLE, days=NIGHTS, seed=20)
    on_duckdb = nights.project(folder)
    on_postgres = replace(on_duckdb, home=folder / "other home", warehouse_url=database)
    first, last = day(1), shop.last_day
    for settings in (on_duckdb, on_postgres):
        for upto in (first, last):
            for file in (folder / "shop").glob("*/*"):
                place = settings.landing / file.relative_to(folder / "shop")
                if file.name[:10] <= f"{upto}" and not place.exists():
                    place.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(file, place)
            assert refresh(settings, at(upto)).ok
            if upto == first:
                for name in JOURNEYS:
                    journeys.publish(settings, name, at(upto, 1))
    return on_duckdb, on_postgres


@pytest.fixture
def copied(shops, tmp_path) -> Shops:
    """The same shops with a project of the test's own; the server's tables are those of `shops`."""
    shutil.copytree(shops[0].project, tmp_path / "project", ignore=shutil.ignore_patterns("home", "other home", "shop"))
    for place, settings in enumerate(shops):
        shutil.copytree(settings.home, tmp_path / str(place))
    homes = [replace(each, project=tmp_path / "project", home=tmp_path / str(n)) for n, each in enumerate(shops)]
    return homes[0], homes[1]


def day(number: int) -> date:
    return BEGINS + timedelta(days=number - 1)


def at(day: date, microseconds: int = 0) -> Clock:
    return Clock.at(end_of_day(day, UTC) + timedelta(microseconds=microseconds))


def previewed(settings: Settings, segment: str) -> dict[str, object]:
    return preview_report.document(preview(settings, None, segment, show_pii=True))


def live(settings: Settings) -> dict[str, list[str]]:
    """Everything that is kept but what a backfill writes, row by row."""
    with engine(settings).open() as warehouse:
        names = [f"{schema}.{name}" for schema in ("main", "tailrace") for name in warehouse.relations(schema)]
        names = [name for name in names if name.split(".")[1] not in DAYS]
        return {name: sorted(map(str, warehouse.rows(f"select * from {name}"))) for name in names}


def schemas(url: str) -> set[str]:
    """Of the server's database; generations of the published copy come and go."""
    with Postgres(url) as opened:
        names = {row["name"] for row in opened.rows("select nspname as name from pg_namespace")}
    return {name for name in names if not name.startswith("pg_") and not name.split("_")[-1].isdigit()}


def test_a_preview_is_the_same(shops):
    """As published, with examples, segments below and syncs; and nothing is left on the server, or changed there."""
    on_duckdb, on_postgres = shops
    before = live(on_postgres), schemas(on_postgres.warehouse_url)
    for segment in ("seg_high_value", "seg_lapsed"):
        assert previewed(on_postgres, segment) == previewed(on_duckdb, segment)
    assert (live(on_postgres), schemas(on_postgres.warehouse_url)) == before


EDITS = {
    "dbt_project.yml": ("high_value_revenue: 500", "high_value_revenue: 50"),
    "models/profiles/int_profile_orders.sql": ("and told = 1", "and told = 1 and revenue > 20"),
    "models/segments/seg_lapsed.sql": (
        "select profile_id\nfrom {{ ref('profiles') }}",
        "with raw as (select * from {{ ref('profiles') }})\nselect raw.profile_id\nfrom raw",
    ),
}


def test_a_preview_of_what_was_edited_is_the_same(copied):
    """A variable, a view above, a name of its own that is a schema's elsewhere: who comes and goes is as on DuckDB."""
    on_duckdb, on_postgres = copied
    for file, (old, new) in EDITS.items():
        path = on_duckdb.dbt_project / file
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))
    first = previewed(on_duckdb, "seg_high_value")
    assert first["enters"]
    assert previewed(on_postgres, "seg_high_value") == first
    assert previewed(on_postgres, "seg_lapsed") == previewed(on_duckdb, "seg_lapsed")
    path = on_duckdb.dbt_project / "models/segments/seg_lapsed.sql"
    path.write_text(path.read_text().replace("orders > 0", "ordrs > 0"))
    told = []
    for settings in copied:
        with pytest.raises(ConfigError, match="there is no column 'ordrs'; did you mean 'orders'") as caught:
            previewed(settings, "seg_lapsed")
        told.append(str(caught.value))
    assert told[0] == told[1]


def test_the_past_and_what_journeys_do_in_it_are_the_same(shops):
    """Backtests, before and after a day of the past is worked out; its rows; and all else stays as it was."""
    on_postgres = shops[1]
    before, there = [live(settings) for settings in shops], schemas(on_postgres.warehouse_url)
    told = []
    for settings in shops:
        found = [backtest(settings, name, day(1), day(NIGHTS)) for name in JOURNEYS]
        done = backfill(settings, at(day(NIGHTS)), day(2), day(2), known_by="day-end")
        found.append(backtest(settings, "win_back", day(1), day(NIGHTS)))
        with store.reading(settings) as copy:
            days = sorted(map(str, copy.rows("select day, segment, profile_id from segment_days")))
        told.append(([(each.document(), each.notes) for each in found], asdict(done), days))
    assert told[0] == told[1]
    assert told[0][0][0][0]["entered"] > 0
    assert len(told[0][2]) == told[0][1]["rows"] > 0
    assert [live(settings) for settings in shops] == before
    assert schemas(on_postgres.warehouse_url) == there
