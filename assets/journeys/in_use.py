"""The published versions that a tick still goes by, and whether what they name is still there.

A version that nobody is in any more asks for nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from assets.configuration import shown_path
from assets.journeys import documents, named
from assets.journeys.documents import Read
from assets.journeys.flat import flatten
from assets.journeys.program import Version
from assets.journeys.references import Project
from models.errors import ConfigError
from models.settings import Settings
from warehouse.base import Warehouse
from warehouse.query import render

SQL = Path(__file__).parent.parent / "sql"
Runs = Mapping[tuple[str, int], int]  # journey and version → runs that are not over


def under_way(warehouse: Warehouse, kept: str = "tailrace") -> Runs:
    """Versions that people are in; `kept` is the schema of the logs."""
    rows = warehouse.rows(render(SQL, "journeys/count_under_way", warehouse.dialect, kept=kept))
    return {(str(row["journey"]), int(row["version"])): int(row["runs"]) for row in rows}


def versions(published: Sequence[Version], runs: Runs) -> list[Version]:
    """Of each journey the last version, and those with runs that no later one ends by `on_publish: exit`."""
    last = {each.name: each.version for each in published}  # the oldest come first
    ending = {each.name: each.version for each in published if each.journey.on_publish == "exit"}
    return [
        each
        for each in published
        if each.version == last[each.name]
        or ((each.name, each.version) in runs and each.version >= ending.get(each.name, 0))
    ]


def check(copy: Warehouse, settings: Settings, project: Project, published: Sequence[Version]) -> None:
    """Refuse a project that lacks what a version in use names. Raises ConfigError. `copy`: the published one."""
    written = {read.journey.journey: read for read in documents.journeys(settings)}
    for name in sorted({each.name for each in published}):
        file = settings.dbt_project / documents.FOLDER / f"{name}.yml"
        mine = [each for each in published if each.name == name]
        require(copy, mine, project, written.get(name), file, kept="main")


def require(
    warehouse: Warehouse,
    published: Sequence[Version],
    project: Project,
    read: Read | None,
    file: Path,
    kept: str = "tailrace",
) -> None:
    """Refuse to leave a journey's versions without what they name, unless `read`, published now, ends their runs.

    `file`: where the journey is, or was. Raises ConfigError.
    """
    gone = {each.version: _gone(each, project) for each in published}
    if not any(gone.values()) or (read and read.journey.on_publish == "exit"):
        return
    runs = under_way(warehouse, kept)
    troubles = [
        f"version {each.version}, with {runs.get((each.name, each.version), 0):,} runs under way, "
        f"names {gone[each.version]}"
        for each in versions(published, runs)
        if gone[each.version]
    ]
    if troubles:
        message = f"{'; '.join(troubles)}: put it back, or publish a version without it that says `on_publish: exit`"
        raise read.document.error(message, "on_publish") if read else ConfigError(message, file=shown_path(file))


def _gone(version: Version, project: Project) -> str:
    flat = flatten(version.journey)
    segments = [segment for segment, _ in named.segments(version.journey, flat)]
    templates = [node.step.send.template for node in flat.nodes if node.step.send]
    gone = [*_missing("segment", segments, project.segments), *_missing("template", templates, project.templates)]
    return " and ".join(gone)


def _missing(kind: str, names: Iterable[str], there: Collection[str]) -> list[str]:
    return [f"the {kind} '{name}', which is not there any more" for name in dict.fromkeys(names) if name not in there]
