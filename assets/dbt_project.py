"""The dbt project as this target sees it: the profile we write, the variables every parse passes, the parsed manifest.

Running models belongs in warehouse.py. dbt is imported only where it is used: it takes seconds.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import yaml

from assets import configuration, in_place, packages, parsed, raw
from assets.dbt_errors import refusal
from assets.parsed import Project
from models.errors import ConfigError
from models.settings import Settings
from models.source import FileSource, Source, TableSource
from warehouse.engine import engine
from warehouse.lock import hold

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

LIVE = "main"  # the schema of the models
THREADS = 4
PARSING_SECONDS = 300.0

_kept: dict[Path, tuple[str, Manifest]] = {}  # by where it is: loading one costs 0.1 s
_read: dict[Path, tuple[str, Mapping[str, Any], Project]] = {}


def manifest(settings: Settings) -> Manifest:
    """The project, parsed, as dbt wants it to run something; parsed again only when something changed.

    Raises ConfigError for a project dbt cannot read, with file and line where dbt knows them.
    """
    from assets import dbt_calls  # noqa: PLC0415 - see there

    folder = target_path(settings)
    wanted = _parsed(settings)
    if folder not in _kept or _kept[folder][0] != wanted:
        declared = configuration.sources(settings).values()
        read = {source.model for source in declared if isinstance(source, TableSource) and source.model}
        _kept[folder] = (wanted, dbt_calls.load(folder / "partial_parse.msgpack", parsed.OWN, read))
    return _kept[folder][1]


def read_manifest(settings: Settings) -> Mapping[str, Any]:
    """The same as plain JSON, but for packages, without importing dbt unless something changed. Raises ConfigError."""
    return _current(settings)[1]


def project(settings: Settings) -> Project:
    """The same as plain values: what the models say. Raises ConfigError."""
    return _current(settings)[2]


def _current(settings: Settings) -> tuple[str, Mapping[str, Any], Project]:
    folder, wanted = target_path(settings), _parsed(settings)
    if folder not in _read or _read[folder][0] != wanted:
        read: Mapping[str, Any] = orjson.loads((folder / "manifest.json").read_bytes())
        _check_names(settings, read)
        packages.check_references(settings, read, configuration.sources(settings))
        _read[folder] = (wanted, parsed.without_packages(read), parsed.project(read))
    return _read[folder]


def _check_names(settings: Settings, read: Mapping[str, Any]) -> None:
    """Raise ConfigError for a model with a capital in its name: of two engines one would not find it, one lose it."""
    for node in read["nodes"].values():
        alias = node.get("alias") or node["name"]
        if node["package_name"] == parsed.OWN and node["resource_type"] != "test" and alias != alias.lower():
            message = f"makes {alias}, which not every engine tells from {alias.lower()}; name it in small letters"
            raise ConfigError(message, file=f"{settings.dbt_project.name}/{node['original_file_path']}")


def _parsed(settings: Settings) -> str:
    """Have dbt parse the project where a file, a source or the engine changed; the fingerprint of what is parsed."""
    folder, wanted = target_path(settings), fingerprint(settings)
    stamp = folder / "fingerprint"
    stored = (folder / "partial_parse.msgpack", folder / "manifest.json")

    def is_parsed() -> bool:
        return stamp.exists() and all(path.exists() for path in stored) and stamp.read_text() == wanted

    if not is_parsed():
        # one at a time: who waited would read what another is writing
        with hold(settings.dbt_target / "parse.lock", wait_seconds=PARSING_SECONDS, what="the project's parse"):
            if not is_parsed():
                stamp.unlink(missing_ok=True)
                _parse(settings)
                stamp.write_text(wanted)
    return wanted


def arguments(settings: Settings) -> list[str]:
    """The options every dbt command of this target takes; writes the profile they name."""
    _write_profile(settings)
    folders = {
        "--project-dir": settings.dbt_project,
        "--profiles-dir": settings.root,
        "--target-path": target_path(settings),
        "--log-path": settings.dbt_target / "logs",
    }
    options = [text for option, folder in folders.items() for text in (option, str(folder))]
    quiet = ["--log-level", "none", "--log-level-file", "info", "--no-print", "--no-use-colors"]
    offline = ["--no-send-anonymous-usage-stats", "--no-version-check"]
    return [*options, "--target", LIVE, *quiet, *offline]


def target_path(settings: Settings) -> Path:
    """Where dbt writes the manifest and the compiled models."""
    return settings.dbt_target / LIVE


def source_variables(settings: Settings) -> dict[str, dict[str, Any]]:
    """The variable `sources`: what the macros of the project need to know of sources.yml."""
    declared = configuration.sources(settings)
    packages.check_sources(settings, declared)
    for name in declared:
        if not any((settings.dbt_project / "models").rglob(f"stg_{name}.sql")):
            message = f"has no staging model: write dbt_project/models/staging/stg_{name}.sql"
            raise configuration.parse(settings.project / "sources.yml").error(message, "sources", name)
    return {name: _variables(name, source) for name, source in declared.items()}


def run_variables(settings: Settings) -> dict[str, Any]:
    """What every run passes besides its clocks: `sources`, `own_schema`, and `zone`, in which days begin and end."""
    return {**_meaning(settings), **_places(settings)}


def _meaning(settings: Settings) -> dict[str, Any]:
    return {"sources": source_variables(settings), "zone": configuration.policy(settings).zone}


def _places(settings: Settings) -> dict[str, Any]:
    """Where dbt finds what Python keeps: on another engine it is elsewhere and the same."""
    schemas, sources, linked = engine(settings).schemas, source_variables(settings), packages.linked(settings)
    for source in sources.values():
        schema, dot, table = str(source["relation"]).partition(".")
        source["relation"] = schemas.get(schema, schema) + dot + table
    found = {packages.PLACE: str(linked)} if linked else {}
    return {"sources": sources, "own_schema": schemas.get("tailrace", "tailrace"), **found}


def variables(settings: Settings) -> dict[str, Any]:
    """Every variable that may change what a model means: the project's own, and those of every run."""
    project = configuration.parse(settings.dbt_project / "dbt_project.yml").at("vars") or {}
    return {**project, **_meaning(settings)}


