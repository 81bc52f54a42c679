"""Filters that know the message: dates by its own moment, links with its campaign and to where links may lead."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from html import unescape
from typing import Any, cast
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit, urlunsplit

from dateutil.parser import ParserError, parse  # type: ignore[import-untyped]
from liquid import Markup
from liquid.context import RenderContext
from liquid.filter import with_context

from assets.messages.bounds import refuse

CAMPAIGN = "_campaign"  # the render variable with the parameters that links get
WAYS_OUT = ("unsubscribe_url", "preferences_url")  # and those with the two links by which somebody gets out
LONGEST_DATE = 100  # characters: what is longer is no date

# schemes of what a value may make; what a trait says may be any
_FOLLOWED = frozenset({"", "http", "https", "mailto", "sms", "tel"})
_LOADED = frozenset({"", "http", "https", "cid"})
_NO_LINK = SplitResult("none", "", "", "", "")

_WIDTH = re.compile(r"%[^A-Za-z%]*[0-9]")  # `%999999999d` is a text of a gigabyte
_ENTITY = re.compile(r"&(#[0-9]+|#[xX][0-9a-fA-F]+|[A-Za-z][A-Za-z0-9]*);")


def dated(function: Callable[..., Any]) -> Callable[..., Any]:
    """The filter `date`, without a clock and a time zone of this machine.

    `now` is the moment the message is composed for, so that it can be shown again as it was.
    """

    @with_context
    def date(value: Any, form: Any, *, context: RenderContext) -> Any:
        if _WIDTH.search(str(form)):
            refuse("has a number in a format of dates")
        moment = _moment("" if value is None else value, context.globals["now"])
        return str(moment) if isinstance(moment, str | int) else function(moment, str(form), environment=context.env)

    return date


def _moment(value: Any, now: Any) -> Any:
    """What a text or a number says of a moment; what says nothing stays as it is."""
    if value in ("now", "today"):
        return now
    try:
        if isinstance(value, int) or (isinstance(value, str) and value.isdecimal()):
            return datetime.fromtimestamp(int(value), UTC)
        if isinstance(value, str) and len(value) <= LONGEST_DATE:
            return parse(value, default=now.replace(hour=0, minute=0, second=0, microsecond=0))
    except (ParserError, OverflowError, OSError, ValueError):
        return value
    return value


@with_context
def campaign(link: Any, *, context: RenderContext) -> Any:
    """The link with the campaign's parameters; those it has already stay as they are. A script is no link: `#`."""
    parameters = cast("Mapping[str, str]", context.globals.get(CAMPAIGN, {}))
    text = _written(link)
    parts = _parts(text)
    if parts.scheme not in _FOLLOWED:
        return "#"
    if not parameters or parts.scheme not in {"http", "https"} or text in map(context.globals.get, WAYS_OUT):
        return link
    given = dict(parse_qsl(parts.query, keep_blank_values=True)) if parts.query else {}
    added = _encoded(tuple((name, value) for name, value in parameters.items() if name not in given))
    whole = urlunsplit(parts._replace(query="&".join(filter(None, [parts.query, added]))))
    return Markup.escape(whole) if isinstance(link, Markup) else whole


def link(value: Any) -> Any:
    """What may be followed; for everything else `#`."""
    return value if _parts(_written(value)).scheme in _FOLLOWED else "#"


def picture(value: Any) -> Any:
    """What may be loaded as a picture; for everything else `#`."""
    parts = _parts(_written(value))
    is_inside = parts.scheme == "data" and parts.path.lower().startswith("image/")
    return value if is_inside or parts.scheme in _LOADED else "#"


def _written(value: Any) -> str:
    """As it reads, in HTML or in a text."""
    return _ENTITY.sub(lambda found: unescape(found[0]), value) if isinstance(value, Markup) else str(value)


def _parts(text: str) -> SplitResult:
    try:
        return urlsplit(text)
    except ValueError:  # `http://[`
        return _NO_LINK


_encoded = lru_cache(maxsize=1_024)(urlencode)
