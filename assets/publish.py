"""The published copy: what people, the console and notebooks read while others write; which names it has, and of what.

How it is written so that readers never wait is the engine's.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from assets.dbt_project import LIVE, read_manifest
from models.settings import Settings
from models.steps import step
from warehouse.base import Warehouse
from warehouse.dialect import Dialect
from warehouse.engine import Engine, engine

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
AT_ONCE = 10  # relations that one statement looks at
NAMED = {"events": "stg_events", "profiles": "profiles", "consent": "consent"}
FOLDERS = {"segments", "syncs", "marts"}


def publish(settings: Settings, warehouse: Warehouse, *, only: Collection[str] = ()) -> tuple[str, ...]:
    """Bring the published copy up to the live file; the names that changed. Nothing is written when none did.

    `only`: what the caller changed; nothing else is looked at, and stays as it was published: a refresh that may be
    under way is the one to show it, and to publish first. Raises StorageFull with the old copy still in its place.
    """
    home = engine(settings)
    with home.turn("publish"):
        with warehouse.steady():  # what is shown together is of one moment
            done = _published(home, settings, warehouse, only)
        if done:
            step("published", names=len(done))
            home.tidy(warehouse)
    return done


def _published(home: Engine, settings: Settings, warehouse: Warehouse, only: Collection[str]) -> tuple[str, ...]:
    have = home.published_digests()
    if only and not have:
        return ()
    kept = {name: digest for name, digest in have.items() if name not in only} if only else {}
    live = relations(settings, only=only)
    wanted = kept | _digests(warehouse, live)
    changed = tuple(name for name, digest in wanted.items() if have.get(name) != digest)
    gone = tuple(name for name in have if name not in wanted)
    if changed or gone or not have:
        home.publish(warehouse, {name: live[name] for name in changed}, wanted)
    return (*changed, *gone)


def relations(settings: Settings, *, only: Collection[str] = ()) -> Mapping[str, str]:
    """Published name → what it shows in the live file, where that exists; all, or `only` some."""
    nodes = read_manifest(settings)["nodes"].values()
    models = [node["name"] for node in nodes if node["resource_type"] == "model" and set(node["fqn"]) & FOLDERS]
    named = {**NAMED, **{name: name for name in models}}
    found = {name: f"{LIVE}.{model}" for name, model in named.items()} | {name: f"tailrace.{name}" for name in KEPT}
    return {name: relation for name, relation in found.items() if not only or name in only}


def _digests(warehouse: Warehouse, live: Mapping[str, str]) -> dict[str, str]:
    """Of each relation that exists, what changes when a row or a column of it does, whatever the order."""
    dialect = warehouse.dialect
    shapes = {name: columns for name, relation in live.items() if (columns := warehouse.columns(relation))}
    queries = [
        f"select {dialect.literal(name)} as name, count(*) as n, {_digest(dialect, columns)} as digest "
        f"from {live[name]}"
        for name, columns in shapes.items()
    ]
    parts = [" union all ".join(queries[first : first + AT_ONCE]) for first in range(0, len(queries), AT_ONCE)]
    found = {row["name"]: f"{row['n']}/{row['digest']}" for part in parts for row in warehouse.rows(part)}
    told = {name: ",".join(map(" ".join, columns.items())) for name, columns in shapes.items()}
    return {name: f"{found[name]}/{columns}" for name, columns in told.items()}


def _digest(dialect: Dialect, columns: Mapping[str, str]) -> str:
    hashed = (dialect.hashable(dialect.quote(column), kind) for column, kind in columns.items())
    return dialect.digest(dialect.row_hash(hashed))
