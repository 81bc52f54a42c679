"""Writers take turns, and a publication that does not come to its end is none, whatever the engine."""

import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from models.errors import NeedsPerson, UserError, WarehouseHeld
from models.settings import Settings
from tests.engines.serving import URLS
from warehouse import batches, postgres_locks
from warehouse.engine import Engine, engine
from warehouse.postgres import Postgres

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(params=["duckdb", "postgres", "spark"])
def home(request, tmp_path) -> Engine:
    url = request.getfixturevalue(URLS[request.param]) if request.param in URLS else None
    (tmp_path / "dev").mkdir()
    return engine(Settings(project=tmp_path, home=tmp_path, warehouse_url=url))


def test_one_writes_and_the_other_is_told_who(home):
    """Who waits too long is told which process holds the warehouse; once that is done, the next may."""
    with home.locked(0), pytest.raises(WarehouseHeld, match=r"process \d+"), home.locked(0.1):
        pass
    with home.locked(0):
        pass


def test_the_turn_of_a_connection_that_ends_is_over(database, tmp_path):
    """On PostgreSQL nobody has to clean up after a machine that is gone."""
    home = engine(Settings(project=tmp_path, home=tmp_path, warehouse_url=database))
    holders = "select pid from pg_locks where locktype = 'advisory' and granted"
    with home.locked(0), Postgres(database) as other:
        other.rows(f"select pg_terminate_backend(pid) from ({holders}) as holding")
        with home.locked(5):
            pass


def test_who_is_alone_waits_for_those_beside_and_they_for_it(home):
    """Whatever the engine, nobody writes beside a writer that is alone."""
    with home.locked(0, "beside"), pytest.raises(WarehouseHeld), home.locked(0.1):
        pass
    with home.locked(0), pytest.raises(WarehouseHeld), home.locked(0.1, "beside"):
        pass


def test_several_write_beside_each_other(database, tmp_path):
    """On PostgreSQL; what only one of them may do at a time, the next does when that is done."""
    home = engine(Settings(project=tmp_path, home=tmp_path, warehouse_url=database))
    done: list[str] = []

    def fold() -> None:
        with home.locked(0, "beside"), home.turn("receipts"):
            done.append("second")

    second = threading.Thread(target=fold)
    with home.locked(0, "beside"), home.locked(0, "beside"):
        with home.turn("receipts"), home.turn("publish"):
            second.start()
            second.join(1.5)
            assert second.is_alive()
            done.append("first")
        second.join()
    assert done == ["first", "second"]


def test_one_builds_while_others_append(database, tmp_path):
    """On PostgreSQL a refresh keeps no sync and no tick waiting, nor does who waits to be alone until it is over."""
    home = engine(Settings(project=tmp_path, home=tmp_path, warehouse_url=database))
    order: list[str] = []

    def alone() -> None:
        with home.locked(20):
            order.append("alone")

    waiting = threading.Thread(target=alone)
    with home.locked(0, "building"), Postgres(database) as watching:
        with home.locked(0, "beside"), pytest.raises(WarehouseHeld), home.locked(0.1, "building"):
            pass
        waiting.start()
        while not watching.rows("select 1 as n from pg_locks where locktype = 'advisory' and not granted"):
            pass
        with home.locked(1, "beside"):
            order.append("beside")
    waiting.join()
    assert order == ["beside", "alone"]


def test_many_decide_at_once_and_who_learns_more_comes_between(database, tmp_path):
    """A turn that is shared; while one waits for it to be its own, others that come wait behind it."""
    home = engine(Settings(project=tmp_path, home=tmp_path, warehouse_url=database))
    order: list[str] = []

    def own() -> None:
        with home.turn("people"):
            order.append("learned")

    def shared() -> None:
        with home.turn("people", shared=True):
            order.append("decided")

    learns, decides = threading.Thread(target=own), threading.Thread(target=shared)
    with home.turn("people", shared=True), home.turn("people", shared=True), Postgres(database) as watching:
        for number, thread in enumerate((learns, decides), 1):
            thread.start()
            while (
                len(watching.rows("select 1 as n from pg_locks where locktype = 'advisory' and not granted")) < number
            ):
                pass
        assert order == []
    for thread in (learns, decides):
        thread.join()
    assert order == ["learned", "decided"]


def test_who_would_be_alone_is_not_passed_for_ever(database, tmp_path):
    """While one waits to be alone, others that come wait behind it."""
    home = engine(Settings(project=tmp_path, home=tmp_path, warehouse_url=database))
    order: list[str] = []

    def alone() -> None:
        with home.locked(20):
            order.append("alone")

    waiting = threading.Thread(target=alone)
    with home.locked(0, "beside"), Postgres(database) as watching:
        waiting.start()
        while not watching.rows("select 1 as n from pg_locks where locktype = 'advisory' and not granted"):
            pass
        with pytest.raises(WarehouseHeld), home.locked(0.3, "beside"):
            order.append("passed")
    waiting.join()
    assert order == ["alone"]


