"""What the models make of what landed: one refresh of a small, awkward shop, looked at from all sides."""

import csv
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from assets import store
from assets.refresh import RefreshResult, refresh
from models.clock import Clock
from models.event import Event
from models.profile import Profile
from models.settings import Settings
from tests import parsed
from warehouse.base import Warehouse

NOON = datetime(2026, 1, 20, 12, tzinfo=UTC)
CRM = [
    *("contact_id", "email", "phone", "first_name", "last_name", "country", "time_zone"),
    *("marketing_opt_in", "updated_at"),
]


def at(hours: float) -> str:
    return (NOON + timedelta(hours=hours)).isoformat()


def track(message_id: str | None, event: str, hours: float, **more: Any) -> dict[str, Any]:
    return {"id": message_id, "type": "track", "event": event, "at": at(hours), **more}


PEOPLE = {
    "ida": {"email": "ida@shop.example", "phone": "+33 6 11 22 33 41"},
    "joe": {"email": "joe@shop.example", "phone": "+33 6 11 22 33 42"},
    "kim": {"email": "kim@shop.example", "phone": "+33 6 11 22 33 43"},
}
SHOP = [
    # ann: two devices, one account, an order told twice, refunds in parts
    track("1", "Page Viewed", -90, anonymousId="d1"),
    track(
        "2",
        "Signed Up",
        -80,
        anonymousId="d1",
        userId="ann",
        traits={"email": " Ann@Shop.example", "first_name": "Ann"},
    ),
    track("3", "Order Completed", -70, userId="ann", properties={"order_id": "o1", "revenue": 10.10, "quantity": 2}),
    track("4", "Order Completed", -70, userId="ann", properties={"order_id": "o1", "revenue": 10.10, "quantity": 2}),
    track("5", "Order Completed", -60, anonymousId="d2", userId="ann", properties={"revenue": "20.20", "quantity": 1}),
    track("6", "Order Refunded", -50, userId="ann", properties={"order_id": "o1", "refund": 3}),
    track("7", "Order Refunded", -49, userId="ann", properties={"order_id": "o1", "refund": 0.1}),
    # the same event again, and one of the same id that says something else later
    track("1", "Page Viewed", -90, anonymousId="d1"),
    track("1", "Order Completed", -10, anonymousId="d1", properties={"revenue": 1000}),
    # nobody: blocked values link no one
    track("8", "Page Viewed", -40, anonymousId="anonymous", userId="0000"),
    track("9", "Page Viewed", -40, anonymousId="d8", userId="Undefined"),
    track("10", "Page Viewed", -40, anonymousId="d9", userId="undefined", traits={"email": "no address"}),
    # without ids: two lines alike are two events
    track(None, "Page Viewed", -30, anonymousId="d7"),
    track(None, "Page Viewed", -30, anonymousId="d7"),
    # not yet
    track("12", "Page Viewed", 5, anonymousId="d5"),
    # consent by the person: granted, then withdrawn at the very moment it was granted again
    track("13", "Consent Granted", -40, userId="bea", traits={"email": "bea@shop.example"}),
    track("14", "Consent Granted", -30, userId="bea", properties={"purpose": "marketing"}),
    track("15", "Consent Withdrawn", -30, userId="bea", properties={"purpose": "marketing"}),
    track("16", "Consent Granted", -30, userId="bea", properties={"purpose": "news"}),
    # cleo said yes again after her address bounced
    track("17", "Consent Granted", -40, userId="cleo", traits={"email": "cleo@shop.example"}),
    track("18", "Consent Granted", -5, userId="cleo", traits={"email": "cleo@shop.example"}),
    # dan opted out by mail and the CRM goes on saying yes
    track(
        "19",
        "Signed Up",
        -90,
        userId="dan",
        traits={"email": "dan@shop.example", "phone": "06 12 34 56 78", "country": "FR"},
    ),
    # emil's address only soft-bounced
    track("20", "Consent Granted", -40, userId="emil", traits={"email": "emil@shop.example"}),
    # hal said yes at an address that the CRM, where he said no, learns of later
    track("21", "Consent Granted", -40, userId="hal", traits={"email": "hal@new.example"}),
    # ida, joe and kim said yes to everything, and then no in words of their own
    *(
        track(f"{name}-{channel}", "Consent Granted", -40, userId=name, properties={"channel": channel}, traits=traits)
        for name, traits in PEOPLE.items()
        for channel in ("email", "SMS ")
    ),
    track("24", "Consent Withdrawn", -10, userId="ida", properties={"channel": " E-Mail", "purpose": "Marketing "}),
    track("25", "Consent Withdrawn", -10, userId="joe", properties={"purpose": "marketing"}),
    track("26", "Consent Withdrawn", -10, userId="kim", properties={"channel": "EMAIL"}),
    track("27", "Consent Granted", -5, userId="joe", properties={"channel": "letter"}),
    # lea's app says its device with spaces around
    track("28", "Identified", -5, userId="lea", traits={"push_token": " lea's phone\u00a0"}),
]
CONTACTS = [
    ("c1", "ANN@shop.example", "", "Anna", "Ann's", "DE", "Europe/Berlin", "true", at(-85)),
    ("c1", "ann@shop.example", "", "Annette", "", "", "", "true", at(-20)),
    ("c4", "dan@shop.example", "+33 6 12 34 56 78", "Dan", "Dé", "FR", "", "true", at(-80)),
    ("c4", "dan@shop.example", "+33 6 12 34 56 78", "Dan", "Dé", "FR", "", "true", at(-2)),
    # fay and gus unsubscribed, then the CRM learnt of a number and of another address
    ("c5", "fay@shop.example", "", "Fay", "", "", "", "true", at(-80)),
    ("c5", "fay@shop.example", "+33 6 87 65 43 21", "Fay", "", "FR", "", "true", at(-2)),
    ("c6", "gus@shop.example", "", "Gus", "", "", "", "true", at(-80)),
    ("c6", "gus@new.example", "", "Gus", "", "", "", "true", at(-2)),
    ("c7", "hal@shop.example", "", "Hal", "", "", "", "false", at(-80)),
    ("c7", "hal@new.example", "", "Hal", "", "", "", "false", at(-2)),
]
OUTCOMES = [
    {"id": "a", "event": "bounced", "email": "cleo@shop.example", "at": at(-30), "sync": "crm/seg_x"},
    {"id": "b", "event": "unsubscribed", "email": "dan@shop.example", "at": at(-10), "sync": "crm/seg_x"},
    {"id": "c", "event": "bounced", "bounce": "soft", "email": "emil@shop.example", "at": at(-10), "sync": "crm/seg_x"},
    {"id": "f", "event": "unsubscribed", "email": "fay@shop.example", "at": at(-10)},
    {"id": "g", "event": "unsubscribed", "email": "gus@shop.example", "at": at(-10)},
    # without a readable time
    {"id": "e", "event": "delivered", "email": "dan@shop.example", "at": "yesterday"},
    {"id": "d", "event": "opened", "email": "dan@shop.example", "at": at(-11), "sync": "crm/seg_x"},
]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, RefreshResult]:
    folder = tmp_path_factory.mktemp("models")
    settings = parsed.target_into(Settings(project=parsed.project(folder / "project"), home=folder / "home"))
    for name, lines in (("shop", SHOP), ("outcomes", OUTCOMES)):
        path = settings.landing / name / "1.ndjson"
        path.parent.mkdir(parents=True)
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    path = settings.landing / "crm" / "1.csv"
    path.parent.mkdir(parents=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([CRM, *CONTACTS])
    return settings, refresh(settings, Clock.at(NOON))


@pytest.fixture
def published(built: tuple[Settings, RefreshResult]) -> Iterator[Warehouse]:
    with store.reading(built[0]) as warehouse:
        yield warehouse


def profile(warehouse: Warehouse, identifier: str) -> dict[str, Any]:
    return warehouse.rows(
        "select profiles.* from profiles inner join profile_map on profiles.profile_id = profile_map.profile_id "
        "where profile_map.identifier = ?",
        [identifier],
    )[0]


def test_the_models_have_the_shapes_of_their_contracts(published: Warehouse) -> None:
    """The published events and profiles have exactly the columns of their contracts, and every row is valid by them."""
    for table, contract in (("events", Event), ("profiles", Profile)):
        rows = published.rows(f"select * from {table}")
        assert list(rows[0]) == list(contract.model_fields)
        for row in rows:
            contract.model_validate(row)


def test_everything_came_out_whole(built: tuple[Settings, RefreshResult]) -> None:
    """No model is broken and no test failed."""
    assert built[1].ok, built[1].broken


def test_one_id_is_one_event(published: Warehouse) -> None:
    """Of several lines with one id the first known counts; lines without an id are an event each."""
    assert published.rows("select name from events where source = 'shop' and event_id = '1'") == [
        {"name": "Page Viewed"}
    ]
    assert len(published.rows("select 1 as one from events where anonymous_id = 'd7'")) == 2


def test_an_event_without_a_time_happened_when_it_became_known(published: Warehouse) -> None:
    """A time that cannot be read, where the source does not refuse it, is the moment it was loaded."""
    assert published.rows("select occurred_at from events where event_id = 'e'") == [{"occurred_at": NOON}]


def test_the_future_waits(published: Warehouse) -> None:
    """An event later than `as_of` is not there yet."""
    assert published.rows("select 1 as one from events where event_id = '12'") == []


def test_orders_are_counted_once_and_refunds_taken_off(published: Warehouse) -> None:
    """An order told twice is one, an order without a number is one, and every partial refund counts."""
    ann = profile(published, "ann")
    assert (ann["orders"], ann["items"], ann["revenue"]) == (2, 3, Decimal("27.20"))
    assert ann["first_order_at"] == NOON - timedelta(hours=70)


def test_one_person_has_one_profile(published: Warehouse) -> None:
    """Devices, account, address and contact of one person are one profile."""
    holders = {profile(published, name)["profile_id"] for name in ("d1", "d2", "ann", "ann@shop.example", "c1")}
    assert len(holders) == 1


def test_blocked_values_are_nobody(published: Warehouse) -> None:
    """Placeholders and zeros identify nobody and link nobody."""
    held = {row["identifier"] for row in published.rows("select identifier from profile_map")}
    assert not held & {"anonymous", "0000", "Undefined", "undefined", "no address"}
    assert profile(published, "d8")["profile_id"] != profile(published, "d9")["profile_id"]


def test_traits_come_from_the_source_that_is_believed(published: Warehouse) -> None:
    """The CRM is believed before the shop, within it the latest record; what it does not say it does not erase."""
    ann = profile(published, "ann")
    assert (ann["first_name"], ann["last_name"], ann["country"]) == ("Annette", "Ann's", "DE")
    assert ann["email"] == "ann@shop.example"


def test_a_phone_number_is_one_however_it_is_written(published: Warehouse) -> None:
    """National and international spellings are one identifier, in E.164."""
    assert profile(published, "+33612345678")["phone"] == "+33612345678"
    assert profile(published, "+33612345678")["profile_id"] == profile(published, "dan")["profile_id"]


def consent(warehouse: Warehouse, contact_point: str, purpose: str = "marketing") -> tuple[bool, bool, str]:
    rows = warehouse.rows(
        "select granted, suppressed, reason from consent where contact_point = ? and purpose = ?",
        [contact_point, purpose],
    )
    (row,) = rows
    return tuple(row.values())


def test_of_two_decisions_at_one_moment_the_no_counts(published: Warehouse) -> None:
    """Ties are restrictive, and other purposes are not touched."""
    assert consent(published, "bea@shop.example") == (False, False, "withdrawn")
    assert consent(published, "bea@shop.example", "news") == (True, False, "granted")


def test_an_opt_in_never_lifts_a_hard_bounce(published: Warehouse) -> None:
    """The later yes is kept and does not count."""
    assert consent(published, "cleo@shop.example") == (True, True, "hard bounce")
    cleo = profile(published, "cleo")
    assert (cleo["email_marketing"], cleo["email_suppressed"]) == (False, True)


def test_a_soft_bounce_forbids_nothing(published: Warehouse) -> None:
    """Only what is final suppresses."""
    assert profile(published, "emil")["email_marketing"] is True


def test_a_record_that_repeats_itself_decides_nothing(published: Warehouse) -> None:
    """A contact record that goes on saying yes does not lift an unsubscribe."""
    assert consent(published, "dan@shop.example") == (False, False, "unsubscribed")
    unsubscribed = {row["profile_id"] for row in published.rows("select profile_id from seg_unsubscribed")}
    assert profile(published, "dan")["profile_id"] in unsubscribed


def test_a_yes_does_not_move_with_its_record(published: Warehouse) -> None:
    """A record that learns of a number or an address and still says yes lifts no unsubscribe; a no goes along."""
    assert consent(published, "fay@shop.example") == (False, False, "unsubscribed")
    assert consent(published, "gus@shop.example") == (False, False, "unsubscribed")
    assert profile(published, "gus@new.example")["email_marketing"] is False
    assert consent(published, "hal@new.example") == (False, False, "contact record says no")


def test_a_no_counts_in_whatever_words_it_is_said(published: Warehouse) -> None:
    """Case and spaces are nothing; a no without a channel, or with one nobody knows, is about all of them."""
    refused = (False, False, "withdrawn")
    for email, phone in (("ida@shop.example", "+33611223341"), ("joe@shop.example", "+33611223342")):
        assert (consent(published, email), consent(published, phone)) == (refused, refused)
    assert consent(published, "kim@shop.example") == refused
    assert consent(published, "+33611223343") == (True, False, "granted")


def test_a_device_is_known_without_the_spaces_around_it(published: Warehouse) -> None:
    """Its token is one, wherever it is read: who let the app send is sent to."""
    assert consent(published, "lea's phone") == (True, False, "device registered")
    assert profile(published, "lea")["push_token"] == "lea's phone"


def test_what_came_of_a_message_is_about_its_address(published: Warehouse) -> None:
    """Who unsubscribes by e-mail decides nothing about text messages."""
    assert profile(published, "dan@shop.example")["phone"] == "+33612345678"
    assert published.rows("select 1 as one from consent where contact_point = '+33612345678'") == []


def test_outcomes_are_counted_by_sync_and_day(published: Warehouse) -> None:
    """What the channels report is in `results`, by the sync it is about and the day it happened."""
    rows = published.rows("select sync, result_date, bounced, opened, unsubscribed from results order by result_date")
    assert [tuple(row.values()) for row in rows] == [
        ("crm/seg_x", date(2026, 1, 19), 1, 0, 0),
        ("crm/seg_x", date(2026, 1, 20), 1, 1, 1),
    ]


def test_engagement_is_the_last_open(published: Warehouse) -> None:
    """An open reported for an address is the person's."""
    assert profile(published, "dan")["last_opened_at"] == NOON - timedelta(hours=11)


def test_nothing_before_the_marts_reads_what_was_sent() -> None:
    """No staging, identity, profile, segment or payload model has a delivery or a history above it.

    But the audiences of journeys, `sync_journey_*`, are what journeys keep of them: they belong to the next refresh.
    """
    models = Path(__file__).parents[2] / "dbt_project" / "models"
    for path in models.rglob("*.sql"):
        if path.parent.name != "marts":
            text = path.read_text()
            if path.name.startswith("sync_journey_"):
                text = text.replace("source('kept', 'journey_audience')", "")
            assert "source('kept'" not in text, path
