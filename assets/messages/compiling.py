"""Compiles a template once a language: texts put in, MJML made HTML, links marked, Liquid parsed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from itertools import chain
from typing import Any

from liquid.exceptions import LiquidError
from liquid.static_analysis import Variable
from liquid.template import BoundTemplate

from assets.configuration import shown_path
from assets.messages import mjml
from assets.messages.liquid import environment
from assets.messages.reasons import told
from assets.messages.text import Text
from assets.mistakes import suggestion
from models.errors import ConfigError

WAYS_OUT = ("unsubscribe_url", "preferences_url")  # the two links by which somebody gets out
OF_PROFILE, OF_EVENT = "profile", "event"  # `profile.NAME` and `event.NAME` say which of the two is meant
GIVEN = frozenset({"locale", "now", *WAYS_OUT})
"""Variables that every message has, besides the person's profile and the entry event's properties."""

_TEXT = re.compile(r"\{\{-?\s*t\.([A-Za-z0-9_]+)\s*-?\}\}")
_HREF = re.compile(
    rf"""(<a\s[^<>]*?href=)(["'])(?=\s*(?:https?://|\{{\{{))((?:{mjml.LIQUID.pattern}|(?!\2|\{{\{{|\{{%).)*)\2""",
    re.DOTALL | re.IGNORECASE,
)
_OURS = re.compile(rf"^\s*\{{\{{-?\s*({'|'.join(WAYS_OUT)})\s*-?\}}\}}\s*$")
_URL = re.compile(  # not in Liquid, and without what ends a sentence
    rf"(?P<liquid>{mjml.LIQUID.pattern})|https?://(?:\{{\{{.*?\}}\}}|[^\s<>\"'{{}}])+(?<![.,;:!?)])", re.DOTALL
)
_LINK = "{{% capture _link %}}{0}{{% endcapture %}}{{{{ _link | campaign }}}}"


@dataclass(frozen=True)
class Texts:
    """One language of a template. `html` is None where it is all text, `subject` where it has none."""

    locale: str
    subject: BoundTemplate | None
    html: BoundTemplate | None
    text: BoundTemplate


@dataclass(frozen=True)
class Compiled:
    """A template that can be rendered, and what it needs for it."""

    read: Text
    languages: Mapping[str, Texts]  # by locale, the fall-back first
    variables: frozenset[str]  # by name alone: a column of profiles, else a property of the entry event
    columns: frozenset[str]  # NAME of each `profile.NAME`
    properties: frozenset[str]  # NAME of each `event.NAME`

    def values(self, row: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
        """What it is rendered with: of `row`, columns of profiles, and of `told`, properties of the entry event."""
        return {
            **{name: row.get(name, told.get(name)) for name in self.variables},
            OF_PROFILE: {name: row.get(name) for name in self.columns},
            OF_EVENT: {name: told.get(name) for name in self.properties},
        }

    def of(self, locale: str | None) -> Texts:
        """The language for somebody: the locale, else its language, else the first."""
        return self.languages[chosen(tuple(self.languages), locale)]

    @property
    def ways_out(self) -> frozenset[str]:
        """Which of `unsubscribe_url` and `preferences_url` every part that a person may see has."""
        shown = [part for texts in self.languages.values() for part in (texts.html, texts.text) if part]
        return frozenset.intersection(*(frozenset(_used(part)) for part in shown)) & {*WAYS_OUT}


def chosen(locales: tuple[str, ...], wanted: str | None) -> str:
    """`de-AT` reads `de-AT`, else `de`, else the first."""
    told = (wanted or "").replace("_", "-").replace("İ", "i").lower()  # a letter for a letter, as in warehouses
    by_name = {locale.lower(): locale for locale in reversed(locales)}
    return by_name.get(told) or by_name.get(told.partition("-")[0]) or locales[0]


@lru_cache(maxsize=512)
def compiled(read: Text) -> Compiled:
    """Raises ConfigError with file and line of what cannot be compiled."""
    _check(read)
    languages = {locale: _texts(read, locale) for locale in read.template.languages}
    parts = [part for texts in languages.values() for part in (texts.subject, texts.html, texts.text) if part]
    try:
        used = [_used(part) for part in parts]
    except RecursionError as error:
        raise _error(read, "is not Liquid: goes too deep") from error
    names = frozenset[str]().union(*used) - GIVEN - {OF_PROFILE, OF_EVENT}
    columns, properties = (frozenset(_members(read, of, used)) for of in (OF_PROFILE, OF_EVENT))
    return Compiled(read, languages, names, columns, properties)


def _check(read: Text) -> None:
    """Parse everything as it is written, where the lines are the file's."""
    there = next(iter(read.template.locales.values()), {})
    for source in (read.markup or "", read.words):
        for message, place in _missing(source, there):
            raise _error(read, message, source.count("\n", 0, place) + 1)
        _parsed(read, source, html=False)
    for message, _ in _missing(read.template.subject or "", there):
        raise read.document.error(message, "subject")
    small: list[tuple[str, str, tuple[str, ...]]] = [("subject", read.template.subject or "", ())]
    for locale, texts in read.template.locales.items():
        small += [(name, text, ("locales", locale)) for name, text in texts.items()]
    for key, source, above in small:
        try:
            environment(html=False).from_string(source)
        except LiquidError as error:
            message = f"is not Liquid: {told(error, source)[0]}"
            raise read.document.error(message, *above, key) from error


def _missing(source: str, there: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    """Texts that no language has, with their place."""
    for found in _TEXT.finditer(source):
        if found[1] not in there:
            hint = suggestion(found[1], list(there), "there are")
            yield f"has no text '{found[1]}' in `locales`{hint}", found.start()


def _texts(read: Text, locale: str) -> Texts:
    given, template = read.template.locales.get(locale, {}), read.template
    words = _URL.sub(lambda found: found["liquid"] or _LINK.format(found[0]), _put(read.words, given).strip())
    return Texts(
        locale,
        subject=_parsed(read, _put(template.subject, given), html=False) if template.subject else None,
        html=None if read.markup is None else _parsed(read, _with_campaign(_page(read, given)), html=True),
        text=_parsed(read, words, html=False),
    )


def _page(read: Text, given: Mapping[str, str]) -> str:
    markup = _put(read.markup or "", {name: _escaped(text) for name, text in given.items()}).rstrip()
    if read.ending == ".html":
        return markup.lstrip()
    try:
        return mjml.html(markup)
    except mjml.NotMjml as error:
        message = f"is not MJML: {error}"
        raise _error(read, message, error.line) from error


def _parsed(read: Text, source: str, *, html: bool) -> BoundTemplate:
    try:
        return environment(html=html).from_string(source)
    except LiquidError as error:
        message, line = told(error, source)
        raise _error(read, f"is not Liquid: {message}", line) from error


def _error(read: Text, message: str, line: int | None = None) -> ConfigError:
    return ConfigError(message, file=shown_path(read.file), line=line)


def _put(source: str, texts: Mapping[str, str]) -> str:
    return _TEXT.sub(lambda found: texts.get(found[1], found[0]), source)


def _escaped(text: str) -> str:
    """As HTML, but for the Liquid in it."""
    end, parts = 0, list[str]()
    for found in mjml.LIQUID.finditer(text):
        parts += [escape(text[end : found.start()], quote=True), found[0]]
        end = found.end()
    return "".join([*parts, escape(text[end:], quote=True)])


def _with_campaign(page: str) -> str:
    """The page with every link to others marked; the two ways out are ours, and go as they are."""

    def marked(found: re.Match[str]) -> str:
        before, quote, link = found.groups()
        return found[0] if _OURS.match(link) else f"{before}{quote}{_LINK.format(link.strip())}{quote}"

    return _HREF.sub(marked, page)


def _used(template: BoundTemplate) -> Mapping[str, list[Variable]]:
    """What the template is given, by name: each place where it is used."""
    return template.analyze(include_partials=False).globals


def _members(read: Text, of: str, used: Iterable[Mapping[str, list[Variable]]]) -> Iterator[str]:
    """NAME of each `of.NAME`. Raises ConfigError where the template does not say which."""
    for variable in chain.from_iterable(each.get(of, ()) for each in used):
        name = variable.segments[1] if len(variable.segments) > 1 else None
        if not isinstance(name, str):
            raise _error(read, f"uses '{variable}': write `{of}.NAME`, with the name of one of its values")
        yield name
