"""The text of every version of a template that messages were, or may be, made of: kept for ever, by its digest."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from assets.messages.text import Text
from warehouse import batches
from warehouse.base import Warehouse
from warehouse.dialect import Dialect

RELATION = "tailrace.template_version"
_COLUMNS = {
    "template": "varchar", "digest": "varchar", "ending": "varchar", "text": "varchar", "locales": "varchar",
    "kept_at": "timestamptz",
}  # fmt: skip


def prepare(warehouse: Warehouse) -> None:
    """Create the log where it is missing."""
    batches.create_log(warehouse, RELATION, _COLUMNS, frozenset({"text", "digest"}))


def keep(warehouse: Warehouse, reads: Iterable[Text], at: datetime) -> None:
    """Make these texts known; again is nothing."""
    prepare(warehouse)
    known = {row["digest"] for row in warehouse.rows(f"select distinct digest from {RELATION}")}
    for read in reads:
        if read.digest in known:
            continue
        row = {"template": read.name, "digest": read.digest, "ending": read.ending, "text": read.text}
        languages = json.dumps(read.template.languages)
        table = pa.Table.from_pylist([{**row, "locales": languages, "kept_at": at}])
        batches.append_once(warehouse, f"template/{read.name}/{read.digest}", RELATION, table, at)


def kept(warehouse: Warehouse, folder: Path, relation: str = RELATION) -> dict[str, Text]:
    """Every text that was kept, by its digest; `folder`: where templates are, for messages about them.

    Nobody says that one can be read still: it may be of another time, and the others are not to wait for it.
    """
    if not warehouse.columns(relation):
        return {}
    rows = warehouse.rows(f"select distinct template, digest, ending, text from {relation}")
    return {
        str(row["digest"]): Text(
            row["template"], row["ending"], folder / (row["template"] + row["ending"]), row["text"]
        )
        for row in rows
    }


def locale_sql(dialect: Dialect, texts: Mapping[str, tuple[str, ...]], version: str, locale: str | None) -> str:
    """SQL of the language in which somebody with `locale` reads `version`: as `chosen` says it."""
    branches = [
        f"when {version} = {dialect.literal(digest)} then {_language(dialect, languages, locale)}"
        for digest, languages in sorted(texts.items())
    ]
    return f"case {' '.join(branches)} end" if branches else f"cast(null as {dialect.text})"


def _language(dialect: Dialect, languages: tuple[str, ...], locale: str | None) -> str:
    """`compiling.chosen` in SQL; a test holds the two together."""
    first = dialect.literal(languages[0])
    if locale is None or len(languages) == 1:
        return first
    asked = f"lower(replace({locale}, '_', '-'))"
    exact = [(language.lower(), language) for language in languages]
    broad = [(name, language) for name, language in exact if "-" not in name]
    parts = [
        f"when {expression} = {dialect.literal(name)} then {dialect.literal(language)}"
        for expression, pairs in ((asked, exact), (dialect.before(asked, "-"), broad))
        for name, language in pairs
    ]
    return f"case {' '.join(parts)} else {first} end"
