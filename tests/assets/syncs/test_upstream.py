"""What stands above a sync holds it: broken models and stale sources; and what did not end well is kept for people."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from assets import builds, raw
from assets.configuration import sources
from models.clock import Clock
from models.errors import Refused, UserError
from sinks.journal import Journal
from warehouse import batches
from warehouse.duckdb import DuckDB

X, Y = "crm/seg_x", "crm/seg_y"
REASON = "dbt_project/models/segments/seg_base.sql:4:5: there is no column 'revenu'"
SOURCES = {
    "shop": {"files": "shop/*", "format": "ndjson", "max_age": "26 hours"},
    "crm": {"files": "crm/*", "format": "ndjson", "max_age": "8 days"},
    "outcomes": {"files": "outcomes/*", "format": "ndjson"},
}


@pytest.fixture
def nested(world):
    """seg_x is made of seg_base and, through profiles, of two sources; seg_y of profiles and a third."""
    (world.settings.project / "sources.yml").write_text(yaml.safe_dump({"sources": SOURCES}))
    for model in ("stg_shop", "stg_crm", "stg_outcomes", "profiles", "seg_base"):
        world.declare(model, columns=["profile_id"])
    world.declare("seg_x", {"sink": "crm"}, columns=["profile_id"])
    world.declare("seg_y", {"sink": "crm", "audience": "Y"}, columns=["profile_id"])
    world.above |= {
        "profiles": ("stg_shop", "stg_crm", "stg_outcomes"),
        "seg_base": ("profiles",),
        "seg_x": ("seg_base",),
        "seg_y": ("profiles",),
    }
    table = "select 'p' || i as profile_id from range(3) as numbers (i)"
    world.sql(*(f"create table {name} as {table}" for name in ("profiles", "seg_x", "seg_y")))
    return world


def remember(world, *, whole=(), **broken: str) -> None:
    """A refresh at the world's clock wrote down these models as broken or whole."""
    with DuckDB(world.settings.warehouse) as warehouse:
        batches.prepare(warehouse)
        builds.prepare(warehouse)
        builds.begin(warehouse, Clock.at(world.clock))
        builds.remember_models(warehouse, Clock.at(world.clock), whole, broken)


def loaded(world, source: str, at: datetime) -> None:
    """A file of the source was loaded then."""
    with DuckDB(world.settings.warehouse) as warehouse:
        batches.prepare(warehouse)
        raw.ensure_raw(warehouse, sources(world.settings))
        batch = batches.Batch(warehouse, f"file/{source}/{at}")
        moment = warehouse.dialect.literal(at)
        columns = dict.fromkeys(raw.INGEST_FILE_COLUMNS, "null") | {"source": f"'{source}'", "loaded_at": moment}
        batch.append(raw.INGEST_FILE, "select " + ", ".join(f"{value} as {name}" for name, value in columns.items()))
        batch.commit(at)


def guard(plan, name: str):
    return next(each for each in plan.guards if each.name == name)


def troubles(world) -> dict[str, str]:
    return {row["sync"]: row["how"] for row in world.sql("select sync, how from tailrace.sync_troubles")}


def test_a_broken_model_holds_what_is_made_of_it(nested) -> None:
    """Its own syncs and those of what reads it are refused with its reason; others run, and a person may apply."""
    remember(nested, seg_base=f"{REASON}\nLINE 4: revenu")
    results = {result.sync: result for result in nested.sync()}
    assert isinstance(results[X].error, Refused)
    assert f"upstream: seg_base is broken: {REASON}. To do it anyway" in str(results[X].error)
    assert results[Y].counts == {"accepted": 3}
    assert nested.recorder.received(X) == []
    assert results[X].plan
    assert guard(results[X].plan, "upstream").ok is False
    assert nested.apply(results[X].plan.plan_id).counts == {"accepted": 3}


def test_a_mended_model_lets_its_syncs_go_on(nested) -> None:
    """Once it was built whole, nothing of it holds a sync."""
    remember(nested, seg_base=REASON)
    nested.sync(X)
    remember(nested, whole=["seg_base"])
    (result,) = nested.sync(X)
    assert result.counts == {"accepted": 3}


@pytest.mark.parametrize("model", ["profiles", "stg_shop"])
def test_a_sync_stands_on_the_people_it_is_joined_with(nested, model) -> None:
    """What is broken at or above profiles holds every sync."""
    remember(nested, **{model: "a test failed"})
    assert all("a test failed" in str(result.error) for result in nested.sync())


