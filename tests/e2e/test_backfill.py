"""Sixty nights, and the same sixty days worked out afterwards, killed on the way."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from assets import store
from assets.demo_shop import generate
from models.settings import Settings
from tests.nights import (
    FIRST,
    ROOT,
    Members,
    contents,
    day,
    project,
    published_members,
    run,
    segment_days,
)
from tests.sampling import sampled

NIGHTS = sampled(60, 15)
PEOPLE = 150
# a step of the real command line at whose nth time it is killed: within a day, and right after one
KILLS = (("appended", 8), ("committed", 11))

pytestmark = [pytest.mark.slow, pytest.mark.sampled]


def arrive(settings: Settings, landed: Path, number: int) -> None:
    """Move that day's files to where they are looked for."""
    for folder in ("shop", "crm"):
        (settings.landing / folder).mkdir(parents=True, exist_ok=True)
        for path in (landed / folder).glob(f"{day(number)}*"):
            shutil.move(path, settings.landing / folder / path.name)


def tailrace(settings: Settings, *before: str) -> subprocess.CompletedProcess[str]:
    """The backfill, as somebody types it, in a process of its own."""
    environ = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "TAILRACE_PROJECT": str(settings.project),
        "TAILRACE_HOME": str(settings.home),
    }
    options = ["--from", str(day(1)), "--to", str(day(NIGHTS)), "--known-by", "day-end", "--as-of", str(day(NIGHTS))]
    command = [sys.executable, *before, "backfill", "segment_days", *options, "--json"]
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=900, check=False)


def test_sixty_days_are_what_sixty_nights_were(tmp_path: Path) -> None:
    """`--known-by day-end` gives the members, ids included, that each night published; killed, it goes on; today stays.

    Events come late and twice, people turn out to be one, consent is given and taken back.
    """
    settings = project(tmp_path)
    generate(settings.landing, people=PEOPLE, days=NIGHTS, start=FIRST, seed=11)
    landed = settings.landing.rename(tmp_path / "landed")
    nights: dict[int, Members] = {}
    counted: Counter[str] = Counter()
    for number in range(1, NIGHTS + 1):
        arrive(settings, landed, number)
        done = run(settings, number)
        counted.update(minted=done.identity.minted, merged=done.identity.merged)
        nights[number] = published_members(settings, number)
    late = "select count(*) as n from events where cast(known_at as date) > cast(occurred_at as date)"
    with store.reading(settings) as copy:
        counted["late"] = copy.rows(late)[0]["n"]
        counted["consent"] = copy.rows("select count(*) as n from events where name like 'Consent %'")[0]["n"]
    assert min(counted[what] for what in ("minted", "merged", "late", "consent")) > 5, counted
    before = contents(settings)

    for step, nth in KILLS:
        child = tailrace(settings, str(ROOT / "tests" / "faults" / "child.py"), step, str(nth), "kill", "--")
        assert child.returncode == -signal.SIGKILL, child.stderr
    done = tailrace(settings, "-m", "orchestration")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["days"] + said["skipped"] == NIGHTS
    assert said["skipped"] > 0
    assert segment_days(settings) == frozenset().union(*nights.values())
    assert contents(settings) == before
