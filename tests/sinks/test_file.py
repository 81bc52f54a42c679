"""Files: one a plan, whole or not there, with the operation of every row."""

import datetime as dt
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from pydantic import ValidationError

from models.errors import NeedsPerson
from models.sync import Op
from sinks.file import FileOptions, FileSink
from tests.sinks.desk import AT, Desk, people


def files(**options: object) -> FileSink:
    return FileSink(FileOptions(**options), {})


def read(path: Path) -> pl.DataFrame:
    match path.suffix:
        case ".csv":
            return pl.read_csv(path)
        case ".ndjson":
            return pl.read_ndjson(path)
        case _:
            return pl.read_parquet(path)


@pytest.mark.parametrize("kind", ["csv", "ndjson", "parquet"])
def test_a_plan_is_one_file_named_by_sync_and_plan(offline: Desk, kind: str) -> None:
    """All rows are in it, removes first, each with its operation; nothing is left aside."""
    rows = people(2, Op.REMOVE).vstack(people(70_000, first=2))
    summary = offline.deliver(files(format=kind, folder="partner/daily"), rows, sync="files/seg_a", plan_id="p1")
    assert summary.counts == {"accepted": 70_002}
    (path,) = [path for path in offline.settings.out.rglob("*") if path.is_file()]
    assert path == offline.settings.out / "partner" / "daily" / f"files__seg_a-p1.{kind}"
    frame = read(path)
    assert frame.columns == ["op", "email", "orders"]
    assert frame["op"].to_list()[:3] == ["remove", "remove", "upsert"]
    assert frame["orders"].to_list() == list(range(70_002))


@pytest.mark.parametrize("kind", ["csv", "ndjson", "parquet"])
def test_every_type_of_column_can_be_written(offline: Desk, kind: str) -> None:
    """Decimals, moments, dates, lists, nulls and text with quotes and line ends."""
    rows = people(2).with_columns(
        revenue=pl.Series([Decimal("12.50"), None]),
        at=pl.Series([AT, None]),
        day=pl.Series([dt.date(2026, 1, 2), None]),
        tags=pl.Series([["a", "b"], None]),
        text=pl.Series(['says "hi"\n,', None]),
    )
    offline.deliver(files(format=kind), rows, plan_id="p1")
    frame = read(offline.settings.out / f"crm__seg_test-p1.{kind}")
    assert frame["text"].to_list() == ['says "hi"\n,', None]
    assert str(frame["revenue"][0]) in {"12.5", "12.50"}


def test_a_full_file_holds_no_removals(offline: Desk) -> None:
    """`full` asks for the whole audience: who left is who is not in it, and the removal counts as taken."""
    sink = files(full=True, format="ndjson")
    assert sink.whole_audience
    assert not files().whole_audience
    rows = people(3, Op.REMOVE).vstack(people(4, first=3))
    assert offline.deliver(sink, rows, plan_id="p1").counts == {"accepted": 7}
    assert read(offline.settings.out / "crm__seg_test-p1.ndjson")["op"].to_list() == ["upsert"] * 4


@pytest.mark.parametrize("kind", ["csv", "ndjson", "parquet"])
def test_a_file_that_nobody_is_in_is_a_file_of_its_kind(offline: Desk, kind: str) -> None:
    """When everybody left, or all were withdrawn at the claim, the file has its columns and no row."""
    offline.deliver(files(full=True, format=kind), people(3, Op.REMOVE), plan_id="left")
    offline.journal.suppress([("h", "marketing", AT)])
    offline.deliver(files(format=kind), people(2, _contact=["h", "h"]), purpose="marketing", plan_id="withdrawn")
    for plan in ("left", "withdrawn"):
        path = offline.settings.out / f"crm__seg_test-{plan}.{kind}"
        if kind == "ndjson":
            assert path.read_bytes() == b""
        else:
            frame = read(path)
            assert (frame.columns, len(frame)) == (["op", "email", "orders"], 0)


@pytest.mark.parametrize("folder", ["../else", "/etc", "a/../b", ".hidden"])
def test_a_folder_stays_below_out(folder: str) -> None:
    """No option writes anywhere else."""
    with pytest.raises(ValidationError, match="folder"):
        files(folder=folder)


def test_a_paused_sync_writes_nothing(offline: Desk) -> None:
    """The claim is refused, so there is no file, and the rows go next time."""
    offline.journal.pause("all", AT)
    summary = offline.deliver(files(), people(5))
    assert summary.stopped == "paused (all)"
    assert summary.unsent == 5
    assert [path for path in offline.settings.out.rglob("*") if path.is_file()] == []


def test_a_suppressed_contact_is_not_in_the_file(offline: Desk) -> None:
    """Suppression after the plan takes the row out and says so."""
    offline.journal.suppress([("h1", "marketing", AT)])
    rows = people(3, _contact=["h0", "h1", "h2"])
    assert offline.deliver(files(), rows, purpose="marketing", plan_id="p").counts == {"accepted": 2, "withdrawn": 1}
    assert read(offline.settings.out / "crm__seg_test-p.csv")["orders"].to_list() == [0, 2]


def test_a_folder_that_cannot_be_written_is_no_success(offline: Desk) -> None:
    """An error of the file system is raised and the claims stay open, to be listed as unknown."""
    offline.settings.out.parent.mkdir(parents=True, exist_ok=True)
    offline.settings.out.write_text("a file is in the way")
    with pytest.raises(NeedsPerson, match="cannot be written"):
        offline.deliver(files(), people(3))
    assert offline.journal.abandon(offline.delivery.run_id, AT) == 0