def _variables(name: str, source: Source) -> dict[str, Any]:
    if isinstance(source, FileSource):
        return {"relation": raw.relation(name), "in_place": False, "known_at": None}
    said = {"relation": in_place.relation(name, source), "in_place": True, "known_at": source.known_at}
    return {**said, "model": source.model, "made": in_place.place(name, source)} if source.model else said


def fingerprint(settings: Settings) -> str:
    """Changes whenever parsing again could give something else."""
    digest, home = hashlib.sha256(), engine(settings)
    said = (*_versions(home.adapter), home.catalog, _places(settings))
    digest.update(json.dumps(said, sort_keys=True, default=str).encode())
    for path in _project_files(settings.dbt_project):
        digest.update(str(path.relative_to(settings.dbt_project)).encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    for name, path in packages.files(settings):
        digest.update(name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


@cache
def _versions(adapter: str) -> tuple[str, str]:
    """Of dbt and its adapter: to look them up takes longer than to read the project."""
    return version("dbt-core"), version(adapter)


def _project_files(project: Path) -> list[Path]:
    left_out = {"target", "logs", "dbt_packages", "journeys", "templates"}  # the last two are ours, not dbt's
    found: list[Path] = []
    for folder, folders, files in os.walk(project):
        if Path(folder) == project:
            folders[:] = [name for name in folders if name not in left_out]
        found += [Path(folder, name) for name in files if not name.startswith(".")]
    return sorted(found)


def _parse(settings: Settings) -> None:
    from assets import dbt_calls  # noqa: PLC0415 - see there

    variables = json.dumps(_places(settings))
    call = ["parse", *arguments(settings), "--vars", variables]
    done = dbt_calls.invoke(call, engine(settings))
    if done.exception is not None:
        raise refusal(done.exception, settings.dbt_project)
    if not done.success:
        message = f"dbt could not parse it; see {settings.dbt_target / 'logs' / 'dbt.log'}"
        raise ConfigError(message, file=settings.dbt_project)


def _profile(settings: Settings) -> dict[str, Any]:
    output = {**engine(settings).profile(), "threads": THREADS}
    return {"tailrace": {"target": LIVE, "outputs": {LIVE: output}}}


def _write_profile(settings: Settings) -> None:
    text = "# Written by Tailrace for dbt on every run; nothing here is yours to change.\n"
    text += yaml.safe_dump(_profile(settings), sort_keys=False)
    path = settings.root / "profiles.yml"
    if not path.exists() or path.read_text() != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
