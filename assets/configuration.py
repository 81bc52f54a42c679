"""Reads the project's YAML files into their contracts: every mistake says file, line, key and what is allowed.

A part of another file (the `meta.syncs` of a dbt model) is read with `Document.read`, so its messages are the same.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from assets.mistakes import Mistake, mistakes
from models.errors import ConfigError
from models.policy import Policy
from models.settings import Settings
from models.source import Source, Sources

Model = TypeVar("Model", bound=BaseModel)
Key = str | int
KeyPath = tuple[Key, ...]


@dataclass(frozen=True)
class Document:
    """A parsed YAML file: its data, and the line (1-based) of every key and list entry in it."""

    file: Path
    data: Any
    lines: Mapping[KeyPath, int]

    def where(self, *path: Key) -> int | None:
        """The line of the key at `path`, or of its nearest ancestor in the file."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.lines:
                return self.lines[path[:end]]
        return None

    def error(self, message: str, *path: Key) -> ConfigError:
        """A mistake in this file at `path`, ready to raise."""
        return ConfigError(message, file=shown_path(self.file), line=self.where(*path), key=_dotted(path))

    def at(self, *path: Key) -> Any:
        """The data at `path`; None where the file has nothing there."""
        found = self.data
        for key in path:
            if isinstance(found, dict):
                found = found.get(key)
            elif isinstance(found, list) and isinstance(key, int) and key < len(found):
                found = found[key]
            else:
                return None
        return found

    def read(self, model: type[Model], *path: Key) -> Model:
        """The part at `path` as `model`. Raises ConfigError that lists every mistake, with line and key."""
        data = self.at(*path)
        data = {} if data is None else data
        try:
            return model.model_validate(data)
        except ValidationError as error:
            found = mistakes(error, model, data)
            raise self._refusal(found, path) from error

    def check(self, model: type[Model], *path: Key) -> None:
        """As `read`, of a part that may lack keys: others give them."""
        data = self.at(*path) or {}
        try:
            model.model_validate(data)
        except ValidationError as error:
            found = [one for one in mistakes(error, model, data) if self.at(*path, *one.path) is not None]
            if found:
                raise self._refusal(found, path) from error

    def _refusal(self, found: list[Mistake], base: KeyPath) -> ConfigError:
        found = sorted(found, key=lambda mistake: self.where(*base, *mistake.path) or 0)
        first, *others = found
        also = "".join(f"\n{self.error(other.message, *base, *other.path)}" for other in others)
        return self.error(first.message + also, *base, *first.path)


def parse(path: Path) -> Document:
    """Read a YAML file. Raises ConfigError when it is missing, not UTF-8, not YAML or has a key twice."""
    shown = shown_path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
        raise ConfigError(message, file=shown) from error
    except UnicodeDecodeError as error:
        message = f"is not UTF-8 text (byte {error.start})"
        raise ConfigError(message, file=shown) from error
    return _parsed(path, shown, text)


@lru_cache(maxsize=64)
def _parsed(path: Path, shown: str, text: str) -> Document:
    """A run asks for the same few files many times, and reading YAML is slow. Nobody changes a document."""
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        lines = dict(_lines(root, (), shown)) if root else {}
        data = loader.construct_document(root) if root else None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        message = f"is not valid YAML: {error.problem or error.context}"
        raise ConfigError(message, file=shown, line=line) from error
    except yaml.YAMLError as error:
        message = f"is not valid YAML: {error}"
        raise ConfigError(message, file=shown) from error
    finally:
        loader.dispose()
    return Document(path, data, lines)


def load(path: Path, model: type[Model]) -> Model:
    """The whole file as `model`."""
    return parse(path).read(model)


def sources(settings: Settings) -> dict[str, Source]:
    """What sources.yml declares, by name."""
    return dict(load(settings.project / "sources.yml", Sources).sources)


def policy(settings: Settings) -> Policy:
    """What policy.yml says."""
    return load(settings.project / "policy.yml", Policy)


def _lines(node: yaml.Node, path: KeyPath, file: str) -> Iterator[tuple[KeyPath, int]]:
    yield path, node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        seen: dict[Key, int] = {}
        for key_node, value_node in node.value:
            key, line = key_node.value, key_node.start_mark.line + 1
            if key_node.tag == "tag:yaml.org,2002:merge" or not isinstance(key_node, yaml.ScalarNode):
                continue
            if key in seen:
                message = f"the key is already on line {seen[key]}"
                raise ConfigError(message, file=file, line=line, key=_dotted((*path, key)))
            seen[key] = line
            yield from _lines(value_node, (*path, key), file)
            yield (*path, key), line
    elif isinstance(node, yaml.SequenceNode):
        for position, child in enumerate(node.value):
            yield from _lines(child, (*path, position), file)


def _dotted(path: KeyPath) -> str | None:
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else key
    return text or None


def shown_path(path: Path) -> str:
    """The path as a person at this prompt would type it."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative
