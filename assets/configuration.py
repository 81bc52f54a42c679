"""Reads the project's YAML files into their contracts: every mistake says file, line, key and what is allowed.

A part of another file (the `meta.syncs` of a dbt model) is read with `Document.read`, so its messages are the same.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
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
from models.source import Source, Sources, TableSource

Model = TypeVar("Model", bound=BaseModel)
Key = str | int
KeyPath = tuple[Key, ...]
DEEPEST = 100  # levels of nesting: more is a mistake, and what reads them would break
TOO_DEEP = f"goes more than {DEEPEST} levels deep, or holds itself by an anchor; allowed: {DEEPEST} levels"
SECOND = "a second document begins here; a file has one"
TEXT = "tag:yaml.org,2002:str"
NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


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
        data = {} if data is None else data  # so what is empty may be all defaults
        try:
            return model.model_validate(data)
        except ValidationError as error:
            found = mistakes(error, model, data)
            if not data and not path:  # an empty file
                message = f"is empty; it needs {', '.join(f'`{one.path[-1]}`' for one in found if one.path)}"
                raise self.error(message, *path) from error
            raise self.refusal(found, *path) from error

    def check(self, model: type[Model], *path: Key) -> None:
        """As `read`, of a part that may lack keys: others give them."""
        data = self.at(*path) or {}
        try:
            model.model_validate(data)
        except ValidationError as error:
            found = [one for one in mistakes(error, model, data) if self.at(*path, *one.path) is not None]
            if found:
                raise self.refusal(found, *path) from error

    def refusal(self, found: Iterable[Mistake], *base: Key) -> ConfigError:
        """All mistakes of the part at `base` as one error, in the order of their lines."""
        found = sorted(found, key=lambda mistake: self.where(*base, *mistake.path) or 0)
        return ConfigError.together(self.error(mistake.message, *base, *mistake.path) for mistake in found)


def parse(path: Path) -> Document:
    """Read a YAML file. Raises ConfigError when it is missing, not UTF-8, not YAML or has a key twice."""
    return parsed(path, text_of(path))


def parsed(path: Path, text: str) -> Document:
    """As `parse`, of the YAML at the beginning of a file that has more."""
    return _parsed(path, shown_path(path), text)


def text_of(path: Path) -> str:
    """What a file says. Raises ConfigError when it is missing or not UTF-8."""
    shown = shown_path(path)
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
        raise ConfigError(message, file=shown) from error
    except UnicodeDecodeError as error:
        message = f"is not UTF-8 text (byte {error.start})"
        raise ConfigError(message, file=shown) from error


@lru_cache(maxsize=256)
def _parsed(path: Path, shown: str, text: str) -> Document:
    """A run asks for the same few files many times, and reading YAML is slow. Nobody changes a document."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        lines = dict(_lines(root, (), shown)) if root else {}
        data = _Loader("").construct_document(root) if root else None
    except yaml.reader.ReaderError as error:
        at = text.count("\n", 0, error.position) + 1
        message = f"has a character that no text has, number {error.character} of Unicode; take it out"
        raise ConfigError(message, file=shown, line=at) from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        message = SECOND if error.problem == "but found another document" else _said(error.problem or error.context)
        raise ConfigError(message, file=shown, line=line) from error
    except yaml.YAMLError as error:
        raise ConfigError(_said(error), file=shown) from error
    except RecursionError as error:
        raise ConfigError(TOO_DEEP, file=shown) from error
    return Document(path, data, lines)


class _Loader(yaml.SafeLoader):
    """Says where a date is that is none, such as 2026-13-45; 21:00 is a time of day and no number of minutes."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: FBT001, FBT002 - as PyYAML has it
        if node.tag in NUMBERS and isinstance(node, yaml.ScalarNode) and ":" in node.value:
            return node.value
        try:
            return super().construct_object(node, deep)
        except ValueError as error:
            raise yaml.constructor.ConstructorError(None, None, str(error), node.start_mark) from error


def _said(problem: object) -> str:
    return f"is not valid YAML: {problem}"


def load(path: Path, model: type[Model]) -> Model:
    """The whole file as `model`."""
    return parse(path).read(model)


def sources(settings: Settings) -> dict[str, Source]:
    """What sources.yml declares, by name."""
    return dict(load(settings.project / "sources.yml", Sources).sources)


def reads_in_place(settings: Settings) -> bool:
    """Whether any source is tables that stay where they are."""
    return any(isinstance(source, TableSource) for source in sources(settings).values())


def policy(settings: Settings) -> Policy:
    """What policy.yml says."""
    return load(settings.project / "policy.yml", Policy)


def _lines(node: yaml.Node, path: KeyPath, file: str) -> Iterator[tuple[KeyPath, int]]:
    """The line of everything in the node. Makes its keys text as they are written, where YAML has `yes` as true."""
    if len(path) > DEEPEST:
        raise ConfigError(TOO_DEEP, file=file, line=node.start_mark.line + 1)
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
            seen[key], key_node.tag = line, TEXT
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
