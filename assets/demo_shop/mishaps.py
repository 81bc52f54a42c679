"""What goes wrong on purpose: lines that cannot be read, and a few staged events that test a rule each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime

import polars as pl

from assets.demo_shop.lines import DAY, epoch
from assets.demo_shop.people import STAGED, named

MOST_BAD = 50  # at most one bad line in this many, well below the share at which a source stops
BAD_EACH_DAY = 3
_UNREADABLE = (
    '{"id":"bad-json","type":track,"event":"Page Viewed","at":"2026-09-01T10:00:00.000Z"}',
    '["an","array","is","not","an","event"]',
    '{"id":"no-time","type":"track","event":"Page Viewed","anonymousId":"d-1","properties":{},"traits":{}}',
    '"a string is not an event"',
    '{"id":"null-time","type":"track","event":"Page Viewed","anonymousId":"d-1","at":null,"sentAt":null}',
    '{"id":"vague-time","type":"track","event":"Page Viewed","anonymousId":"d-1","at":"soon","sentAt":"soon"}',
)
_UNREADABLE_CONTACTS = (
    "C900001,extra@mailbox.example,,One,Comma,DE,Europe/Berlin,true,2026-08-01T10:00:00.000Z,too,many",
    "C900002,short@mailbox.example,,Too",
    "C900003,undated@mailbox.example,,No,Time,DE,Europe/Berlin,true,",
)


def bad_lines(day: int, good: pl.DataFrame) -> list[str]:
    """The day's unreadable lines; the last one is a good line that was cut off."""
    allowed = min(BAD_EACH_DAY, good.height // MOST_BAD)
    if allowed == 0:
        return []
    fixed = [_UNREADABLE[(day * (BAD_EACH_DAY - 1) + index) % len(_UNREADABLE)] for index in range(allowed - 1)]
    whole = str(good.item(good.height // 2, "line"))
    return [*fixed, whole[: len(whole) * 2 // 3]]


def bad_contacts(day: int, good: int) -> list[str]:
    """All three in the first file, one in each later file that is long enough to bear it."""
    allowed = min(len(_UNREADABLE_CONTACTS) if day == 0 else 1, good // MOST_BAD)
    return [_UNREADABLE_CONTACTS[(day + index) % len(_UNREADABLE_CONTACTS)] for index in range(allowed)]


def staged(people: pl.DataFrame, day: int, days: int, first: date, seed: int) -> list[str]:
    """Lines of events that happen once in the demo, at fixed places; the first three people are members.

    - Persons 0 and 1 log in on one tablet, days apart: they become one profile.
    - Person 0 buys forty days after the last day: not counted until then.
    - Person 2 gives and takes back consent in one and the same instant, late on the last day: taken back.
    """
    emails = named(people.head(STAGED), seed)["email"].to_list()
    midnight = epoch(first) + day * DAY
    made = []
    for person, on in ((0, 3), (1, 10)):
        if day == min(on, days - 1) and person < len(emails):
            about = {"email": emails[person]}
            made.append(
                _line(f"tablet-{person}", None, person, midnight + DAY - 400_000, traits=about, device="tablet-1")
            )
    if day == days // 2:
        items = [{"sku": "coats-001", "price": 99.5, "quantity": 1}]
        order = {
            "order_id": "o-future",
            "revenue": 99.5,
            "quantity": 1,
            "currency": "EUR",
            "coupon": None,
            "items": items,
        }
        made.append(_line("future", "Order Completed", 0, epoch(first) + (days + 40) * DAY, properties=order))
    if day == days - 1 and len(emails) == STAGED:
        person, about = STAGED - 1, {"email": emails[STAGED - 1]}
        consent = {"channel": "email", "purpose": "marketing"}
        at = midnight + DAY - 300_000
        made += [
            _line(f"tie-{word}", f"Consent {word}", person, at, properties=consent, traits=about)
            for word in ("Withdrawn", "Granted")
        ]
    return made


def _line(
    name: str,
    event: str | None,
    person: int,
    at: int,
    *,
    properties: Mapping[str, object] | None = None,
    traits: Mapping[str, object] | None = None,
    device: str | None = None,
) -> str:
    moment = datetime.fromtimestamp(at / 1_000, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    record = {
        "id": f"staged-{name}",
        "type": "track" if event else "identify",
        "event": event,
        "anonymousId": device,
        "userId": f"u{100_000 + person}",
        "at": moment,
        "sentAt": moment,
        "properties": properties or {},
        "traits": traits or {},
    }
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"))
