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
_HEAD = frozenset({"mj-head", "mj-attributes"})
_UNKNOWN = re.compile(r"<(mj-[a-z-]+)")
_ANY = re.compile(
    rf"""{LIQUID.pattern}|<!--.*?-->|<(?P<closes>/?)(?P<name>[A-Za-z][\w:-]*)"""
    r"""(?:"[^"]*"|'[^']*'|[^'">])*?(?P<empty>/?)>""",
    re.DOTALL,
)
_VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
)
DEEPEST = 100  # elements in elements


class NotMjml(ValueError):
    """What is wrong with the source, and on which line of it, where that is known."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


def html(source: str) -> str:
    """The page, for e-mail programs. Raises NotMjml."""
    kept: list[str] = []

    def mark(found: re.Match[str]) -> str:
        kept.append(found[0])
        return f"LIQUID{len(kept) - 1}MARK"

    if clash := _MARK.search(source):
        message = f"cannot have the word {clash[0]}, which has a meaning here"
        raise NotMjml(message, _line(source, clash.start()))
    unpaired = list(_unpaired(source))
    marked = "".join(_wrapped(LIQUID.sub(mark, source)))
    try:
        page = str(mjml.mjml2html(marked, disable_comments=True, fonts={}))  # no font from elsewhere unless asked for
    except ValueError as error:
        raise _said(str(error), source, unpaired) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # which is no Exception, and nowhere to be imported from
            raise
        raise NotMjml("cannot be read: an & of the text is &amp;, and a < is &lt;") from error
    if unknown := _UNKNOWN.search(page):
        message = f"no element '{unknown[1]}' in MJML"
        raise NotMjml(message, _line(source, source.find(unknown[0])))
    if not page.startswith("<!doctype html>"):
        raise NotMjml("must have one element <mjml> around all others")
    return _MARK.sub(lambda found: kept[int(found[1])], page)


def _unpaired(source: str) -> Iterator[re.Match[str]]:
    """Elements without an end, or an end without its element, each where it stands.

    Raises NotMjml for what is too deep: the library would take the process down with it.
    """
    inside: list[re.Match[str]] = []
    for found in _ANY.finditer(source):
        name = found["name"]
        if not name or found["empty"] or name.lower() in _VOID:
            continue
        if not found["closes"]:
            inside.append(found)
        elif name not in {each["name"] for each in inside}:
            yield found
        else:
            while (last := inside.pop())["name"] != name:
                yield last
        if len(inside) > DEEPEST:
            message = f"goes more than {DEEPEST} elements deep"
            raise NotMjml(message, _line(source, found.start()))
    yield from reversed(inside)


def _said(error: str, source: str, unpaired: list[re.Match[str]]) -> NotMjml:
    include = source.find("<mj-include")
    if include >= 0:
        return NotMjml('includes a part in another way than <mj-include path="_NAME.mjml" />', _line(source, include))
    if unpaired:
        first = unpaired[0]
        begin, end = f"<{first['name']}>", f"</{first['name']}>"
        message = f"{end} has no beginning {begin}" if first["closes"] else f"{begin} has no end {end}"
        return NotMjml(message, _line(source, first.start()))
    if error.startswith("unable to parse"):
        return NotMjml("cannot be read: one <mjml> is around all, values are in quotes, and a < of the text is &lt;")
    return NotMjml(error)


def _line(source: str, place: int) -> int:
    return source.count("\n", 0, place) + 1


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
    if inside and inside[-1] in _HEAD and not text.strip():
        return ""  # mrml refuses spaces there, unless a line begins
    if not inside or inside[-1] not in _HOLDING_ELEMENTS:
        return text
    return _MARK.sub(lambda found: f"<mj-raw>{found[0]}</mj-raw>", text)
