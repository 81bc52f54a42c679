"""Files of yesterday put back under the real command line, which then goes on with another day's clock."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.world import HOLDERS, MESSAGE, MIRROR, World, build, email, entries, moment

pytestmark = pytest.mark.faults
FILES = {"journal": ("journal.sqlite",), "warehouse": ("warehouse.duckdb",)}
FILES["both"] = (*FILES["journal"], *FILES["warehouse"])


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Two days delivered; `yesterday` holds the files as they were in between."""
    world = build(tmp_path_factory.mktemp("restored") / "world")
    world.start_recorder()
    for day in (1, 2):
        deliver(world, day)
        if day == 1:
            (world.folder / "yesterday").mkdir()
            for file in FILES["both"]:
                shutil.copy(world.root / file, world.folder / "yesterday")
    world.stop_recorder()
    return world


@pytest.fixture
def world(template: World, tmp_path: Path) -> Iterator[World]:
    shutil.copytree(template.folder, tmp_path / "world")
    world = World(tmp_path / "world")
    world.start_recorder()
    yield world
    world.stop_recorder()


def deliver(world: World, day: int) -> None:
    world.land(day)
    for command in ("refresh", "sync"):
        ran = world.tailrace(command, "--as-of", moment(day))
        assert ran.code == 0, f"{ran.out}\n{ran.err}"


@pytest.mark.parametrize("what", FILES)
def test_yesterdays_files(world: World, what: str) -> None:
    """Who was written to on the day that was forgotten is not written to again, though their profile is minted anew."""
    for file in FILES[what]:
        shutil.copy(world.folder / "yesterday" / file, world.root)
        for left in world.root.glob(f"{file}-*"):
            left.unlink()
    deliver(world, 3)
    deliver(world, 3)
    assert world.audience().keys() == {email(person) for person in HOLDERS[3]}
    assert world.listed("unknowns", MIRROR) == {}
    sends, listed, due = world.sends(), world.listed("unknowns", MESSAGE), entries(3)
    assert {who: count for who, count in sends.items() if count > due[who]} == {}, "doubled"
    # who left and came back while nobody looked never left
    once = {email(person) for person in range(60)}
    assert {who for who in once if sends[who] + listed[who] < 1} == set(), "lost"
    assert all(sends[email(person)] == 1 for person in range(20, 60))
