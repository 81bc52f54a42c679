"""Everything `tailrace status` says, read from the published copy, the journal and the last ingest's report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from assets import configuration, freshness, ingest_report, runner, store
from assets.journeys import funnel, waits
from assets.journeys.stranded import stranded
from assets.measures import count_late
from assets.sync_states import SyncState, sync_state
from assets.syncs import load_syncs
from models.clock import Clock
from models.delivery import Delivery
from models.settings import Settings
from sinks import journal_store
from sinks.journal import Journal
from warehouse.base import Warehouse
from warehouse.engine import engine
from warehouse.query import render

SQL = Path(__file__).parent / "sql"
RUNS = 5
TROUBLE = {"refused": "was refused", "failed": "could not run", "stopped": "stopped"}

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Status:
    """`as_of` is the clock of the last refresh, None before the first. The rest is ready to print."""

    target: str
    as_of: datetime | None
    sources: tuple[Row, ...]
    segments: tuple[Row, ...]
    syncs: tuple[SyncState, ...]
    runs: tuple[Row, ...]
    needs_a_person: tuple[str, ...]


def status(settings: Settings, clock: Clock | None, manifest: Mapping[str, Any]) -> Status:
    """How the target stands. Writes nothing and waits for nobody.

    Sources are stale or fresh at the clock; without one at now, or in dev, where clocks are made up, at that of the
    last refresh.
    """
    paused, open_deliveries = _journal(settings)
    stuck = [one for one in open_deliveries if not runner.is_running(settings, one.sync)]
    if not engine(settings).is_published():
        needs = [*_of_ingest(settings), *funnel.unread(settings), *_of_journal(paused, stuck)]
        needs.append("nothing is published yet: run `tailrace refresh`")
        return Status(settings.target, None, (), (), (), (), tuple(needs))
    with store.reading(settings) as copy:
        segments = _rows(copy, "status_segments")
        as_of = max((row["as_of"] for row in segments), default=None)
        moment = clock.as_of if clock else as_of if settings.target == "dev" and as_of else datetime.now(UTC)
        sources = tuple(_sources(settings, copy, moment))
        declared = load_syncs(settings, manifest)
        syncs = tuple(sync_state(copy, settings, sync, paused) for sync in declared)
        runs = _rows(copy, "status_runs", limit=RUNS)
        broken = copy.rows("select model, reason from broken_models order by model")
        troubles = tuple(_troubles(copy, syncs))
        waiting = waits.reasons(copy, funnel.COPY)
        stuck_messages = tuple(stranded(settings, copy, declared, moment))
    models = {node["name"] for node in manifest["nodes"].values()}
    needs = [
        *_of_ingest(settings),
        *(_stale(row) for row in sources if row["stale"]),
        *(f"model {row['model']} is broken: {row['reason']}" for row in broken if row["model"] in models),
        *troubles,
        *(f"journey {journey}: {reason}" for journey, reason in waiting.items()),
        *funnel.unread(settings),
        *stuck_messages,
        *_of_syncs(syncs),
        *_of_journal(paused, stuck),
    ]
    return Status(settings.target, as_of, sources, segments, syncs, runs, tuple(needs))


def _sources(settings: Settings, copy: Warehouse, moment: datetime) -> Iterator[Row]:
    loaded = {row["source"]: row for row in _rows(copy, "status_sources")}
    late = count_late(copy, "events")
    for name, source in configuration.sources(settings).items():
        row = loaded.get(name, {})
        last = row.get("last_load") or freshness.last_known(copy, name, "events")  # of a table in place
        yield {
            "name": name,
            "files": row.get("files", 0),
            "rows": row.get("row_count", 0),
            "bad_lines": row.get("bad_lines", 0),
            "late": late.get(name, (0, 0))[1],
            "last_load": last,
            "max_age": source.max_age,
            "stale": freshness.is_stale(source, last, moment),
        }


def _stale(row: Row) -> str:
    last = row["last_load"]
    return f"source {row['name']} is stale: " + (f"nothing new since {last:%Y-%m-%d %H:%M} UTC" if last else "empty")


def _of_ingest(settings: Settings) -> Iterator[str]:
    for name, result in ingest_report.last(settings).items():
        yield from (f"source {name}: {note.file} was refused: {note.reason}" for note in result.refused)
        if result.stopped:
            yield f"source {name} stopped: {result.stopped}"
        if result.stale:
            yield f"source {name} cannot be read: {result.stale}"


def _troubles(copy: Warehouse, syncs: Sequence[SyncState]) -> Iterator[str]:
    """Syncs whose last run did not end well; those that a pause still holds are listed as paused."""
    published = bool(copy.columns("sync_troubles"))  # by this version
    found = copy.rows("select sync, how, reason from sync_troubles order by sync") if published else []
    paused = {sync.name: sync.paused for sync in syncs}
    for row in found:
        name, reason = row["sync"], row["reason"].removeprefix(f"{row['sync']}: ")
        if name in paused and not (paused[name] and reason.startswith("paused")):
            yield f"{name} {TROUBLE[row['how']]}: {reason}"


def _of_syncs(syncs: Sequence[SyncState]) -> Iterator[str]:
    for sync in syncs:
        if sync.unknown:
            yield f"{sync.name}: {sync.unknown:,} of unknown outcome: see `unknowns`"
        if sync.rejected:
            yield f"{sync.name}: {sync.rejected:,} rejected by the vendor: see `rejects`"


def _of_journal(paused: Mapping[str, datetime], stuck: Sequence[Delivery]) -> Iterator[str]:
    for scope, since in sorted(paused.items()):
        yield f"{scope} is paused since {since:%Y-%m-%d %H:%M} UTC: `tailrace resume {scope}` lets it go on"
    for delivery in stuck:
        yield f"{delivery.sync}: run {delivery.run_id} was interrupted: the next `tailrace sync` settles it"


def _journal(settings: Settings) -> tuple[Mapping[str, datetime], list[Delivery]]:
    if not journal_store.exists(settings.journal):
        return {}, []
    with Journal(settings.journal) as journal:
        return journal.paused(), journal.open_deliveries()


def _rows(copy: Warehouse, name: str, **values: Any) -> tuple[Row, ...]:
    return tuple(copy.rows(render(SQL, name, copy.dialect, **values)))
