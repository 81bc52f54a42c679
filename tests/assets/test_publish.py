"""Readers have a whole copy, the old one or the new one, and never wait for the writer."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from assets import raw, store
from assets.publish import publish
from models.errors import NeedsPerson, StorageFull, UserError
from models.settings import Settings
from warehouse.duckdb import DuckDB

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def parsed(tmp_path_factory) -> Settings:
    """The checkout's project, so that its manifest is parsed once for all tests here."""
    folder = tmp_path_factory.mktemp("publish")
    (folder / "project").mkdir()
    for name in ("sources.yml", "sinks.yml", "policy.yml"):
        shutil.copy(ROOT / name, folder / "project")
    shutil.copytree(ROOT / "dbt_project", folder / "project" / "dbt_project")
    return Settings(folder / "project", folder / "home")


@pytest.fixture
def settings(parsed) -> Settings:
    """An empty target."""
    for path in parsed.root.glob("*.duckdb*"):
        path.unlink()
    parsed.published.with_suffix(".new").unlink(missing_ok=True)
    return parsed


def build(settings: Settings, *statements: str) -> tuple[str, ...]:
    """What a refresh would leave in the live file, then published."""
    with store.writing(settings) as warehouse:
        raw.ensure_raw(warehouse, {})
        for statement in statements:
            warehouse.execute(statement)
        return publish(settings, warehouse)


def published(settings: Settings, query: str) -> list[tuple]:
    with store.reading(settings) as copy:
        return [tuple(row.values()) for row in copy.rows(query)]


EVENTS = "create or replace view stg_events as select number as event_id from range(5) numbers(number)"
PEOPLE = "select md5(cast(number + {} as text)) as profile_id from range(100000) numbers(number)"
LAPSED = "create or replace table seg_lapsed as select 'p1' as profile_id"


def test_nothing_published_is_said_so(settings):
    """A reader before the first refresh is told what to run."""
    with pytest.raises(UserError, match="run `tailrace refresh`"):
        store.reading(settings)


def test_views_and_tables_are_published_under_their_names_as_tables(settings):
    """`events` is the view stg_events; segments keep their names; staging is not for readers."""
    changed = build(settings, EVENTS, LAPSED, "create table stg_shop as select 1 as id")
    assert {"events", "seg_lapsed", "quarantine"} <= set(changed)
    assert published(settings, "select count(*) from events") == [(5,)]
    assert published(settings, "select profile_id from seg_lapsed") == [("p1",)]
    kinds = published(settings, "select distinct table_type from information_schema.tables where table_schema = 'main'")
    assert kinds == [("BASE TABLE",)]
    with pytest.raises(UserError, match="stg_shop"):
        published(settings, "from stg_shop")


def test_only_what_changed_is_written_and_nothing_when_nothing_did(settings):
    """Rows in another order are the same; one changed value, row or column is a change."""
    build(settings, EVENTS, LAPSED)
    before = settings.published.stat().st_ino
    assert build(settings, "create or replace table seg_lapsed as select 'p1' as profile_id") == ()
    assert settings.published.stat().st_ino == before
    assert build(settings, "insert into seg_lapsed values ('p2')") == ("seg_lapsed",)
    assert build(settings, "create or replace table seg_lapsed as select * from seg_lapsed order by 1 desc") == ()
    assert build(settings, "alter table seg_lapsed add column why text") == ("seg_lapsed",)
    assert build(settings, "create or replace table seg_lapsed as select 'p3' as profile_id, null as why") != ()
    assert published(settings, "select profile_id from seg_lapsed") == [("p3",)]
    assert published(settings, "select count(*) from events") == [(5,)]


def test_what_a_caller_says_cannot_have_changed_stays_as_it_was(settings):
    build(settings, EVENTS, LAPSED)
    with store.writing(settings) as warehouse:
        warehouse.execute("insert into seg_lapsed values ('p9')")
        assert publish(settings, warehouse, only=["events"]) == ()
        warehouse.execute("create or replace view stg_events as select 1 as event_id where false")
        assert publish(settings, warehouse, only=["events"]) == ("events",)
    assert published(settings, "select count(*) from events") == [(0,)]
    assert published(settings, "select profile_id from seg_lapsed") == [("p1",)]
    assert build(settings) == ("seg_lapsed",)


def test_a_part_is_not_published_first(settings):
    """What a sync or a tick changed is shown beside all else, never instead: the refresh is the first to publish."""
    with store.writing(settings) as warehouse:
        warehouse.execute("create schema if not exists main")
        warehouse.execute(EVENTS)
        assert publish(settings, warehouse, only=["events"]) == ()
    assert not settings.published.exists()
    build(settings, LAPSED)
    settings.published.write_bytes(b"not a database at all" * 1000)
    with store.writing(settings) as warehouse:
        assert publish(settings, warehouse, only=["events"]) == ()
    with pytest.raises(NeedsPerson, match="`tailrace refresh` makes it anew"):
        store.reading(settings)


