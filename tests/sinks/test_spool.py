"""The spool: the rows of a plan on disk, whole or not at all."""

import subprocess
import sys
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import NeedsPerson
from models.sync import Op
from sinks.connections import phases
from sinks.spool import Spool, write
from tests.sinks.desk import people


def test_rows_come_back_in_order_and_by_number(tmp_path: Path) -> None:
    """Frames hold every row once, one operation each; any stretch of rows can be read again."""
    rows = people(70_000, Op.REMOVE).vstack(people(70_000, first=70_000))
    assert write(tmp_path / "a.parquet", rows.to_arrow().to_reader(50_000)) == 140_000
    spool = Spool(tmp_path / "a.parquet")
    frames = list(spool.frames(8_192))
    assert all(frame["_op"].n_unique() == 1 and len(frame) <= 8_192 for frame in frames)
    assert pl.concat(frames)["_row"].to_list() == list(range(140_000))
    assert spool.rows(65_530, 10)["_row"].to_list() == list(range(65_530, 65_540))
    assert spool.columns == ("email", "orders")
    assert [str(op) for op, group in phases(spool.frames(8_192)) if list(group)] == ["remove", "upsert"]


@given(st.integers(0, 300), st.integers(1, 100), st.integers(0, 320), st.integers(1, 50))
@settings(max_examples=30, deadline=None)
def test_any_stretch_is_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, count: int, chunk: int, first: int, wanted: int
) -> None:
    """Whatever the sizes, a stretch of rows equals the same slice of the rows written."""
    path = tmp_path_factory.mktemp("spool") / "a.parquet"
    rows = people(count)
    write(path, rows.to_arrow().to_reader(chunk))
    assert Spool(path).rows(first, wanted)["_row"].to_list() == rows.slice(first, wanted)["_row"].to_list()


def test_an_empty_plan_is_an_empty_spool(tmp_path: Path) -> None:
    """No rows, no frames, no error."""
    assert write(tmp_path / "a.parquet", people(0).to_arrow().to_reader()) == 0
    assert list(Spool(tmp_path / "a.parquet").frames(10)) == []


def test_an_interrupted_write_leaves_no_spool(tmp_path: Path) -> None:
    """When the rows end in an error the name is not taken and nothing is left aside."""
    schema = people(3).to_arrow().schema

    def broken() -> object:
        yield people(3).to_arrow().to_batches()[0]
        raise pa.ArrowInvalid("the warehouse went away")

    with pytest.raises(pa.ArrowInvalid):
        write(tmp_path / "a.parquet", pa.RecordBatchReader.from_batches(schema, broken()))
    with pytest.raises(NeedsPerson, match="plan the sync again"):
        Spool(tmp_path / "a.parquet")
    assert list(tmp_path.iterdir()) == []


def test_half_a_file_is_refused(tmp_path: Path) -> None:
    """A truncated spool is not read as fewer rows."""
    path = tmp_path / "a.parquet"
    write(path, people(1000).to_arrow().to_reader())
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(NeedsPerson):
        Spool(path)


LIMITED = """
import resource, signal, sys, pathlib
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
from models.errors import NeedsPerson
from sinks.spool import write
from tests.sinks.desk import people
try:
    write(pathlib.Path(sys.argv[1]), people(200000).to_arrow().to_reader())
except NeedsPerson:
    sys.exit(0)
sys.exit(3)
"""


def test_a_file_that_cannot_grow_leaves_nothing_behind(tmp_path: Path) -> None:
    """A write that fails part-way removes what it wrote, and the name stays free."""
    path = tmp_path / "spool" / "a.parquet"
    ran = subprocess.run([sys.executable, "-c", LIMITED, str(path)], check=False)
    assert ran.returncode == 0
    assert list(path.parent.iterdir()) == []
