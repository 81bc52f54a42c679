"""The journal in a file: whole at any moment on disk, brought up from older versions, refused where it is none."""

import contextlib
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.delivery import Outcome, Outcomes
from models.errors import NeedsPerson, StorageFull
from sinks.claims import Entry
from sinks.journal import Journal
from sinks.writer import Writer
from tests.sinks.desk import AT
from tests.sinks.test_journal import DELIVERY, claimed, request, rows


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "journal.sqlite") as opened:
        opened.open_delivery(DELIVERY)
        yield opened


@pytest.fixture
def writer(journal: Journal) -> Iterator[Writer]:
    opened = Writer(journal)
    yield opened
    opened.close()


def test_a_copy_of_the_files_at_any_moment_is_a_journal(tmp_path: Path, journal: Journal, writer: Writer) -> None:
    """The three files as they lie on disk hold every commit made so far: power may fail at any moment."""
    for number in range(5):
        claim = claimed(writer, number, 1)
        copy = tmp_path / f"copy{number}"
        copy.mkdir()
        for file in journal.place.parent.glob("journal.sqlite*"):
            shutil.copy(file, copy)
        writer.receive(claim, Outcomes.all(Outcome.ACCEPTED), AT)
        with Journal(copy / "journal.sqlite") as recovered:
            assert (recovered.id, recovered.abandon("run1", AT)) == (journal.id, 1)
            assert [row["outcome"] for row in rows(recovered).to_pylist()] == ["accepted"] * number + ["unknown"]


def test_a_journal_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    """A file of a later schema is left alone, and the message says so."""
    path = tmp_path / "journal.sqlite"
    Journal(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("pragma user_version = 99")
    with pytest.raises(NeedsPerson, match="newer version"):
        Journal(path)


def test_another_file_is_not_a_journal(tmp_path: Path) -> None:
    """A file that is no database is refused with its path, not overwritten."""
    path = tmp_path / "journal.sqlite"
    path.write_text("something else entirely, and longer than a header of a hundred bytes " * 3)
    with pytest.raises(NeedsPerson, match=r"journal\.sqlite"):
        Journal(path)
    assert path.read_text().startswith("something else")


def test_a_place_that_cannot_be_written_is_no_damage(tmp_path: Path) -> None:
    """Nobody is told to move a whole journal away."""
    path = tmp_path / "journal.sqlite"
    path.mkdir()
    with pytest.raises(NeedsPerson, match="may you write it") as refused:
        Journal(path)
    assert "move it away" not in str(refused.value)


def test_a_full_disk_is_told_and_nothing_is_half_written(journal: Journal, writer: Writer) -> None:
    """A commit that finds no space raises StorageFull; after space is made the same claim is granted."""
    claimed(writer, 0, 1)
    limited = writer._connection
    pages = limited.execute("pragma page_count").fetchone()[0]
    limited.execute(f"pragma max_page_count = {pages}")
    entries = [Entry(request=request(number, 1)) for number in range(1, 5000)]
    with pytest.raises(StorageFull, match="nothing is lost"):
        writer.write(entries)
    before = journal._value("select count(*) from claim")
    limited.execute("pragma max_page_count = 1000000")
    assert before == 1
    assert claimed(writer, 9999, 1).seq == before + 1


BEFORE_3 = "drop table quota_use; drop table pace; alter table claim drop column sink; pragma user_version = 2;"
BEFORE_2 = "drop table pause_change; alter table delivery drop column scopes; pragma user_version = 1;"


def test_a_journal_of_the_version_before_is_brought_up(tmp_path: Path) -> None:
    """What a journal of version 1 held it still holds, and what was paused in it is paused since then."""
    path = tmp_path / "journal.sqlite"
    with Journal(path) as journal:
        journal.pause("crm/seg_lapsed", AT)
        kept = journal.id
    with contextlib.closing(sqlite3.connect(path)) as old:
        old.executescript(BEFORE_3 + BEFORE_2)
    for _ in range(2):
        with Journal(path) as journal:
            assert journal.id == kept
            assert journal.pause_changes() == [(1, "crm/seg_lapsed", "paused", AT)]
            assert journal.open_deliveries() == []


def test_a_journal_without_quotas_is_brought_up(tmp_path: Path) -> None:
    """A claim and its receipt of version 2 are still there, by the sync's own sink; the journal is as a new one is."""
    path = tmp_path / "journal.sqlite"
    with Journal(path) as journal:
        journal.open_delivery(DELIVERY)
        made, writer = schema(path), Writer(journal)
        writer.receive(claimed(writer, 0, 2), Outcomes.all(Outcome.ACCEPTED), AT)
        writer.close()
    with contextlib.closing(sqlite3.connect(path)) as old:
        old.executescript(BEFORE_3)
    with Journal(path) as journal:
        assert rows(journal).select(["row", "outcome", "sink"]).to_pylist() == [
            {"row": row, "outcome": "accepted", "sink": ""} for row in range(2)
        ]
        assert schema(path) == made


def schema(path: Path) -> set[tuple[str, str, str]]:
    """(table, column, type) of everything in the journal."""
    with contextlib.closing(sqlite3.connect(path)) as read:
        return set(
            read.execute(
                "select tables.name, columns.name, columns.type from sqlite_master as tables "
                "join pragma_table_info(tables.name) as columns where tables.type = 'table'"
            )
        )
