"""The demo shop's files: the same ones every time, and with everything in them that real ones have."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
from collections import Counter
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import phonenumbers
import polars as pl
import pytest

from assets.demo_shop import ShopFiles, generate
from assets.demo_shop.chance import draw, mix
from assets.demo_shop.people import named, population
from models.errors import UserError

PEOPLE = 1_000
START = date(2026, 9, 1)


class Shop:
    """The files of one generation, read as plainly as can be."""

    def __init__(self, landing: Path, written: ShopFiles) -> None:
        self.landing, self.written = landing, written
        self.lines = {
            path.name: gzip.decompress(path.read_bytes()).decode().splitlines() for path in landing.glob("shop/*")
        }
        self.records = [
            (name, record)
            for name, lines in sorted(self.lines.items())
            if not name.endswith("-again.ndjson.gz")
            for record in map(self.readable, lines)
            if record is not None
        ]
        self.contacts = {
            path.name: [row for row in csv.DictReader(path.read_text().splitlines()) if row["contact_id"] < "C9"]
            for path in landing.glob("crm/*.csv")
        }

    @staticmethod
    def readable(line: str) -> dict | None:
        try:
            record = json.loads(line, parse_float=Decimal)
            datetime.fromisoformat(record["at"])
        except (ValueError, TypeError, KeyError):
            return None
        return record

    def events(self, name: str) -> list[dict]:
        """Distinct events of one kind, in the order they arrived."""
        return list({record["id"]: record for _, record in self.records if record["event"] == name}.values())


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    landing = tmp_path_factory.mktemp("landing")
    return Shop(landing, generate(landing, people=PEOPLE))


def fingerprint(landing: Path) -> dict[str, str]:
    return {
        str(path.relative_to(landing)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in landing.rglob("*")
        if path.is_file()
    }


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    """Equal arguments give equal bytes, and another seed gives others."""
    for name, seed in (("one", 7), ("two", 7), ("three", 8)):
        generate(tmp_path / name, people=100, days=5, seed=seed)
    one, two, three = (fingerprint(tmp_path / name) for name in ("one", "two", "three"))
    assert one == two
    assert one.keys() == three.keys()
    assert all(one[name] != three[name] for name in one)


def test_content_does_not_depend_on_the_machine(tmp_path: Path) -> None:
    """What the files hold is what they held where this test was written."""
    whole = hashlib.sha256()
    for path in sorted(generate(tmp_path, people=40, days=3).files):
        content = path.read_bytes()
        whole.update(gzip.decompress(content) if path.suffix == ".gz" else content)
    assert whole.hexdigest() == "2dc128469a1bdb57c6c0288c5201f81b41c6ae82ca1495e29041f80f3ca33332"


def test_files_that_are_there_stay_as_they_are(tmp_path: Path) -> None:
    """Generating again leaves the same files untouched, and nothing half-written beside them."""
    written = generate(tmp_path, people=50, days=4)
    before = {path: path.stat().st_mtime_ns for path in written.files}
    generate(tmp_path, people=50, days=4)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(("people", "days"), [(1, 1), (2, 2), (3, 30), (60, 1)])
def test_small_shops_work(tmp_path: Path, people: int, days: int) -> None:
    """A demo of any size has a file a day and no more than one bad line in fifty."""
    written = generate(tmp_path, people=people, days=days)
    assert len(list(tmp_path.glob("shop/*.gz"))) == days + 1
    assert len(list(tmp_path.glob("crm/*.csv"))) == days
    assert written.last_day == START + timedelta(days=days - 1)
    assert written.counts.get("bad", 0) * 50 <= written.counts["events"] + written.counts["contacts"]


def test_impossible_sizes_are_refused(tmp_path: Path) -> None:
    """No people, or more days than a year, is the user's mistake and says what is allowed."""
    with pytest.raises(UserError, match="people is 0; it can be 1 to 5000000"):
        generate(tmp_path, people=0)
    with pytest.raises(UserError, match="days is 400; it can be 1 to 365"):
        generate(tmp_path, days=400)


def test_names_begin_with_the_day_they_land_on(shop: Shop) -> None:
    """Every file is listed and its name says on which day of the demo it lands."""
    days = {(START + timedelta(days=day)).isoformat() for day in range(30)}
    assert {path.name[:10] for path in shop.written.files} == days
    assert set(shop.written.files) == {path for path in shop.landing.rglob("*") if path.is_file()}


def test_volume_is_sensible(shop: Shop) -> None:
    """A person does 25 to 32 things in the shop in thirty days, and somebody does something every day."""
    assert 25 <= shop.written.counts["events"] / PEOPLE <= 32
    assert all(len(lines) > PEOPLE / 10 for lines in shop.lines.values())


