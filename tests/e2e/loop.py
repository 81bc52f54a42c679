"""A project of its own run through the loop, and whether it shows what the independent count finds in the files."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

from assets import store
from assets.refresh import RefreshResult, refresh
from models.clock import Clock, end_of_day
from models.settings import Settings
from orchestration import demonstration
from tests import parsed
from tests.e2e import independent

TYPES = ("user_id", "crm_id", "email", "phone", "anonymous_id")


@dataclass
class Loop:
    """A project of its own, run to the end of a day, beside the plain count of the same files."""

    settings: Settings
    day: date
    results: list[RefreshResult]
    days: list[demonstration.Day] = field(default_factory=list)

    @classmethod
    def at(cls, folder: Path, day: date) -> Loop:
        settings = Settings(project=parsed.project(folder / "project"), home=folder / "home")
        return cls(parsed.target_into(settings), day, [])

    def refresh(self) -> None:
        self.results.append(refresh(self.settings, Clock.at(end_of_day(self.day, UTC))))

    def rows(self, sql: str) -> list[dict[str, Any]]:
        with store.reading(self.settings) as warehouse:
            return warehouse.rows(sql)

    def value(self, sql: str) -> Any:
        return next(iter(self.rows(sql)[0].values()))

    def counted(self) -> dict[str, Any]:
        return independent.count(self.settings.landing, self.day, self.aliases())

    def aliases(self) -> dict[str, independent.Node]:
        """Whom a profile id in an outcome means: no more than that is taken from the loop."""
        return independent.aliases(self.rows("select identifier_type, identifier, profile_id from profile_map"))

    def persons(self) -> dict[frozenset[independent.Node], independent.Person]:
        """The plain count's people by their identifiers."""
        as_of = datetime.combine(self.day, time.max, UTC)
        landed = independent.land(self.settings.landing, self.aliases())
        events = [event for event in landed.events if event.at <= as_of]
        return {frozenset(person.identifiers): person for person in independent.people(events)}

    def identities(self) -> dict[str, frozenset[independent.Node]]:
        """The loop's profiles: id → identifiers."""
        found: dict[str, set[independent.Node]] = {}
        for row in self.rows("select identifier_type, identifier, profile_id from profile_map"):
            if row["identifier_type"] in TYPES:
                found.setdefault(row["profile_id"], set()).add((row["identifier_type"], row["identifier"]))
        return {profile_id: frozenset(nodes) for profile_id, nodes in found.items()}


def check_everything(loop: Loop) -> None:
    """Every figure and every person of the loop is the plain count's."""
    counted, persons, identities = loop.counted(), loop.persons(), loop.identities()
    assert loop.value("select count(*) from events") == counted["events"]
    bad = loop.rows("select source, file, count(*) as lines from quarantine group by all")
    assert {row["file"]: row["lines"] for row in bad} == counted["quarantined"]
    assert set(identities.values()) == set(persons)
    as_of = datetime.combine(loop.day, time.max, UTC)
    for row in loop.rows("select * from profiles"):
        person = persons[identities[row["profile_id"]]]
        assert (row["email"], row["orders"], row["revenue"]) == (person.email, len(person.orders), person.revenue)
        assert row["last_order_at"] == person.last_order_at
        assert row["last_seen_at"] == person.last_seen_at
    check_consent(loop, persons, identities)
    for segment in independent.SEGMENTS:
        members = {identities[row["profile_id"]] for row in loop.rows(f"select profile_id from {segment}")}
        expected = {nodes for nodes, person in persons.items() if segment in independent.segments(person, as_of)}
        assert members == expected, segment


def check_consent(loop: Loop, persons: dict, identities: dict) -> None:
    decided = {
        (nodes, *key): granted
        for nodes, person in persons.items()
        for key, (granted, _) in independent.consent(person).items()
    }
    found = {
        (identities[row["profile_id"]], row["channel"], row["contact_point"], row["purpose"]): row["granted"]
        for row in loop.rows("select * from consent")
    }
    assert found == decided
