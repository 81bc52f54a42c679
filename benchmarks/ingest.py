"""NDJSON into the raw log, and on into events, against DuckDB's bare `read_json` of the same file into a table."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import orjson
import report

from assets import stages, staging, store
from assets.dbt_project import manifest
from assets.ingest import ingest
from models.clock import Clock
from models.settings import Settings

PROJECT = Path(__file__).parents[1]
SIZES, QUICK = (500_000, 5_000_000), (2_000, 20_000)
RAW_GOAL, EVENTS_GOAL = 2.0, 3.5
FIRST = datetime(2026, 3, 1, tzinfo=UTC)
CLOCK = Clock.at(FIRST + timedelta(days=31))
NAMES = ("Page Viewed", "Product Viewed", "Cart Updated", "Order Completed")


def cases(options: report.Options) -> Iterator[report.Case]:
    """Raw and events at each size, then how each grows."""
    done: list[report.Case] = []
    for size in options.pick(SIZES, QUICK):
        with tempfile.TemporaryDirectory(prefix="bench-ingest-") as folder:
            for case in at_size(Path(folder), size, options.rounds):
                done.append(case)
                yield case
    yield from report.growths(done)


def at_size(folder: Path, size: int, rounds: int) -> Iterator[report.Case]:
    """Each figure from an empty warehouse on the same file."""
    file = folder / "events.ndjson"
    write(file, size)

    def limit() -> float:
        database = folder / "limit.duckdb"
        database.unlink(missing_ok=True)
        return report.seconds(lambda: bare(file, database))

    def raw() -> float:
        settings = target(folder, file)
        return report.seconds(lambda: ingest(settings, CLOCK, ["shop"]))

    def events() -> float:
        settings = target(folder, file)
        manifest(settings)  # parsed once a change of the project, not once a run
        return report.seconds(lambda: staged(settings, size))

    for name, ours, goal in (("raw", raw, RAW_GOAL), ("events", events, EVENTS_GOAL)):
        figure, least = report.alternate(ours, limit, rounds)
        yield report.Case(name, size, figure, least, "s", goal)


def bare(file: Path, database: Path) -> None:
    """The limit: one typed table of the same file, nothing kept of where a row came from."""
    with duckdb.connect(database) as engine:
        engine.execute(f"create table events as select * from read_json('{file}', format = 'newline_delimited')")


def staged(settings: Settings, size: int) -> None:
    """Ingest, then the event log: typed, without duplicates, ready for profiles."""
    ingest(settings, CLOCK, ["shop"])
    with store.locked(settings):
        staging.stage(settings, CLOCK)
        with stages.opened(settings) as warehouse:
            kept = warehouse.rows("select count(*) as n from main.stg_events")[0]["n"]
    assert kept == size, f"{kept} of {size} events"


def target(folder: Path, file: Path) -> Settings:
    """The checkout's own project over an empty warehouse whose landing folder holds the file."""
    settings = Settings(PROJECT, folder / "home")
    shutil.rmtree(settings.root, ignore_errors=True)
    landing = settings.landing / "shop"
    landing.mkdir(parents=True)
    (landing / file.name).hardlink_to(file)
    return settings


def write(file: Path, size: int) -> None:
    """Events as a shop's tracker sends them, about 300 bytes each, ids unique, seeded."""
    chance = random.Random(size)
    with file.open("wb") as out:
        for number in range(size):
            out.write(orjson.dumps(event(number, chance), option=orjson.OPT_APPEND_NEWLINE))


def event(number: int, chance: random.Random) -> dict[str, object]:
    at = FIRST + timedelta(seconds=chance.randrange(30 * 86_400), milliseconds=chance.randrange(1000))
    person = chance.randrange(200_000)
    return {
        "id": f"e{number:09d}",
        "type": "track",
        "event": NAMES[chance.randrange(len(NAMES))],
        "anonymousId": f"a{chance.randrange(1_000_000)}",
        "userId": f"u{person}" if person % 3 else None,
        "at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "sentAt": (at + timedelta(seconds=2)).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "properties": {
            "order_id": f"o{number}",
            "url": f"https://shop.example/p/{chance.randrange(1000)}",
            "revenue": chance.randrange(100_000) / 100,
        },
        "traits": {"email": f"person{person}@example.com"} if number % 10 == 0 else None,
    }


if __name__ == "__main__":
    report.main("ingest", cases, __doc__)
