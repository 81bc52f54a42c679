"""What is looked at aside: in schemas of its own, beside a published copy that stays, with nothing left afterwards."""

from uuid import uuid4

import pytest

from models.errors import Refused, UserError
from models.settings import Settings
from tests.engines.serving import URLS
from warehouse import batches
from warehouse.engine import Engine, engine
from warehouse.postgres import Postgres


def test_a_schema_says_what_is_in_it(warehouse):
    """Tables and views, by name; of a schema that is not there nothing."""
    warehouse.create_table("main.b", {"n": "integer"})
    warehouse.create_view("main.a", "select n from main.b")
    assert warehouse.relations("main") == ["a", "b"]
    assert warehouse.relations("published") == []


def test_scratch_is_the_connections_own(connect):
    """Tables and views of it are read by that connection alone, and are gone with it."""
    warehouse = connect()
    schema = warehouse.scratch()
    warehouse.create_table(f"{schema}.made", "select 1 as n")
    warehouse.create_table(f"{schema}.made", "select 2 as n, 'x' as word")
    warehouse.create_view(f"{schema}.seen", f"select n + 1 as n from {schema}.made")
    assert warehouse.rows(f"select n from {schema}.seen") == [{"n": 3}]
    assert warehouse.columns(f"{schema}.made") == {"n": "integer", "word": "varchar"}
    opened = connect()
    assert opened.columns(f"{opened.scratch()}.made") == {}
    warehouse.close()
    assert opened.relations("main") == connect().relations("main") == []


@pytest.fixture(params=["duckdb", "postgres", "spark"])
def home(request, tmp_path) -> Engine:
    """An engine with one thing published."""
    url = request.getfixturevalue(URLS[request.param]) if request.param in URLS else None
    made = engine(Settings(project=tmp_path, home=tmp_path, target="prod", warehouse_url=url))
    (tmp_path / "prod").mkdir()
    with made.open() as warehouse:
        batches.prepare(warehouse)
        say(made, "first")
    return made


def say(home: Engine, word: str) -> None:
    with home.open() as warehouse:
        home.publish(warehouse, {"said": f"(select '{word}' as word) as said"}, {"said": word})
        home.tidy(warehouse)


def test_only_what_is_aside_is_emptied(home):
    """The schemas that are kept are refused, whatever the caller thinks it has open."""
    for opened in (home.open, home.published):
        with opened() as warehouse, pytest.raises(Refused):
            warehouse.empty("tailrace")
    with home.preview() as aside:
        batches.prepare(aside.warehouse)
        aside.warehouse.empty("tailrace")
        assert aside.warehouse.relations("tailrace") == []
        batches.prepare(aside.warehouse)
    with home.open() as warehouse:
        assert "batch" in warehouse.relations("tailrace")


def test_what_is_published_stays_while_it_is_read(home):
    """A publication, and the next, leave what a reader or a preview began with."""
    with home.preview() as aside, home.published() as copy:
        for word in ("second", "third"):
            say(home, word)
        assert aside.warehouse.rows(f"select word from {aside.published}.said") == [{"word": "first"}]
        assert copy.rows("select word from said") == [{"word": "first"}]
    with home.published() as copy:
        assert copy.rows("select word from said") == [{"word": "third"}]


@pytest.fixture
def on_postgres(database, tmp_path) -> Engine:
    home = engine(Settings(project=tmp_path, home=tmp_path, target="prod", warehouse_url=database))
    with home.open() as warehouse:
        batches.prepare(warehouse)
    say(home, "first")
    return home


def schemas(url: str, prefix: str) -> set[str]:
    with Postgres(url) as opened:
        found = opened.rows("select nspname as name from pg_namespace where starts_with(nspname, ?)", [prefix])
    return {row["name"] for row in found}


def test_what_nobody_reads_any_more_goes(on_postgres, database):
    """A generation that is read stays through publications and goes with the one after; one that is not, at once."""
    before = schemas(database, "tailrace_published_")
    with on_postgres.published():
        say(on_postgres, "second")
        say(on_postgres, "third")
        there = schemas(database, "tailrace_published_")
        assert before < there
        assert len(there) == 2
    say(on_postgres, "fourth")
    assert len(schemas(database, "tailrace_published_")) == 1


def test_one_name_shows_what_is_newest(on_postgres, database):
    """A program that holds the views in a transaction keeps nobody from publishing; what it held goes later."""
    prefix, query = "tailrace_current", "select word from tailrace_current.said"
    with Postgres(database) as program, Postgres(database) as other:
        program.execute("begin")
        assert program.rows(query) == [{"word": "first"}]
        for word in ("second", "third"):
            say(on_postgres, word)
            assert [opened.rows(query) for opened in (program, other)] == [[{"word": word}]] * 2
        assert len(schemas(database, prefix)) == 3
        program.execute("commit")
        say(on_postgres, "fourth")
        assert schemas(database, prefix) == {prefix}
        assert other.rows(query) == [{"word": "fourth"}]


def test_who_may_read_what_is_newest_may_read_the_next(on_postgres, database):
    """Rights are given once; a schema of that name that is somebody else's is left alone, and nothing is published."""
    with Postgres(database) as opened:
        role = f'"dash {uuid4().hex[:8]}"'
        opened.execute(f"create role {role}")
        opened.execute(f"grant usage on schema tailrace_current to {role}, public")
        say(on_postgres, "second")
        opened.execute(f"set role {role}")
        assert opened.rows("select word from tailrace_current.said") == [{"word": "second"}]
        opened.execute("reset role")
        opened.execute("drop schema tailrace_current cascade")
        opened.execute(f"drop role {role}")
        opened.execute("create schema tailrace_current")
        with pytest.raises(UserError, match="somebody else's"):
            say(on_postgres, "third")
        opened.execute("drop schema tailrace_current")  # it is still there
    with on_postgres.published() as copy:
        assert copy.rows("select word from said") == [{"word": "second"}]


def test_what_a_killed_preview_left_goes_with_the_next(on_postgres, database):
    """And nothing of one that is under way."""
    prefix = "tailrace_preview_"
    with on_postgres.preview() as under_way:
        with on_postgres.preview() as killed, Postgres(database) as other:
            pid = killed.warehouse.rows("select pg_backend_pid() as pid")[0]["pid"]
            other.rows("select pg_terminate_backend(?)", [pid])
        assert len(schemas(database, prefix)) == 4  # `main` and `tailrace` of both
        under_way.warehouse.create_table("main.mine", "select 1 as n")
        with on_postgres.preview():
            assert len(schemas(database, prefix)) == 4
        assert under_way.warehouse.rows("select n from main.mine") == [{"n": 1}]
    assert schemas(database, prefix) == set()
