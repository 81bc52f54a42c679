"""Columns of any type are planned and sent on every engine, whatever type they had before."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from assets.delivery_tables import LEDGER_COLUMNS, prepare
from assets.ledger import Ledger, kept_kinds, rows_sql
from assets.store import writing
from models.settings import Settings
from tests import recorders
from tests.assets.syncs.conftest import Recorder, World
from tests.engines.conftest import emptied
from tests.parsed import project
from warehouse import batches

SYNC = "crm/seg_x"
ANN, BEN, CAT = (str(UUID(int=number)) for number in (1, 2, 3))


@pytest.fixture
def on_duckdb(tmp_path) -> Iterator[World]:
    """One sync of a model that is a table made here."""
    with recorders.running(tmp_path / "recorder.sqlite") as running:
        settings = Settings(project(tmp_path / "project"), tmp_path / "home", recorder=running.url)
        (settings.project / "sinks.yml").write_text("sinks: {crm: {sink: recorder, options: {rows: 50}}}\n")
        yield World(settings, Recorder(running))


@pytest.fixture
def on_postgres(on_duckdb, database) -> Iterator[World]:
    """The same on a server, emptied afterwards."""
    yield (moved := replace(on_duckdb, settings=replace(on_duckdb.settings, warehouse_url=database)))
    with writing(moved.settings) as warehouse:
        emptied(warehouse)


@pytest.fixture(params=["duckdb", "postgres"])
def world(request) -> World:
    """On each; a sync on Spark takes minutes."""
    return request.getfixturevalue(f"on_{request.param}")


def made(world: World, query: str, *before: str) -> None:
    """The model is the query's rows."""
    with writing(world.settings) as warehouse:
        warehouse.execute("create schema if not exists main")
        prepare(warehouse)
        for statement in before:
            warehouse.execute(statement)
        warehouse.create_table("main.seg_x", query)


def declared(world: World, *key: str, **entry: object) -> None:
    entry = {"sink": "crm", "audience": "x", "key": [*key], "guards": {"max_remove": "100%"}, **entry}
    world.declare("seg_x", entry, columns=[])


def synced(world: World) -> dict[str, object]:
    """What the vendor holds after a sync; another has nothing to do."""
    assert [result for result in world.sync() if not result.ok] == []
    assert world.plan(SYNC).operations == 0
    return world.recorder.audience(SYNC)


def test_a_companys_own_types_are_sent_as_text_on_postgresql(on_postgres):
    """Its enumerations and composites, JSON, uuids as identities, and lists of them; a change of each is seen."""
    types = ("create type mood as enum ('ok', 'sad')", "create type _odd as enum ('a')", "create type pair as (a int)")
    row = (
        "select cast('{0}' as uuid) as id, cast('{{\"a\": {1}}}' as jsonb) as b, cast('[ 1]' as json) as j, "
        "cast('{2}' as mood) as mood, cast('a' as _odd) as odd, cast(row({1}) as pair) as pair, "
        "array[cast('{0}' as uuid)] as ids, array[cast('{2}' as mood)] as moods, inet '10.0.0.1' as address, "
        "time '10:20' as hour"
    )
    declared(on_postgres, "id")
    with writing(on_postgres.settings) as warehouse:
        for statement in types:
            warehouse.execute(statement)
    made(on_postgres, row.format(ANN, 1, "ok") + " union all " + row.format(BEN, 2, "sad"))
    held = synced(on_postgres)
    assert held[ANN] == {
        "id": ANN, "b": '{"a": 1}', "j": "[ 1]", "mood": "ok", "odd": "a", "pair": "(1)", "ids": [ANN], "moods": ["ok"],
        "address": "10.0.0.1/32", "hour": "10:20:00",
    }  # fmt: skip
    made(on_postgres, row.format(ANN, 1, "ok") + " union all " + row.format(CAT, 2, "sad"))
    assert {*synced(on_postgres)} == {ANN, CAT}
    made(on_postgres, row.format(ANN, 3, "ok") + " union all " + row.format(CAT, 2, "ok"))
    held = synced(on_postgres)
    assert (held[ANN]["b"], held[CAT]["mood"], held[CAT]["moods"]) == ('{"a": 3}', "ok", ["ok"])


