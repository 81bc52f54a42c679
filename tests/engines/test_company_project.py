"""A company's own dbt project is a package by its path: what its runs made is read, and nothing of it runs."""

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from assets import dbt_calls, dbt_project, lineage, packages, store
from assets.refresh import refresh
from models.errors import ConfigError
from models.settings import Settings
from models.source import TableSource
from tests import nights
from warehouse.base import Warehouse
from warehouse.duckdb import DuckDB
from warehouse.engine import engine
from warehouse.postgres import Postgres

pytestmark = [pytest.mark.slow, pytest.mark.sampled]

FILES = {
    "dbt_project.yml": """\
name: company
version: "1.0"
profile: company
on-run-start:
  - "create table if not exists {{ target.schema }}.ran (a int)"
  - "insert into {{ target.schema }}.ran values (1)"
models:
  company:
    marts: {+schema: marts}
""",
    "models/orders.sql": "select id, email, paid * 1 as paid, bought_at, written_at from {{ target.schema }}.till",
    # called as one of ours is, and elsewhere than its name says
    "models/marts/profiles.sql": """\
{{ config(alias='sold') }}
select orders.*, '{{ invocation_id }}' as made_by from {{ ref('orders') }} as orders
""",
    "models/orders.yml": "models: [{name: orders, columns: [{name: id, data_tests: [unique]}]}]",
    "models/passing.sql": "{{ config(materialized='ephemeral') }}\nselect 1 as id",
}
STAGING = """\
{{ config(materialized='table') }}
select
    cast(id as varchar) as event_id, 'sales' as batch_id, cast(null as varchar) as anonymous_id,
    cast(null as varchar) as user_id, cast(null as varchar) as crm_id, cast(null as varchar) as profile_id,
    'till' as source, 'Order Completed' as name, email, cast(null as varchar) as phone,
    '{"revenue": ' || paid || '}' as properties,
    bought_at as occurred_at, cast(null as timestamptz) as received_at, written_at as known_at
from {{ raw('till') }} as sold
"""


@dataclass
class Company:
    """Somebody else's project, and the database that its runs write to."""

    folder: Path
    output: Mapping[str, Any]
    opened: Callable[[], AbstractContextManager[Warehouse]]

    def run(self) -> None:
        (self.folder.parent / "profiles.yml").write_text(
            yaml.safe_dump({"company": {"target": "prod", "outputs": {"prod": {**self.output, "schema": "analytics"}}}})
        )
        places = {"project": self.folder, "profiles": self.folder.parent}
        options = [text for name, folder in places.items() for text in (f"--{name}-dir", str(folder))]
        target = ["--target-path", str(self.folder.parent / "their target"), "--log-path", str(self.folder.parent)]
        call = ["run", *options, *target, "--quiet", "--no-send-anonymous-usage-stats"]
        done = dbt_calls.invoke(call, engine(Settings(self.folder, self.folder)))
        assert done.success, done.exception or done.result

    def asks(self, query: str) -> list[Mapping[str, Any]]:
        with self.opened() as database:
            return database.rows(query)

    def state(self) -> tuple[Any, ...]:
        """Who made its table, how often its hooks ran, and every relation there is beside ours."""
        ours = "'pg_catalog', 'information_schema', 'main'"
        relations = (
            "select table_schema || '.' || table_name as name from information_schema.tables "
            f"where table_schema not in ({ours}) and table_schema not like 'tailrace%' and table_schema <> 'raw' "
            "order by name"
        )
        made = self.asks("select distinct made_by from analytics_marts.sold")
        return made, self.asks("select count(*) as n from analytics.ran"), self.asks(relations)


@pytest.fixture(params=["another file", "the same file", "postgres"])
def world(request, tmp_path) -> tuple[Settings, Company]:
    """Our project and the company's, whose runs have made what they make."""
    settings, place = nights.project(tmp_path), {}
    if request.param == "postgres":
        url = request.getfixturevalue("database")
        settings = replace(settings, warehouse_url=url, home=tmp_path / "on postgres")
        opened = lambda: Postgres(url)  # noqa: E731
        output = engine(settings).profile() | {"password": ""}
    else:
        file = settings.warehouse if request.param == "the same file" else tmp_path / "company.duckdb"
        place = {} if request.param == "the same file" else {"database": str(file)}
        settings.root.mkdir(parents=True, exist_ok=True)
        opened = lambda: DuckDB(file)  # noqa: E731
        output = {"type": "duckdb", "path": str(file)}
    company = Company(tmp_path / "company", output, opened)
    for name, text in FILES.items():
        path = company.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    with opened() as database:
        database.execute("create schema analytics")
        moments = dict.fromkeys(("bought_at", "written_at"), "timestamptz")
        database.create_table("analytics.till", {"id": "bigint", "email": "varchar", "paid": "bigint", **moments})
        database.execute(
            "insert into analytics.till values "
            "(1, 'Ann@shop.example', 5, '2026-01-01 10:00:00Z', '2026-01-01 11:00:00Z'), "
            "(2, 'ann@shop.example', 7, '2026-01-01 10:00:00Z', '2026-01-02 11:00:00Z')"
        )
    company.run()
    declare(settings, {"model": "company.profiles", "table": "analytics_marts.sold", "known_at": "written_at", **place})
    (settings.dbt_project / "models/staging/stg_till.sql").write_text(STAGING)
    return settings, company


