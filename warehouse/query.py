"""Renders the queries of assets/sql: Jinja with the dialect's functions in scope; unknown names are refused."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from warehouse.dialect import Dialect


@lru_cache
def _environment(folder: Path) -> Environment:
    return Environment(
        loader=FileSystemLoader(folder),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - SQL, not HTML: values go through `literal`, names through `quote`
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )


def render(folder: Path, name: str, dialect: Dialect, **values: object) -> str:
    """The text of `folder/name.sql` for this dialect. In scope: `quote`, `literal`, `dialect` and `values`."""
    template = _environment(folder).get_template(f"{name}.sql")
    return template.render(dialect=dialect, quote=dialect.quote, literal=dialect.literal, **values)
