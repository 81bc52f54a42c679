"""The independent count: what the demo must show, in plain Python over the landing files.

No package of ours and no engine is used here, so that a mistake of theirs cannot repeat itself. Each rule is one
function that says it in words. Run it by hand, with the map where outcomes came back:

    tailrace sql "select * from profile_map" --json > map.json
    python tests/e2e/independent.py .tailrace/dev/landing 2026-09-30 map.json
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

Node = tuple[str, str]  # kind of identifier, its normalised value
Addresses = dict[str, str | None]  # channel → the address there; None: all of the person's

BLOCKED = {"anonymous", "unknown", "undefined", "null", "none", "-1"}
DIALLING = {  # country: calling code, and the digit that is dialled before a national number there
    "DE": ("49", "0"), "FR": ("33", "0"), "GB": ("44", "0"), "JP": ("81", "0"),
    "US": ("1", ""), "ES": ("34", ""), "PL": ("48", ""),
}  # fmt: skip
CONTACT_COLUMNS = 9
# what was done about the person, not by them: it does not say that they were seen
DONE_TO_THEM = {"Contact Updated", "Order Refunded", "Message Delivered", "Message Bounced", "Message Converted"}
SEGMENTS = (
    "seg_new", "seg_active", "seg_lapsed", "seg_one_time_buyers", "seg_high_value", "seg_cart_abandoned",
    "seg_churn_risk", "seg_never_bought", "seg_unsubscribed", "seg_high_value_lapsed", "seg_engaged",
)  # fmt: skip
NEW_DAYS, ACTIVE_DAYS, LAPSED_DAYS, CHURN_DAYS, CART_DAYS, ENGAGED_DAYS, HIGH_VALUE = (
    14,
    14,
    21,
    10,
    7,
    14,
    Decimal(500),
)


@dataclass(frozen=True)
class Event:
    """One thing that happened, after duplicates fell out; identifiers are normalised, null where there is none."""

    key: str
    source: str
    name: str
    at: datetime
    sent: datetime | None
    identifiers: tuple[Node, ...]
    email: str | None
    phone: str | None
    data: dict[str, Any]


@dataclass
class Landed:
    """What the files hold, line by line."""

    events: list[Event] = field(default_factory=list)
    lines: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)
    copies: list[str] = field(default_factory=list)
    repeats: int = 0


@dataclass
class Person:
    """One profile: everything its connected identifiers say."""

    identifiers: set[Node] = field(default_factory=set)
    events: list[Event] = field(default_factory=list)
    orders: dict[str, Event] = field(default_factory=dict)
    refunds: list[Event] = field(default_factory=list)

    @property
    def revenue(self) -> Decimal:
        """What all orders came to, less all refunds."""
        paid = sum((Decimal(order.data["revenue"]) for order in self.orders.values()), Decimal(0))
        return paid - sum((Decimal(refund.data["refund"]) for refund in self.refunds), Decimal(0))

    @property
    def last_order_at(self) -> datetime | None:
        return max((order.at for order in self.orders.values()), default=None)

    @property
    def last_seen_at(self) -> datetime | None:
        return max((event.at for event in self.done if event.name not in DONE_TO_THEM), default=None)

    @property
    def done(self) -> list[Event]:
        """What no machine did in their place."""
        return [event for event in self.events if not event.data.get("machine")]

    def last(self, name: str) -> datetime | None:
        """When the person last did this."""
        return max((event.at for event in self.done if event.name == name), default=None)

    @property
    def email(self) -> str | None:
        """The address the CRM gave last; without one, the shop's, then the one a message went to."""
        for source in ("crm", "shop", "outcomes"):
            said = [event for event in self.events if event.source == source and event.email]
            if said:
                return max(said, key=lambda event: event.at).email
        return None


# --- reading -----------------------------------------------------------------------------------------------------


def land(folder: Path, known: Mapping[str, Node] | None = None) -> Landed:
    """Every file in the order of names; a file equal to an earlier one is a copy and skipped.

    `known`: whom the profile ids stand for that a vendor hands back in its outcomes, by any one identifier.
    """
    landed, contents, keys = Landed(), set(), set()
    patterns = {"shop/*.ndjson.gz": shop_events, "crm/*.csv": crm_events, "outcomes/*.ndjson": outcome_events}
    found = sorted((path, read) for pattern, read in patterns.items() for path in folder.glob(pattern))
    for path, read in found:
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        if digest in contents:
            landed.copies.append(path.name)
            continue
        contents.add(digest)
        for event in read(path, content, known or {}):
            landed.lines += 1
            if event is None:
                landed.quarantined[f"{path.parent.name}/{path.name}"] += 1
            elif (event.source, event.key) in keys:
                landed.repeats += 1
            else:
                keys.add((event.source, event.key))
                landed.events.append(event)
    return landed