def declare(settings: Settings, entry: Mapping[str, str], path: str = "../company") -> None:
    sources = settings.project / "sources.yml"
    declared = yaml.safe_load(sources.read_text())
    declared["sources"]["till"] = dict(entry)
    sources.write_text(yaml.safe_dump({**declared, "packages": {"company": path}}))


def ask(settings: Settings, query: str) -> list[Mapping[str, Any]]:
    with store.reading(settings) as copy:
        return copy.rows(query)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_a_companys_runs_made_is_read_and_nothing_of_it_runs(world):
    """Rows are events when they were known; its models, hooks and files stay as they were; a change in them is seen."""
    settings, company = world
    before = company.state(), tree(company.folder), tree(settings.project)
    assert refresh(settings, nights.night(1)).ok
    assert ask(settings, "select event_id, email from events") == [{"event_id": "1", "email": "Ann@shop.example"}]
    assert (company.state(), tree(company.folder), tree(settings.project)) == before

    def meant() -> str:
        return lineage.definition(dbt_project.project(settings), ["seg_lapsed"], dbt_project.variables(settings))

    first, orders = meant(), company.folder / "models/orders.sql"
    orders.write_text(orders.read_text().replace("paid * 1", "paid * 10"))
    assert meant() != first


@pytest.fixture
def ours(tmp_path) -> Settings:
    """Our project beside the company's, which never ran."""
    settings = nights.project(tmp_path)
    for name, text in FILES.items():
        path = tmp_path / "company" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (settings.dbt_project / "models/staging/stg_till.sql").write_text(STAGING)
    return settings


@pytest.mark.parametrize(
    ("model", "path", "says"),
    [
        ("company.profiles", "../nowhere", r"sources\.yml:\d+: packages\.company: .*nowhere has no dbt_project\.yml"),
        ("company.profiles", "dbt_project", r"packages\.company: the project in .* is called 'tailrace'"),
        (
            "compny.profiles",
            "../company",
            r"sources\.till\.model: there is no package 'compny'; did you mean 'company'",
        ),
    ],
)
def test_a_package_that_is_not_there_is_refused(ours, model, path, says):
    """By the line and key of sources.yml, before dbt reads anything."""
    declare(ours, {"model": model, "table": "analytics_marts.sold"}, path)
    with pytest.raises(ConfigError, match=says):
        dbt_project.read_manifest(ours)


def test_two_files_of_one_name_are_refused(ours, tmp_path):
    """The views in a file call it by its name, and so does what reads them."""
    places = {"model": "company.profiles", "table": "a.b"}
    declare(ours, {**places, "database": str(tmp_path / "warehouse.duckdb")})
    with pytest.raises(ConfigError, match=r"sources\.till\.database: another database is called 'warehouse' already"):
        dbt_project.read_manifest(ours)


def test_a_companys_model_is_read_through_its_source(ours):
    """One that no source names, one read below staging, one that is none: each is refused by file or line."""
    declare(ours, {"model": "company.profiles", "table": "analytics_marts.sold"})
    segment = ours.dbt_project / "models/segments/seg_lapsed.sql"
    with segment.open("a") as file:
        file.write("\n-- depends_on: {{ ref('company', 'orders') }}\n")
    with pytest.raises(ConfigError, match=r"seg_lapsed\.sql: reads company\.orders, which no source of sources\.yml"):
        dbt_project.read_manifest(ours)
    manifest = json.loads((dbt_project.target_path(ours) / "manifest.json").read_text())
    for model, says in {
        "company.orders": r"seg_lapsed\.sql: reads company\.orders itself: read it in staging",
        "company.profils": r"till\.model: there is no model 'company\.profils'; did you mean 'company\.profiles'",
        "company.passing": r"sources\.till\.model: company\.passing is ephemeral",
    }.items():
        sources = {"known": "company.profiles", "till": model}
        declared = {name: TableSource(model=each, table="a.b") for name, each in sources.items()}
        with pytest.raises(ConfigError, match=says):
            packages.check_references(ours, manifest, declared)
