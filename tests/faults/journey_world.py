"""A small world of one journey whose right answer is known by construction: who is written to twice, and why not.

Whoever holds a badge on the second day gets a message at noon, and another twenty hours later.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections import Counter
from pathlib import Path

from assets import configuration, stages, store
from tests.faults.world import HOLDERS, STAGING, World, build, email, moment
from tests.journeys import observed

PEOPLE = [email(person) for person in HOLDERS[2]]
TEMPLATES = ("badge", "badge_again")
SYNC = "mail/message_outbox/badge"
NOON = "2026-09-03T12:00:00+00:00"
AFTERNOON = "2026-09-03T12:30:00+00:00"
SINK = "  mail: {sink: recorder, channel: email, secrets: {token: MAIL_TOKEN}, "
SINK += "options: {account: mail, rows: 6, connections: 1}}\n"
JOURNEY = """\
journey: badge
entry: {event: Order Completed, key: order_id}
exit: [{event: Badge Returned}]
steps:
  - send: {sink: mail, template: badge}
  - wait: 20 hours
  - send: {sink: mail, template: badge_again, expires: 2 days}
  - wait: 3 days
"""
LOADED = "    expect: {id: varchar, at: timestamptz}\n    loaded_through: {lag: 1 hour}\n"
LOADED += "    events: [Order Completed, Consent Granted, Consent Withdrawn, Badge Returned]\n"


class JourneyWorld(World):
    """The world with consent of everybody from the first day on, and the journey published after it."""

    def begin(self) -> None:
        """The first day delivered, the second landed."""
        self.land(1)
        self.say("Consent Granted", [email(person) for person in range(60)], f"{moment(1)}T08:00:00Z")
        for command in (
            ["refresh", "--as-of", moment(1)],
            ["publish", "badge", "--as-of", f"{moment(2)}T00:00:01+00:00"],
        ):
            ran = self.tailrace(*command)
            assert ran.code == 0, f"{ran.out}\n{ran.err}"
        self.land(2)

    def say(self, name: str, people: list[str], at: str) -> None:
        """Land one event a person."""
        lines = (
            {"id": f"{name}-{who}-{at}", "name": name, "at": at, "email": who, "channel": "email"} for who in people
        )
        file = self.root / "landing" / "badges" / f"{name.replace(' ', '-')}-{at[:13]}.ndjson"
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))

    def mailed(self) -> Counter[tuple[str, str]]:
        """How often each message was received: (address, template)."""
        return Counter((row["payload"]["email"], row["payload"]["template"]) for row in self.received(SYNC))

    def claimed(self) -> set[str]:
        """The messages that a request has claimed: what is taken back now comes too late for them."""
        with contextlib.closing(sqlite3.connect(self.root / "journal.sqlite")) as journal:
            return {key for (key,) in journal.execute("select send_key from send_key where claim is not null")}

    def outcomes(self) -> dict[str, Counter[tuple[str, str]]]:
        """What became of the second message: address → how often each (outcome, reason)."""
        counted: dict[str, Counter[tuple[str, str]]] = {}
        with store.reading(self.settings) as copy:
            found = copy.rows(
                "select profiles.email, deliveries.outcome, deliveries.reason from main.deliveries as deliveries "
                "inner join main.message_outbox as outbox on deliveries.key = outbox.send_key "
                "inner join main.profiles as profiles on outbox.profile_id = profiles.profile_id "
                "where outbox.template = 'badge_again'"
            )
        for row in found:
            counted.setdefault(row["email"], Counter())[row["outcome"], row["reason"]] += 1
        return counted

    def check(self) -> None:
        """Everybody got both messages once, or the doubt is listed; and the tables say what the oracle says."""
        due = Counter((who, template) for who in PEOPLE for template in TEMPLATES)
        mailed = self.mailed()
        doubled = {message: count for message, count in mailed.items() if count > due[message]}
        assert not doubled, f"doubled: {doubled}"
        listed = self.listed("unknowns", SYNC) + self.listed("rejects", SYNC)
        heard = Counter(who for who, _ in mailed)
        lost = {who for who in PEOPLE if heard[who] + listed[who] < len(TEMPLATES)}
        assert not lost, f"lost: {sorted(lost)[:5]}"
        self.check_journeys()

    def check_journeys(self) -> None:
        with store.locked(self.settings), stages.opened(self.settings) as warehouse:
            found = observed.differences(warehouse, configuration.policy(self.settings))
        assert not found, f"journeys: {found}"


def build_journeys(folder: Path) -> JourneyWorld:
    """A fresh world; nothing landed."""
    world = build(folder)
    project = folder / "project"
    staging = project / "dbt_project" / "models" / "staging" / "stg_badges.sql"
    name = """coalesce({{ json_text("record", "$.name") }}, 'Order Completed') as name"""
    staging.write_text(STAGING.replace("'Order Completed' as name", name))
    sinks = project / "sinks.yml"
    sinks.write_text(sinks.read_text() + SINK)
    sources = project / "sources.yml"
    sources.write_text(sources.read_text().replace("    expect: {id: varchar, at: timestamptz}\n", LOADED))
    (project / "policy.yml").write_text("zone: UTC\nsalt: faults\n")
    for path, text in {
        "journeys/badge.yml": JOURNEY,
        "templates/badge.txt": "---\nsubject: A badge\n---\nYours, {{ order_id }}.\n",
        "templates/badge_again.txt": "---\nsubject: Still yours\n---\nStill yours.\n",
    }.items():
        file = project / "dbt_project" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return JourneyWorld(world.folder)