def test_others_do_not_pass_who_would_be_alone_by_taking_turns(database, tmp_path):
    """However those beside each other overlap, who would be alone is so once those that were there before it left."""
    home = engine(Settings(project=tmp_path, home=tmp_path, warehouse_url=database))
    over = threading.Event()

    def beside() -> None:
        while not over.is_set():
            with home.locked(60, "beside"):
                over.wait(1.2)

    others = [threading.Thread(target=beside) for _ in range(3)]
    for place, other in enumerate(others):
        other.start()
        over.wait(0.4 * (place < 2))
    try:
        with home.locked(10):
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
def test_a_statement_of_who_was_killed_writes_nothing_any_more(database, tmp_path, how):
    """The server goes on with it though its client is gone: who has the lock next does not write beside it."""
    home = engine(Settings(project=tmp_path, home=tmp_path, warehouse_url=database))
    running = "select 1 as n from pg_stat_activity where query like 'insert into%pg_sleep%' and state = 'active'"
    with home.open() as warehouse:
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
        with home.locked(20, "beside"), home.open() as warehouse:
            assert watching.rows(running) == []
            assert warehouse.rows("select * from main.late") == []


def test_who_takes_far_too_long_in_turn_is_named(database, tmp_path, monkeypatch):
    """What is done in turn takes seconds: who waits for minutes is told which process of the server to look at."""
    home = engine(Settings(project=tmp_path, home=tmp_path, warehouse_url=database))
    monkeypatch.setattr(postgres_locks, "TURN_SECONDS", 0.2)
    with home.locked(0, "beside"), home.turn("receipts"):
        with pytest.raises(WarehouseHeld, match=r"by server process \d+, from 127\.0\.0\.1;"), home.turn("receipts"):
            pass
        with home.turn("publish"):
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


def test_who_lost_the_lock_does_not_write_on(database, tmp_path):
    """A server that was restarted has forgotten it: the next connection to write by is refused, and told why."""
    home = engine(Settings(project=tmp_path, home=tmp_path, warehouse_url=database))
    with Postgres(database) as other, home.locked(0):
        with home.open():
            pass
        other.rows(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'tailrace holds%'"
        )
        with pytest.raises(NeedsPerson, match="lock of the warehouse was lost"):
            home.open()
    with home.locked(0), home.open():
        pass


def test_a_reader_keeps_what_it_reads_when_the_same_is_published_again(home):
    """Content that was, was not and is again takes nothing away from who still reads it."""
    with home.open() as warehouse:
        batches.prepare(warehouse)
        home.publish(warehouse, {"one": "(select 1 as n) as one"}, {"one": "1"})
        with home.published() as reader:
            for number in (2, 1):
                home.publish(warehouse, {"one": f"(select {number} as n) as one"}, {"one": str(number)})
                home.tidy(warehouse)
            assert reader.rows("select n from one") == [{"n": 1}]
        with home.published() as copy:
            assert copy.rows("select n from one") == [{"n": 1}]


def test_a_name_that_the_engine_would_cut_is_refused(database, tmp_path):
    """PostgreSQL cuts names at 63 bytes and says nothing; what stands under the rest would be found by nobody."""
    home = engine(Settings(project=tmp_path, home=tmp_path, warehouse_url=database))
    with home.open() as warehouse:
        batches.prepare(warehouse)
        batches.create_log(warehouse, f"tailrace.{'x' * 58}", {"n": "integer"})
        with pytest.raises(UserError, match="at most 63 bytes"):
            batches.create_log(warehouse, f"tailrace.{'x' * 59}", {"n": "integer"})
        assert f"tailrace.{'x' * 58}" in batches.logs(warehouse)


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


def test_a_publication_that_fails_leaves_what_was_published(home):
    """Readers see the old one; the next that comes to its end leaves nothing of the failed one."""
    with home.open() as warehouse:
        batches.prepare(warehouse)
        first = {"one": "(select 1 as n) as one", "two": "(select 2 as n) as two"}
        home.publish(warehouse, first, {"one": "1", "two": "2"})
        with pytest.raises(UserError):
            home.publish(warehouse, {**first, "two": "nowhere"}, {"one": "10", "two": "20"})
    assert home.published_digests() == {"one": "1", "two": "2"}
    with home.published() as copy:
        assert copy.rows("select n from one") == [{"n": 1}]
    with home.open() as warehouse:
        home.publish(warehouse, {}, {"one": "1"})
        home.tidy(warehouse)
        kept = 2 if home.name == "spark" else 1  # readers on other machines have until the next
        assert len(warehouse.relations("published")) <= kept
    with home.published() as copy:
        assert (copy.rows("select n from one"), copy.columns("two")) == ([{"n": 1}], {})