def shop_events(path: Path, content: bytes, _: Mapping[str, Node]) -> Iterator[Event | None]:
    """One event a line. None (quarantine) for what is not JSON, not an object, or has no time that can be read."""
    for number, line in enumerate(gzip.decompress(content).decode().splitlines(), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line, parse_float=Decimal, parse_int=Decimal)
        except json.JSONDecodeError:
            yield None
            continue
        at = moment(record.get("at")) if isinstance(record, dict) else None
        yield None if at is None else shop_event(record, at, f"{path.name} line {number}")


def shop_event(record: dict[str, Any], at: datetime, place: str) -> Event:
    """A line without an id is its own event: its file and line stand for the id."""
    traits, properties = record.get("traits") or {}, record.get("properties") or {}
    email, phone = normal_email(traits.get("email")), normal_phone(traits.get("phone"), traits.get("country"))
    found = [
        ("user_id", normal(record.get("userId"))),
        ("email", email),
        ("phone", phone),
        ("anonymous_id", normal(record.get("anonymousId"))),
    ]
    name = record.get("event") or {"identify": "Identified", "page": "Page Viewed"}[record["type"]]
    return Event(
        record.get("id") or place, "shop", name, at, moment(record.get("sentAt")), present(found), email, phone,
        {"push_token": traits.get("push_token"), **properties},
    )  # fmt: skip


def crm_events(path: Path, content: bytes, _: Mapping[str, Node]) -> Iterator[Event | None]:
    """One contact record a row. None for a row with too few or too many cells, or without a time."""
    rows = csv.reader(content.decode().splitlines())
    columns = next(rows)
    for cells in rows:
        record = dict(zip(columns, cells, strict=False))
        at = moment(record.get("updated_at")) if len(cells) == CONTACT_COLUMNS else None
        yield None if at is None else crm_event(record, at)


def crm_event(record: dict[str, str], at: datetime) -> Event:
    """A contact has one record a moment. A word that is no address (`unknown`) is no e-mail."""
    email, phone = normal_email(record["email"]), normal_phone(record["phone"], record["country"])
    found = [("crm_id", normal(record["contact_id"])), ("email", email), ("phone", phone)]
    key = f"{record['contact_id']}@{record['updated_at']}"
    return Event(key, "crm", "Contact Updated", at, None, present(found), email, phone, dict(record))


def outcome_events(path: Path, content: bytes, known: Mapping[str, Node]) -> Iterator[Event | None]:
    """What became of a message. Whom it is about: the address it went to, and whom our own id stands for."""
    for line in content.decode().splitlines():
        record = json.loads(line)
        at, email = moment(record["at"]), normal_email(record.get("email"))
        phone, alias = normal_phone(record.get("phone"), None), known.get(record.get("profile_id") or "")
        found = [("email", email), ("phone", phone), *([alias] if alias else [])]
        name = f"Message {record['event'].capitalize()}"
        yield Event(record["id"], "outcomes", name, at, None, present(found), email, phone, record) if at else None


def present(found: list[tuple[str, str | None]]) -> tuple[Node, ...]:
    return tuple((kind, value) for kind, value in found if value)


