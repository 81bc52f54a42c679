"""A refresh of the demo shop's files shows what the independent count finds in them, at once and day by day."""

from __future__ import annotations

import gzip
import json
import shutil
from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from assets.dbt_project import read_manifest
from assets.demo_shop import generate
from assets.status import status
from tests.e2e import independent
from tests.e2e.loop import Loop, check_everything

PEOPLE = 2_000

CONTACTS = """\
contact_id,email,phone,first_name,last_name,country,time_zone,marketing_opt_in,updated_at
C700001,fay@moved.example,,Fay,A,DE,,true,2026-09-01T08:00:00+00:00
C700001,fay@moved.example,+49 1512 3456789,Fay,A,DE,,true,2026-09-20T08:00:00+00:00
C700002,gus@moved.example,,Gus,B,DE,,true,2026-09-01T08:00:00+00:00
C700002,gus.new@moved.example,,Gus,B,DE,,true,2026-09-20T08:00:00+00:00
C700003,hal@moved.example,,Hal,C,DE,,false,2026-09-01T08:00:00+00:00
C700003,hal.new@moved.example,,Hal,C,DE,,false,2026-09-20T08:00:00+00:00
C700003,hal@moved.example,,Hal,C,DE,,true,2026-09-21T08:00:00+00:00
C700003,hal.new@moved.example,,Hal,C,DE,,false,2026-09-22T08:00:00+00:00
"""


WORDS: list[dict[str, str]] = [
    {"channel": "Email ", "purpose": " MARKETING"},
    {"channel": "e-mail", "purpose": "marketing"},
    {"channel": "", "purpose": "marketing"},
    {"purpose": "marketing"},
    {},
]


def land_awkward_consent(landing: Path) -> None:
    """What the shop's own files have no case of: contacts that change after they unsubscribed, a no in other words."""
    (landing / "crm/2026-09-30-moved.csv").write_text(CONTACTS)
    (landing / "outcomes").mkdir()
    told = {"event": "unsubscribed", "sync": "crm/seg_x", "profile_id": None, "at": "2026-09-10T08:00:00+00:00"}
    lines = [{"id": name, "email": f"{name}@moved.example", **told} for name in ("fay", "gus")]
    (landing / "outcomes/1.ndjson").write_text("".join(json.dumps(line) + "\n" for line in lines))
    said = [record for number, about in enumerate(WORDS) for record in said_yes_then_no(number, about)]
    words = "".join(json.dumps(record) + "\n" for record in said)
    (landing / "shop/2026-09-30-words.ndjson.gz").write_bytes(gzip.compress(words.encode()))


def said_yes_then_no(number: int, about: dict[str, str]) -> list[dict[str, Any]]:
    """One person's yes to both channels on the first day, and their no, said so, a week later."""
    decided = [
        ("Granted", "2026-09-01T08:00:00Z", {"channel": "email", "purpose": "marketing"}),
        ("Granted", "2026-09-01T08:00:00Z", {"channel": "SMS", "purpose": "marketing"}),
        ("Granted", "2026-09-15T08:00:00Z", {"channel": "pigeon", "purpose": "marketing"}),
        ("Withdrawn", "2026-09-08T08:00:00Z", about),
    ]
    person = {
        "type": "track",
        "userId": f"words-{number}",
        "traits": {"email": f"words{number}@moved.example", "phone": f"+49 1512 98765{number:02}"},
    }
    return [
        {
            **person,
            "id": f"words-{number}-{place}",
            "event": f"Consent {word}",
            "at": at,
            "sentAt": at,
            "properties": said,
        }
        for place, (word, at, said) in enumerate(decided)
    ]


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Loop:
    """2,000 people, thirty days, and the awkward cases of consent; one refresh at the end."""
    loop = Loop.at(tmp_path_factory.mktemp("demo"), date(2026, 9, 30))
    generate(loop.settings.landing, people=PEOPLE)
    land_awkward_consent(loop.settings.landing)
    loop.refresh()
    return loop


def test_the_loop_shows_what_the_files_hold(month: Loop) -> None:
    """Events, bad lines, people, orders, money, consent and every segment's members agree with the plain count."""
    assert month.results[0].ok
    check_everything(month)


def test_money_adds_up(month: Loop) -> None:
    """Over all profiles, orders and revenue less refunds are to the cent what the files say."""
    counted = month.counted()
    total = month.rows(
        "select sum(orders) as orders, sum(revenue) as revenue, max(last_order_at) as last from profiles"
    )
    assert total[0]["orders"] == counted["orders"]
    assert total[0]["revenue"] == Decimal(counted["revenue"])
    assert total[0]["last"].isoformat() == counted["last_order_at"]


def test_copies_are_recorded_with_both_names(month: Loop) -> None:
    """The file that landed twice is loaded once, and the ingest says which is a copy of which."""
    copies = [copy for result in month.results[0].ingested for copy in result.copies]
    assert [(copy.file, copy.copy_of) for copy in copies] == [
        ("shop/2026-09-07-again.ndjson.gz", "shop/2026-09-06.ndjson.gz")
    ]


def test_late_events_are_counted(month: Loop) -> None:
    """What came more than a day after it happened is counted by source and day, as many as the plain count finds."""
    counted = month.counted()["late"]
    assert counted > 0
    assert month.value("select sum(late) from event_arrivals where source = 'shop'") == counted
    assert month.value("select sum(events) from event_arrivals") == month.counted()["events"]
    shown = {row["name"]: row["late"] for row in status(month.settings, None, read_manifest(month.settings)).sources}
    assert shown["shop"] == counted


def test_every_segment_of_a_shop_has_members(month: Loop) -> None:
    """No segment that shop and contact data can fill is empty, and none holds everyone."""
    everyone = month.value("select count(*) from profiles")
    for segment in set(independent.SEGMENTS) - {"seg_engaged"}:
        assert 0 < month.value(f"select count(*) from {segment}") < everyone, segment


@pytest.mark.slow
@pytest.mark.sampled
def test_day_by_day_is_the_same(tmp_path: Path) -> None:
    """Files that land day by day, each refreshed at its day's end, give on every day what its files hold so far."""
    days, first = 7, date(2026, 9, 1)
    written = generate(tmp_path / "shop", people=400, days=days)
    loop = Loop.at(tmp_path, first)
    changes: Counter[str] = Counter()
    for day in range(days):
        loop.day = first + timedelta(days=day)
        for path in written.files:
            if path.name.startswith(loop.day.isoformat()):
                target = loop.settings.landing / path.parent.name / path.name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, target)
        loop.refresh()
        check_everything(loop)
        changes["merged"] += loop.results[-1].identity.merged if day else 0
    assert changes["merged"] > 10, "second devices and contacts find their person"
    moved = loop.rows("select segment, change, count(*) as n from segment_history group by all")
    assert {row["segment"] for row in moved if row["change"] == "left"} >= {"seg_cart_abandoned", "seg_never_bought"}
