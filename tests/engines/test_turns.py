"""Writers take turns, whatever the engine; on PostgreSQL some write at once."""

import subprocess
import sys
import threading
import time
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import partial
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from models.errors import NeedsPerson, WarehouseHeld
from models.settings import Settings
from warehouse import batches, postgres_locks
from warehouse.engine import engine
from warehouse.postgres import Postgres
from warehouse.postgres_engine import PostgresEngine

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def on_postgres(database, tmp_path) -> PostgresEngine:
    return PostgresEngine(Settings(project=tmp_path, home=tmp_path, warehouse_url=database))


def somebody(lock: AbstractContextManager[None], word: str, said: list[str]) -> threading.Thread:
    """Who says the word as soon as the lock is theirs."""

    def says() -> None:
        with lock:
            said.append(word)

    thread = threading.Thread(target=says)
    thread.start()
    return thread


def until_waiting(home: PostgresEngine, number: int = 1) -> None:
    """Until so many wait for a lock."""
    with Postgres(home.url) as watching:
        while len(watching.rows("select 1 as n from pg_locks where locktype = 'advisory' and not granted")) < number:
            pass


def test_one_writes_and_the_other_is_told_who(home):
    """Who waits too long is told which process holds the warehouse; once that is done, the next may."""
    with home.locked(0), pytest.raises(WarehouseHeld, match=r"process \d+"), home.locked(0.1):
        pass
    with home.locked(0):
        pass


def test_the_turn_of_a_connection_that_ends_is_over(on_postgres, database):
    """On PostgreSQL nobody has to clean up after a machine that is gone."""
    holders = "select pid from pg_locks where locktype = 'advisory' and granted"
    with on_postgres.locked(0), Postgres(database) as other:
        other.rows(f"select pg_terminate_backend(pid) from ({holders}) as holding")
        with on_postgres.locked(5):
            pass


def test_who_is_alone_waits_for_those_beside_and_they_for_it(home):
    """Whatever the engine, nobody writes beside a writer that is alone."""
    with home.locked(0, "beside"), pytest.raises(WarehouseHeld), home.locked(0.1):
        pass
    with home.locked(0), pytest.raises(WarehouseHeld), home.locked(0.1, "beside"):
        pass


def test_several_write_beside_each_other(on_postgres):
    """On PostgreSQL; what only one of them may do at a time, the next does when that is done."""
    said: list[str] = []
    with on_postgres.locked(0, "beside"), on_postgres.locked(0, "beside"):
        with on_postgres.turn("receipts"), on_postgres.turn("publish"):
            second = somebody(on_postgres.turn("receipts"), "second", said)
            until_waiting(on_postgres)
            said.append("first")
        second.join()
    assert said == ["first", "second"]


def test_one_builds_while_others_append(on_postgres):
    """A refresh keeps no sync and no tick waiting, nor does who waits to be alone until it is over."""
    said: list[str] = []
    with on_postgres.locked(0, "building"):
        with on_postgres.locked(0, "beside"), pytest.raises(WarehouseHeld), on_postgres.locked(0.1, "building"):
            pass
        waiting = somebody(on_postgres.locked(20), "alone", said)
        until_waiting(on_postgres)
        with on_postgres.locked(1, "beside"):
            said.append("beside")
    waiting.join()
    assert said == ["beside", "alone"]


def test_many_decide_at_once_and_who_learns_more_comes_between(on_postgres):
    """A turn that is shared; while one waits for it to be its own, others that come wait behind it."""
    said: list[str] = []
    shared = partial(on_postgres.turn, "people", shared=True)
    with shared(), shared():
        learns = somebody(on_postgres.turn("people"), "learned", said)
        until_waiting(on_postgres)
        decides = somebody(shared(), "decided", said)
        until_waiting(on_postgres, 2)
        assert said == []
    for thread in (learns, decides):
        thread.join()
    assert said == ["learned", "decided"]


def test_who_would_be_alone_is_not_passed_for_ever(on_postgres):
    """While one waits to be alone, others that come wait behind it."""
    said: list[str] = []
    with on_postgres.locked(0, "beside"):
        waiting = somebody(on_postgres.locked(20), "alone", said)
        until_waiting(on_postgres)
        with pytest.raises(WarehouseHeld), on_postgres.locked(0.3, "beside"):
            said.append("passed")
    waiting.join()
    assert said == ["alone"]


