"""A newcomer adds a segment: two files and three commands, from a typo to an audience at the vendor."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from models.settings import Settings
from tests.nights import ROOT, land, lines, night, project, run

pytestmark = [pytest.mark.slow, pytest.mark.sampled]

SQL = """\
select profile_id
from {{ ref('profiles') }}
where
    orders >= 2
    and %s >= {{ days_ago(7) }}
"""
YAML = """\

  - name: seg_regulars
    description: Bought twice or more, and lately. One row a profile.
    config:
      meta:
        syncs:
          - {sink: crm, audience: Regulars, fields: [email, orders]}
    columns:
      - name: profile_id
        description: The person.
        data_tests: [is_key]
"""


@contextmanager
def listening(folder: Path) -> Iterator[str]:
    """The address of the shipped vendor, on a port of its own, that keeps what it receives in the folder."""
    file = str(folder / "vendor.sqlite")
    command = [sys.executable, "-m", "orchestration", "recorder", "--port", "0", "--db", file]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout
        line = process.stdout.readline()
        yield line[line.index("http://") :].split()[0].rstrip("/.,")
    finally:
        process.terminate()
        process.wait(timeout=10)


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[str]:
    with listening(tmp_path) as url:
        yield url


class Person:
    """Somebody at a prompt in the project's folder."""

    def __init__(self, settings: Settings, recorder: str) -> None:
        self.settings, self.commands = settings, 0
        self.environ = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "TAILRACE_PROJECT": str(settings.project),
            "TAILRACE_HOME": str(settings.home),
            "TAILRACE_RECORDER": recorder,
        }

    def types(self, *command: str) -> tuple[int, str]:
        """Run `tailrace …`: the exit code, and all that is said."""
        self.commands += 1
        done = subprocess.run(
            [sys.executable, "-m", "orchestration", *command],
            cwd=self.settings.project,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=1200,
            check=False,
        )
        assert "Traceback" not in done.stdout + done.stderr
        return done.returncode, done.stdout + done.stderr

    def asks(self, *command: str) -> dict[str, Any]:
        code, said = self.types(*command, "--json")
        assert code == 0, said
        return json.loads(said.strip().splitlines()[-1])


def files(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_a_newcomers_segment_reaches_the_vendor(tmp_path: Path, recorder: str) -> None:
    """A typo is named with file, line, column and the closest column; then preview, plan and apply agree."""
    settings = project(tmp_path)
    landed = lines(3, seed=5, people=40, each=150)
    for number in (1, 2, 3):
        land(settings, f"shop/{number}.ndjson", landed[number])
        run(settings, number)
    before = files(settings.project)
    person, models = Person(settings, recorder), settings.dbt_project / "models" / "segments"

    (models / "seg_regulars.sql").write_text(SQL % "last_ordr_at")
    with (models / "_segments.yml").open("a") as described:
        described.write(YAML)
    code, said = person.types("preview", "seg_regulars")
    assert code == 2
    assert "dbt_project/models/segments/seg_regulars.sql:5:9: there is no column 'last_ordr_at'" in said
    assert "did you mean 'last_order_at'?" in said

    (models / "seg_regulars.sql").write_text(SQL % "last_order_at")
    person.commands = 0
    previewed = person.asks("preview", "seg_regulars")
    planned = person.asks("plan", "crm/seg_regulars", "--as-of", night(3).as_of.isoformat())
    applied = person.asks("apply", planned["plan_id"])

    assert person.commands == 3
    changed = {path for path, text in files(settings.project).items() if before.get(path) != text}
    assert changed == {f"dbt_project/models/segments/{name}" for name in ("seg_regulars.sql", "_segments.yml")}
    assert previewed["size"] == previewed["enters"] == planned["upsert"] > 0
    assert previewed["syncs"][0] == {
        "sync": "crm/seg_regulars",
        "mode": "mirror",
        "upsert": previewed["size"],
        "remove": 0,
        "send": 0,
        "suppressed": 0,
    }
    received = [json.loads(line) for line in httpx.get(f"{recorder}/_received").text.splitlines()]
    assert len({row["identity"] for row in received if row["sync"] == "crm/seg_regulars"}) == planned["upsert"], applied
