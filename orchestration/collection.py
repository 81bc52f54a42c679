"""`raw/<source>`: what landed, loaded once each; with how fresh it is and how much of it was no record, as checks."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import dagster as dg

from assets import configuration, freshness, ingest, store
from assets.ingest_report import IngestResult
from models.clock import Clock
from models.errors import NeedsPerson
from models.settings import Settings
from models.source import FileSource, Source
from orchestration import keys, run_clock
from orchestration.transform import POOL
from warehouse.engine import engine

FRESH, QUARANTINE = "fresh", "quarantine_share"


def assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """One asset a source of sources.yml."""
    return [_asset(settings, name, source) for name, source in configuration.sources(settings).items()]


def _asset(settings: Settings, name: str, source: Source) -> dg.AssetsDefinition:
    key = keys.raw(name)
    kinds = {engine(settings).name}
    spec = dg.AssetSpec(key, description=source.description, group_name="ingest", owners=["team:data"], kinds=kinds)

    @dg.multi_asset(name=f"raw__{name}", specs=[spec], check_specs=_checks(key, source), pool=POOL)
    def load(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        clock = run_clock.begin(context, settings)
        result = ingest.ingest(settings, clock, [name])[0]
        with store.writing(settings, how="beside") as warehouse:
            loaded_at = freshness.last_load(warehouse, name, source)
        yield dg.MaterializeResult(asset_key=key, metadata=_metadata(result, loaded_at))
        yield from _results(key, source, result, loaded_at, clock)
        if result.needs_a_person:
            raise NeedsPerson(result.stopped or "; ".join(f"{note.file}: {note.reason}" for note in result.refused))

    return load


def _checks(key: dg.AssetKey, source: Source) -> list[dg.AssetCheckSpec]:
    """A stale source is a warning; a file with too many bad lines stops what is built from the source."""
    found = []
    if source.max_age:
        description = f"Nothing new for longer than {source.max_age} is stale."
        found.append(dg.AssetCheckSpec(FRESH, asset=key, description=description))
    if isinstance(source, FileSource):
        description = "A file with more bad lines than max_bad allows stops the source until a person looks."
        found.append(dg.AssetCheckSpec(QUARANTINE, asset=key, description=description, blocking=True))
    return found


def _results(
    key: dg.AssetKey, source: Source, result: IngestResult, loaded_at: datetime | None, clock: Clock
) -> Iterator[dg.AssetCheckResult]:
    if source.max_age:
        yield dg.AssetCheckResult(
            passed=not freshness.is_stale(source, loaded_at, clock.as_of),
            asset_key=key,
            check_name=FRESH,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={"loaded_at": str(loaded_at), "as_of": str(clock.as_of)},
        )
    if isinstance(source, FileSource):
        lines = result.rows + result.bad
        yield dg.AssetCheckResult(
            passed=result.stopped is None,
            asset_key=key,
            check_name=QUARANTINE,
            metadata={
                "bad": result.bad,
                "share": result.bad / lines if lines else 0.0,
                **({"stopped": result.stopped} if result.stopped else {}),
            },
        )


def _metadata(result: IngestResult, loaded_at: datetime | None) -> dict[str, Any]:
    return {
        "files": result.files,
        "rows": result.rows,
        "bad_lines": result.bad,
        "copies": len(result.copies),
        "refused": [f"{note.file}: {note.reason}" for note in result.refused],
        "waiting": [note.file for note in result.waiting],
        "last_load": str(loaded_at),
        **({"stale": result.stale} if result.stale else {}),
    }
