"""`raw/<source>`: what landed, loaded once each; with how fresh it is and how much of it was no record, as checks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import dagster as dg

from assets import configuration, ingest, store
from assets.ingest_report import IngestResult
from assets.raw import newest
from models.errors import NeedsPerson
from models.settings import Settings
from models.source import Source
from orchestration import keys, run_clock
from orchestration.transform import POOL

FRESH, QUARANTINED = "fresh", "quarantine_share"


def assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """One asset a source of sources.yml."""
    return [_asset(settings, name, source) for name, source in configuration.sources(settings).items()]


def _asset(settings: Settings, name: str, source: Source) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=f"raw__{name}",
        specs=[
            dg.AssetSpec(
                keys.raw(name), description=source.description, group_name="ingest", owners=["team:data"], kinds={"duckdb"}
            )
        ],
        check_specs=list(_checks(name, source)),
        pool=POOL,
    )
    def load(context: dg.AssetExecutionContext) -> Iterator[Any]:
        clock = run_clock.of(context, settings)
        result = ingest.ingest(settings, clock, [name])[0]
        with store.writing(settings) as warehouse:
            loaded_at = newest(warehouse, name)
        yield dg.MaterializeResult(metadata=_metadata(result, loaded_at))
        yield from _results(source, result, loaded_at, clock.as_of)
        if result.needs_a_person:
            raise NeedsPerson(result.stopped or "; ".join(f"{note.file}: {note.reason}" for note in result.refused))

    return load
