"""Paths into JSON, as DuckDB writes them: `$.name`, `$."any name"`, `$.list[0]`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from models.errors import UserError

_STEP = re.compile(r'\.(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^.\["*]+))|(?P<item>\[-?\d+\])')
_ESCAPED = re.compile(r"\\(.)")


def steps(path: str) -> Iterator[str]:
    """Its names, and its places in lists as `[n]`. Raises UserError for what is no such path."""
    at = 1 if path.startswith("$") else len(path) + 1
    while at < len(path):
        found = _STEP.match(path, at)
        if not found:
            break
        at = found.end()
        quoted = found["quoted"]
        yield found["item"] or (found["plain"] if quoted is None else _ESCAPED.sub(r"\1", quoted))
    if at != len(path):
        message = f"no path of names and places in lists: {path}"
        raise UserError(message)