def test_others_do_not_pass_who_would_be_alone_by_taking_turns(on_postgres):
    """However those beside each other overlap, who would be alone is so once those that were there before it left."""
    over = threading.Event()

    def beside() -> None:
        while not over.is_set():
            with on_postgres.locked(60, "beside"):
                over.wait(1.2)

    others = [threading.Thread(target=beside) for _ in range(3)]
    for place, other in enumerate(others):
        other.start()
        over.wait(0.4 * (place < 2))
    try:
        with on_postgres.locked(10):
            assert not over.is_set()
    finally:
        over.set()
        for other in others:
            other.join()


KILLED = """
import sys
from pathlib import Path
from models.settings import Settings
from warehouse.engine import engine
home = engine(Settings(Path(sys.argv[1]), Path(sys.argv[1]), warehouse_url=sys.argv[2]))
with home.locked(0, sys.argv[3]), home.open() as warehouse:
    print("begins", flush=True)
    warehouse.execute("insert into main.late select 1 as n from pg_sleep(8)")
"""


@pytest.mark.parametrize("how", ["alone", "building", "beside"])
def test_a_statement_of_who_was_killed_writes_nothing_any_more(on_postgres, database, tmp_path, how):
    """The server goes on with it though its client is gone: who has the lock next does not write beside it."""
    running = "select 1 as n from pg_stat_activity where query like 'insert into%pg_sleep%' and state = 'active'"
    with on_postgres.open() as warehouse:
        warehouse.execute("create schema if not exists main")
        warehouse.create_table("main.late", {"n": "integer"})
    child = subprocess.Popen([sys.executable, "-c", KILLED, tmp_path, database, how], stdout=subprocess.PIPE, text=True)
    assert child.stdout
    child.stdout.readline()
    with Postgres(database) as watching:
        while not watching.rows(running):
            time.sleep(0.05)
        child.kill()
        child.wait()
        with on_postgres.locked(20, "beside"), on_postgres.open() as warehouse:
            assert watching.rows(running) == []
            assert warehouse.rows("select * from main.late") == []


def test_who_takes_far_too_long_in_turn_is_named(on_postgres, monkeypatch):
    """Who waits longer than any turn should take is told which process of the server to look at."""
    monkeypatch.setattr(postgres_locks, "TURN_SECONDS", 0.2)
    with on_postgres.locked(0, "beside"), on_postgres.turn("receipts"):
        with (
            pytest.raises(WarehouseHeld, match=r"by server process \d+, from 127\.0\.0\.1;"),
            on_postgres.turn("receipts"),
        ):
            pass
        with on_postgres.turn("publish"):
            pass


def test_who_may_not_be_ended_is_named(database, tmp_path, monkeypatch):
    """A statement of another user's run that is gone is not written beside: its process is told, and holds no lock."""
    role = f"t{uuid4().hex[:10]}"
    url = urlsplit(database)
    theirs = url._replace(netloc=f"{role}@{url.hostname}:{url.port}").geturl()
    home = engine(Settings(project=tmp_path, home=tmp_path, warehouse_url=theirs))
    monkeypatch.setattr(postgres_locks, "ENDING_SECONDS", 1.5)
    with Postgres(database) as owner:
        owner.execute(f"create role {role} login")
        try:
            with Postgres(database, name="tailrace writes 1-gone") as gone:
                pid = gone.rows("select pg_backend_pid() as pid")[0]["pid"]
                with pytest.raises(WarehouseHeld, match=f"server process {pid} still runs a statement"), home.locked(5):
                    pass
            with home.locked(5):
                pass
        finally:
            owner.execute(f"drop role {role}")


def test_who_lost_the_lock_does_not_write_on(on_postgres, database):
    """A server that was restarted has forgotten it: the next connection to write by is refused, and told why."""
    with Postgres(database) as other, on_postgres.locked(0):
        with on_postgres.open():
            pass
        other.rows(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'tailrace holds%'"
        )
        with pytest.raises(NeedsPerson, match="lock of the warehouse was lost"):
            on_postgres.open()
    with on_postgres.locked(0), on_postgres.open():
        pass


def test_of_two_who_commit_the_same_batch_one_is_told(database):
    """Locks keep them apart; where one fails to, the server does."""
    with Postgres(database) as one, Postgres(database) as other:
        batches.prepare(one)
        batches.create_log(one, "tailrace.notes", {"note": "varchar"})
        both = [batches.Batch(opened, "b") for opened in (one, other)]
        for batch in both:
            batch.append("tailrace.notes", "select 'a' as note")
        both[0].commit(NOW)
        with pytest.raises(WarehouseHeld, match="run the command again"):
            both[1].commit(NOW)
