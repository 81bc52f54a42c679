"""The journal in PostgreSQL: made once, durable whatever the server says, its errors ours and without a password."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import psycopg2
import pytest

from models.errors import NeedsPerson, TailraceError
from models.journal_place import JournalServer
from sinks.journal import Journal
from sinks.suppression import check_writable
from tests.sinks.desk import AT

pytestmark = pytest.mark.stores("server")

SECRET = "s3cret"


def tell(place: JournalServer, *statements: str) -> None:
    """Said to the database by its owner."""
    with closing(psycopg2.connect(place.url)) as connection, connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def elsewhere(place: JournalServer, **parts: str) -> JournalServer:
    """An address that differs in these parts; its password is SECRET."""
    given = urlsplit(place.url)
    host, port = parts.get("host", given.hostname or ""), parts.get("port", str(given.port))
    login = f"{parts.get('user', given.username or '')}:{SECRET}"
    path = parts.get("path", given.path)
    return JournalServer(f"postgresql://{login}@{host}:{port}{path}", place.schema)


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({"port": "1"}, "no PostgreSQL server answers there"),
        ({"host": "nowhere.invalid"}, "no PostgreSQL server answers there"),
        ({"port": "many"}, "no address of a server"),
        ({"path": "/nobody_s"}, 'database "nobody_s" does not exist'),
        ({"user": "nobody"}, "does not let this user in"),
    ],
)
def test_an_address_that_is_wrong_is_told_without_its_password(
    place: JournalServer, parts: dict[str, str], told: str
) -> None:
    """What is wrong and where the server should be, never who connects how."""
    with pytest.raises(TailraceError, match=told) as raised:
        Journal(elsewhere(place, **parts))
    assert SECRET not in f"{raised.value}{raised.value.__cause__}{elsewhere(place, **parts)!r}"
    assert "postgresql://" in str(raised.value)


def test_who_opens_it_first_makes_it_for_all(place: JournalServer) -> None:
    """Of several that find none at the same time one makes the journal, and all have that one."""

    def opened(_: int) -> str:
        with Journal(place) as journal:
            return journal.id

    with ThreadPoolExecutor(6) as threads:
        assert len({*threads.map(opened, range(6))}) == 1


def test_a_commit_is_on_the_disk_whatever_the_server_is_told(place: JournalServer) -> None:
    """A database that may lose its last commits, or has other rules for transactions, does neither for the journal."""
    name = urlsplit(place.url).path.strip("/")
    changed = {"synchronous_commit": "off", "default_transaction_isolation": "serializable"}
    tell(place, *(f"alter database {name} set {setting} = '{value}'" for setting, value in changed.items()))
    try:
        with Journal(place) as journal:
            assert {setting: journal._value(f"show {setting}") for setting in changed} == {
                "synchronous_commit": "on",
                "default_transaction_isolation": "read committed",
            }
    finally:
        tell(place, *(f"alter database {name} reset {setting}" for setting in changed))


def test_a_journal_of_a_newer_version_is_refused(place: JournalServer) -> None:
    """A schema of a later version is left alone, and the message says so."""
    Journal(place).close()
    tell(place, f"update {place.schema}.journal set version = 99")
    with pytest.raises(NeedsPerson, match="newer version"):
        Journal(place)


@contextmanager
def stranger(place: JournalServer) -> Iterator[JournalServer]:
    """The same address for a user who may log in and nothing else."""
    tell(place, "create role stranger login")
    try:
        yield elsewhere(place, user="stranger")
    finally:
        tell(place, "drop owned by stranger", "drop role stranger")


def test_who_may_not_write_is_told(place: JournalServer) -> None:
    """A user who may not make the schema, or use it, or write in it, hears so, before anything is answered."""
    with stranger(place) as other:
        with pytest.raises(NeedsPerson, match="permission denied for database"):
            Journal(other)
        Journal(place).close()
        with pytest.raises(NeedsPerson, match="permission denied for schema"):
            Journal(other)
        tell(place, f"grant usage on schema {place.schema} to stranger")
        tell(place, f"grant select on all tables in schema {place.schema} to stranger")
        with pytest.raises(NeedsPerson, match="permission denied for table journal"):
            check_writable(other)
        check_writable(place)


def test_who_waits_too_long_is_told(place: JournalServer) -> None:
    """A journal that somebody holds is waited for, and not without end; then nothing of the transaction is there."""
    with Journal(place) as journal, Journal(place) as other:
        other._connection.execute("set lock_timeout = '200ms'")
        with (
            journal._connection.transaction(),
            pytest.raises(NeedsPerson, match="another process has held the journal"),
        ):
            other.pause("all", AT)
        assert journal.paused() == {}
        other.pause("all", AT)
        assert [*journal.paused()] == ["all"]
