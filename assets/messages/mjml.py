"""MJML to HTML, once a template and language: Liquid passes through untouched and is rendered afterwards.

Tags of Liquid between MJML's elements (`{% if %}` around a section) are wrapped in `mj-raw`, where MJML allows text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import mjml

from assets.messages.markup import LIQUID, NotMarkup, Tag, line_of, tags

_MARK = re.compile(r"LIQUID([0-9]+)MARK")
_HOLDING_ELEMENTS = frozenset({"mj-body", "mj-wrapper", "mj-section", "mj-column", "mj-group", "mj-hero"})
_HEAD = frozenset({"mj-head", "mj-attributes"})
_UNKNOWN = re.compile(r"<(mj-[a-z-]+)")
_VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
)
DEEPEST = 100  # elements in elements


def html(source: str) -> str:
    """The page, for e-mail programs. Raises NotMarkup."""
    kept: list[str] = []

    def mark(found: re.Match[str]) -> str:
        kept.append(found[0])
        return f"LIQUID{len(kept) - 1}MARK"

    if clash := _MARK.search(source):
        message = f"cannot have the word {clash[0]}, which has a meaning here"
        raise NotMarkup(message, line_of(source, clash.start()))
    unpaired = list(_unpaired(source))
    marked = "".join(_wrapped(LIQUID.sub(mark, source)))
    try:
        page = str(mjml.mjml2html(marked, disable_comments=True, fonts={}))  # no font from elsewhere unless asked for
    except ValueError as error:
        raise _said(str(error), source, unpaired) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # which is no Exception, and nowhere to be imported from
            raise
        raise NotMarkup("cannot be read: an & of the text is &amp;, and a < is &lt;") from error
    if unknown := _UNKNOWN.search(page):
        message = f"no element '{unknown[1]}' in MJML"
        raise NotMarkup(message, line_of(source, source.find(unknown[0])))
    if not page.startswith("<!doctype html>"):
        raise NotMarkup("must have one element <mjml> around all others")
    return _MARK.sub(lambda found: kept[int(found[1])], page)


def _unpaired(source: str) -> Iterator[Tag]:
    """Elements without an end, or an end without its element, each where it stands.

    Raises NotMarkup for what is too deep: the library would take the process down with it.
    """
    inside: list[Tag] = []
    for tag in tags(source, verbatim=()):  # the library reads elements in all of them
        if tag.is_empty or tag.name.lower() in _VOID:
            continue
        if not tag.closes:
            inside.append(tag)
        elif tag.name not in {each.name for each in inside}:
            yield tag
        else:
            while (last := inside.pop()).name != tag.name:
                yield last
        if len(inside) > DEEPEST:
            message = f"goes more than {DEEPEST} elements deep"
            raise NotMarkup(message, line_of(source, tag.start))
    yield from reversed(inside)


def _said(error: str, source: str, unpaired: list[Tag]) -> NotMarkup:
    include = source.find("<mj-include")
    if include >= 0:
        return NotMarkup(
            'includes a part in another way than <mj-include path="_NAME.mjml" />', line_of(source, include)
        )
    if unpaired:
        first = unpaired[0]
        begin, end = f"<{first.name}>", f"</{first.name}>"
        message = f"{end} has no beginning {begin}" if first.closes else f"{begin} has no end {end}"
        return NotMarkup(message, line_of(source, first.start))
    if error.startswith("unable to parse"):
        return NotMarkup("cannot be read: one <mjml> is around all, values are in quotes, and a < of the text is &lt;")
    return NotMarkup(error)


def _wrapped(marked: str) -> Iterator[str]:
    """The source with `mj-raw` around the marks that stand where MJML has elements only."""
    inside: list[str] = []
    end = 0
    for tag in tags(marked, verbatim=()):
        if not tag.name.startswith(("mjml", "mj-")):
            continue
        yield _between(marked[end : tag.start], inside)
        yield marked[tag.start : tag.end]
        end = tag.end
        if tag.closes:
            if inside:
                inside.pop()
        elif not tag.is_empty:
            inside.append(tag.name)
    yield marked[end:]


def _between(text: str, inside: list[str]) -> str:
    if inside and inside[-1] in _HEAD and not text.strip():
        return ""  # mrml refuses spaces there, unless a line begins
    if not inside or inside[-1] not in _HOLDING_ELEMENTS:
        return text
    return _MARK.sub(lambda found: f"<mj-raw>{found[0]}</mj-raw>", text)
