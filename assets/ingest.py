"""Files that landed become rows of the raw logs: each content exactly once, a bad line never in a good one's way.

What becomes of each file is decided in folder.py, how its records become rows is in loading.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from assets import configuration, files, in_place, ingest_report, loaded, raw, store
from assets.folder import Folder, Progress
from assets.ingest_report import IngestResult
from assets.journeys import tables
from assets.mistakes import suggestion
from models.clock import Clock
from models.errors import UserError
from models.settings import Settings
from models.source import FileSource, Source, TableSource
from warehouse.base import Warehouse


def ingest(
    settings: Settings, clock: Clock, sources: Sequence[str] | None = None, on_progress: Progress | None = None
) -> list[IngestResult]:
    """Load what is new in the folders of these sources (all, when None), as known at `clock.known_by`.

    A file that is refused and a source that stops are in the results, not raised: the others go on. Raises
    UserError for a source that is not declared, StorageFull when the disk is; what was committed until then stays.
    """
    declared = configuration.sources(settings)
    chosen = _chosen(declared, sources)
    results: list[IngestResult] = []
    with store.writing(settings, how="building") as warehouse:
        raw.ensure_raw(warehouse, declared)
        try:
            for name, source in chosen.items():
                results.append(ingest_source(warehouse, settings, clock, name, source, on_progress=on_progress))
            if any(source.loaded_through for source in chosen.values()):
                tables.prepare(warehouse)
                loaded.record(warehouse, settings, clock, configuration.policy(settings).zone_info, declared, results)
        finally:
            ingest_report.keep(settings, results, declared)
    return results


def ingest_source(
    warehouse: Warehouse,
    settings: Settings,
    clock: Clock,
    name: str,
    source: Source,
    *,
    on_progress: Progress | None = None,
) -> IngestResult:
    """The same for one source in an open warehouse whose raw tables exist."""
    if isinstance(source, TableSource):
        stale = in_place.attach(warehouse, settings.project, name, source)
        if stale is None:
            warehouse.detach(in_place.alias(name, source))
        return IngestResult(source=name, stale=stale)
    _check_types(warehouse, settings, name, source)
    found = files.find(settings.landing, source.files)
    return Folder(warehouse, name, source, found, clock.known_by, on_progress).ingest()


def _chosen(declared: Mapping[str, Source], sources: Sequence[str] | None) -> Mapping[str, Source]:
    for name in sources or ():
        if name not in declared:
            message = f"no source '{name}' in sources.yml{suggestion(name, sorted(declared), 'there are')}"
            raise UserError(message)
    return declared if sources is None else {name: declared[name] for name in dict.fromkeys(sources)}


def _check_types(warehouse: Warehouse, settings: Settings, name: str, source: FileSource) -> None:
    for column, kind in source.expect.items():
        try:
            warehouse.rows(f"select {warehouse.dialect.try_cast('null', kind)} as value")
        except UserError as error:
            document = configuration.parse(settings.project / "sources.yml")
            message = f"the engine knows no type '{kind}'"
            raise document.error(message, "sources", name, "expect", column) from error
