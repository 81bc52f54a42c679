"""Renders one message: a compiled template, a person's values, and what every message has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from liquid.exceptions import LiquidError

from assets.messages.bounds import in_time
from assets.messages.compiling import Compiled
from assets.messages.filters import CAMPAIGN
from assets.messages.reasons import reason


class Unrendered(Exception):
    """The message cannot be made for this person; the text says why, and holds nothing of theirs."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """What somebody reads. `html` is None where it is all text, `subject` is one line and may be empty."""

    locale: str
    subject: str
    text: str
    html: str | None

    def part_without(self, link: str) -> str | None:
        """Which part of an e-mail a link is missing in."""
        parts = {"HTML": self.html, "text": self.text}
        return next((name for name, part in parts.items() if part is not None and link not in part), None)


@dataclass(frozen=True, slots=True)
class Occasion:
    """What a message is made for besides its person: when, and with which links."""

    now: datetime
    unsubscribe_url: str | None = None
    preferences_url: str | None = None
    campaign: Mapping[str, str] | None = None  # parameters that links get


def render(template: Compiled, locale: str | None, values: Mapping[str, Any], occasion: Occasion) -> Rendered:
    """In the language for `locale`. `values` has every variable of the template, None where it is not known.

    Raises Unrendered.
    """
    texts = template.of(locale)
    given = {
        **values,
        "locale": texts.locale,
        "now": occasion.now,
        "unsubscribe_url": occasion.unsubscribe_url,
        "preferences_url": occasion.preferences_url,
        CAMPAIGN: occasion.campaign or {},
    }
    with rendering(template.read.name):
        subject = texts.subject.render(given) if texts.subject else ""
        html = texts.html.render(given) if texts.html else None
        text = texts.text.render(given)
    return Rendered(texts.locale, " ".join(subject.split()), text.strip() + "\n", html)


@contextmanager
def rendering(name: str) -> Iterator[None]:
    """In the time for one message; `name` says what is rendered. Raises Unrendered."""
    try:
        with in_time():
            yield
    except LiquidError as error:
        message = f"{name}: {reason(error)}"
        raise Unrendered(message) from error
    except (ArithmeticError, LookupError, TypeError, ValueError, RecursionError) as error:  # of a filter
        message = f"{name}: a filter fails ({type(error).__name__})"
        raise Unrendered(message) from error
