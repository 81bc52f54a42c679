"""What the working copy's segment would be and do, beside the published one. Nothing is written, no lock is taken."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assets import dbt_project, lineage, syncs
from assets.dbt_project import LIVE
from assets.declarations import pii_of
from assets.diff import mask
from assets.mistakes import suggestion
from assets.preview_syncs import SyncPreview, preview_syncs
from assets.scratch import Scratch
from assets.segments import mistaken_key
from assets.working_copy import WorkingCopy, published
from models.clock import Clock
from models.errors import ConfigError, UserError
from models.settings import Settings
from models.sync import Sync
from warehouse.query import render

SQL = Path(__file__).parent / "sql"
EXAMPLES = 5
SHOWN = ("email", "orders", "revenue", "last_order_at")  # of an example, besides its profile_id

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Size:
    """How many people a segment would have, how many it has (None for a new one), and who comes and goes."""

    segment: str
    size: int = 0
    before: int | None = None
    enters: int = 0
    leaves: int = 0
    error: str | None = None  # why it could not be made


@dataclass(frozen=True)
class Preview:
    """`remade`: models besides the segment that differ from what is published, and were made anew to read them."""

    segment: str
    clock: Clock
    size: int
    before: int | None
    enters: int
    leaves: int
    entering: tuple[Row, ...]  # examples, personal data masked unless asked for
    leaving: tuple[Row, ...]
    remade: tuple[str, ...]
    downstream: tuple[Size, ...]
    syncs: tuple[SyncPreview, ...]


def preview(settings: Settings, clock: Clock | None, segment: str, *, show_pii: bool = False) -> Preview:
    """The segment as the working copy says, at `clock` or, when None, at that of the last refresh.

    Raises ConfigError, with file, line and column, for SQL or YAML that is wrong, UserError for a segment that is not
    there, or when nothing is published to compare with.
    """
    have = published(settings)
    copy = WorkingCopy(settings, clock or have.clock, have)
    known = lineage.models(copy.parsed, "segments")
    if segment not in known:
        message = f"there is no segment '{segment}'{suggestion(segment, known, 'segments')}"
        raise UserError(message)
    parsed = dbt_project.read_manifest(settings)
    declared = syncs.load_syncs(settings, parsed)
    hidden = frozenset() if show_pii else _personal(parsed)
    changed = copy.changed([segment])
    with copy.opened() as scratch:
        copy.create(scratch, changed)
        own = _size(scratch, copy, segment)
        entering, leaving = _examples(scratch, copy, segment, hidden)
        below = _below(copy, segment)
        downstream = tuple(_try(scratch, copy, name) for name in known if name in below)
        broken = {size.segment for size in downstream if size.error}
        concerned = [sync for sync in declared if sync.model in {segment, *below} - broken]
        effects = _effects(scratch, copy, concerned)
    return Preview(
        segment=segment,
        clock=copy.clock,
        size=own.size,
        before=own.before,
        enters=own.enters,
        leaves=own.leaves,
        entering=entering,
        leaving=leaving,
        remade=tuple(name for name in changed if name != segment),
        downstream=downstream,
        syncs=effects,
    )


def _size(scratch: Scratch, copy: WorkingCopy, segment: str) -> Size:
    """Counts. Raises ConfigError for a model that gives no profile_id."""
    relation, before = scratch.moved[LIVE, segment], _before(scratch, copy, segment)
    if message := mistaken_key(scratch.warehouse.columns(relation)):
        raise ConfigError(message, file=copy.file(segment))
    sql = render(SQL, "compare_members", scratch.warehouse.dialect, now=relation, before=before)
    return Size(segment, **scratch.warehouse.rows(sql)[0])


def _examples(
    scratch: Scratch, copy: WorkingCopy, segment: str, hidden: Collection[str]
) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """Some who enter, as the working copy knows them, and some who leave, as they are published."""
    now, before = scratch.moved[LIVE, segment], _before(scratch, copy, segment)
    entering = _people(scratch, now, before, scratch.moved[LIVE, "profiles"], hidden)
    leaving = _people(scratch, before, now, scratch.before("profiles"), hidden) if before else ()
    return entering, leaving


def _people(
    scratch: Scratch, members: str, others: str | None, profiles: str, hidden: Collection[str]
) -> tuple[Row, ...]:
    columns = [name for name in scratch.warehouse.columns(profiles) if name in SHOWN]
    sql = render(
        SQL,
        "list_examples",
        scratch.warehouse.dialect,
        members=members,
        others=others,
        profiles=profiles,
        columns=columns,
        limit=EXAMPLES,
    )
    rows = scratch.warehouse.rows(sql)
    return tuple(
        {name: mask(value) if name in hidden and value else value for name, value in row.items()} for row in rows
    )


def _try(scratch: Scratch, copy: WorkingCopy, segment: str) -> Size:
    """The size of a segment below, which may be broken by itself."""
    try:
        copy.create(scratch, [name for name in copy.changed([segment]) if name not in scratch.created])
        return _size(scratch, copy, segment)
    except ConfigError as error:
        return Size(segment, error=str(error))


def _effects(scratch: Scratch, copy: WorkingCopy, concerned: Sequence[Sync]) -> tuple[SyncPreview, ...]:
    """What the syncs of the segment and of all below it would do."""
    models = {sync.model for sync in concerned}
    copy.create(scratch, [name for name in copy.changed(models) if name not in scratch.created])
    return preview_syncs(scratch, concerned, copy.have.tables)


def _below(copy: WorkingCopy, segment: str) -> set[str]:
    """The names of everything below a segment that a sync may read."""
    parsed = copy.parsed
    node_id = lineage.unique_id(parsed, segment)
    folders = [name for folder in ("segments", "syncs") for name in lineage.models(parsed, folder)]
    return {name for name in folders if node_id in lineage.ancestors(parsed, lineage.unique_id(parsed, name))}


def _before(scratch: Scratch, copy: WorkingCopy, segment: str) -> str | None:
    return scratch.before(segment) if segment in copy.have.tables else None


def _personal(parsed: Row) -> frozenset[str]:
    """The columns of profiles that are personal data."""
    return pii_of(node for node in parsed["nodes"].values() if node["name"] == "profiles")
