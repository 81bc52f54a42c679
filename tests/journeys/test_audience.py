"""Whether somebody is in an audience does not depend on the order in which a warehouse reads rows."""

from pathlib import Path

import pytest
from jinja2 import Template

from tests.nights import ROOT
from warehouse.duckdb import DuckDB

MODEL = ROOT / "dbt_project" / "models" / "syncs" / "sync_journey_win_back.sql"
STEPS = [
    f"('win_back', 'ann', '{op}', '{run}', 2, timestamptz '2026-09-01')"
    for op, run in (("enter", "r1"), ("leave", "r2"))
]


@pytest.mark.parametrize("steps", [STEPS, STEPS[::-1]])
def test_of_two_runs_at_one_moment_the_same_decides(steps: list[str], tmp_path: Path) -> None:
    """Two runs of a person reach the audience at the same moment and hop: the greater run_id counts, in any order."""
    with DuckDB(tmp_path / "warehouse.duckdb") as warehouse:
        columns = "audience, profile_id, op, run_id, hop, logical_at"
        warehouse.execute(f"create table journey_audience as select * from (values {', '.join(steps)}) as v({columns})")
        names = "identifier, profile_id, identifier_type"
        warehouse.execute(
            f"create table profile_map as select * from (values ('ann', 'ann', 'profile_id')) as v({names})"
        )
        sql = Template(MODEL.read_text()).render(source=lambda _, name: name)
        assert warehouse.rows(sql) == []
