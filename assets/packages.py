"""A company's own dbt projects, taken in as packages by their path: read to be referred to, never built or tested here.

dbt finds them through links in the target's folder, so there is nothing to install and no lock file.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from assets import configuration
from assets.mistakes import suggestion
from assets.parsed import OWN
from models.errors import ConfigError
from models.settings import Settings
from models.source import Sources, TableSource
from warehouse.engine import engine

INSTALLED = "dbt_packages"  # where `dbt deps` puts a project's own packages, unless that says otherwise
PLACE = "packages_path"  # the variable that says where they are linked
KINDS = ("model", "snapshot", "seed")  # what a `ref` may mean
NOT_FOR_FILES = frozenset({"memory", "system", "temp", "tailrace", "raw", "main", "published"})  # names of ours


def declared(settings: Settings) -> dict[str, Path]:
    """Package → the folder of its dbt project. Raises ConfigError for one that is none, or has another name."""
    document = configuration.parse(settings.project / "sources.yml")
    found: dict[str, Path] = {}
    for name, path in document.read(Sources).packages.items():
        folder = (settings.project / path).resolve()
        if not (folder / "dbt_project.yml").is_file():
            message = f"{folder} has no dbt_project.yml"
            raise document.error(message, "packages", name)
        own = configuration.parse(folder / "dbt_project.yml").at("name")
        if own != name or own == OWN:
            message = f"the project in {folder} is called '{own}'; a package has its project's name, and not '{OWN}'"
            raise document.error(message, "packages", name)
        found[name] = folder
    return found


def linked(settings: Settings) -> Path | None:
    """The folder in which dbt finds the packages, and those that they installed; None where there are none.

    Raises ConfigError where our own dbt_project.yml names another, or where something else is in it.
    """
    projects, ours = declared(settings), configuration.parse(settings.dbt_project / "dbt_project.yml")
    if not projects:
        return None
    if PLACE not in str(ours.at("packages-install-path")):
        message = (
            f"""must be "{{{{ var('{PLACE}', '{INSTALLED}') }}}}", so that dbt finds the packages of sources.yml"""
        )
        raise ours.error(message, "packages-install-path")
    folder = settings.dbt_target / "packages"
    wanted = {path.name: path for project in (settings.dbt_project, *projects.values()) for path in _installed(project)}
    wanted |= projects
    folder.mkdir(parents=True, exist_ok=True)
    for link in folder.iterdir():
        if not link.is_symlink() and link.exists():  # dbt would take it for a package
            message = "only links to the packages of sources.yml belong here; move this away"
            raise ConfigError(message, file=link)
        if link.name not in wanted:
            link.unlink(missing_ok=True)
    for name, path in wanted.items():
        _link(folder / name, path)
    return folder


def _link(link: Path, to: Path) -> None:
    """Made aside and renamed: another process may be doing the same, or read through the link."""
    with suppress(FileNotFoundError):
        if link.readlink() == to:
            return
    aside = link.parent.with_name(f".{uuid4().hex}.link")
    try:
        aside.symlink_to(to)
        aside.rename(link)
    finally:
        aside.unlink(missing_ok=True)


def _installed(project: Path) -> list[Path]:
    place = configuration.parse(project / "dbt_project.yml").at("packages-install-path")
    folder = project / (place if isinstance(place, str) and "{" not in place else INSTALLED)
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def files(settings: Settings) -> Iterator[tuple[str, Path]]:
    """Every file of the packages that may change what they say, by a name of its own."""
    for name, project in sorted(declared(settings).items()):
        for folder, folders, found in os.walk(project):
            folders[:] = sorted(each for each in folders if not each.startswith(".") and each not in {"target", "logs"})
            for file in sorted(found):
                if file.endswith((".sql", ".yml", ".yaml", ".csv", ".py")):
                    path = Path(folder, file)
                    yield f"{name}/{path.relative_to(project)}", path


def check_sources(settings: Settings, sources: Mapping[str, Any]) -> None:
    """Raise ConfigError for a source whose `model` is of no package, or whose file cannot be attached as it must be."""
    document, packages = configuration.parse(settings.project / "sources.yml"), declared(settings)
    attached: dict[str, Path] = {}
    for name, source in sources.items():
        if not isinstance(source, TableSource) or source.model is None:
            continue
        package = source.model.partition(".")[0]
        if package not in packages:
            message = f"there is no package '{package}'{suggestion(package, sorted(packages), '`packages` has')}"
            raise document.error(message, "sources", name, "model")
        if source.database is not None:
            path = (settings.project / source.database).resolve()
            if path.stem in NOT_FOR_FILES | {engine(settings).catalog} or attached.setdefault(path.stem, path) != path:
                message = f"another database is called '{path.stem}' already: the views in a file know it by its name"
                raise document.error(message, "sources", name, "database")


def check_references(settings: Settings, manifest: Mapping[str, Any], sources: Mapping[str, Any]) -> None:
    """Raise ConfigError where a declared model is none that can be read, or one is read past its source."""
    named = {source.model: name for name, source in sources.items() if isinstance(source, TableSource) and source.model}
    known = {_node_id(settings, manifest, name, model) for model, name in named.items()}
    for node in manifest["nodes"].values():
        for above in _outside(node["depends_on"].get("nodes", ())) if node["package_name"] == OWN else ():
            file, shown = f"{settings.dbt_project.name}/{node['original_file_path']}", above.partition(".")[2]
            if above not in known:
                message = f"reads {shown}, which no source of sources.yml names: `model: {shown}`"
                raise ConfigError(message, file=file)
            if "staging" not in node["fqn"][1:-1]:
                message = f"reads {shown} itself: read it in staging, or nobody knows what it said on a day"
                raise ConfigError(message, file=file)


def _node_id(settings: Settings, manifest: Mapping[str, Any], name: str, model: str) -> str:
    document, nodes = configuration.parse(settings.project / "sources.yml"), manifest["nodes"]
    found = next((key for kind in KINDS if (key := f"{kind}.{model}") in nodes), None)
    if found is None:
        package = model.partition(".")[0]
        there = sorted(
            key.partition(".")[2] for key in nodes if key.startswith(tuple(f"{k}.{package}." for k in KINDS))
        )
        message = f"there is no model '{model}'{suggestion(model, there, 'models')}"
        raise document.error(message, "sources", name, "model")
    if nodes[found]["config"]["materialized"] == "ephemeral":
        message = f"{model} is ephemeral: nothing of it is in a database"
        raise document.error(message, "sources", name, "model")
    return found


def _outside(node_ids: Iterable[str]) -> list[str]:
    """Those of other packages that are models, seeds or snapshots."""
    return [one for one in node_ids if not one.startswith("source.") and one.split(".")[1] != OWN]
