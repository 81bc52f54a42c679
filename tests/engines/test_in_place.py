"""A company's own tables in PostgreSQL are sources where they are."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from assets import in_place, store
from assets.refresh import refresh
from models.settings import Settings
from models.source import TableSource
from tests import nights
from warehouse.postgres import Postgres

pytestmark = pytest.mark.slow
STAGING = """
{{ config(materialized='table') }}
select
    cast(id as varchar) as event_id, 'sales' as batch_id, cast(null as varchar) as anonymous_id,
    cast(null as varchar) as user_id, cast(null as varchar) as crm_id, cast(null as varchar) as profile_id,
    'till' as source, 'Order Completed' as name, email, cast(null as varchar) as phone,
    '{"revenue": ' || paid || '}' as properties,
    bought_at as occurred_at, cast(null as timestamptz) as received_at, written_at as known_at
from {{ raw('till') }} as sales
"""


@pytest.fixture
def settings(tmp_path, database) -> Settings:
    """A project that reads `raw.sales` of a company's database: a schema called as one of ours is."""
    made = replace(nights.project(tmp_path), warehouse_url=database, home=tmp_path / "on postgres")
    sources = made.project / "sources.yml"
    declared = yaml.safe_load(sources.read_text())
    declared["sources"]["till"] = {"table": "raw.sales", "known_at": "written_at"}
    sources.write_text(yaml.safe_dump(declared))
    (made.dbt_project / "models/staging/stg_till.sql").write_text(STAGING)
    with Postgres(database) as company:
        company.execute("create schema raw")
        moments = dict.fromkeys(("bought_at", "written_at"), "timestamptz")
        company.create_table("raw.sales", {"id": "bigint", "email": "varchar", "paid": "bigint", **moments})
        company.execute(
            "insert into raw.sales values (1, 'Ann@shop.example', 5, '2026-01-01 10:00Z', '2026-01-01 11:00Z'),"
            " (2, 'ann@shop.example', 7, '2026-01-01 10:00Z', '2026-01-02 11:00Z')"
        )
    return made


def test_a_table_that_may_not_be_read_is_stale(database):
    """Whether its schema or itself was taken away; it stops no other source."""
    source = TableSource(table="theirs.sales")
    with Postgres(database) as company:
        company.execute("create schema theirs")
        company.create_table("theirs.sales", {"id": "bigint"})
        company.execute("create role stranger login")
        try:
            with Postgres(database.replace("postgres@", "stranger@")) as opened:
                assert "permission denied for schema" in str(in_place.attach(opened, Path(), "till", source))
                company.execute("grant usage on schema theirs to stranger")
                assert "permission denied for table" in str(in_place.attach(opened, Path(), "till", source))
                company.execute("grant select on theirs.sales to stranger")
                assert in_place.attach(opened, Path(), "till", source) is None
        finally:
            company.execute("drop owned by stranger")
            company.execute("drop role stranger")
            company.execute("drop schema theirs cascade")


def ask(settings: Settings, query: str) -> list[Mapping[str, object]]:
    with store.reading(settings) as copy:
        return copy.rows(query)


def test_a_companys_table_is_read_where_it_is(settings, database):
    """Its rows are events when they were known; a column that goes makes the source stale, and what was read stays."""
    assert refresh(settings, nights.night(1)).ok
    assert ask(settings, "select event_id, email from events") == [{"event_id": "1", "email": "Ann@shop.example"}]
    assert refresh(settings, nights.night(2)).ok
    assert [str(row["revenue"]) for row in ask(settings, "select revenue from profiles")] == ["12.00"]

    with Postgres(database) as company:
        company.execute("alter table raw.sales rename column written_at to changed_at")
    result = refresh(settings, nights.night(3))
    assert result.staged.stale == {"till": "the warehouse's database has no column written_at (known_at)"}
    assert ask(settings, "select count(*) as n from profiles") == [{"n": 1}]
