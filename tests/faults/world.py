"""A small world whose right answer is known by construction: who holds a badge on each day, and what it is worth.

Two syncs go out of it: an idempotent mirror (`crm`) and a non-idempotent message on entry (`hook`). The template
(landed, refreshed, perhaps synced) is made once a session; every case works on a copy.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from assets import store
from models.settings import Settings
from tests.ran import Ran

Child = subprocess.Popen[str]
ROOT = Path(__file__).parents[2]
CHILD = Path(__file__).parent / "child.py"
MIRROR, MESSAGE = "crm/seg_badge", "hook/seg_badge"
FIRST_DAY = 1

HOLDERS = {  # day → people who hold a badge that day: some stay, some leave, some come back
    1: range(40),
    2: range(20, 60),
    3: [*range(20), *range(40, 60)],
    **{day: range(10 * (day % 3), 40 + 10 * (day % 3)) for day in range(4, 11)},
}

SOURCES = """\
sources:
  badges:
    description: One line a badge held that day
    files: badges/*.ndjson
    format: ndjson
    expect: {id: varchar, at: timestamptz}
"""
SINKS = """\
sinks:
  crm: {sink: recorder, secrets: {token: CRM_TOKEN}, options: {rows: 6}}
  hook: {sink: webhook, secrets: {signing: HOOK_SECRET}, options: {url: "https://hook.example/badge"}}
"""
STAGING = """\
select
    {{ json_text("record", "$.id") }} as event_id,
    'badges' as source,
    'Order Completed' as name,
    cast({{ json_text("record", "$.at") }} as {{ timestamp_type() }}) as occurred_at,
    loaded_at as received_at,
    loaded_at as known_at,
    batch_id,
    cast(null as {{ text_type() }}) as anonymous_id,
    cast(null as {{ text_type() }}) as user_id,
    {{ json_text("record", "$.email") }} as email,
    cast(null as {{ text_type() }}) as phone,
    cast(null as {{ text_type() }}) as crm_id,
    cast(null as {{ text_type() }}) as profile_id,
    record as properties
from {{ raw('badges') }} as raw_badges
"""
SEGMENT = """\
select profile_id, email, orders, revenue
from {{ ref('profiles') }}
where cast(last_order_at as date) = cast({{ as_of() }} as date)
"""
SEGMENT_YAML = """\
version: 2
models:
  - name: seg_badge
    description: People who hold a badge on this day. One row a profile.
    config:
      meta:
        syncs:
          - {sink: crm, audience: Badge, key: [email], fields: [email, orders, revenue], guards: {max_remove: 100%}}
          - {sink: hook, mode: send_on_entry, first_run: send, fields: [email, orders]}
"""


def email(person: int) -> str:
    return f"person{person}@shop.example"


def moment(day: int) -> str:
    return f"2026-09-{day:02d}"


@dataclass
class World:
    """One copy of the world on disk, with its own recorder. `warehouse`, `journal`: URLs, where they are no files."""

    folder: Path
    port: int = 0
    warehouse: str | None = None
    journal: str | None = None
    home_name: str = "home"
    patience: float = 300  # seconds that a command may take
    _recorder: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def home(self) -> Path:
        return self.folder / self.home_name

    @property
    def root(self) -> Path:
        return self.home / "dev"

    @property
    def settings(self) -> Settings:
        return Settings(self.folder / "project", self.home, warehouse_url=self.warehouse, journal_url=self.journal)

    @property
    def environment(self) -> dict[str, str]:
        ours = {
            "TAILRACE_HOME": str(self.home),
            "TAILRACE_PROJECT": str(self.folder / "project"),
            "TAILRACE_RECORDER": f"http://127.0.0.1:{self.port}",
            "TAILRACE_TARGET": "dev",
            **({"TAILRACE_WAREHOUSE": self.warehouse} if self.warehouse else {}),
            **({"TAILRACE_JOURNAL": self.journal} if self.journal else {}),
        }
        return {**os.environ, **ours}

    def tailrace(self, *command: str, fault: tuple[str, int, str] | None = None, bug: str | None = None) -> Ran:
        """Run a command to its end, struck by `fault` (step, nth, action) if given."""
        return self.ended(self.begun(*command, fault=fault, bug=bug))

    def begun(self, *command: str, fault: tuple[str, int, str] | None = None, bug: str | None = None) -> Child:
        """A command that runs beside this process, until `ended`."""
        return subprocess.Popen(
            self._line(command, fault, bug),
            env=self.environment,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ended(self, child: Child) -> Ran:
        out, err = child.communicate(timeout=self.patience)
        return Ran(child.returncode, out, err)

    def stopped(self, *command: str, step: str, nth: int = 1, bug: str | None = None) -> Child:
        """A command that stands still at a step, until `go_on`."""
        child = self.begun(*command, fault=(step, nth, "wait"), bug=bug)
        deadline = time.monotonic() + 0.6 * self.patience
        while not (self.home / "waiting").exists():
            assert child.poll() is None, child.communicate()
            assert time.monotonic() < deadline, "the step did not come"
            time.sleep(0.05)
        return child

    def go_on(self, child: Child) -> Ran:
        """Let it go on, to its end."""
        (self.home / "go").touch()
        return self.ended(child)

    def _line(self, command: Sequence[str], fault: tuple[str, int, str] | None, bug: str | None) -> list[str]:
        step, nth, action = fault or ("never", 1, "kill")
        planted = ["--bug", bug] if bug else []
        return [sys.executable, str(CHILD), step, str(nth), action, *planted, "--", *command]

    def land(self, day: int) -> None:
        """Write the day's file: one line a holder, in whatever state the landing folder is."""
        folder = self.root / "landing" / "badges"
        folder.mkdir(parents=True, exist_ok=True)
        lines = (
            {"id": f"{day}-{person}", "at": f"{moment(day)}T12:00:00Z", "email": email(person)}
            | {"order_id": f"{day}-{person}", "revenue": f"{person}.50", "quantity": 1}
            for person in HOLDERS[day]
        )
        (folder / f"{day}.ndjson").write_text("".join(json.dumps(line) + "\n" for line in lines))

    def start_recorder(self) -> None:
        """Start the shipped recorder on a free port of the loopback, keeping what it received across restarts."""
        line = [sys.executable, "-m", "orchestration", "recorder", "--port", "0", "--json"]
        self._recorder = subprocess.Popen(
            [*line, "--db", str(self.folder / "recorder.sqlite")],
            env=self.environment,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._recorder.stdout
        told = self._recorder.stdout.readline()
        assert told, "the recorder did not start"
        self.port = urlsplit(json.loads(told)["url"]).port or 0

    def stop_recorder(self) -> None:
        if self._recorder is not None:
            self._recorder.send_signal(signal.SIGTERM)
            self._recorder.wait(10)

    def behave(self, behaviour: dict[str, Any]) -> None:
        """Program the recorder; `{}` is a good vendor again."""
        request = Request(f"http://127.0.0.1:{self.port}/_behaviour", json.dumps(behaviour).encode(), method="PUT")
        request.add_header("Content-Type", "application/json")
        urlopen(request, timeout=10).read()

    def received(self, sync: str | None = None) -> list[dict[str, Any]]:
        """Every row the recorder took, in order."""
        with urlopen(f"http://127.0.0.1:{self.port}/_received", timeout=10) as answer:
            rows = [json.loads(line) for line in answer.read().splitlines()]
        return [row for row in rows if sync is None or row["sync"] == sync]

    def counted(self) -> dict[str, int]:
        """How often each step came in the last command run with the action `count`."""
        return json.loads((self.home / "steps.json").read_text())

    def listed(self, table: str, sync: str) -> Counter[str]:
        """How often each person is in a published table (`rejects`, `unknowns`) for this sync."""
        with store.reading(self.settings) as copy:
            found = copy.rows(
                f"select profiles.email from main.{table} as listed inner join main.profiles as profiles "
                f"on listed.profile_id = profiles.profile_id where listed.sync = '{sync}'"
            )
        return Counter(row["email"] for row in found)

    def audience(self) -> dict[str, dict[str, Any]]:
        """What the mirror's vendor holds: its operations applied in the order they were received."""
        held: dict[str, dict[str, Any]] = {}
        for row in self.received(MIRROR):
            if row["op"] == "remove":
                held.pop(row["payload"]["email"], None)
            else:
                held[row["payload"]["email"]] = row["payload"]
        return held

    def sends(self) -> Counter[str]:
        """How often each person's message was received."""
        return Counter(row["payload"]["email"] for row in self.received(MESSAGE))


def entries(day: int) -> Counter[str]:
    """How often each person has entered by `day`, as HOLDERS says."""
    counted: Counter[str] = Counter()
    before: set[int] = set()
    for each in range(FIRST_DAY, day + 1):
        counted.update(email(person) for person in set(HOLDERS[each]) - before)
        before = set(HOLDERS[each])
    return counted


def build(folder: Path) -> World:
    """A fresh world: the project as it ships, this world's source, segment and destinations, nothing landed."""
    project = folder / "project"
    project.mkdir(parents=True)
    shutil.copytree(ROOT / "dbt_project", project / "dbt_project", ignore=shutil.ignore_patterns("target", "logs"))
    shutil.copy(ROOT / "policy.yml", project)
    models = project / "dbt_project" / "models"
    others = (ROOT / "sources.yml").read_text().split("sources:\n", 1)[1]
    (project / "sources.yml").write_text(SOURCES + others)
    (project / "sinks.yml").write_text(SINKS)
    for shipped in ("journeys", "templates"):
        shutil.rmtree(project / "dbt_project" / shipped, ignore_errors=True)
    for shipped_model in [*(models / "segments").glob("*"), *(models / "syncs").glob("*")]:
        shipped_model.unlink()  # only this world's segment: a case is quick, and its right answer is known
    (models / "staging" / "stg_badges.sql").write_text(STAGING)
    (models / "segments" / "seg_badge.sql").write_text(SEGMENT)
    (models / "segments" / "seg_badge.yml").write_text(SEGMENT_YAML)
    return World(folder)
