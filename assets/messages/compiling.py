"""Compiles a template once a language: texts put in, MJML made HTML, links marked, Liquid parsed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from html import escape
from typing import Any

from liquid.exceptions import LiquidError
from liquid.static_analysis import Variable
from liquid.template import BoundTemplate

from assets.configuration import shown_path
from assets.messages import marking, mjml
from assets.messages.filters import WAYS_OUT
from assets.messages.liquid import environment
from assets.messages.markup import LIQUID, NotMarkup, line_of, tags
from assets.messages.reasons import mistake
from assets.messages.text import Text
from assets.mistakes import suggestion
from models.errors import ConfigError

OF_PROFILE, OF_EVENT = "profile", "event"  # `profile.NAME` and `event.NAME` say which of the two is meant
GIVEN = frozenset({"locale", "now", *WAYS_OUT})
"""Variables that every message has, besides the person's profile and the entry event's properties."""

_TEXT = re.compile(r"\{\{-?\s*t\.([A-Za-z0-9_]+)\s*-?\}\}")


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

    @cached_property
    def named(self) -> frozenset[str]:
        """What a person's row may have of it. Names with an underscore first are ours."""
        return frozenset(name for name in self.variables | self.columns if not name.startswith("_"))

    def values(self, profile: Mapping[str, Any], event: Mapping[str, Any]) -> dict[str, Any]:
        """What it is rendered with, of a person's columns and of the entry event's properties."""
        return {
            **{name: profile[name] if name in profile else event.get(name) for name in self.variables},
            OF_PROFILE: {name: profile.get(name) for name in self.columns},
            OF_EVENT: {name: event.get(name) for name in self.properties},
        }

    def of(self, locale: str | None) -> Texts:
        """The language for somebody: the locale, else its language, else the first."""
        return self.languages[chosen(tuple(self.languages), locale)]

    @property
    def ways_out(self) -> frozenset[str]:
        """Which of WAYS_OUT every part that a person may see names, be it for some people only."""
        shown = [part for texts in self.languages.values() for part in (texts.html, texts.text) if part]
        return frozenset.intersection(*(frozenset(_used(self.read, part)) for part in shown)) & {*WAYS_OUT}


def chosen(locales: tuple[str, ...], wanted: str | None) -> str:
    """`de-AT` reads `de-AT`, else `de`, else the first."""
    asked = (wanted or "").replace("_", "-").replace("İ", "i").lower()  # a letter for a letter, as in warehouses
    by_name = {locale.lower(): locale for locale in reversed(locales)}
    return by_name.get(asked) or by_name.get(asked.partition("-")[0]) or locales[0]


@lru_cache(maxsize=512)
def compiled(read: Text) -> Compiled:
    """Raises ConfigError with file and line of what cannot be compiled."""
    _check(read)
    languages = {locale: _texts(read, locale) for locale in read.template.languages}
    parts = [part for texts in languages.values() for part in (texts.subject, texts.html, texts.text) if part]
    used = [_used(read, part) for part in parts]
    names = frozenset[str]().union(*used) - GIVEN - {OF_PROFILE, OF_EVENT}
    columns, properties = (
        frozenset(name for each in used for variable in each.get(of, ()) if (name := _member(variable)))
        for of in (OF_PROFILE, OF_EVENT)
    )
    return Compiled(read, languages, names, columns, properties)


@lru_cache(maxsize=512)
def compiled_or_why(read: Text) -> Compiled | str:
    """Of a version that was kept: it may be from before something was refused, and then only its messages are."""
    try:
        return compiled(read)
    except ConfigError as error:
        return f"{read.name}: this version of its text cannot be used any more: {error}"


