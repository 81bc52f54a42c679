"""Liquid as templates have it: strict, sandboxed, bounded in time and size whatever a template or a person's name is.

Nothing is loaded, no clock is read, and no filter makes more of a text than LARGEST.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, lru_cache, wraps
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from liquid import Environment, Markup, StrictUndefined
from liquid.context import RenderContext
from liquid.exceptions import LiquidError, ResourceLimitError
from liquid.filter import with_context

LARGEST = 500_000  # characters of a text, and bytes of a rendered part: mail programs cut at a fifth of it
MOST = 5_000  # entries of a list, and turns of a loop
FARTHEST = 10**18  # of a number
SECONDS = 2.0  # for one message
CAMPAIGN = "_campaign"  # the render variable with the parameters that links get

_deadline: ContextVar[float] = ContextVar("deadline")
_WIDTH = re.compile(r"%[^A-Za-z%]*[0-9]")  # `%999999999d` is a text of a gigabyte
_REPLACING = frozenset({"replace", "replace_first", "replace_last"})


class _Bounded(Environment):
    loop_iteration_limit = MOST
    output_stream_limit = LARGEST
    local_namespace_limit = 4 * LARGEST
    context_depth_limit = 15


@cache
def environment(*, html: bool) -> Environment:
    """For a part of HTML, where every value is escaped, or of text."""
    made = _Bounded(undefined=StrictUndefined, autoescape=html)
    for tag in ("include", "render"):
        del made.tags[tag]
    del made.filters["safe"]  # what a person or an event says is never markup
    made.filters["date"] = _dated(made.filters["date"])
    for name, function in list(made.filters.items()):
        made.filters[name] = _bounded(name, function)
    made.filters["campaign"] = _campaign
    return made


@contextmanager
def in_time() -> Iterator[None]:
    """The time for one message begins."""
    token = _deadline.set(time.monotonic() + SECONDS)
    try:
        yield
    finally:
        _deadline.reset(token)


def _bounded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The filter, refusing what would take too long or too much. Attributes such as `with_context` stay."""

    @wraps(function)
    def filtered(value: Any, *args: Any, **kwargs: Any) -> Any:
        if time.monotonic() > _deadline.get(float("inf")):
            _refuse(f"takes longer than {SECONDS:g} seconds")
        for given in (value, *args):
            _measure(given)
        if name in _REPLACING and args:
            _measure_replaced(value, *args)
        if name == "round" and args and isinstance(args[0], int):
            args = (max(-20, min(20, args[0])),)
        return _measure(function(value, *args, **kwargs))

    return filtered


def _measure(value: Any) -> Any:
    if isinstance(value, str | list | tuple | dict | range):
        if len(value) > (LARGEST if isinstance(value, str) else MOST):
            _refuse(f"makes a text of more than {LARGEST:,} characters, or a list of more than {MOST:,}")
    elif isinstance(value, int | float) and abs(value) > FARTHEST:
        _refuse("makes a number too large for any message")
    return value


def _measure_replaced(value: Any, seek: Any, put: Any = "") -> None:
    text, sought = str(value), str(seek)
    found = text.count(sought) if sought else len(text) + 1
    if len(text) + found * len(str(put)) > LARGEST:
        _refuse(f"makes a text of more than {LARGEST:,} characters")


def _refuse(what: str) -> None:
    raise ResourceLimitError(what, token=None)


def _dated(function: Callable[..., Any]) -> Callable[..., Any]:
    """`now` is the moment the message is composed for, so that it can be shown again as it was."""

    @with_context
    def date(value: Any, form: Any = "", *, context: RenderContext) -> Any:
        if _WIDTH.search(str(form)):
            _refuse("has a number in a format of dates")
        if value is None:
            return ""
        moment = context.resolve("now") if value in ("now", "today") else value
        return function(moment, str(form), environment=context.env)

    return date


@with_context
def _campaign(link: Any, *, context: RenderContext) -> Any:
    """The link with the campaign's parameters; those it has already stay as they are."""
    parameters: Mapping[str, str] = context.resolve(CAMPAIGN, default={})
    is_markup = isinstance(link, Markup)
    text = unescape(str(link)) if is_markup else str(link)
    parts = urlsplit(text)
    if not parameters or parts.scheme not in {"http", "https"}:
        return link
    given = dict(parse_qsl(parts.query, keep_blank_values=True)) if parts.query else {}
    added = _encoded(tuple((name, value) for name, value in parameters.items() if name not in given))
    whole = urlunsplit(parts._replace(query="&".join(filter(None, [parts.query, added]))))
    return Markup.escape(whole) if is_markup else whole


_encoded = lru_cache(maxsize=1_024)(urlencode)


def told(error: LiquidError) -> tuple[str, int | None]:
    """What is wrong in one sentence, and the line it is on."""
    found = error.context()
    return str(error.message or type(error).__name__), found[0] if found else None
