"""Checks journeys against the project: what Pydantic cannot see. Nothing here opens a warehouse or needs a secret."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from assets import configuration
from assets.destinations import destinations
from assets.journeys import references, shape
from assets.journeys.documents import Read
from assets.journeys.flat import flatten
from assets.journeys.references import Project
from assets.journeys.seen import Events, Seen
from assets.messages import templates
from assets.mistakes import Mistake, written
from models.errors import ConfigError
from models.settings import Settings


def check(settings: Settings, manifest: Mapping[str, Any], journeys: Sequence[Read], *, seen: Seen | None) -> None:
    """Raises ConfigError with every mistake of every journey, file by file, in the order of their lines.

    `seen`: what the published copy has of the events these journeys name (seen.look); None without a copy.
    """
    project = describe(settings, manifest, seen)
    _caps(settings, project)
    wrong = [read.document.refusal(found) for read in journeys if (found := [*_problems(read, project)])]
    if wrong:
        raise ConfigError.together(wrong)


def _caps(settings: Settings, project: Project) -> None:
    for place, cap in enumerate(project.policy.caps):
        if cap.purpose and (message := references.unknown_purpose(cap.purpose, project)):
            raise configuration.parse(settings.project / "policy.yml").error(message, "caps", place, "purpose")


def describe(settings: Settings, manifest: Mapping[str, Any], seen: Seen | None) -> Project:
    """What there is for journeys to name."""
    models = [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]
    return Project(
        segments=_in_folder(models, "segments"),
        profiles=profile_types(manifest),
        synced=_in_folder(models, "syncs"),
        sinks=destinations(settings),
        templates=templates.readable(settings),
        half_written=templates.unreadable(settings),
        events=Events(configuration.sources(settings), seen),
        policy=configuration.policy(settings),
    )


def profile_types(manifest: Mapping[str, Any]) -> Mapping[str, str]:
    """The columns of profiles with their types."""
    models = [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]
    columns: Mapping[str, Any] = next((node["columns"] for node in models if node["name"] == "profiles"), {})
    return {name: column.get("data_type") or "unknown" for name, column in columns.items()}


def _in_folder(models: Sequence[Mapping[str, Any]], folder: str) -> list[str]:
    return sorted(node["name"] for node in models if folder in node["fqn"][1:-1])


def _problems(read: Read, project: Project) -> Iterator[Mistake]:
    flat = flatten(read.journey)
    for found in (*shape.problems(read.journey, flat), *references.problems(read.journey, flat, project)):
        yield Mistake(written(found.path, read.document.data), found.message)