@pytest.mark.parametrize("kind", ["float", "json", "varchar[]"])
def test_a_column_whose_old_values_are_none_of_its_new_type(world, kind):
    """The plan goes on: what is no value of the new type counts as changed, once."""
    declared(world, "id")
    with writing(world.settings) as warehouse:
        dialect = warehouse.dialect
    text = dialect.literal
    made(
        world,
        f"select {text('a')} as id, {text('n/a')} as v union all select {text('b')} as id, {text('1.5')} as v",
    )
    assert {key: row["v"] for key, row in synced(world).items()} == {"a": "n/a", "b": "1.5"}
    value = dialect.text_list(["x"]) if kind == "varchar[]" else f"cast('1.5' as {dialect.kind(kind)})"
    made(world, f"select {text('a')} as id, {value} as v union all select {text('b')} as id, {value} as v")
    planned = world.plan(SYNC)
    assert planned.operations == (2 if kind == "varchar[]" else 1)
    held = synced(world)["a"]["v"]
    assert held == (["x"] if kind == "varchar[]" else 1.5 if kind == "float" else "1.5")


def test_an_identity_that_becomes_a_number(world):
    """Keys that are none stay texts in the plan, as long as the ledger has them."""
    declared(world, "id", fields=["v"])
    with writing(world.settings) as warehouse:
        dialect = warehouse.dialect
    text = dialect.literal
    made(world, f"select {text('n/a')} as id, {text('x')} as v union all select {text('2')} as id, {text('x')} as v")
    assert {*synced(world)} == {"n/a", "2"}
    made(world, f"select cast(1 as {dialect.kind('float')}) as id, {text('x')} as v")
    assert len(synced(world)) == 1


@pytest.mark.parametrize(
    ("kind", "of_text", "of_numbers"),
    [
        ("float", [True, False], [False, False]),
        ("json", [True, False], [False, False]),
        ("varchar[]", [True] * 2, None),
    ],
)
def test_a_ledger_is_read_in_any_other_type(warehouse, kind, of_text, of_numbers):
    """Values of an older generation that are none of today's type are `_uncast`; as identities they stay texts."""
    literal, text = warehouse.dialect.literal, warehouse.dialect.text
    columns = {"id": "varchar", "words": "varchar", "numbers": "double"}
    batches.create_log(warehouse, "tailrace.ledger_old", {**LEDGER_COLUMNS, **columns}, in_views=False)
    kinds = {**LEDGER_COLUMNS, **columns}
    batch = batches.Batch(warehouse, "fold/1")
    rows = []
    for word, number in (("n/a", "1.5"), ("1.5", "2")):
        values = {"id": literal(word), "words": literal(word), "numbers": number}
        listed = (
            f"cast({values.get(name, 'null')} as {warehouse.dialect.kind(each)}) as {name}"
            for name, each in kinds.items()
        )
        rows.append(f"select {', '.join(listed)}")
    batch.append("tailrace.ledger_old", " union all ".join(rows))
    batch.commit(datetime(2026, 1, 1, tzinfo=UTC))
    ledger = Ledger("x", ("tailrace.ledger_old",), ("id",))
    for name, lost in (("words", of_text), ("numbers", of_numbers or [True, True])):
        query = rows_sql(warehouse, ledger, {"id": "varchar", name: kind})
        found = warehouse.rows(f"select _uncast from ({query}) as kept order by id desc")
        assert [row["_uncast"] for row in found] == lost, name
    assert kept_kinds(warehouse, ledger, {"id": kind}) == {"id": text}
