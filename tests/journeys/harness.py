"""Puts an oracle's world into a real warehouse, ticks it with the engine, and says where the two differ."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from assets import identity, segments
from assets.journeys import publication, tables, ticking
from assets.journeys.tick import Inputs, Ticked
from models.clock import Clock
from tests.journeys import oracle as truth
from warehouse import batches, definitions
from warehouse.base import Warehouse
from warehouse.batches import Batch
from warehouse.duckdb import DuckDB

EVENTS = "main.event"
_EVENT_COLUMNS = {
    **dict.fromkeys(("source", "event_id", "profile_id", "name"), "varchar"),
    **dict.fromkeys(("occurred_at", "known_at"), "timestamptz"),
    "properties": "varchar",
}


def open_world(path: Path, world: truth.World) -> DuckDB:
    """A warehouse with everything of the world in it."""
    warehouse = DuckDB(path)
    plan_fast(warehouse)
    fill(warehouse, world)
    return warehouse


def fill(warehouse: Warehouse, world: truth.World) -> None:
    """Everything of the world, as refreshes would have left it, on any engine."""
    batches.prepare(warehouse)
    warehouse.execute("create schema if not exists main")
    with definitions.together(warehouse):
        for part in (identity, segments, tables):
            part.prepare(warehouse)
    warehouse.create_table(EVENTS, _EVENT_COLUMNS)
    load(warehouse, EVENTS, [_event(event) for event in world.events if event.visible_at is None])
    _append(warehouse, "identity", identity.HISTORY, _merges(world))
    _append(warehouse, "memberships", segments.HISTORY, [_row(each) for each in world.memberships])
    evaluations = {(row.segment, row.as_of, row.known_by) for row in world.memberships}
    rows = [dict(zip(("segment", "as_of", "known_by"), each, strict=True)) for each in sorted(evaluations)]
    _append(warehouse, "evaluations", segments.EVALUATIONS, rows)
    _append(warehouse, "profiles", tables.PROFILES, [{**_row(f), "dates": json.dumps(f.dates)} for f in world.facts])
    _append(warehouse, "consent", tables.CONSENT, [_row(each) for each in world.consents])
    _append(warehouse, "loaded", tables.LOADED, [_row(each) for each in world.loaded])
    _append(warehouse, "pauses", tables.PAUSES, list(_changes(world)))
    for version in world.versions:
        publication.append(warehouse, published(version), Clock.at(version.published_at))


def plan_fast(warehouse: Warehouse) -> None:
    """In small worlds nearly all time is the planning of statements, and no plan is better than another."""
    warehouse.execute("set threads = 1")
    warehouse.execute(f"set disabled_optimizers = '{_NOT_NEEDED}'")


_NOT_NEEDED = "join_order,statistics_propagation,join_filter_pushdown,compressed_materialization,late_materialization"


def tick(warehouse: Warehouse, world: truth.World, at: truth.Tick) -> Ticked:
    """One tick of the engine."""
    clock = Clock(at.as_of, at.known_by)
    events = Clock.at(at.refreshed_at) if at.refreshed_at else clock
    late = [event for event in world.events if event.visible_at and event.visible_at <= at.events_until]
    there = {row["event_id"] for row in warehouse.rows(f"select event_id from {EVENTS}")} if late else set()
    load(warehouse, EVENTS, [_event(event) for event in late if event.event_id not in there])
    versions = publication.published(warehouse, clock)
    names = {each.name for each in versions}
    waiting = frozenset() if at.journeys is None else frozenset(names - at.journeys)
    return ticking.tick(warehouse, world.policy, clock, Inputs(EVENTS, events, versions, waiting))


def published(version: truth.Version) -> publication.Version:
    return publication.Version(
        version.journey, version.version, version.published_at, version.salt, version.sources, version.channels
    )


def _merges(world: truth.World) -> list[dict[str, Any]]:
    """As identity keeps them: the loser and everybody it had taken in are the winner from then on."""
    rows: list[dict[str, Any]] = []
    roots: dict[str, str] = {}
    for number, merge in enumerate(sorted(world.merges, key=lambda each: each.as_of), 1):
        for profile in [merge.loser, *(alias for alias, root in roots.items() if root == merge.loser)]:
            roots[profile] = merge.winner
            rows.append(
                {
                    "identifier_type": "profile_id",
                    "identifier": profile,
                    "profile_id": merge.winner,
                    "change": "merged",
                    "from_profile_id": merge.loser,
                    "as_of": merge.as_of,
                    "known_by": merge.known_by,
                    "number": number,
                }
            )
    return rows


def _changes(world: truth.World) -> Iterable[dict[str, Any]]:
    for pause in world.pauses:
        yield {"scope": pause.scope, "change": "paused", "changed_at": pause.paused_at}
        if pause.resumed_at:
            yield {"scope": pause.scope, "change": "resumed", "changed_at": pause.resumed_at}


def _event(event: truth.Event) -> dict[str, Any]:
    row = {name: value for name, value in _row(event).items() if name != "visible_at"}
    return {**row, "properties": json.dumps(event.properties)}


def _row(each: Any) -> dict[str, Any]:
    return {field.name: getattr(each, field.name) for field in fields(each)}


def _append(warehouse: Warehouse, name: str, log: str, rows: list[dict[str, Any]]) -> None:
    if rows:
        batch = Batch(warehouse, f"world/{name}")
        batch.append(log, pa.Table.from_pylist(rows))
        batch.commit(datetime(2020, 1, 1, tzinfo=UTC))


def append(warehouse: Warehouse, name: str, log: str, query: str) -> None:
    """Append a query's rows to a log, as one batch."""
    batch = Batch(warehouse, f"world/{name}")
    batch.append(log, query)
    batch.commit(datetime(2020, 1, 1, tzinfo=UTC))