def test_every_kind_of_event_is_there(shop: Shop) -> None:
    """All canonical events of a shop occur, carts, orders and refunds in sensible shares."""
    kinds = Counter(record["event"] or record["type"] for _, record in shop.records)
    assert set(kinds) == {
        "Page Viewed", "Product Viewed", "Cart Updated", "Order Completed", "Order Refunded", "Signed Up", "identify",
        "Consent Granted", "Consent Withdrawn",
    }  # fmt: skip
    assert kinds["Cart Updated"] > 1.5 * kinds["Order Completed"] > 10 * kinds["Order Refunded"] > 0


def test_money_is_exact(shop: Shop) -> None:
    """An order's revenue and quantity are those of its items, to the cent, and no refund is more than was paid."""
    paid = {}
    for order in shop.events("Order Completed"):
        about = order["properties"]
        assert about["revenue"] == sum(item["price"] * item["quantity"] for item in about["items"])
        assert about["quantity"] == sum(item["quantity"] for item in about["items"])
        assert about["order_id"] not in paid
        paid[about["order_id"]] = (order["at"], about["revenue"])
    assert max(len(order["properties"]["items"]) for order in shop.events("Order Completed")) > 2
    for refund in shop.events("Order Refunded"):
        at, revenue = paid[refund["properties"]["order_id"]]
        assert refund["at"] > at
        assert 0 < refund["properties"]["refund"] <= revenue


def test_second_devices_are_joined_later(shop: Shop) -> None:
    """Some people browse on a second device without a name on one day and log in on it on a later one."""
    named: dict[str, set[str]] = {}
    first: dict[str, str] = {}
    for _, record in shop.records:
        device = record["anonymousId"]
        if device and device.startswith("d-"):
            first[device] = min(first.get(device, record["at"]), record["at"])
            if record["type"] == "identify":
                named.setdefault(record["userId"], set()).add(device)
    assert sum(len(devices) == 2 for devices in named.values()) > PEOPLE / 20
    login = {r["anonymousId"]: r["at"] for _, r in reversed(shop.records) if r["type"] == "identify"}
    assert sum(first[device][:10] < at[:10] for device, at in login.items() if device in first) > PEOPLE / 20


def test_late_events(shop: Shop) -> None:
    """Late events lie one to three days in a later file; all others in the file of their own day."""
    waits = Counter()
    seen = set()
    for name, record in shop.records:
        if record["id"] in seen:
            continue
        seen.add(record["id"])
        waits[(date.fromisoformat(name[:10]) - date.fromisoformat(record["at"][:10])).days] += 1
    assert waits.keys() - {0, 1, 2, 3} == {-(30 + 40 - 15)}, "but for the one that is dated in the future"
    assert all(waits[day] > 50 for day in (1, 2, 3))


def test_duplicates_and_nameless_lines(shop: Shop) -> None:
    """The same event comes again in its own file and in later ones, changed in nothing but when it was sent."""
    first: dict[str, tuple[str, dict]] = {}
    same, later = 0, 0
    for name, record in shop.records:
        if record["id"] is None:
            continue
        before = first.setdefault(record["id"], (name, record))
        if before[1] is not record:
            assert {**before[1], "sentAt": 0} == {**record, "sentAt": 0}
            assert before[1]["sentAt"] < record["sentAt"]
            same, later = same + (before[0] == name), later + (before[0] != name)
    assert same > 50
    assert later > 50
    assert same + later == shop.written.counts["repeats"]
    assert sum(record["id"] is None for _, record in shop.records) > 5


def test_a_file_is_copied(shop: Shop) -> None:
    """One file lands again a day later under another name."""
    again = shop.landing / "shop/2026-09-07-again.ndjson.gz"
    assert again.read_bytes() == (shop.landing / "shop/2026-09-06.ndjson.gz").read_bytes()


def test_bad_lines_of_every_kind(shop: Shop) -> None:
    """Each way a line can be unreadable occurs, and never more than a few in a file."""
    reasons = Counter()
    for name, lines in shop.lines.items():
        bad = [line for line in lines if shop.readable(line) is None]
        assert 0 < len(bad) <= 3, name
        for line in bad:
            try:
                value = json.loads(line)
            except ValueError:
                reasons["cut off" if line is lines[-1] else "not JSON"] += 1
            else:
                reasons[type(value).__name__ if not isinstance(value, dict) else f"at: {value.get('at', 'none')}"] += 1
    assert set(reasons) == {"cut off", "not JSON", "list", "str", "at: none", "at: None", "at: soon"}
    texts = [path.read_text() for path in shop.landing.glob("crm/*.csv")]
    cells = {len(row) for text in texts for row in csv.reader(text.splitlines())}
    assert min(cells) < 9 < max(cells)


