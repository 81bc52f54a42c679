"""Whether a template can be a message of a channel, for a purpose; and whether it can be rendered for anybody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from assets.configuration import shown_path
from assets.messages.compiling import WAYS_OUT, compiled
from assets.messages.rendering import Occasion, Unrendered, render
from assets.messages.text import Text
from models.errors import ConfigError
from models.sync import TRANSACTIONAL, Channel

_EXAMPLES: Mapping[str, Any] = {
    "boolean": True, "date": datetime(2026, 1, 2, tzinfo=UTC).date(), "decimal": Decimal("12.50"), "double": 1.5,
    "integer": 3, "bigint": 3, "int": 3, "timestamp": datetime(2026, 1, 2, 3, tzinfo=UTC),
}  # fmt: skip


def problems(read: Text, channel: Channel, purpose: str) -> Iterator[str]:
    """What keeps it from being a message of this channel and purpose."""
    file = read.file.name
    if channel != "email":
        if read.ending != ".txt":
            yield f"{file} is for e-mail; what goes by {channel} is a .txt"
        elif channel == "push" and not read.template.subject:
            yield f"{file} needs a `subject`, the title of the push"
        return
    if not read.template.subject:
        yield f"{file} needs a `subject`"
    missing = [name for name in WAYS_OUT if name not in compiled(read).ways_out]
    if missing and purpose != TRANSACTIONAL:
        shown = " and ".join(f"{{{{ {name} }}}}" for name in missing)
        yield f"{file} needs {shown} in its HTML and in its text: whoever gets {purpose} must be able to say no"


def try_out(read: Text, profiles: Mapping[str, str]) -> None:
    """Render it in every language for somebody of whom all is known, and for somebody of whom nothing is.

    `profiles`: column → type. Raises ConfigError.
    """
    template = compiled(read)
    occasion = Occasion(datetime(2026, 1, 2, tzinfo=UTC), "https://example.invalid/u/x", "https://example.invalid/p/x")
    named = template.variables | template.columns
    row = {name: _example(profiles[name]) for name in named & profiles.keys()}
    known = template.values(row, dict.fromkeys(template.properties | (named - profiles.keys()), _Anything("Ada")))
    for who, values in (("", known), (" who has none of its variables", template.values({}, {}))):
        for locale in template.languages:
            try:
                render(template, locale, values, occasion)
            except Unrendered as error:
                message = f"cannot be rendered in '{locale}' for somebody{who}: {error}"
                raise ConfigError(message, file=shown_path(read.file)) from error


class _Anything(str):
    """What an event may say: a text, a list of one thing to go through, or something that has values by name."""

    __slots__ = ()

    def __getitem__(self, name: object) -> Any:
        return super().__getitem__(name) if isinstance(name, int | slice) else self

    def __iter__(self) -> Iterator[Any]:
        yield self


def _example(kind: str) -> Any:
    return next((value for name, value in _EXAMPLES.items() if kind.lower().startswith(name)), "Ada")