def load(warehouse: Warehouse, table: str, rows: list[dict[str, Any]]) -> None:
    if rows:
        warehouse.load(table, pa.Table.from_pylist(rows))


# --- what each of them says


def of_engine(warehouse: Warehouse) -> dict[str, list[tuple[Any, ...]]]:
    """Every row the engine left, sorted; moments in UTC."""
    return {name: _sorted(warehouse.rows(f"select {columns} from {log}")) for name, (log, columns) in _READ.items()}


_READ = {
    "runs": (tables.RUNS, "run_id, journey, version, unit_id, entered_at, entry_key, arm"),
    "non_entries": (tables.NON_ENTRIES, "journey, unit_id, cause, logical_at, reason"),
    "transitions": (
        tables.TRANSITIONS,
        "run_id, hop, kind, node, next_node, ended, detail, logical_at, since_at, due_at, version",
    ),
    "audiences": (tables.AUDIENCES, "audience, profile_id, op, run_id, hop, logical_at"),
    "withdrawals": (f"{tables.MESSAGES} where event = 'withdrawn'", "send_key, reason, occurred_at"),
    "decisions": (
        tables.OUTBOX,
        (
            "send_key, round, run_id, node, hop, unit_id, profile_id, journey, channel, template, purpose, logical_at, "
            "window_at, not_before, expires_at, decision, reason"
        ),
    ),
}


def of_oracle(oracle: truth.Oracle) -> dict[str, list[tuple[Any, ...]]]:
    """The same of the oracle."""
    runs = oracle.runs
    return {
        "runs": _sorted(
            {
                "run_id": run.run_id,
                "journey": run.journey,
                "version": run.transitions[0].version,
                "unit": run.unit,
                "entered_at": run.entered_at,
                "key": run.key,
                "arm": run.arm,
            }
            for run in runs
        ),
        "non_entries": _sorted(_row(each) for each in oracle.non_entries),
        "transitions": _sorted({"run_id": run.run_id, **_row(each)} for run in runs for each in run.transitions),
        "audiences": _sorted(_row(each) for each in oracle.audiences),
        "withdrawals": _sorted(_row(each) for each in oracle.withdrawals),
        "decisions": _sorted(_row(each) for each in oracle.decisions),
    }


def _sorted(rows: Iterable[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    values = [tuple(_utc(value) for value in row.values()) for row in rows]
    return sorted(values, key=lambda row: tuple("" if value is None else str(value) for value in row))


def _utc(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def differences(expected: Mapping[str, Sequence[Any]], found: Mapping[str, Sequence[Any]]) -> str:
    """A few rows that only one of the two has; empty when they agree."""
    lines = []
    for name in expected:
        told, left = set(expected[name]), set(found[name])
        missing = [row for row in expected[name] if row not in left]
        extra = [row for row in found[name] if row not in told]
        doubled = len(found[name]) - len(left)
        if missing or extra or doubled:
            lines.append(f"{name}: {len(missing)} missing, {len(extra)} extra, {doubled} doubled")
            lines += [f"  oracle {_told(row)}" for row in missing[:3]] + [f"  engine {_told(row)}" for row in extra[:3]]
    return "\n".join(lines)


def _told(row: tuple[Any, ...]) -> str:
    return " ".join(str(value) for value in row)
