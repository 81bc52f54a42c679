"""Landing: what was accepted is on the disk, whole and once."""

import asyncio
import os
import resource
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.landing import Busy, Landing, Pace
from gateway.metrics import text
from gateway.part import Part, recover
from models.errors import NeedsPerson, StorageFull
from sinks.journal import Journal
from sinks.suppression import Listed, landed_name, position_told, refused
from tests.gateway.house import AT, House

pytestmark = pytest.mark.stores


def landed(house: House, work: Callable[[Landing], Coroutine[Any, Any, Any]]) -> Any:
    """What `work` does with an open landing."""
    with house.landing() as landing:
        return asyncio.run(work(landing))


def figure(landing: Landing, name: str) -> float:
    return float(next(line.split()[1] for line in text(landing.measures).splitlines() if line.startswith(f"{name} ")))


def test_a_line_is_on_the_disk_when_it_is_told(house: House) -> None:
    """When `write` returns, line and suppression can be read, the file by nobody yet; at the end it has its name."""

    async def work(landing: Landing) -> None:
        await landing.write([b'{"id":"a"}', b'{"id":"b"}'], [refused("hash", "marketing", AT)])
        assert [line["id"] for line in house.growing()] == ["a", "b"]
        assert house.lines() == []
        with Listed(house.journal) as listed:
            assert listed.stances("hash")["marketing"].is_refused

    landed(house, work)
    assert [line["id"] for line in house.lines()] == ["a", "b"]
    assert house.growing() == []


def test_who_waits_shares_a_commit(house: House) -> None:
    """Five hundred writes at once are at most three commits, and each line is there once."""

    async def work(landing: Landing) -> float:
        await asyncio.gather(*(landing.write([b'{"id":%d}' % number]) for number in range(500)))
        return figure(landing, "tailrace_gateway_commit_seconds_count")

    assert landed(house, work) <= 3
    assert sorted(line["id"] for line in house.lines()) == list(range(500))


def test_a_file_is_finished_by_age_and_by_size(house: House) -> None:
    """After its seconds, and as soon as it holds its bytes, a file has its name and the next line begins another."""
    house.pace = Pace(seconds=0.05, bytes=1_000)

    async def work(landing: Landing) -> None:
        await landing.write([b'{"id":1}'])
        await asyncio.sleep(0.5)
        assert len(house.lines()) == 1
        await landing.write([b'{"id":2,"x":"%s"}' % (b"x" * 1_000)])
        assert len(house.lines()) == 2

    landed(house, work)
    assert len([*house.folder.glob("*.ndjson")]) == 2


def test_nobody_waits_in_memory_without_end(house: House) -> None:
    """Past what may wait a write is refused at once, and those before it are kept."""
    house.pace = Pace(waiting_bytes=10_000)

    async def work(landing: Landing) -> list[object]:
        writes = [landing.write([b'"%s"' % (b"x" * 3_000)]) for _ in range(5)]
        return await asyncio.gather(*writes, return_exceptions=True)

    outcomes = landed(house, work)
    assert [type(outcome) for outcome in outcomes] == [type(None)] * 2 + [Busy] * 3
    assert len(house.lines()) == 2


def test_the_loop_goes_on_while_the_journal_is_held(house: House) -> None:
    """As long as another process writes the journal nothing is answered, but everything else goes on."""

    async def work(landing: Landing) -> None:
        with Journal(house.journal) as other:
            with other._connection.transaction():
                writing = asyncio.create_task(landing.write([b"{}"], [refused("hash", None, AT)]))
                await asyncio.sleep(0.3)
                assert not writing.done()
            await asyncio.wait_for(writing, 10)

    landed(house, work)
    assert house.lines() == [{}]


def test_the_journal_comes_before_the_line_and_the_file_before_the_journal(house: House) -> None:
    """A number in a file's name is where the list ended before any row whose line is in it, whoever else adds rows."""

    async def work(landing: Landing) -> None:
        with Journal(house.journal) as journal:
            journal.suppress([refused("x", None, AT), refused("y", None, AT)])
            await landing.write([b"{}"], [refused("a", None, AT)])
            assert position_told(house.folder, (), journal.suppression_position()) == 2

    landed(house, work)
    with Journal(house.journal) as journal:
        end = journal.suppression_position()
        assert end == 3
        assert position_told(house.folder, (), end) == 2
        assert position_told(house.folder, {path.name for path in house.folder.iterdir()}, end) == end


@contextmanager
def no_file_past(size: int) -> Iterator[None]:
    """As a device without room for more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_line_that_has_no_room_leaves_the_no_and_nothing_else(house: House) -> None:
    """Where the line cannot be written after the journal was, messages stop all the same, and no half line stays."""
    line = b'{"id":"%s"}' % (b"x" * 2_000_000)

    async def work(landing: Landing) -> None:
        await landing.write([line])
        with no_file_past(len(line) + 100), pytest.raises(StorageFull, match="nothing that was answered is lost"):
            await landing.write([b'{"id":"%s"}' % (b"y" * 200)], [refused("hash", None, AT)])
        await landing.write([b'{"id":"next"}'])

    landed(house, work)
    with Listed(house.journal) as listed:
        assert listed.stances("hash")["marketing"].is_refused
    assert [line["id"][:4] for line in house.lines()] == ["xxxx", "next"]


def test_a_file_that_cannot_be_mended_is_said_to_be_so(tmp_path: Path) -> None:
    """Where a half line could not be taken off again nothing may be added to the file."""
    part = Part(tmp_path / "part", os.open(os.devnull, os.O_RDONLY))
    with pytest.raises(OSError, match=r"[Bb]ad file|[Ii]nvalid"):
        part.append(b"{}")
    assert not part.is_sound
    part.leave()


@pytest.mark.parametrize(
    ("left", "kept"),
    [
        (b'{"id":1}\n{"id":2}\n', [1, 2]),
        (b'{"id":1}\n{"id":2', [1]),
        (b'{"id":1', []),
        (b"", []),
        (b'{"id":1}\n' + b"x" * 200_000, [1]),
    ],
)
def test_what_a_killed_process_left_is_finished(house: House, left: bytes, kept: list[int]) -> None:
    """Whole lines get a file with its name, a torn one is cut off, a file without a line goes."""
    house.folder.mkdir(parents=True)
    name = landed_name(AT, 1, 1, 5)
    (house.folder / f".{name}.part").write_bytes(left)
    with house.landing():
        assert [line["id"] for line in house.lines()] == kept
        assert [path.name for path in house.folder.iterdir()] == ([name] if kept else [])


def test_the_file_of_a_living_process_is_left_alone(tmp_path: Path) -> None:
    """Another process that starts takes no file that is being written, and takes it once its writer is gone."""
    part = Part.begin(tmp_path, landed_name(AT, 1, 1, 0))
    part.append(b"{}\n")
    assert recover(tmp_path) == []
    part.leave()
    assert [path.read_bytes() for path in recover(tmp_path)] == [b"{}\n"]


def test_two_that_recover_at_once_finish_each_file_once(tmp_path: Path) -> None:
    """Processes that start at the same time share what was left, and none of it is lost."""
    for number in range(100):
        (tmp_path / f".{landed_name(AT, 1, number, 0)}.part").write_bytes(b"{}\n")
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.extend(recover(tmp_path))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == len({*found}) == 100


def test_a_folder_that_cannot_be_made_is_told(house: House) -> None:
    """A landing folder that is a file stops the gateway at its start, by name."""
    house.folder.parent.mkdir()
    house.folder.touch()
    with pytest.raises(NeedsPerson, match="outcomes"):
        house.landing().open()
