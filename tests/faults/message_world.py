"""A small world of messages: two journeys by smtp and SendGrid, all of whose messages are due, and none is sent.

Whoever holds a badge on the second day gets one by `mail` and two by `offers`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from models.links import Recipient
from models.settings import Settings
from tests.faults.journey_world import JourneyWorld, build_journeys
from tests.faults.world import CHILD, moment
from tests.ran import Ran
from tests.recorders import running

MAIL, OFFERS, THANKS = "mail/message_outbox/badge", "offers/message_outbox/badge", "offers/message_outbox/thanks"
SYNCS = (MAIL, OFFERS, THANKS)
COUNT = int(os.environ.get("TAILRACE_FAULTS", "300"))
WHOLE = 300  # the count that asks for every case
CONVERGED_AFTER = 4  # runs
TODAY, TOMORROW = "2026-09-03T06:00:00+00:00", "2026-09-04T06:00:00+00:00"
SINKS: dict[str, dict[str, Any]] = {
    "mail": {
        "sink": "smtp",
        "secrets": {"password": "MAIL_PASSWORD"},
        "options": {"host": "smtp.shop.example", "username": "shop", "sender": "shop@shop.example", "connections": 1},
    },
    "offers": {
        "sink": "sendgrid",
        "secrets": {"api_key": "SENDGRID_KEY", "verification_key": "SENDGRID_VERIFICATION_KEY"},
        "options": {"sender": "shop@shop.example", "connections": 1, "rows": 4},
    },
}
JOURNEYS = {
    "badge": "  - send: {sink: mail, template: badge, expires: 4 days}\n"
    "  - send: {sink: offers, template: badge_offer, expires: 4 days}\n",
    "thanks": "  - send: {sink: offers, template: thanks, expires: 4 days}\n",
}
JOURNEY = "journey: {0}\nentry: {{event: Order Completed, key: order_id}}\nsteps:\n{1}  - wait: 5 days\n"
TEMPLATES = {"badge": "A badge", "badge_offer": "For your badge", "thanks": "Thanks"}
TEXT = "---\nsubject: {0}\n---\n{0}, {{{{ order_id }}}}.\nOut: {{{{ unsubscribe_url }}}} {{{{ preferences_url }}}}\n"


@dataclass
class MessageWorld(JourneyWorld):
    """A copy of it, with its own recorder."""

    _open: ExitStack = field(default_factory=ExitStack, repr=False)

    @property
    def settings(self) -> Settings:
        return Settings(project=self.folder / "project", home=self.home)

    def copied(self, folder: Path) -> MessageWorld:
        return MessageWorld(Path(shutil.copytree(self.folder, folder, symlinks=True)))

    def start_recorder(self) -> None:
        recorder = self._open.enter_context(running(self.folder / "recorder.sqlite"))
        self.port = int(recorder.url.rpartition(":")[2])

    def stop_recorder(self) -> None:
        self._open.close()

    def begin(self) -> None:
        """Consent given, both journeys published, and the second day refreshed."""
        super().begin()
        for command in (
            ["publish", "thanks", "--as-of", f"{moment(2)}T00:00:01+00:00"],
            ["refresh", "--as-of", moment(2)],
        ):
            ran = self.tailrace(*command)
            assert ran.code == 0, f"{ran.out}\n{ran.err}"

    def begun(
        self, *command: str, fault: tuple[str, int, str] | None = None, bug: str | None = None
    ) -> subprocess.Popen[str]:
        """A command that runs while the case does something else, struck by `fault` if given."""
        step, nth, action = fault or ("never", 1, "kill")
        planted = ["--bug", bug] if bug else []
        line = [sys.executable, str(CHILD), step, str(nth), action, *planted, "--", *command]
        return subprocess.Popen(
            line, env=self.environment, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def configure(self, name: str, options: dict[str, Any] | None = None, **fields: Any) -> None:
        """Change a destination of sinks.yml."""
        path = self.folder / "project" / "sinks.yml"
        document = yaml.safe_load(path.read_text())
        document["sinks"][name] |= fields
        document["sinks"][name]["options"] |= options or {}
        path.write_text(yaml.safe_dump(document))

    def heard(self) -> Counter[str]:
        """How often each message was received, by whichever destination: send_key → times."""
        return Counter(row["identity"] for row in self.received() if row["sync"] in SYNCS)

    def claims(self) -> dict[str, datetime]:
        """send_key → when its claim was asked for, by the machine's clock; none that never left after all."""
        with contextlib.closing(sqlite3.connect(self.root / "journal.sqlite")) as journal:
            found = journal.execute("select send_key, at from send_key where claim is not null").fetchall()
        return {key: datetime.fromisoformat(at) for key, at in found}

    def due(self, sync: str) -> list[Recipient]:
        """What a sync has to send."""
        sink, _, journey = sync.split("/")
        found = self.published(
            "select outbox.profile_id, profiles.email, outbox.purpose, outbox.send_key from message_outbox as outbox "
            "inner join profiles on outbox.profile_id = profiles.profile_id "
            f"where outbox.sink = '{sink}' and outbox.journey = '{journey}' order by outbox.send_key"
        )
        return [Recipient(who, "email", contact, purpose, key) for who, contact, purpose, key in found]

    def fates(self, sync: str) -> dict[str, list[str]]:
        """send_key → the outcomes of its attempts, in order."""
        fates: dict[str, list[str]] = {}
        for key, outcome in self.published(
            f"select key, outcome from deliveries where sync = '{sync}' order by epoch, seq"
        ):
            fates.setdefault(key, []).append(outcome)
        return fates

    def unknown(self, sync: str) -> set[str]:
        """The send_keys that are listed as of unknown outcome."""
        return {key for (key,) in self.published(f"select key from unknowns where sync = '{sync}'")}

    def settled(self) -> dict[str, str]:
        """send_key → what an event of the provider's made of a doubt."""
        with duckdb.connect(str(self.root / "warehouse.duckdb"), read_only=True) as live:
            return dict(live.execute("select key, outcome from tailrace.settlement").fetchall())

    def published(self, query: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.root / "published.duckdb"), read_only=True) as copy:
            return copy.execute(query).fetchall()

    def check_messages(self, *syncs: str) -> None:
        """Each message was heard once, or refused, or is listed as in doubt; and what is called accepted was heard."""
        heard = self.heard()
        doubled = {key: count for key, count in heard.items() if count > 1}
        assert not doubled, f"doubled: {doubled}"
        for sync in syncs:
            fates, unknown = self.fates(sync), self.unknown(sync)
            for recipient in self.due(sync):
                key = recipient.send_key
                fate = fates.get(key, ["nothing"])
                assert heard[key] or key in unknown or fate[-1] == "rejected", f"lost: {key}: {fate}"
                assert heard[key] or "accepted" not in fate, f"lost: {key}: {fate}"
                assert fate[-1] in {"accepted", "rejected", "unknown"}, f"nobody knows of {key}: {fate}"
                assert fate[-1] != "accepted" or key not in unknown, f"accepted, and in doubt: {key}: {fate}"


