"""Turns Pydantic's errors into sentences: what is wrong with a key, and what is allowed there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

Schema = dict[str, Any]
_TYPES = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}

_IN_WORDS = {
    r"^[a-z][a-z0-9_]*$": "be small letters, digits and _, and begin with a letter: like cart_reminder",
    r"^seg_[a-z0-9_]+$": "be the name of a segment, like seg_lapsed",
    r"^[A-Za-z_][A-Za-z0-9_]*$": "be letters, digits and _, and begin with no digit: like cart_id",
    r"^[1-9][0-9]* (minute|hour|day)s?$": "be like 30 minutes, 26 hours or 2 days",
}  # pattern → what a text must


@dataclass(frozen=True)
class Mistake:
    """`path` leads to the key in the data as the user wrote it."""

    path: tuple[str | int, ...]
    message: str


def mistakes(error: ValidationError, model: type[BaseModel], data: Any) -> list[Mistake]:
    """Every mistake of `data`, each once, with paths that exist in the data (or would, for a missing key)."""
    schema = model.model_json_schema()
    found: dict[Mistake, None] = {}
    for detail in error.errors(include_url=False):
        if detail["type"] == "too_short" and len(detail["input"]) >= detail["ctx"]["min_length"]:
            continue  # Pydantic counts the entries without those that are wrong, and these are told
        path = written(detail["loc"], data, missing=detail["type"] == "missing")
        found[Mistake(path, _message(detail, path, _Schema(schema, data)))] = None
    return list(found)


def suggestion(word: str, allowed: Sequence[str], what: str = "allowed") -> str:
    """`; did you mean 'format'? allowed: …`: the end of a message about a name that is not there."""
    close = get_close_matches(word, allowed, n=1)
    hint = f"; did you mean '{close[0]}'?" if close else ";"
    return f"{hint} {what}: {', '.join(dict.fromkeys(allowed)) or 'none'}"


def written(loc: Sequence[str | int], data: Any, *, missing: bool = False) -> tuple[str | int, ...]:
    """A location as the data has it: without names Pydantic adds (of union members, `[key]`), or of a longer form.

    Of a key that is not there its nearest ancestor, or with `missing` the key where it should be.
    """
    path: list[str | int] = []
    for position, part in enumerate(loc):
        inside = isinstance(data, dict) and part in data
        if inside or (isinstance(data, list) and isinstance(part, int) and part < len(data)):
            path.append(part)
            data = data[part]
        elif missing and position == len(loc) - 1:
            path.append(part)
    return tuple(path)


class _Schema:
    """The JSON schema of a model, walked along the data: of several alternatives the one most like what was written."""

    def __init__(self, root: Schema, data: Any) -> None:
        self._root, self._data = root, data

    def at(self, path: Sequence[str | int]) -> Schema:
        """The schema that describes the value at `path`."""
        here, data = self._resolve(self._root, self._data), self._data
        for key in path:
            if isinstance(key, int):
                here, data = here.get("items", {}), data[key] if isinstance(data, list) and key < len(data) else None
            else:
                anything = [here.get("additionalProperties"), *here.get("patternProperties", {}).values()]
                fitting = [here.get("properties", {}).get(key), *anything, {}]
                here = next(schema for schema in fitting if isinstance(schema, dict))
                data = data.get(key) if isinstance(data, dict) else None
            here = self._resolve(here, data)
        return here

    def _resolve(self, schema: Schema, data: Any) -> Schema:
        while True:
            options = schema.get("anyOf") or schema.get("oneOf")
            if "$ref" in schema:
                outer = {key: value for key, value in schema.items() if key != "$ref"}
                target = self._root["$defs"][schema["$ref"].rsplit("/", 1)[1]]
                schema = {**target, **outer}
            elif options:
                keys = set(data) if isinstance(data, dict) else set()
                schema = max(
                    (self._resolve(option, data) for option in options),
                    key=lambda option: (
                        len(keys & set(option.get("properties", {}))),
                        option.get("type") == _TYPES.get(type(data)),
                    ),
                )
            else:
                return schema


def _message(detail: ErrorDetails, path: Sequence[str | int], schema: _Schema) -> str:
    kind, given, context = detail["type"], detail["input"], detail.get("ctx", {})
    match kind:
        case "extra_forbidden":
            allowed = sorted(schema.at(path[:-1]).get("properties", {}))
            message = f"unknown key{suggestion(str(path[-1]), allowed)}"
        case "missing":
            described = schema.at(path[:-1]).get("properties", {}).get(path[-1], {}).get("description")
            message = "is missing" + (f": {described}" if described else "")
        case "literal_error" | "enum":
            allowed = [str(value) for value in schema.at(path).get("enum", [schema.at(path).get("const")])]
            wrong = "has no value" if given is None else f"'{given}' is not allowed"
            message = f"{wrong}{suggestion(str(given), allowed)}"
        case "value_error" | "assertion_error":
            message = str(context.get("error", detail["msg"]))
        case "string_pattern_mismatch":
            pattern = context["pattern"]
            message = f"'{given}' must {_IN_WORDS.get(pattern, f'match {pattern}')}"
        case "too_short":
            least = context["min_length"]
            message = f"must have at least {least} item{'s' if least > 1 else ''}, not {len(given)}"
        case "float_parsing" | "int_parsing":
            message = f"must be a{'n integer' if kind == 'int_parsing' else ' number'}, not {given!r}"
        case "model_type" | "model_attributes_type" | "dict_type":
            message = f"must be a mapping (key: value), not {_kind(given)}"
        case _:
            said = detail["msg"].replace("Input should", "must").replace("must be a valid", "must be a")
            said = said.replace("a integer", "an integer").replace("Tuple should", "must").replace("a tuple", "a list")
            said = f"{said[0].lower()}{said[1:]}"
            message = f"has no value: it {said}" if given is None else f"{said}, not {given!r}"
    return message


def _kind(value: object) -> str:
    names = {str: "text", list: "a list", int: "a number", float: "a number", bool: "true or false"}
    return "nothing" if value is None else names.get(type(value), type(value).__name__)
