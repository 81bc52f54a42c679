"""A small project for what needs real refreshes: one source of badges, one segment of who got one today, no journey.

One that was refreshed once is copied for every test; the tests write journeys into it and land more badges.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from assets import stages, store
from assets.journeys.program import Version
from assets.refresh import RefreshResult, refresh
from assets.status import status
from assets.syncs import load_syncs
from models.clock import Clock
from models.settings import Settings
from orchestration import journeys
from orchestration.journeys import Ticking
from orchestration.project import read_manifest
from sinks.journal import Journal
from tests.faults import world

SEGMENTS = "models/segments"


@dataclass
class Badges:
    """The project with its home."""

    settings: Settings

    def journey(self, name: str, text: str) -> Path:
        return self.write(f"journeys/{name}.yml", f"journey: {name}\n{text}")

    def write(self, name: str, text: str) -> Path:
        path = self.settings.dbt_project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def segment(self, name: str, sql: str) -> Path:
        self.write(
            f"{SEGMENTS}/{name}.yml", f"version: 2\nmodels: [{{name: {name}, description: One row a profile.}}]\n"
        )
        return self.write(f"{SEGMENTS}/{name}.sql", sql)

    def land(self, file: str, people: Iterable[int], at: str, name: str = "Order Completed") -> None:
        """One event a person: `land('2', range(3), '2026-09-02T12:00')`."""
        lines = (
            {"id": f"{file}-{person}", "name": name, "at": f"{at}:00Z", "email": world.email(person)}
            | {"order_id": f"{file}-{person}"}
            for person in people
        )
        path = self.settings.landing / "badges" / f"{file}.ndjson"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))

    def refresh(self, at: str) -> RefreshResult:
        return refresh(self.settings, clock(at))

    def publish(self, name: str, at: str) -> Version:
        version, _ = journeys.publish(self.settings, name, clock(at))
        return version

    def tick(self, at: str, *, sends: bool = False) -> Ticking:
        return journeys.tick(self.settings, clock(at), lambda *_: None, sends=sends)

    def due(self, at: str) -> list[str]:
        """The syncs with messages that may go."""
        settings, declared = self.settings, load_syncs(self.settings, read_manifest(self.settings))
        with store.locked(settings), stages.opened(settings) as warehouse, Journal(settings.journal) as journal:
            return journeys.due(settings, warehouse, journal, declared, clock(at))

    def needs(self) -> str:
        """What `tailrace status` says a person is needed for."""
        return "\n".join(status(self.settings, None, read_manifest(self.settings)).needs_a_person)


def clock(at: str) -> Clock:
    """`2026-09-02T12:00`, in UTC."""
    return Clock.at(datetime.fromisoformat(at).replace(tzinfo=UTC))


def build(folder: Path) -> Badges:
    """Twenty people with a badge of the first of September, refreshed that night."""
    world.build(folder)
    made = Badges(Settings(project=folder / "project", home=folder / "home", recorder="http://127.0.0.1:9"))
    name = "coalesce(json_extract_string(record, '$.name'), 'Order Completed') as name"
    made.write("models/staging/stg_badges.sql", world.STAGING.replace("'Order Completed' as name", name))
    made.segment("seg_badge", world.SEGMENT)
    sinks = made.settings.project / "sinks.yml"
    sinks.write_text("sinks:\n  mail: {sink: recorder, channel: email}\n")
    made.write("templates/badge.txt", "---\nsubject: A badge\n---\nYours.\n")
    made.land("1", range(20), "2026-09-01T12:00")
    assert made.refresh("2026-09-01T23:00").ok
    return made


def copied(made: Badges, folder: Path) -> Badges:
    """The same again, to be changed alone."""
    shutil.copytree(made.settings.project, folder / "project")
    shutil.copytree(made.settings.home, folder / "home")
    return Badges(Settings(project=folder / "project", home=folder / "home", recorder="http://127.0.0.1:9"))
