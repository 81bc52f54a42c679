"""A sync of messages asks for what its templates use: of people their columns, of the entry event all else."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from assets.declarations import MESSAGE_COLUMNS
from assets.journeys.messages import COLUMNS, People, Published, syncs
from assets.journeys.program import Version
from assets.messages.composing import OF_JOURNEY, OF_SEGMENT
from assets.messages.text import Text
from models.journey import Journey
from models.sync import Destination, Sync

FOLDER = Path("journeys")
TEXT = {"text": Destination(sink="twilio", channel="sms")}
PEOPLE = People(
    ("m", "profiles"), ("m", "consent"), frozenset({"phone", "profile_id", "locale", "city", "node"}), frozenset(),
    frozenset(),
)  # fmt: skip


def text_of(name: str, body: str, front: str = "") -> Text:
    """As a version that was kept, which nobody has read again."""
    return Text(name, ".txt", Path(f"{name}.txt"), f"---\n{front}---\n{body}")


def version(number: int, text: Text) -> Version:
    steps = [{"send": {"sink": "text", "template": text.name, "purpose": "marketing", "expires": "1 day"}}]
    journey = Journey.model_validate(
        {"journey": "concert", "entry": {"event": "Ticket Viewed", "reentry": "once"}, "steps": steps}
    )
    return Version(journey, number, datetime(2026, 1, 2, tzinfo=UTC), "", {}, {}, {text.name: text.digest})


def published(*texts: Text) -> Sync:
    versions = [version(number, text) for number, text in enumerate(texts, 1)]
    (sync,) = syncs([], TEXT, {}, PEOPLE, Published(versions, {text.digest: text for text in texts}), FOLDER)
    return sync


def test_a_name_of_ours_is_the_events() -> None:
    """What messages need themselves is never a person's, also where profiles have a column of that name."""
    sync = published(text_of("concert", "{{ version }} {{ node }} {{ city }} {{ event.template }}"))
    assert sync.entry.fields == (*COLUMNS, "phone", "city")
    assert sync.variables == ("node", "template", "version")


@pytest.mark.parametrize(
    "old", [text_of("old", "Tickets for {{ event }}"), text_of("old", "x", "no_such_key: 1\n"), text_of("old", "{{ x")]
)
def test_a_version_that_is_no_template_any_more_stops_nothing(old: Text) -> None:
    """Its journey has its sync, with what the other versions use."""
    new = text_of("new", "{{ city }} {{ seat }}", "locales: {de: {a: b}}\n")
    assert published(old).variables == ()
    sync = published(old, new)
    assert (sync.entry.fields, sync.variables) == ((*COLUMNS, "phone", "city"), ("seat",))
    assert sync.texts == {old.digest: ("en",), new.digest: ("de",)}


def test_every_column_of_a_row_that_is_the_messages_is_known_as_such() -> None:
    """What is joined to a row besides its person is hidden from templates; the language is theirs by its own name."""
    assert (
        {*COLUMNS, "entry_id"} - OF_JOURNEY == {*MESSAGE_COLUMNS, "entry_id"} - OF_SEGMENT == {"profile_id", "locale"}
    )
