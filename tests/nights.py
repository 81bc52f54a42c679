"""A shop's files night by night, in a copied project: events late and told twice, people who merge, consent changed."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from assets import dbt_project, ledger_compaction, lineage, small_batches, store
from assets.compaction import Compacted
from assets.refresh import RefreshResult, refresh
from models.clock import Clock, end_of_day
from models.settings import Settings
from orchestration import compacting
from tests import parsed
from warehouse.base import Warehouse
from warehouse.duckdb import DuckDB

ROOT = Path(__file__).parents[1]
FIRST = date(2026, 1, 1)
EVENTS = ("Page Viewed", "Cart Updated", "Signed Up", "Order Completed", "Consent Granted", "Consent Withdrawn")

Line = dict[str, Any]
Members = frozenset[tuple[date, str, str]]


def project(folder: Path) -> Settings:
    """The checkout's project, copied so that a test may change it, and an empty home."""
    return parsed.target_into(Settings(project=parsed.project(folder / "project"), home=folder / "home"))


def deliver(settings: Settings, shop: Path, on: date) -> None:
    """Land what a shop that assets/demo_shop generated writes on that day."""
    for file in shop.glob(f"*/{on}*"):
        place = settings.landing / file.relative_to(shop)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, place)


def copied(settings: Settings, folder: Path) -> Settings:
    """The same project and home again, to be changed alone."""
    shutil.copytree(settings.project, folder / "project")
    shutil.copytree(settings.home, folder / "home")
    return Settings(project=folder / "project", home=folder / "home")


def day(number: int) -> date:
    """The days of a test count from 1."""
    return FIRST + timedelta(days=number - 1)


def night(number: int) -> Clock:
    """The clock at the end of that day."""
    return Clock.at(end_of_day(day(number), UTC))


def lines(nights: int, seed: int, people: int = 25, each: int = 60) -> dict[int, list[Line]]:
    """The lines that land on each day. A quarter of them come late or come again on a later day."""
    chance = random.Random(seed)
    landed: dict[int, list[Line]] = {number: [] for number in range(1, nights + 1)}
    for number in landed:
        for serial in range(each):
            line = _line(chance, number, serial, people)
            late = chance.choice([0, 0, 0, 0, 1, 3])
            for arrives in {number + late, number + late + chance.choice([0, 0, 0, 1])}:
                if arrives in landed:
                    landed[arrives].append(line)
    return landed


def _line(chance: random.Random, number: int, serial: int, people: int) -> Line:
    person, device = chance.randrange(people), chance.randrange(3)
    moment = datetime.combine(day(number), datetime.min.time(), UTC) + timedelta(seconds=chance.randrange(86_400))
    line: Line = {
        "id": f"{number}-{serial}",
        "type": "track",
        "event": chance.choice(EVENTS),
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
    return line


def land(settings: Settings, name: str, wanted: Iterable[Mapping[str, Any]]) -> None:
    """Write one NDJSON file: `land(settings, 'shop/1.ndjson', […])`."""
    path = settings.landing / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in wanted))


def run(settings: Settings, number: int) -> RefreshResult:
    """A real night; it must come out whole."""
    done = refresh(settings, night(number))
    assert done.ok, done
    return done


def kept_small(settings: Settings) -> Compacted:
    """The home compacted, however little pays, while readers look: what they began to read, and what is newest."""
    asked = 0
    with pytest.MonkeyPatch.context() as patched, store.reading(settings) as early, ThreadPoolExecutor(1) as pool:
        patched.setattr(small_batches, "MANY", 2)
        patched.setattr(ledger_compaction, "MANY_BATCHES", 1)
        before = _looked_at(early)
        done = pool.submit(compacting.compact, settings)
        while not done.done():
            with store.reading(settings) as newest:
                assert _looked_at(newest) == _looked_at(early) == before
            asked += 1
    assert asked > 1
    return done.result()


def _looked_at(copy: Warehouse) -> list[dict[str, Any]]:
    counted = [f"select '{name}' as name, count(*) as n from {name}" for name in ("segment_history", "sync_runs")]
    return copy.rows(" union all ".join(counted))


def segment_names(settings: Settings) -> tuple[str, ...]:
    return lineage.models(dbt_project.project(settings), "segments")


def published_members(settings: Settings, number: int) -> Members:
    """Who is in each published segment table now, as of that day."""
    with DuckDB(settings.published, read_only=True) as copy:
        return frozenset(
            (day(number), name, row["profile_id"])
            for name in segment_names(settings)
            for row in copy.rows(f"select profile_id from {name}")
        )


def segment_days(settings: Settings) -> Members:
    """What `segment_days` says, published."""
    with DuckDB(settings.published, read_only=True) as copy:
        rows = copy.rows("select day, segment, profile_id from segment_days")
    found = frozenset((row["day"], row["segment"], row["profile_id"]) for row in rows)
    assert len(found) == len(rows)
    return found


def contents(settings: Settings) -> dict[str, str]:
    """Every relation of the live warehouse but the past's own → a digest of its rows, and of the published copy's."""
    said: dict[str, str] = {}
    for path, place in ((settings.warehouse, "live"), (settings.published, "published")):
        with DuckDB(path, read_only=True) as warehouse:
            found = warehouse.rows(
                "select table_schema || '.' || table_name as name from information_schema.tables "
                "where table_catalog = current_catalog()"
            )
            for name in sorted(row["name"] for row in found):
                if name in OWN:
                    continue
                digest = f"select count(*) || '/' || coalesce(sum(hash(t)::hugeint), 0) as digest from {name} as t"
                said[f"{place} {name}"] = warehouse.rows(digest)[0]["digest"]
    return said


# what a backfill may change: its own logs, and the lists of batches and of published digests
LOGS = ("segment_days", "segment_day_evaluation", "derived_profile_id")
OWN = {
    *(f"tailrace.{name}{suffix}" for name in LOGS for suffix in ("", "__log")),
    "tailrace.batch",
    "tailrace.visible_batch",
    "main.segment_days",
    "main.published",
}
