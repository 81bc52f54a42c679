"""What refusals say of contact points is heeded at once, and told to the warehouse as a provider's report would be."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from assets import dead_contacts
from models.settings import Settings
from models.sync import Destination, Mode, Sync, SyncEntry
from sinks.journal import Journal
from sinks.suppression import Listed, contact_hash, is_dead, position_told
from sinks.twilio import TwilioOptions, TwilioSink
from warehouse.duckdb import DuckDB

AT = datetime(2026, 6, 1, 12, tzinfo=UTC)
REFUSED = {"k1": ("+15005550001", "21614 no"), "k2": ("+15005550002", "21610 no"), "k3": ("+15005550003", "21617 no")}


@pytest.fixture
def sync() -> Sync:
    entry = SyncEntry(sink="text", name="carts", purpose="news", contact="phone", mode=Mode.SEND_ON_ENTRY)
    given: dict[str, Any] = {"model": "message_outbox", "relation": ("tailrace", "message_outbox"), "file": "x.yml"}
    return Sync(
        **given, entry=entry, destination=Destination(sink="twilio", channel="sms"), options={}, identity=("entry_id",)
    )


def test_the_dead_and_who_said_no_before_are_told_apart(tmp_path: Path, sync: Sync) -> None:
    """A number that is none is dead for all; who answered STOP gets no marketing; any other refusal says nothing."""
    settings = Settings(project=tmp_path, home=tmp_path / "home")
    sinks = {"text": TwilioSink(TwilioOptions(account_sid="AC" + "0" * 32, sender="+15005550006"), {"auth_token": "t"})}
    with DuckDB(tmp_path / "w.duckdb") as warehouse, Journal(settings.journal) as journal:
        warehouse.execute("create schema tailrace")
        warehouse.execute(
            "create table tailrace.deliveries (run_id varchar, spool_row bigint, outcome varchar, reason varchar, "
            "sink varchar)"
        )
        warehouse.execute("create table planned (_run_id varchar, _row bigint, _send_key varchar, _profile_id varchar, "
                          "phone varchar)")  # fmt: skip
        for row, (send_key, (phone, reason)) in enumerate(REFUSED.items()):
            warehouse.execute(f"insert into planned values ('r', {row}, '{send_key}', 'p{row}', '{phone}')")
            warehouse.execute(f"insert into tailrace.deliveries values ('r', {row}, 'rejected', '{reason}', 'text')")
        opener: Any = SimpleNamespace(warehouse=warehouse, journal=journal, settings=settings)
        opened: Any = SimpleNamespace(planned="planned", run_id="r", as_of=AT)
        assert dead_contacts.land(opener, opened, sync, sinks, "salt", AT) == 2
    with Listed(settings.journal) as listed:
        stances = [listed.stances(contact_hash("salt", phone)) for phone, _ in REFUSED.values()]
    assert [is_dead(each) for each in stances] == [True, False, False]
    assert stances[0].keys() == {"marketing", "transactional", "news"}
    assert stances[1].keys() == {"marketing"}
    assert not stances[2]
    assert position_told(settings.outcomes, (), 4) == 0  # no refresh has read it: claims go on looking these up
    assert position_told(settings.outcomes, {"dead-r-0.ndjson"}, 4) == 4
    (settings.outcomes / ".dead-s-1.ndjson.part").touch()  # of a run that was killed before the list had any of it
    assert position_told(settings.outcomes, {"dead-r-0.ndjson"}, 4) == 4
    lines = [json.loads(line) for line in (settings.outcomes / "dead-r-0.ndjson").read_text().splitlines()]
    assert [(line["event"], line["phone"], line.get("send_key"), line.get("bounce")) for line in lines] == [
        ("bounced", "+15005550001", "k1", "hard"),
        ("unsubscribed", "+15005550002", None, None),
    ]