def moment(text: str | None) -> datetime | None:
    """An ISO moment with its offset; None for anything else."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC) if text else None
    except ValueError:
        return None


# --- normalising -------------------------------------------------------------------------------------------------


def normal(value: str | None) -> str | None:
    """Trimmed; None for what stands for nobody: empty, a placeholder word, or nothing but zeros and dashes."""
    value = (value or "").strip(" ")
    return None if value.lower() in BLOCKED or re.fullmatch("[0-]*", value) else value


def normal_email(value: str | None) -> str | None:
    """Trimmed and in lower case; None without something before and after an @."""
    value = (normal(value) or "").lower()
    return value if re.fullmatch(".+@.+", value) else None


def normal_phone(value: str | None, country: str | None) -> str | None:
    """In full, `+4915112345678`: +49… and 0049… as they are, a national number with the code of its country."""
    digits = re.sub(r"[^0-9+]", "", value or "")
    if not digits:
        return None
    if digits.startswith("+"):
        return digits
    code, trunk = DIALLING[country or ""]
    if digits.startswith("00"):
        return "+" + digits[2:]
    return "+" + code + digits.removeprefix(trunk)


# --- who is who --------------------------------------------------------------------------------------------------


def people(events: Iterable[Event]) -> list[Person]:
    """Identifiers seen in one event belong to one person, and so on through all events: connected components."""
    parent: dict[Node, Node] = {}

    def root(node: Node) -> Node:
        while parent.setdefault(node, node) != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    known = [event for event in events if event.identifiers]
    for event in known:
        for node in event.identifiers:
            parent[root(node)] = root(event.identifiers[0])
    found: dict[Node, Person] = defaultdict(Person)
    for event in known:
        person = found[root(event.identifiers[0])]
        person.identifiers.update(event.identifiers)
        person.events.append(event)
        if event.name == "Order Completed":
            person.orders[event.data["order_id"]] = event
        elif event.name == "Order Refunded":
            person.refunds.append(event)
    return list(found.values())


# --- consent -----------------------------------------------------------------------------------------------------


def addressed(event: Event, *, granted: bool) -> Addresses:
    """The channel that a decision is about, and the address there; a no that names none we know is about all."""
    both: Addresses = {"email": event.email, "sms": event.phone, "push": event.data.get("contact")}
    named = (event.data.get("channel") or "").strip(" ").lower()
    if named in both:
        return {named: both[named]}
    if granted:
        return {} if named else {"email": event.email}
    return both


def purpose_of(event: Event) -> str:
    return (event.data.get("purpose") or "").strip(" ").lower() or "marketing"


def decisions(person: Person) -> Iterator[tuple[datetime, bool, Addresses, str]]:
    """When, yes or no, about which addresses, for what purpose.

    Said in an event, or by what became of a message; or in a contact record, about marketing by e-mail, where it
    differs from what that contact's records said before: an export that repeats an old answer decides nothing, with
    whatever else of the contact. Only a no counts again where the contact has another address.
    """
    said: dict[tuple[str, str | None] | str, str] = {}
    for token in tokens(person):
        first = min(event.at for event in person.events if event.data.get("push_token") == token)
        yield first, True, {"push": token}, "marketing"
    for event in sorted(person.events, key=lambda event: event.at):
        if event.name in {"Consent Granted", "Consent Withdrawn"}:
            granted = event.name == "Consent Granted"
            yield event.at, granted, addressed(event, granted=granted), purpose_of(event)
        elif event.name in {"Message Unsubscribed", "Message Complained"}:
            about: Addresses = {"email": event.email} if event.email else addressed(event, granted=False)
            yield event.at, False, about, purpose_of(event)
        elif is_hard_bounce(event):
            about = addressed(event, granted=False) if event.data.get("channel") else {"email": event.email}
            yield event.at, False, about, purpose_of(event)
        elif event.name == "Contact Updated" and event.data["marketing_opt_in"]:
            word, contact = event.data["marketing_opt_in"], event.data["contact_id"]
            here = (contact, event.email)
            if said.get(contact) != word or (word != "true" and said.get(here) != word):
                yield event.at, word == "true", {"email": event.email}, "marketing"
            said[contact] = said[here] = word


def tokens(person: Person) -> set[str]:
    """The devices that their app registered."""
    return {token for event in person.events if (token := event.data.get("push_token"))}


def consent(person: Person) -> dict[tuple[str, str, str], tuple[bool, datetime]]:
    """(channel, address, purpose) → yes or no, and since when: the latest decision; of a tie, the no."""
    addresses = {
        "email": {value for kind, value in person.identifiers if kind == "email"},
        "sms": {value for kind, value in person.identifiers if kind == "phone"},
        "push": tokens(person),
    }
    decided: dict[tuple[str, str, str], tuple[bool, datetime]] = {}
    for at, granted, about, purpose in decisions(person):
        for channel, address in about.items():
            for each in {address} if address else addresses[channel]:
                before = decided.get((channel, each, purpose))
                if before is None or at > before[1] or (at == before[1] and not granted):
                    decided[channel, each, purpose] = (granted, at)
    return decided


def is_hard_bounce(event: Event) -> bool:
    """A bounce is for good unless it says that it is soft."""
    return event.name == "Message Bounced" and event.data.get("bounce") != "soft"


def is_suppressed(person: Person, address: str) -> bool:
    """A complaint or a hard bounce forbids an address, whatever is granted before or after."""
    return any(
        (event.name == "Message Complained" or is_hard_bounce(event))
        and event.email in {address, None}
        and event.data.get("channel") in {"email", None}
        for event in person.events
    )


# --- segments ----------------------------------------------------------------------------------------------------


def segments(person: Person, as_of: datetime) -> set[str]:
    """The segments a person is in. `n days ago` is the start of the day that many days before today's."""
    today = datetime.combine(as_of.date(), time(), UTC)
    seen, bought, cart = person.last_seen_at, person.last_order_at, person.last("Cart Updated")
    orders = len(person.orders)

    def ago(days: int) -> datetime:
        return today - timedelta(days=days)

    lapsed = bought is not None and bought < ago(LAPSED_DAYS)
    decided = consent(person).get(("email", person.email or "", "marketing"))
    is_mailed = decided is not None and decided[0] and not is_suppressed(person, person.email or "")
    read = [moment for moment in (person.last("Message Opened"), person.last("Message Clicked")) if moment]
    left_cart = cart is not None and ago(CART_DAYS) <= cart < today
    bought_since = cart is not None and bought is not None and bought >= cart
    rules = {
        "seg_new": min(event.at for event in person.events) >= ago(NEW_DAYS),
        "seg_active": seen is not None and seen >= ago(ACTIVE_DAYS),
        "seg_lapsed": lapsed,
        "seg_one_time_buyers": orders == 1,
        "seg_high_value": person.revenue >= HIGH_VALUE,
        "seg_cart_abandoned": left_cart and not bought_since,
        "seg_churn_risk": orders > 1 and seen is not None and seen < ago(CHURN_DAYS) and not lapsed,
        "seg_never_bought": person.last("Signed Up") is not None and orders == 0,
        "seg_unsubscribed": decided is not None and not is_mailed,
        "seg_high_value_lapsed": person.revenue >= HIGH_VALUE and lapsed,
        "seg_engaged": any(moment >= ago(ENGAGED_DAYS) for moment in read),
    }
    return {name for name, holds in rules.items() if holds}


