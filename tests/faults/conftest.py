"""The suite's account: what was struck at which step, printed at the end of `make faults` (also with workers)."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.engines import spark_serving
from tests.engines.serving import STARTED, serving
from tests.faults.cases import KINDS, REFRESH_STEPS, STRUCK, SYNC_STEPS
from tests.faults.journey_template import Journeys, template_of_journeys
from tests.faults.journey_world import JourneyWorld
from tests.faults.message_world import MessageWorld, build_messages
from tests.faults.postgres_template import Worlds, template_on
from tests.faults.postgres_world import Server

Copy = Callable[[], MessageWorld]
CopyOf = Callable[[str], JourneyWorld]  # of the world before this command
Record = Callable[[str, object], None]
ROWS = (*dict.fromkeys((*SYNC_STEPS, *REFRESH_STEPS)), "never")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A server of this process's own, for it is ended and begun again."""
    if not os.environ.get(STARTED):
        pytest.skip(f"no PostgreSQL server is started: {STARTED}=1 does, with Debian's programs")
    with serving() as served:
        yield Server(served)


@pytest.fixture(scope="session")
def cluster() -> Iterator[spark_serving.Cluster]:
    """A Spark cluster of this process's own, for its parts are killed."""
    if not os.environ.get(STARTED) or spark_serving.home() is None:
        pytest.skip(f"no Spark cluster is started: `make spark` gets one, {STARTED}=1 starts it")
    with pytest.MonkeyPatch.context() as patched:  # Spark's client takes a worker of xdist for a test of its own
        patched.setattr(sys.modules["__main__"], "__file__", __file__, raising=False)
        importlib.import_module("warehouse.spark")
    with spark_serving.serving() as serving_now:
        yield serving_now


@pytest.fixture(scope="session")
def messages(tmp_path_factory: pytest.TempPathFactory) -> MessageWorld:
    """The world of messages: all is due, and nothing is sent."""
    world = build_messages(tmp_path_factory.mktemp("messages") / "world")
    world.begin()
    return world


@pytest.fixture
def copy_of_messages(messages: MessageWorld, tmp_path: Path) -> Iterator[Copy]:
    """Makes a working copy of it with a recorder of its own."""
    made: list[MessageWorld] = []

    def copy() -> MessageWorld:
        made.append(messages.copied(tmp_path / "world"))
        made[-1].start_recorder()
        return made[-1]

    yield copy
    for world in made:
        world.stop_recorder()
    shutil.rmtree(tmp_path, ignore_errors=True)


@pytest.fixture(scope="session")
def journeys(tmp_path_factory: pytest.TempPathFactory) -> Journeys:
    """The world of a journey, before its second day and before its tick."""
    return template_of_journeys(tmp_path_factory.mktemp("journeys"))


@pytest.fixture
def copy_of_journeys(journeys: Journeys, tmp_path: Path) -> Iterator[CopyOf]:
    """Makes a working copy with a recorder of its own."""
    made: list[JourneyWorld] = []

    def of(command: str) -> JourneyWorld:
        made.append(journeys.copied(command, tmp_path / "world"))
        made[-1].start_recorder()
        return made[-1]

    yield of
    for world in made:
        world.stop_recorder()


@pytest.fixture(scope="session")
def on_postgres(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Worlds:
    """The worlds on that server before a refresh, a sync and a tick."""
    return template_on(postgres, tmp_path_factory.mktemp("postgres"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Faults by step and kind, and what the vendor did; nothing where no fault struck."""
    reports = [report for how in ("passed", "failed") for report in terminalreporter.getreports(how)]
    struck = [value for report in reports for name, value in report.user_properties if name == STRUCK]
    if not struck:
        return
    failed = sum(report.failed and any(name == STRUCK for name, _ in report.user_properties) for report in reports)
    terminalreporter.section(f"{len(struck)} faults, {failed} of them lost, doubled or hid something")
    for line in account([(kind, step) for kind, step, _ in struck]):
        terminalreporter.line(line)
    vendor = Counter(did for _, _, behaviour in struck for did in behaviour)
    if vendor:
        terminalreporter.line("the vendor: " + ", ".join(f"{did} {count}" for did, count in vendor.most_common()))


def account(struck: list[tuple[str, str]]) -> Iterator[str]:
    """A line a step, a column a kind."""
    counts = Counter(struck)
    kinds = tuple(dict.fromkeys((*KINDS, *(kind for kind, _ in struck))))
    yield "step".ljust(12) + "".join(kind.rjust(len(kind) + 2) for kind in kinds)
    for step in ROWS:
        numbers = [(counts[kind, step], len(kind) + 2) for kind in kinds]
        if any(count for count, _ in numbers):
            name = "no kill" if step == "never" else step
            yield name.ljust(12) + "".join(str(count or "-").rjust(width) for count, width in numbers)
