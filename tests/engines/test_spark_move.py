"""A warehouse moves to Spark and back: every type, extreme and odd text is the same there, and in the file again."""

from dataclasses import replace

import pyarrow as pa
import pytest

from assets import moving, stages, store
from models.errors import NeedsPerson, Refused
from models.settings import Settings
from orchestration.console import silent
from tests.engines.agreement import TEXTS
from tests.engines.test_move import AT, EXTREMES, KINDS, ROOT, _row, visible
from warehouse import batches
from warehouse.batches import Batch
from warehouse.engine import engine

pytestmark = pytest.mark.slow


@pytest.fixture
def here(tmp_path) -> Settings:
    """A warehouse with all kinds of rows, a batch that is replaced, and rows that never became visible."""
    settings = Settings(ROOT, tmp_path / "home")
    settings.root.mkdir(parents=True)
    with store.locked(settings), stages.opened(settings) as warehouse:
        batches.create_log(warehouse, "tailrace.ledger_x", KINDS)
        batches.create_log(warehouse, "raw.gone", {"record": "varchar"})
        names = ", ".join(map(warehouse.dialect.quote, KINDS))
        batch = Batch(warehouse, "it's/one")
        batch.append("tailrace.ledger_x", f"select * from (values {', '.join(map(_row, EXTREMES))}) as listed({names})")
        batch.append("raw.gone", pa.table({"record": TEXTS}))
        batch.commit(AT)
        for name, replaces in (("raw/1", ()), ("raw/2", ("raw/1",))):
            batch = Batch(warehouse, name, replaces=replaces)
            batch.append("raw.gone", f"select '{name}' as record")
            batch.commit(AT)
        Batch(warehouse, "never").append("raw.gone", "select 'nobody sees it' as record")
    return settings


def test_what_there_is_comes_over_there_and_back(here, catalogue, tmp_path):
    """A move that is stopped leaves no warehouse there; the next goes on, and back it is as it was."""
    there = replace(here, warehouse_url=catalogue)

    def stopped(at: str) -> None:
        def tell(what: str, done: int | None = None, total: int | None = None) -> None:
            if what.startswith(at):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            moving.move(here, there, tell)

    stopped("moving")
    with engine(there).open() as copy:  # files of a batch, and the server was killed before the catalogue had it
        told = {row["col_name"]: row["data_type"] for row in copy.rows("describe table extended raw.gone__log")}
        place = f"{told['Location']}/batch_id=raw%2F2"
        copy.execute(f"insert overwrite directory '{place}' using parquet select 'left' as record")
    stopped("comparing")
    with pytest.raises(NeedsPerson, match="not all of it is here"), store.writing(there):
        pass
    moved = moving.move(here, there, silent)
    assert (moved.differing, moved.before) == ((), 3)
    with pytest.raises(Refused, match="all of it is there already"):
        moving.move(here, there, silent)
    back = replace(here, warehouse_url=f"duckdb://{tmp_path / 'back.duckdb'}")
    assert moving.move(there, back, silent).differing == ()
    assert visible(back) == visible(here)
    with engine(back).open() as copy:
        assert copy.rows("select 1 from raw.gone__log where batch_id in ('never', 'raw/1')") == []