# --- the count ---------------------------------------------------------------------------------------------------


def is_late(event: Event) -> bool:
    """Sent more than a day after it happened."""
    return event.sent is not None and event.sent - event.at > timedelta(days=1)


def count(folder: Path, last_day: date, known: Mapping[str, Node] | None = None) -> dict[str, Any]:
    """All figures at the end of `last_day` (UTC), from the files below `folder`; what happens later does not count."""
    as_of = datetime.combine(last_day, time.max, UTC)
    landed = land(folder, known)
    events = [event for event in landed.events if event.at <= as_of]
    persons = people(events)
    members: Counter[str] = Counter()
    marketing: Counter[str] = Counter()
    for person in persons:
        members.update(segments(person, as_of))
        for (channel, _, purpose), (granted, _) in consent(person).items():
            marketing[f"{channel} {purpose} {'granted' if granted else 'withdrawn'}"] += 1
    return {
        "lines": landed.lines,
        "distinct_events": len(landed.events),
        "events": len(events),
        "future": len(landed.events) - len(events),
        "repeats": landed.repeats,
        "late": sum(is_late(event) for event in landed.events),
        "copies": landed.copies,
        "quarantined": dict(sorted(landed.quarantined.items())),
        "profiles": len(persons),
        "nobody": sum(not event.identifiers for event in events),
        "buyers": sum(bool(person.orders) for person in persons),
        "orders": sum(len(person.orders) for person in persons),
        "revenue": str(sum((person.revenue for person in persons), Decimal(0))),
        "one_time_buyers": sum(len(person.orders) == 1 for person in persons),
        "last_order_at": max((p.last_order_at for p in persons if p.last_order_at), default=as_of).isoformat(),
        "consent": dict(sorted(marketing.items())),
        "segments": dict(sorted(members.items())),
    }


def reported(folder: Path, last_day: date, syncs: Mapping[str, str]) -> Counter[tuple[str, date, str]]:
    """How often (sync, day in UTC, outcome) is told in the outcome files, to the end of `last_day`.

    Not by machines. `syncs`: the sync of a message, by its send_key.
    """
    as_of = datetime.combine(last_day, time.max, UTC)
    told = [event for event in land(folder).events if event.source == "outcomes" and event.at <= as_of]
    return Counter(
        (event.data.get("sync") or syncs[event.data["send_key"]], event.at.date(), event.data["event"])
        for event in told
        if not event.data.get("machine")
    )


def aliases(rows: list[dict[str, str]]) -> dict[str, Node]:
    """From the rows of profile_map: profile id → an identifier of that person that is none of our ids."""
    rows = sorted(rows, key=lambda row: (row["identifier_type"], row["identifier"]))
    own = {
        row["profile_id"]: (row["identifier_type"], row["identifier"])
        for row in rows
        if row["identifier_type"] != "profile_id"
    }
    return {row["identifier"]: own[row["profile_id"]] for row in rows if row["identifier_type"] == "profile_id"}


if __name__ == "__main__":
    landing, day, *profile_map = sys.argv[1:]
    known = aliases(json.loads(Path(profile_map[0]).read_text())) if profile_map else None
    sys.stdout.write(json.dumps(count(Path(landing), date.fromisoformat(day), known), indent=2) + "\n")
