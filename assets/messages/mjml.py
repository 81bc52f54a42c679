"""MJML to HTML, once a template and language: Liquid passes through untouched and is rendered afterwards.

Tags of Liquid between MJML's elements (`{% if %}` around a section) are wrapped in `mj-raw`, where MJML allows text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import mjml

LIQUID = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_ELEMENT = re.compile(r"<(/?)(mjml|mj-[a-z-]+)\b([^>]*)>")
_MARK = re.compile(r"LIQUID([0-9]+)MARK")
_HOLDING_ELEMENTS = frozenset({"mj-body", "mj-wrapper", "mj-section", "mj-column", "mj-group", "mj-hero"})
_UNKNOWN = re.compile(r"<(mj-[a-z-]+)")


def html(source: str) -> str:
    """The page, for e-mail programs. Raises ValueError saying what MJML does not understand."""
    kept: list[str] = []

    def mark(found: re.Match[str]) -> str:
        kept.append(found[0])
        return f"LIQUID{len(kept) - 1}MARK"

    marked = "".join(_wrapped(LIQUID.sub(mark, source)))
    page = str(mjml.mjml2html(marked, disable_comments=True, fonts={}))  # no font from elsewhere unless asked for
    unknown = _UNKNOWN.search(page)
    if unknown or not page.startswith("<!doctype html>"):
        message = f"no element '{unknown[1]}' in MJML" if unknown else "must have one element <mjml> around all others"
        raise ValueError(message)
    return _MARK.sub(lambda found: kept[int(found[1])], page)


def _wrapped(marked: str) -> Iterator[str]:
    """The source with `mj-raw` around the marks that stand where MJML has elements only."""
    inside: list[str] = []
    end = 0
    for element in _ELEMENT.finditer(marked):
        yield _between(marked[end : element.start()], inside)
        yield element[0]
        end = element.end()
        closes, name, rest = element.groups()
        if closes:
            if inside:
                inside.pop()
        elif not rest.endswith("/"):
            inside.append(name)
    yield marked[end:]


def _between(text: str, inside: list[str]) -> str:
    if not inside or inside[-1] not in _HOLDING_ELEMENTS:
        return text
    return _MARK.sub(lambda found: f"<mj-raw>{found[0]}</mj-raw>", text)