def test_placeholders_and_nulls(shop: Shop) -> None:
    """Words that stand for nobody, missing identifiers and null properties occur."""
    records = [record for _, record in shop.records]
    assert sum(record["anonymousId"] == "anonymous" for record in records) > 10
    assert sum(record["userId"] == "unknown" for record in records) > 10
    assert sum(record["anonymousId"] is None and record["userId"] is not None for record in records) > 10
    assert any(value is None for record in records for value in record["properties"].values())
    rows = [row for rows in shop.contacts.values() for row in rows]
    assert any(row["email"] == "unknown" for row in rows)
    assert all(any(not row[column] for row in rows) for column in ("email", "phone", "country", "time_zone"))


def test_consent_per_channel_and_purpose(shop: Shop) -> None:
    """Consent is given and taken back for several channels and purposes, by an address, and once in one instant."""
    given = [(e["properties"]["channel"], e["properties"]["purpose"]) for e in shop.events("Consent Granted")]
    taken = [(e["properties"]["channel"], e["properties"]["purpose"]) for e in shop.events("Consent Withdrawn")]
    assert set(given) == {("email", "marketing"), ("sms", "marketing"), ("email", "surveys")}
    assert set(taken) == {("email", "marketing"), ("sms", "marketing")}
    decisions = shop.events("Consent Granted") + shop.events("Consent Withdrawn")
    key = {"email": "email", "sms": "phone"}
    moments = Counter((e["traits"][key[e["properties"]["channel"]]], e["at"]) for e in decisions)
    assert [count for count in moments.values() if count > 1] == [2]


def test_one_tablet_two_people(shop: Shop) -> None:
    """Two members log in on one and the same device on different days."""
    used = {(record["userId"], record["at"][:10]) for _, record in shop.records if record["anonymousId"] == "tablet-1"}
    assert used == {("u100000", "2026-09-04"), ("u100001", "2026-09-11")}


def test_the_future_is_dated(shop: Shop) -> None:
    """Exactly one event, an order, says that it happens after the last day."""
    ahead = [record for _, record in shop.records if record["at"][:10] > shop.written.last_day.isoformat()]
    assert [record["event"] for record in ahead] == ["Order Completed"]


def test_phones_can_be_read(shop: Shop) -> None:
    """Every phone is a valid number in its country, spelled in several ways, and belongs to one contact."""
    owners: dict[str, set[str]] = {}
    written = set()
    for row in (row for rows in shop.contacts.values() for row in rows if row["phone"]):
        number = phonenumbers.parse(row["phone"], row["country"] or None)
        assert phonenumbers.is_valid_number(number), row
        owners.setdefault(phonenumbers.format_number(number, 0), set()).add(row["contact_id"])
        written.add("".join("9" if letter.isdigit() else letter for letter in row["phone"])[:3])
    assert all(len(contacts) == 1 for contacts in owners.values())
    assert {"+99", "999"} <= written


def test_contacts_change_from_day_to_day(shop: Shop) -> None:
    """The first export holds the base, later ones only what is new or changed, with names of all scripts."""
    base, *later = (shop.contacts[name] for name in sorted(shop.contacts))
    assert len(base) > 10 * max(map(len, later))
    known = {row["contact_id"] for row in base}
    rows = [row for rows in later for row in rows]
    assert any(row["contact_id"] in known for row in rows)
    assert any(row["contact_id"] not in known for row in rows)
    assert {row["marketing_opt_in"] for row in rows} == {"", "true", "false"}
    assert len({row["time_zone"] for row in base} - {""}) > 5
    assert any(not row["first_name"].isascii() for row in base)
    assert any("," in row["last_name"] for row in base)
    assert any('"' in row["first_name"] for row in base)
    assert any(row["email"] != row["email"].strip().lower() for row in base)


def test_draws_are_splitmix(shop: Shop) -> None:
    """The mixing function gives the published values of splitmix64, and keys draw apart."""
    increment = 0x9E3779B97F4A7C15
    frame = pl.DataFrame({"state": [increment, 2 * increment % 2**64]}, schema={"state": pl.UInt64})
    assert frame.select(mix(pl.col("state"))).to_series().to_list() == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4]
    keys = pl.DataFrame({"key": range(100_000)})
    assert keys.select(draw(7, "any", pl.col("key"), 3)).to_series().n_unique() == 100_000


def test_names_stay_apart() -> None:
    """No two of a hundred thousand people share an e-mail address or a phone number."""
    crowd = named(population(100_000, 30, 7), 7)
    assert crowd["email"].n_unique() == crowd["phone"].n_unique() == 100_000
