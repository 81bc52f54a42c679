"""HTML and MJML with Liquid in them, tag by tag, as a browser reads them once Liquid is done.

Where tags and their attributes stand is known here; what a link or an element may be is not.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

# what is between these is no Liquid; without an end it goes on to the end, so that it is looked for once
_BLOCKS = "|".join(
    rf"\{{%-?\s*{word}\b.*?(?:\{{%-?\s*end{word}\s*-?%\}}|\Z)" for word in ("comment", "doc", "raw")
)  # fmt: skip
LIQUID = re.compile(rf"(?>{_BLOCKS}|\{{\{{.*?\}}\}}|\{{%.*?%\}})", re.DOTALL)
_SAYS = re.compile(r"\{\{|\{%-?\s*(echo|liquid|cycle)\b")  # others are there for what is around them
_BEGIN = re.compile(
    rf"{LIQUID.pattern}|<!--(?!\[if)(?:-?>|.*?(?:--!?>|\Z))"  # Outlook reads what is in `<!--[if mso]>`
    r"|<(?P<closes>/?)(?P<name>(?=\{\{)|[A-Za-z](?:(?!\{[{%])[^\s/>])*)",
    re.DOTALL,
)
_PART = re.compile(
    rf"(?P<liquid>{LIQUID.pattern})|(?P<end>/?>)|(?P<name>(?:(?!\{{[{{%])[^\s/>=])++)"
    rf"""(?:\s*=\s*(?P<written>(?P<quote>["'])(?P<value>(?:{LIQUID.pattern}|(?!(?P=quote)).)*+)(?P=quote)"""
    rf"""|(?P<open>["'])|(?P<bare>(?:{LIQUID.pattern}|[^\s>])*+)))?+|.""",
    re.DOTALL,
)
VERBATIM = ("script", "style")  # in which HTML has no tags


class NotMarkup(ValueError):
    """What is wrong with the source, and on which line of it, where that is known."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True)
class Attribute:
    """`start` and `end` are those of the value, quotes included."""

    name: str  # in lower case
    value: str
    quote: str  # empty where there is none
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Tag:
    """`<a href="…">`, `</a>` or `<br/>`, from `start` to `end`."""

    name: str  # as it is written
    start: int
    end: int
    closes: bool
    is_empty: bool
    attributes: tuple[Attribute, ...]


def tags(source: str, verbatim: Collection[str] = VERBATIM) -> Iterator[Tag]:
    """Every tag, those of Outlook's comments too, but none in elements that are `verbatim`.

    Raises NotMarkup for Liquid whose value could end an attribute or begin another, and for a quote without an end.
    """
    place = 0
    while found := _BEGIN.search(source, place):
        place = found.end()
        if found["name"] is None:
            continue
        tag = _tag(source, found)
        if tag is None:
            return
        yield tag
        place = tag.end
        if tag.name.lower() in verbatim and not tag.closes:
            end = re.compile(f"</{tag.name}", re.IGNORECASE).search(source, place)
            place = end.start() if end else len(source)


def line_of(source: str, place: int) -> int:
    """The line, from 1, on which the character at `place` stands."""
    return source.count("\n", 0, place) + 1


def _tag(source: str, found: re.Match[str]) -> Tag | None:
    """None for what is no tag, as nothing ends it."""
    attributes = list[Attribute]()
    for part in _PART.finditer(source, found.end()):
        if part["end"]:
            is_empty = part["end"] == "/>"
            return Tag(found["name"], found.start(), part.end(), bool(found["closes"]), is_empty, tuple(attributes))
        if part["open"]:
            message = f"<{found['name']} {part['name']}={part['open']}…> has no second {part['open']}"
            raise NotMarkup(message, line_of(source, part.start("open")))
        loose = LIQUID.search(part["liquid"] or part["bare"] or "")
        if loose and (part["bare"] or _SAYS.match(loose[0])):
            message = f'<{found["name"]}> has {loose[0]} without quotes around it: write {part["name"] or "NAME"}="…"'
            if not found["name"]:
                message = f"<{loose[0]} is no element: a < of the text is &lt;"
            raise NotMarkup(message, line_of(source, part.start()))
        if part["written"] is not None:
            value, quote = part["value"] or part["bare"] or "", part["quote"] or ""
            attributes.append(Attribute(part["name"].lower(), value, quote, *part.span("written")))
    return None