def test_a_list_that_becomes_empty_is_published(settings):
    """Nothing and an empty list are not the same row."""
    build(settings, "create or replace table main.profiles as select 'a' as profile_id, null::int[] as tags")
    assert build(settings, "update main.profiles set tags = []") == ("profiles",)
    assert published(settings, "select tags from profiles") == [([],)]


def test_a_name_that_is_gone_leaves_the_copy(settings):
    """A segment that was taken out of the project is not shown as if it lived."""
    build(settings, EVENTS, LAPSED)
    assert build(settings, "drop table seg_lapsed") == ("seg_lapsed",)
    with pytest.raises(UserError, match="seg_lapsed"):
        published(settings, "from seg_lapsed")


def test_an_open_reader_keeps_the_version_it_opened(settings):
    """In another process, too: it never waits, never fails, and sees one whole version."""
    build(settings, LAPSED)
    read = (
        "import duckdb, sys; c = duckdb.connect(sys.argv[1], read_only=True); print('open', flush=True); "
        "sys.stdin.readline(); print(c.execute('select count(*) from seg_lapsed').fetchone()[0])"
    )
    command = [sys.executable, "-c", read, str(settings.published)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout.readline() == "open\n"
        build(settings, "insert into seg_lapsed values ('p2')")
        assert reader.communicate("go\n", timeout=30)[0] == "1\n"
    assert published(settings, "select count(*) from seg_lapsed") == [(2,)]


def test_readers_are_served_while_the_live_file_is_held(settings):
    """The writer's lock and its open file are nothing to them."""
    build(settings, LAPSED)
    with store.writing(settings):
        assert published(settings, "select count(*) from seg_lapsed") == [(1,)]


@pytest.mark.parametrize("leftover", [b"", b"half a file", None])
def test_what_a_killed_publish_left_is_no_hindrance(settings, leftover):
    """An unfinished file beside the copy is made anew; the old copy was in its place all the time."""
    build(settings, LAPSED)
    aside = settings.published.with_suffix(".new")
    aside.write_bytes(settings.published.read_bytes() if leftover is None else leftover)
    Path(f"{aside}.wal").write_bytes(b"left")
    assert published(settings, "select count(*) from seg_lapsed") == [(1,)]
    assert build(settings, "insert into seg_lapsed values ('p2')") == ("seg_lapsed",)
    assert published(settings, "select count(*) from seg_lapsed") == [(2,)]
    assert not aside.exists()


@pytest.mark.parametrize("content", [b"", b"not a database at all" * 1000])
def test_a_damaged_copy_is_made_again(settings, content):
    """It is only a copy: the next publish writes all of it."""
    build(settings, EVENTS, LAPSED)
    settings.published.write_bytes(content)
    with pytest.raises(NeedsPerson, match="`tailrace refresh` makes it anew"):
        store.reading(settings)
    assert {"events", "seg_lapsed"} <= set(build(settings))
    assert published(settings, "select count(*) from events") == [(5,)]


def test_the_copy_does_not_grow_with_every_publish(settings):
    """Room of replaced tables is used again."""
    build(settings, EVENTS, f"create or replace table seg_lapsed as {PEOPLE.format(0)}")
    first = settings.published.stat().st_size
    for turn in range(1, 6):
        build(settings, f"create or replace table seg_lapsed as {PEOPLE.format(turn)}")
    assert settings.published.stat().st_size < 2.6 * first


def test_a_full_disk_leaves_the_old_copy(parsed, tmp_path):
    """StorageFull, readers see the last whole version, nothing half-written stays, and with room it works again."""
    home = tmp_path / "small"
    home.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(home)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("a small file system needs the right to mount one")
    try:
        shutil.copytree(parsed.dbt_target, home / "dev" / "dbt")
        settings = Settings(parsed.project, home)
        build(settings, LAPSED)
        with store.writing(settings) as warehouse:
            warehouse.execute(f"create table seg_new as {PEOPLE.format(0)}")
        for room in (2 * 2**20, 2**16):  # for a copy of the old one, or not even for that
            (home / "ballast").write_bytes(b"x" * (shutil.disk_usage(home).free - room))
            with pytest.raises(StorageFull, match="run the command again"):
                build(settings)
            assert published(settings, "select count(*) from seg_lapsed") == [(1,)]
            assert not settings.published.with_suffix(".new").exists()
            (home / "ballast").unlink()
        assert "seg_new" in build(settings)
        assert published(settings, "select count(*) from seg_new") == [(100_000,)]
    finally:
        subprocess.run(["umount", str(home)], check=True)


def test_the_copy_opens_anywhere(settings, tmp_path):
    """Renamed and moved it is still whole: nothing in it names the live file."""
    build(settings, EVENTS, LAPSED)
    moved = shutil.copy(settings.published, tmp_path / "another name.duckdb")
    with duckdb.connect(moved, read_only=True) as copy:
        assert copy.execute("select count(*) from events").fetchone() == (5,)
    with DuckDB(Path(moved), read_only=True) as copy:
        assert copy.columns("events") == {"event_id": "bigint"}
