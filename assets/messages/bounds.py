"""What a filter may make, of what, and how long a message may take: a bomb is refused before it goes off."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from decimal import Decimal
from functools import wraps
from typing import Any

from liquid.exceptions import ResourceLimitError
from liquid.undefined import is_undefined

LARGEST = 500_000  # characters of a text, and bytes of a rendered part: mail programs cut at a fifth of it
MOST = 2_000  # entries of a list, and turns of a loop: `uniq` compares each with each
FARTHEST = 10**18  # of a number
SECONDS = 2.0  # for one message

_deadline: ContextVar[float] = ContextVar("deadline")
_NUMBERS = frozenset({
    "abs", "at_least", "at_most", "ceil", "divided_by", "floor", "minus", "modulo", "plus", "round", "times",
})  # fmt: skip
_KEYWORDS = frozenset({"allow_false", "context", "environment"})  # others would pass what is measured by its place


@contextmanager
def in_time() -> Iterator[None]:
    """The time for one message begins."""
    token = _deadline.set(time.monotonic() + SECONDS)
    try:
        yield
    finally:
        _deadline.reset(token)


def deadline() -> float:
    """Until when the message at hand may be made, by the monotonic clock."""
    return _deadline.get(float("inf"))


def check_time(end: float) -> None:
    if time.monotonic() > end:
        refuse(f"takes longer than {SECONDS:g} seconds")


def bounded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The filter, refusing what would take too long or too much. Attributes such as `with_context` stay."""

    @wraps(function)
    def filtered(*args: Any, **kwargs: Any) -> Any:
        check_time(deadline())
        if unknown := kwargs.keys() - _KEYWORDS:
            message = f"no argument is called {min(unknown)}"
            raise TypeError(message)
        for given in args:
            if name != "default" and is_undefined(given):
                str(given)  # which says that it is not there, where numbers would take it for 0
            measure(given)
        if name in _NUMBERS:  # which take a decimal for 0
            args = tuple(float(given) if isinstance(given, Decimal) else given for given in args)
        if name in _GROWING and len(args) > 1 and _GROWING[name](*args) > LARGEST:
            refuse(_TOO_LONG)
        return measure(function(*args, **kwargs))

    return filtered


def measure(value: Any) -> Any:
    if isinstance(value, str | list | tuple | dict):
        if not isinstance(value, str) and len(value) > MOST:
            refuse(f"makes a list of more than {MOST:,}")
        if size(value) > LARGEST:
            refuse(_TOO_LONG)
    elif isinstance(value, int | float | Decimal) and (value > FARTHEST or value < -FARTHEST):
        refuse("makes a number too large for any message")
    return value


def size(value: Any) -> int:
    """How many characters it is as a text, or would be: a list may have one text many times."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        value = [*value, *value.values()]
    return sum(map(size, value)) if isinstance(value, list | tuple) else 1


def _replaced(value: Any, seek: Any, put: Any = "") -> int:
    text, sought = str(value), str(seek)
    found = text.count(sought) if sought else len(text) + 1
    return len(text) + found * len(str(put))


def _joined(value: Any, separator: Any) -> int:
    return size(value) + (len(value) * len(str(separator)) if isinstance(value, list | tuple) else 0)


_GROWING: Mapping[str, Callable[..., int]] = {
    "join": _joined, "replace": _replaced, "replace_first": _replaced, "replace_last": _replaced,
}  # fmt: skip
"""Filter → how long the text becomes at most."""
_TOO_LONG = f"makes a text of more than {LARGEST:,} characters"


def refuse(what: str) -> None:
    raise ResourceLimitError(what, token=None)
