"""The past, built again in a schema of its own, is what the nights gave."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from assets import lineage, stages, store
from assets import night as nightly
from assets.dbt_project import project
from assets.ingest import ingest
from assets.refresh import refresh
from assets.resolution import KNOWN_SCHEMA
from models.clock import Clock
from models.settings import Settings
from warehouse.duckdb import DuckDB

NIGHTS = range(1, 7)
pytestmark = [pytest.mark.slow, pytest.mark.sampled]


def files(seed: int) -> dict[int, list[dict[str, Any]]]:
    """A file a day: people on two devices who sign in at times, orders, late events, events told twice."""
    chance = random.Random(seed)
    landed: dict[int, list[dict[str, Any]]] = {number: [] for number in NIGHTS}
    for number in NIGHTS:
        for serial in range(60):
            person, device = chance.randrange(25), chance.randrange(3)
            moment = datetime(2026, 1, number, tzinfo=UTC) + timedelta(seconds=chance.randrange(86_400))
            name = chance.choice(["Page Viewed", "Cart Updated", "Signed Up", "Order Completed", "Consent Withdrawn"])
            line: dict[str, Any] = {
                "id": f"{number}-{serial}",
                "type": "track",
                "event": name,
                "anonymousId": f"d{person}-{device}",
                "at": moment.isoformat(),
                "properties": {"revenue": chance.randrange(900), "quantity": 1},
            }
            if chance.random() < 0.25:
                line["userId"] = f"u{person}"
            if chance.random() < 0.25:
                # two people share an address now and then, so that profiles merge
                address = f"P{person // 2 if chance.random() < 0.3 else person + 100}@shop.example"
                line["traits"] = {"email": address, "phone": f"06 12 34 56 {person:02d}", "country": "FR"}
            late = chance.choice([0, 0, 0, 0, 1, 3])
            for arrives in {number + late, number + late + chance.choice([0, 0, 0, 1])}:
                if arrives in landed:
                    landed[arrives].append(line)
    return landed


def contents(warehouse: DuckDB, schema: str, models: list[str]) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of these models, sorted."""
    return {
        name: sorted(
            (tuple(row.values()) for row in warehouse.rows(f"select * from {schema}.{name}")),
            key=lambda row: tuple(str(value) for value in row),
        )
        for name in models
    }


def built_again(
    settings: Settings, clock: Clock, derived: pl.DataFrame, models: list[str]
) -> tuple[dict[str, list[tuple[Any, ...]]], pl.DataFrame]:
    """One night of the past: the rows of these models, and the ids that only now exist."""
    compiled = nightly.compiled(settings, clock)
    with store.locked(settings), stages.opened(settings) as warehouse:
        members, derived = nightly.build(settings, warehouse, clock, compiled, derived)
        schema = members["seg_new"].rpartition(".")[0]
        return contents(warehouse, schema, models), derived


def test_days_built_again_equal_the_nights(settings, land, night) -> None:
    """With what the night could know, events, people, consent and segments are those of the night, merges included."""
    nights, merged = {}, 0
    landed = files(seed=1)
    parsed = project(settings)
    models = ["stg_events", "int_events", "consent", "profiles", *lineage.models(parsed, "segments")]
    for number in NIGHTS:
        land(f"shop/{number}.ndjson", landed[number])
        merged += refresh(settings, night(number)).identity.merged
        with DuckDB(settings.warehouse) as warehouse:
            nights[number] = contents(warehouse, "main", models)
    assert merged > 0
    assert any(nights[number]["seg_cart_abandoned"] for number in NIGHTS)

    derived = KNOWN_SCHEMA.to_frame()
    for number in NIGHTS:
        past, derived = built_again(settings, night(number), derived, models)
        for name in models:
            assert past[name] == nights[number][name], (number, name)
    assert derived.is_empty()
    with DuckDB(settings.warehouse) as warehouse:
        assert contents(warehouse, "main", models) == nights[NIGHTS[-1]]


def test_nights_that_never_ran_are_derived_as_they_would_have_been(settings, tmp_path, land, night) -> None:
    """Files loaded night by night and refreshed once give, built again in order, the ids that real nights mint."""
    landed = files(seed=3)
    models = ["profiles", "seg_active", "seg_new"]
    nights = {}
    for number in NIGHTS:
        land(f"shop/{number}.ndjson", landed[number])
        refresh(settings, night(number))
        with DuckDB(settings.warehouse) as warehouse:
            nights[number] = contents(warehouse, "main", models)

    other = replace(settings, home=tmp_path / "another")
    for number in NIGHTS:
        path = other.landing / "shop" / f"{number}.ndjson"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((settings.landing / "shop" / f"{number}.ndjson").read_bytes())
        ingest(other, night(number))
    refresh(other, night(NIGHTS[-1] + 1))
    derived = KNOWN_SCHEMA.to_frame()
    for number in NIGHTS:
        past, derived = built_again(other, night(number), derived, models)
        for name in models:
            assert past[name] == nights[number][name], (number, name)
    assert not derived.is_empty()