def _check(read: Text) -> None:
    """Parse everything as it is written, where the lines are the file's."""
    there = next(iter(read.template.locales.values()), {})
    for source in (read.markup or "", read.words):
        for message, place in _missing(source, there):
            raise _error(read, message, line_of(source, place))
        for message, place in _nameless(read, _parsed(read, source, html=False)):
            raise _error(read, message, line_of(source, place))
    with _markup(read):
        list(tags(read.markup or ""))
    for message, _ in _missing(read.template.subject or "", there):
        raise read.document.error(message, "subject")
    small: list[tuple[str, str, tuple[str, ...]]] = [("subject", read.template.subject or "", ())]
    for locale, texts in read.template.locales.items():
        small += [(name, text, ("locales", locale)) for name, text in texts.items()]
    for key, source, above in small:
        try:
            template = environment(html=False).from_string(source)
        except LiquidError as error:
            message = f"is not Liquid: {mistake(error, source)[0]}"
            raise read.document.error(message, *above, key) from error
        for message, _ in _nameless(read, template):
            raise read.document.error(message, *above, key)


def _missing(source: str, there: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    """Texts that no language has, with their place."""
    for found in _TEXT.finditer(source):
        if found[1] not in there:
            hint = suggestion(found[1], list(there), "there are")
            yield f"has no text '{found[1]}' in `locales`{hint}", found.start()


def _nameless(read: Text, template: BoundTemplate) -> Iterator[tuple[str, int]]:
    """Each `profile` and `event` that does not say which of its values, with its place."""
    used = _used(read, template)
    for of in (OF_PROFILE, OF_EVENT):
        for variable in used.get(of, ()):
            if _member(variable) is None:
                message = f"uses '{variable}': write `{of}.NAME`, with the name of one of its values"
                yield message, variable.span.index


def _texts(read: Text, locale: str) -> Texts:
    given, template = read.template.locales.get(locale, {}), read.template
    with _markup(read):
        page = None if read.markup is None else marking.page(_page(read, given))
    return Texts(
        locale,
        subject=_parsed(read, _put(template.subject, given), html=False) if template.subject else None,
        html=None if page is None else _parsed(read, page, html=True),
        text=_parsed(read, marking.text(_put(read.words, given).strip()), html=False),
    )


def _page(read: Text, given: Mapping[str, str]) -> str:
    markup = _put(read.markup or "", {name: _escaped(text) for name, text in given.items()}).rstrip()
    return markup.lstrip() if read.ending == ".html" else mjml.html(markup)


@contextmanager
def _markup(read: Text) -> Iterator[None]:
    try:
        yield
    except NotMarkup as error:
        message = f"is not {read.ending[1:].upper()}: {error}"
        raise _error(read, message, error.line) from error


def _parsed(read: Text, source: str, *, html: bool) -> BoundTemplate:
    try:
        return environment(html=html).from_string(source)
    except LiquidError as error:
        message, line = mistake(error, source)
        raise _error(read, f"is not Liquid: {message}", line) from error


def _error(read: Text, message: str, line: int | None = None) -> ConfigError:
    return ConfigError(message, file=shown_path(read.file), line=line)


def _put(source: str, texts: Mapping[str, str]) -> str:
    return _TEXT.sub(lambda found: texts.get(found[1], found[0]), source)


def _escaped(text: str) -> str:
    """As HTML, but for the Liquid in it."""
    end, parts = 0, list[str]()
    for found in LIQUID.finditer(text):
        parts += [escape(text[end : found.start()], quote=True), found[0]]
        end = found.end()
    return "".join([*parts, escape(text[end:], quote=True)])


def _used(read: Text, template: BoundTemplate) -> Mapping[str, list[Variable]]:
    """What the template is given, by name: each place where it is used."""
    try:
        return template.analyze(include_partials=False).globals
    except RecursionError as error:
        raise _error(read, "is not Liquid: goes too deep") from error


def _member(variable: Variable) -> str | None:
    """NAME of `profile.NAME`; None where it cannot be known before it is rendered."""
    name = variable.segments[1] if len(variable.segments) > 1 else None
    return name if isinstance(name, str) else None