def test_a_model_that_was_never_whole_is_refused_with_its_reason(nested) -> None:
    """Where there is no table yet, the reason is what its model says, not that a refresh is missing."""
    nested.sql("drop table seg_x")
    remember(nested, seg_x=REASON)
    with pytest.raises(Refused, match="there is no column 'revenu'"):
        nested.plan(X)
    remember(nested, whole=["seg_x"])
    with pytest.raises(UserError, match="not built yet"):
        nested.plan(X)


def test_a_stale_source_holds_what_is_made_of_it(nested) -> None:
    """Past its max_age the guard says which source and since when; before, and after a new file, it holds nobody."""
    loaded(nested, "shop", nested.clock)
    nested.clock += timedelta(hours=26)
    assert guard(nested.plan(X), "freshness").ok
    nested.clock += timedelta(minutes=1)
    (result,) = nested.sync(X)
    assert isinstance(result.error, Refused)
    assert "freshness: source shop brought nothing since 2026-01-01 12:00 UTC" in str(result.error)
    assert result.plan
    assert nested.apply(result.plan.plan_id).counts == {"accepted": 3}
    loaded(nested, "shop", nested.clock)
    assert guard(nested.plan(X), "freshness").ok


def test_a_source_that_is_not_expected_holds_nobody(nested) -> None:
    """One that never brought anything is only told of, one without max_age may be silent for ever."""
    loaded(nested, "outcomes", nested.clock)
    nested.clock += timedelta(days=400)
    found = guard(nested.plan(X), "freshness")
    assert (found.ok, "shop never brought anything" in found.detail) == (True, True)
    assert "outcomes" not in found.detail


def test_only_the_sources_above_count(nested) -> None:
    """A source of which a sync has nothing holds it not."""
    loaded(nested, "shop", nested.clock)
    nested.above["profiles"] = ("stg_crm",)
    nested.clock += timedelta(days=3)
    assert guard(nested.plan(X), "freshness").ok


def test_in_dev_a_run_as_of_now_looks_from_the_last_refresh(nested) -> None:
    """Where clocks are made up, the demo's shop is as fresh to a plan of today as to `status`; in prod it is not."""
    loaded(nested, "shop", nested.clock)
    remember(nested)
    nested.clock = datetime.now(UTC)
    assert guard(nested.plan(X), "freshness").ok
    prod = replace(nested, settings=replace(nested.settings, target="prod"))
    prod.settings.root.mkdir(parents=True)
    Path(nested.settings.warehouse).rename(prod.settings.warehouse)
    assert not guard(prod.plan(X), "freshness").ok


def test_a_refusal_is_kept_until_a_run_went_well(nested) -> None:
    """What was refused is listed with its reason until it is applied, or a later run has nothing to refuse or send."""
    remember(nested, seg_base=REASON)
    nested.sync()
    (kept,) = nested.sql("select * from tailrace.sync_troubles")
    assert (kept["sync"], kept["how"]) == (X, "refused")
    assert REASON in kept["reason"]
    refused = nested.plan(X)
    nested.apply(refused.plan_id)
    assert troubles(nested) == {}
    nested.sync()
    assert troubles(nested) == {X: "refused"}
    remember(nested, whole=["seg_base"])
    (result, _) = nested.sync()
    assert result.plan
    assert result.plan.operations == 0
    assert troubles(nested) == {}
    nested.sync()
    assert len(nested.sql("select * from tailrace.unopened")) == 3


def test_a_run_that_stopped_is_kept_until_one_went_well(nested) -> None:
    """A vendor that refuses the account, and one that is not there, are listed with their cause until it is mended."""
    nested.recorder.behave(rules=[{"do": "unauthorised", "sync": X}])
    nested.sync()
    assert troubles(nested) == {X: "stopped"}
    nested.recorder.behave()
    there = nested.settings
    nested.settings = replace(there, recorder="http://127.0.0.1:9")
    nested.sync(X)
    assert troubles(nested) == {X: "failed"}
    nested.settings = there
    nested.sync(X)
    assert troubles(nested) == {}


def test_a_moved_plan_is_no_trouble_of_the_sync(nested) -> None:
    """Who applies a plan too late hears it; the sync is as well as it was. A pause is listed by itself."""
    plan = nested.plan(X)
    nested.sql("delete from seg_x where profile_id = 'p1'")
    with pytest.raises(Refused, match="has moved"):
        nested.apply(plan.plan_id)
    with Journal(nested.settings.journal) as journal:
        journal.pause("all", nested.clock)
    nested.sync()
    assert troubles(nested) == {}
