"""The published copy: what people, the console and notebooks read while the live file has its one writer.

Each published name is a table in a file of its own, written aside and moved over the old one; open readers keep theirs.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import duckdb

from assets.dbt_project import LIVE, read_manifest
from models.errors import NeedsPerson, StorageFull, TailraceError, WarehouseHeld
from models.settings import Settings
from models.steps import step
from warehouse.base import Warehouse
from warehouse.duckdb import DuckDB
from warehouse.query import render

SQL = Path(__file__).parent / "sql"
OF_SYNCS = (
    "deliveries",
    "message",
    "sync_runs",
    "rejects",
    "unknowns",
    "sync_troubles",
)  # the only ones that a sync changes
OF_STATUS = (*OF_SYNCS, "ingest_file", "broken_models")  # what a run says of itself, also one that came to nothing
OF_JOURNEYS = (
    "journey_version",
    "journey_run",
    "journey_non_entry",
    "journey_transition",
    "journey_audience",
    "journey_late",
    "journey_tick",
    "message_outbox",
    "message_event",
    "journey_held",
    "pause_change",
    "source_loaded",
    "profile_id_history",
    "template_version",
)
OF_PEOPLE = ("profile_history", "consent_history", "people_evaluation")  # what journeys read of people
KEPT = (
    *OF_JOURNEYS,
    "quarantine",
    "profile_map",
    "segment_history",
    "segment_days",
    *OF_STATUS,
    # what a preview of the working copy needs besides
    "phone",
    "segment_evaluation",
    "model_definition",
    # what `why` and a backtest need besides
    *OF_PEOPLE,
)
NAMED = {"events": "stg_events", "profiles": "profiles", "consent": "consent"}
FOLDERS = {"segments", "syncs", "marts"}
STATE = "published"  # name → digest of what was copied, in the copy itself


def publish(settings: Settings, warehouse: Warehouse, *, only: Collection[str] = ()) -> tuple[str, ...]:
    """Bring the published copy up to the live file; the names that changed. Nothing is written when none did.

    `only`: what can have changed, where the caller knows; the rest is not read and stays as it was published.
    Raises StorageFull with the old copy still in its place.
    """
    live = relations(settings, warehouse)
    have = _published(settings)
    kept = have.keys() - set(only) if only else set()
    wanted = {name: have[name] if name in kept else _digest(warehouse, relation) for name, relation in live.items()}
    changed = tuple(name for name, digest in wanted.items() if have.get(name) != digest)
    gone = tuple(name for name in have if name not in wanted)
    if not changed and not gone and have:
        return ()
    keeps = len(changed) < len(wanted)
    with _full_disk_named(settings), _aside(settings, warehouse, keeps=keeps) as path:
        values = {"changed": {name: live[name] for name in changed}, "gone": gone, "digests": wanted, "state": STATE}
        for statement in render(SQL, "publish", warehouse.dialect, path=str(path), **values).split(";\n"):
            if statement.strip():
                warehouse.execute(statement)
    return (*changed, *gone)


def relations(settings: Settings, warehouse: Warehouse) -> Mapping[str, str]:
    """Published name → what it shows in the live file, as far as that exists."""
    nodes = read_manifest(settings)["nodes"].values()
    models = [node["name"] for node in nodes if node["resource_type"] == "model" and set(node["fqn"]) & FOLDERS]
    named = {**NAMED, **{name: name for name in models}}
    found = {name: f"{LIVE}.{model}" for name, model in named.items()} | {name: f"tailrace.{name}" for name in KEPT}
    return {name: relation for name, relation in found.items() if warehouse.columns(relation)}


def _digest(warehouse: Warehouse, relation: str) -> str:
    """Changes when a row or a column of the relation does, whatever the order."""
    columns = warehouse.columns(relation)
    dialect = warehouse.dialect
    hashed = dialect.row_hash(dialect.hashable(dialect.quote(name), kind) for name, kind in columns.items())
    found = warehouse.rows(f"select count(*) as n, {dialect.digest(hashed)} as digest from {relation}")[0]
    shape = ",".join(f"{name} {kind}" for name, kind in columns.items())
    return f"{found['n']}/{found['digest']}/{shape}"


def _published(settings: Settings) -> dict[str, str]:
    """Name → digest of what the copy holds; nothing where there is none or it cannot be read: it is only a copy."""
    if not settings.published.exists():
        return {}
    try:
        with DuckDB(settings.published, read_only=True) as copy:
            if not copy.columns(STATE):
                return {}
            return {row["name"]: row["digest"] for row in copy.rows(f"select name, digest from {STATE}")}
    except WarehouseHeld:
        raise
    except NeedsPerson:  # damaged, or of another engine version
        return {}


@contextmanager
def _aside(settings: Settings, warehouse: Warehouse, *, keeps: bool) -> Iterator[Path]:
    """A file to write to that takes the published one's place at the end; it begins with what that one `keeps`."""
    path = settings.published.with_suffix(".new")
    _forget(path)
    if keeps:
        shutil.copyfile(settings.published, path)
    try:
        yield path
    except BaseException:
        with contextlib.suppress(duckdb.Error, TailraceError):  # after a full disk the engine may refuse everything
            warehouse.execute("detach database if exists aside")
        _forget(path)
        raise
    _sync(path)
    step("staged", file=path.name)
    path.replace(settings.published)
    _sync(path.parent)
    step("published", file=settings.published.name)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _forget(path: Path) -> None:
    for leftover in (path, path.with_name(path.name + ".wal")):
        leftover.unlink(missing_ok=True)


@contextmanager
def _full_disk_named(settings: Settings) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        message = f"{settings.published}: no space left to write the published copy; the old one is as it was"
        raise StorageFull(message) from error
