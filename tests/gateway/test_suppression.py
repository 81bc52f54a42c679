"""The suppression list as the gateway knows it."""

from datetime import timedelta
from pathlib import Path

import pytest

from assets import opening
from models.errors import NeedsPerson
from models.journal_place import Place
from sinks.journal import Journal
from sinks.suppression import (
    Listed,
    Seen,
    Stance,
    allowed,
    contact_hash,
    dead,
    is_dead,
    landed_name,
    position_told,
    refused,
)
from tests.gateway.house import AT
from warehouse.duckdb import DuckDB

pytestmark = pytest.mark.stores

# every letter there is, at both ends and beside others
LETTERS = """
select chr(point) || ' A' || chr(point) || 'ΑΣ@Shop.Example' || chr(point) as contact
from (select cast(unnest(range(1, 1114112)) as integer) as point) where point not between 55296 and 57343
"""
SOME = ["", " ", "\t a \n", "+49 30 123", "o'neil@shop.example", "ὈΔΥΣΣΕΎΣ", "İstanbul", "'; drop table x; --"]


def test_a_contact_point_has_the_same_hash_in_sql_and_here(tmp_path: Path) -> None:
    """Whatever letters, spaces and quotes an address has, the warehouse and the gateway call it by the same hash."""
    salt = "it's salt"
    with DuckDB(tmp_path / "w.duckdb") as warehouse:
        hashed = opening.contact_hash(warehouse, salt, "lower(trim(contact))")
        rows = warehouse.rows(f"select contact, {hashed} as hashed from ({LETTERS})")
        rows += warehouse.rows(f"select contact, {hashed} as hashed from (select unnest(?) as contact)", [SOME])
    assert len(rows) > 1_100_000
    assert [row["contact"] for row in rows if row["hashed"] != contact_hash(salt, row["contact"])] == []


def test_the_latest_word_counts(place: Place) -> None:
    """A yes after a no is a yes, a no after it a no, at the same moment a no; other purposes know nothing of it."""
    with Journal(place) as journal, Listed(journal.place) as listed:

        def is_refused() -> bool:
            return listed.stances("a").get("marketing", Stance()).is_refused

        assert not is_refused()
        journal.suppress([refused("a", None, AT), refused("b", "letter", AT)])
        assert is_refused()
        journal.suppress([allowed("a", " Marketing", AT + timedelta(microseconds=1))])
        assert not is_refused()
        journal.suppress([refused("a", "marketing", AT + timedelta(microseconds=1))])
        assert is_refused()
        assert set(listed.stances("a")) == {"marketing"}


def test_a_dead_contact_point_is_refused_for_every_purpose(place: Place) -> None:
    """Marketing, what somebody asked for, the purposes there are and the message's own."""
    rows = dead("a", ["letter", "Own", None], AT)
    assert {purpose for _, purpose, _ in rows} == {"marketing", "transactional", "letter", "own"}
    with Journal(place) as journal, Listed(journal.place) as listed:
        journal.suppress([refused("a", "marketing", AT)])
        assert not is_dead(listed.stances("a"))
        journal.suppress(rows)
        assert is_dead(listed.stances("a"))


def test_a_commit_being_gathered_sees_itself(place: Place) -> None:
    """What was noted counts as if it were listed, for contacts that were asked for before and after."""
    with Journal(place) as journal, Listed(journal.place) as listed:
        seen = Seen(listed)
        assert not seen.stance("a", "marketing").is_refused
        seen.note([refused("a", None, AT)])
        assert seen.stance("a", "marketing").is_refused


def test_a_list_without_a_journal_is_told(place: Place) -> None:
    """Who asks before there is a journal is told so."""
    with pytest.raises(NeedsPerson), Listed(place) as listed:
        listed.stances("a")


def test_a_refresh_knows_of_the_list_only_what_is_in_loaded_files(tmp_path: Path) -> None:
    """A file that grows, or waits, holds lines of rows from its number on; what others put there does not matter."""
    names = [landed_name(AT, 1, number, position) for number, position in enumerate((3, 7, 9))]
    (tmp_path / names[0]).touch()
    (tmp_path / names[1]).touch()
    (tmp_path / f".{names[2]}.part").touch()
    (tmp_path / "outcomes-1-2.ndjson").touch()
    assert position_told(tmp_path, set(), 20) == 3
    assert position_told(tmp_path, names[:1], 20) == 7
    assert position_told(tmp_path, names[:2], 20) == 9
    (tmp_path / f".{names[2]}.part").unlink()
    assert position_told(tmp_path, names, 20) == 20
