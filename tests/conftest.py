"""The longest tests begin first, so that both workers end at about the same time; signals are as in a terminal."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg2
import pytest
from hypothesis import settings

from models.journal_place import JournalServer, Place
from tests.engines.serving import STARTED, serving
from tests.parsed import FOLDER
from tests.sampling import IS_SAMPLE, is_left_out, sampled

# Tests started with `&` ignore SIGINT, which every process they begin inherits. Dagster gives SIGTERM the same meaning,
# so that after the first run in this process nothing it begins could be ended any more.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A test that takes longer than usual says something of the machine, not of us.
settings.register_profile("tailrace", deadline=None, max_examples=sampled(100, 30))
settings.load_profile("tailrace")

SERVER = "TAILRACE_TEST_POSTGRES"  # the URL of one
STORES = ("file", "server")

LONGEST = (
    "test_spark_faults.py",
    "test_postgres_faults.py",
    "test_faults.py",
    "test_demo.py",
    "test_jobs.py",
    "test_oracle.py",
    "test_refresh.py",
    "test_journey_tutorial.py",
    "test_backfill.py",
    "test_past.py",
    "test_replay.py",
    "test_versions.py",
    "test_preview.py",
    "test_loop_same.py",
    "test_restored.py",
    "test_crowds.py",
    "test_convergence.py",
    "test_left_behind.py",
    "test_newcomer.py",
    "test_shop.py",
    "test_outcomes.py",
    "test_withdrawal.py",
    "test_workspace.py",
    "test_looking.py",
    "test_cdnow.py",
    "test_at_once.py",
    "test_why.py",
    "test_move_loop.py",
    "test_company_project.py",
    "test_newcomer_postgres.py",
)
PLACES = {name: place for place, name in enumerate(LONGEST)}
SAMPLED = {"faults": 20, "spark": 4, "slow": 3}  # of how many such tests one is in a sample
FAULT_WORLDS = 2  # of so many one, besides that of test_faults.py; what the cases of one begin from takes minutes
ON_SPARK = {"cluster", "catalogue", "spark", "beside_spark"}  # fixtures


def pytest_configure(config: pytest.Config) -> None:
    """One folder for what all workers of a run parse once."""
    if FOLDER not in os.environ:
        os.environ[FOLDER] = tempfile.mkdtemp(prefix="tailrace-parsed-")
        config.add_cleanup(lambda: shutil.rmtree(os.environ.pop(FOLDER)))


def _sampled(item: pytest.Item, mark: pytest.Mark) -> str:
    """The test, or its module where what that makes for all its tests is most of the time."""
    return item.path.name if "module" in mark.args else item.nodeid


def _world(item: pytest.Item) -> str | None:
    """What the cases of a fault begin from: modules whose names begin alike share it."""
    return item.path.stem.split("_")[1] if item.get_closest_marker("faults") else None


def _is_left_out(item: pytest.Item) -> bool:
    world = _world(item)
    if world and world != "faults" and is_left_out(world, FAULT_WORLDS):
        return True
    mark = item.get_closest_marker("sampled")
    return mark is not None and is_left_out(_sampled(item, mark), **mark.kwargs)


def _is_on_spark(item: pytest.Item) -> bool:
    """By its fixtures, or by the engine that a parameter names."""
    named = getattr(item, "callspec", None)
    return bool(ON_SPARK & set(getattr(item, "fixturenames", ()))) or (named and "spark" in named.params.values())


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Slow modules in front, the slowest first; the rest stays in order. Of a sample's modules some tests."""
    for item in items:
        if _is_on_spark(item):
            item.add_marker("spark")
        for kind, one_of in SAMPLED.items():
            if item.get_closest_marker(kind) and not item.get_closest_marker("sampled"):
                item.add_marker(pytest.mark.sampled(one_of=one_of))
        if IS_SAMPLE and (world := _world(item)):  # which is made once, in one process
            item.add_marker(pytest.mark.xdist_group(world))
    left_out = [item for item in items if _is_left_out(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    items.sort(key=lambda item: PLACES.get(item.path.name, len(PLACES)))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What is marked `stores` runs with the journal in a file, and in a PostgreSQL database; or in what it names."""
    marker = metafunc.definition.get_closest_marker("stores")
    if marker and "journal_url" in metafunc.fixturenames:
        metafunc.parametrize("journal_url", marker.args or STORES, indirect=True)


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The URL of a PostgreSQL server whose database may be written to."""
    if url := os.environ.get(SERVER):
        yield url
    elif os.environ.get(STARTED):
        with serving() as started:
            yield started.url
    else:
        pytest.skip(f"no PostgreSQL server: `make test-engines` starts one, or {SERVER} is the URL of one")


@pytest.fixture(scope="module")
def database(server: str) -> Iterator[str]:
    """The URL of a database of this module's own."""
    name = f"t{uuid4().hex[:10]}"
    _execute(server, f"create database {name}")
    yield urlsplit(server)._replace(path=f"/{name}").geturl()
    _execute(server, f"drop database {name} with (force)")


@pytest.fixture
def journal_url(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """What TAILRACE_JOURNAL is to a test: not set, or a database without a journal."""
    if getattr(request, "param", "file") == "file":
        yield None
        return
    url = request.getfixturevalue("database")
    yield url
    _execute(url, "drop schema if exists tailrace_dev_journal, tailrace_journal cascade")


@pytest.fixture
def place(journal_url: str | None, tmp_path: Path) -> Place:
    """Where a test has its journal."""
    return JournalServer(journal_url, "tailrace_dev_journal") if journal_url else tmp_path / "journal.sqlite"


def _execute(url: str, statement: str) -> None:
    connection = psycopg2.connect(url)
    connection.autocommit = True
    connection.cursor().execute(statement)
    connection.close()