def build_messages(folder: Path) -> MessageWorld:
    """A fresh world; nothing landed."""
    world = build_journeys(folder)
    project = world.folder / "project"
    (project / "sinks.yml").write_text(yaml.safe_dump({"sinks": SINKS}))
    (project / "policy.yml").write_text("zone: UTC\nsalt: faults\npurposes: {marketing: Offers}\n")
    dbt = project / "dbt_project"
    (dbt / "models" / "segments" / "seg_badge.yml").unlink()
    for name, steps in JOURNEYS.items():
        (dbt / "journeys" / f"{name}.yml").write_text(JOURNEY.format(name, steps))
    shutil.rmtree(dbt / "templates")
    (dbt / "templates").mkdir()
    for name, words in TEMPLATES.items():
        (dbt / "templates" / f"{name}.txt").write_text(TEXT.format(words))
    return MessageWorld(world.folder)


def seeds(most: int) -> range:
    """All of a family, or as many as a sample has room for."""
    return range(most if COUNT >= WHOLE else max(COUNT * most // WHOLE, 1))


def recover(world: MessageWorld, *syncs: str, as_of: str = TODAY, bug: str | None = None) -> None:
    """A good vendor again, and each sync run until it has nothing more to send."""
    world.behave({})
    for sync in syncs:
        for _ in range(CONVERGED_AFTER):
            ran = world.tailrace("sync", sync, "--as-of", as_of, "--json", bug=bug)
            assert ran.code in (0, 1), f"{ran.code}\n{ran.out}\n{ran.err}"
            assert bug or "Traceback" not in ran.err, ran.err
            (run,) = ran.json
            if not run["unsent"] and not run["counts"].get("retry"):
                break
        else:
            pytest.fail(f"it does not converge: {ran.out}")


def ended(child: subprocess.Popen[str]) -> Ran:
    out, err = child.communicate(timeout=120)
    return Ran(child.returncode, out, err)
