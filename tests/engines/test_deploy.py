"""What `deploy/` gives to PostgreSQL, given to a real one."""

from pathlib import Path

import dagster as dg
import pytest
import yaml

from warehouse.postgres import Postgres

DEPLOY = Path(__file__).parents[2] / "deploy"


def test_the_database_is_made_as_we_need_it(server):
    """Texts in it are ordered by their bytes."""
    statements = (DEPLOY / "postgres" / "marketing.sql").read_text()
    with Postgres(server) as opened:
        opened.execute(statements.replace("marketing", "deployed").rstrip().removesuffix(";"))
        try:
            found = opened.rows("select datcollate, datctype from pg_database where datname = 'deployed'")
            assert found == [{"datcollate": "C", "datctype": "C.UTF-8"}]
        finally:
            opened.execute("drop database deployed")


@pytest.mark.slow
def test_dagster_keeps_its_runs_there(database, monkeypatch, tmp_path):
    """With the instance's file as it is deployed a run is kept in PostgreSQL, where another instance finds it."""
    deployed = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["x-tailrace"]["environment"]
    scheme = deployed["DAGSTER_POSTGRES_URL"].split("://")[0]
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", database.replace("postgresql", scheme, 1))
    (tmp_path / "dagster.yaml").write_text((DEPLOY / "dagster" / "dagster.yaml").read_text())

    @dg.job
    def empty() -> None:
        pass

    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        run = instance.create_run_for_job(empty)
    with dg.DagsterInstance.from_config(str(tmp_path)) as again:
        assert [each.run_id for each in again.get_runs()] == [run.run_id]
        assert again.get_concurrency_config().pool_config.default_pool_limit == 1
    with Postgres(database) as opened:
        assert opened.rows("select count(*) as n from public.runs") == [{"n": 1}]
