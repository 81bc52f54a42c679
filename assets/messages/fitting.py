"""Whether a template can be a message of a channel, for a purpose; and whether it can be rendered for anybody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from assets.configuration import shown_path
from assets.messages.compiling import Compiled, compiled
from assets.messages.filters import WAYS_OUT
from assets.messages.rendering import Occasion, Rendered, Unrendered, render
from assets.messages.text import Text
from models.errors import ConfigError
from models.sync import TRANSACTIONAL, Channel

_EXAMPLES: Mapping[str, Any] = {
    "boolean": True, "date": datetime(2026, 1, 2, tzinfo=UTC).date(), "decimal": Decimal("12.50"), "double": 1.5,
    "integer": 3, "bigint": 3, "int": 3, "timestamp": datetime(2026, 1, 2, 3, tzinfo=UTC),
}  # fmt: skip
_LINKS = {name: f"https://example.invalid/{name}" for name in WAYS_OUT}
_OCCASION = Occasion(datetime(2026, 1, 2, tzinfo=UTC), _LINKS["unsubscribe_url"], _LINKS["preferences_url"])


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

    Both must find the ways out that an e-mail has, where not all of it is transactional. `profiles`: column → type.
    Raises ConfigError.
    """
    template = compiled(read)
    named = template.variables | template.columns
    row = {name: _example(profiles[name]) for name in named & profiles.keys()}
    known = template.values(row, dict.fromkeys(template.properties | (named - profiles.keys()), _Anything("Ada")))
    for who, values in (("", known), (" who has none of its variables", template.values({}, {}))):
        for locale in template.languages:
            try:
                rendered = render(template, locale, values, _OCCASION)
            except Unrendered as error:
                message = f"cannot be rendered in '{locale}' for somebody{who}: {error}"
                raise ConfigError(message, file=shown_path(read.file)) from error
            for name, part in _hidden(template, rendered):
                message = f"has no {{{{ {name} }}}} in its {part} in '{locale}' for somebody{who}: show it to everybody"
                raise ConfigError(message, file=shown_path(read.file))


def _hidden(template: Compiled, rendered: Rendered) -> Iterator[tuple[str, str]]:
    """Ways out that the e-mail has for others, with the part it lacks them in. A text message may as it likes."""
    front = template.read.template
    for name, link in _LINKS.items() if front.subject and front.purpose != TRANSACTIONAL else ():
        if name in template.ways_out and (part := rendered.part_without(link)):
            yield name, part


class _Anything(str):
    """What an event may say: a text, a list of one thing to go through, or something that has values by name."""

    __slots__ = ()

    def __getitem__(self, name: object) -> Any:
        return super().__getitem__(name) if isinstance(name, int | slice) else self

    def __iter__(self) -> Iterator[Any]:
        yield self


def _example(kind: str) -> Any:
    return next((value for name, value in _EXAMPLES.items() if kind.lower().startswith(name)), "Ada")
