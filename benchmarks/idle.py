"""Nothing new: `tailrace refresh` and `tailrace sync` as whole processes, on a demo that is refreshed and synced.

A minute on nothing can have changed, so nothing is built and dbt is not even imported. A day on the segments' windows
have moved: they are built, which costs dbt's start, and who entered or left is delivered.
The limit is what any such pair of processes pays: two interpreters that import what both need and open the warehouse.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import report

from models.settings import Settings
from orchestration import local_recorder
from orchestration.environment import child

PROJECT = Path(__file__).parents[1]
SIZES, QUICK = (2_000, 20_000), (200,)
GOAL = 8.0  # seconds, both processes together
SETTLED = datetime(2026, 10, 4, 12, tzinfo=UTC)  # all that people do with what the demo sent has happened by then
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
OPENS = "import duckdb, polars, pyarrow, pydantic, typer, sys; duckdb.connect(sys.argv[1], read_only=True)"


@dataclass
class Shop:
    """A demo whose clock moves on."""

    settings: Settings
    now: datetime

    def run(self, *words: str) -> str:
        """One command as a process of its own; what it said."""
        command = [sys.executable, "-m", "orchestration", *words]
        done = subprocess.run(
            command, cwd=PROJECT, env=child(self.settings), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def go_on(self, step: timedelta) -> int:
        """Refresh and sync that much later; how many rows were sent."""
        self.now += step
        clock = ("--as-of", self.now.isoformat(), "--json")
        self.run("refresh", *clock)
        return sum(sum(synced["counts"].values()) for synced in json.loads(self.run("sync", *clock)))

    def settle(self) -> None:
        """Until nothing is sent any more, and that is refreshed too."""
        while self.go_on(MINUTE):
            pass
        assert self.go_on(MINUTE) == 0


def cases(options: report.Options) -> Iterator[report.Case]:
    """A minute and a day, at each size, then how each grows."""
    done: list[report.Case] = []
    for size in options.pick(SIZES, QUICK):
        with tempfile.TemporaryDirectory(prefix="bench-idle-") as folder:
            for case in at_size(Path(folder), size, options.rounds):
                done.append(case)
                yield case
    yield from report.growths(done)


def at_size(folder: Path, size: int, rounds: int) -> Iterator[report.Case]:
    """A demo of its own."""
    project = folder / "project"
    shutil.copytree(PROJECT / "dbt_project", project / "dbt_project")
    for name in ("sources.yml", "sinks.yml", "policy.yml"):
        shutil.copy(PROJECT / name, project / name)
    sources = project / "sources.yml"
    sources.write_text(re.sub(r"max_age: .*", "max_age: 1000 days", sources.read_text()))  # no new file is what we ask
    recorder = f"http://127.0.0.1:{local_recorder.free_port()}"
    settings = Settings(project, folder / "home", recorder=recorder, environ=dict(os.environ))
    Shop(settings, SETTLED).run("demo", "--people", str(size))
    with local_recorder.running(settings) as here:
        shop = Shop(here, SETTLED)
        shop.settle()
        ours, limit = report.alternate(lambda: idle(shop, MINUTE, 0), lambda: bare(settings), rounds)
        yield report.Case("a minute on, nothing sent", size, ours, limit, "s", GOAL, "ours at most")
        ours, limit = report.alternate(lambda: idle(shop, DAY, None), lambda: bare(settings), rounds)
        yield report.Case("a day on", size, ours, limit, "s", GOAL, "ours at most")


def idle(shop: Shop, step: timedelta, expected: int | None) -> float:
    """Seconds of both processes; `expected` rows sent."""
    sent: list[int] = []
    taken = report.seconds(lambda: sent.append(shop.go_on(step)))
    assert expected in (None, sent[0]), f"{sent[0]} rows sent"
    return taken


def bare(settings: Settings) -> float:
    """Two processes that only start, import and open."""
    command = [sys.executable, "-c", OPENS, str(settings.warehouse)]
    return report.seconds(lambda: [subprocess.run(command, check=True) for _ in range(2)])


if __name__ == "__main__":
    report.main("idle", cases, __doc__)
