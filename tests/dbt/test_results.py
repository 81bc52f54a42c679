"""What `results` counts: rows by how they ended in a run, and what the channels report, by sync and local day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa

from assets import stages, store
from assets.refresh import refresh
from models.clock import Clock
from models.settings import Settings
from warehouse.batches import Batch

RUN = datetime(2026, 1, 20, 22, tzinfo=UTC)  # in Auckland it is the 21st


def delivered(settings: Settings, *attempts: tuple[str, int, int, str]) -> None:
    """What the ledger kept of one run: (run, row, seq, outcome) each."""
    names = ("run_id", "spool_row", "seq", "outcome")
    rows = [{"sync": "crm/seg_x", "as_of": RUN, **dict(zip(names, attempt, strict=True))} for attempt in attempts]
    with store.locked(settings), stages.opened(settings) as warehouse:
        batch = Batch(warehouse, "fold/test/1")
        batch.append("tailrace.deliveries", pa.Table.from_pylist(rows))
        batch.commit(RUN)


def results(settings: Settings) -> list[dict[str, Any]]:
    with store.reading(settings) as warehouse:
        return warehouse.rows("select * from results order by result_date")


def test_a_row_counts_once_a_run(settings: Settings) -> None:
    """Of several attempts at a row the run's last one counts, and none that certainly was not processed."""
    delivered(
        settings,
        ("a", 0, 1, "unknown"),
        ("a", 0, 5, "accepted"),
        ("a", 1, 1, "retry"),
        ("a", 1, 6, "rejected"),
        ("a", 2, 7, "unknown"),
        ("a", 2, 8, "retry"),
        ("a", 3, 9, "withdrawn"),
        ("b", 2, 11, "accepted"),
    )
    refresh(settings, Clock.at(RUN))
    (row,) = results(settings)
    assert {name: row[name] for name in ("sent", "accepted", "rejected", "unknown")} == {
        "sent": 4,
        "accepted": 2,
        "rejected": 1,
        "unknown": 1,
    }


def test_a_day_is_the_projects(settings: Settings, land) -> None:
    """What was sent and what came back counts on its day in the zone of policy.yml, and on another after a move."""
    delivered(settings, ("a", 0, 1, "accepted"))
    said = {"sync": "crm/seg_x", "email": "ann@shop.example"}
    moments = {"opened": RUN + timedelta(hours=1.5), "clicked": RUN + timedelta(hours=2.5)}
    lines = [{"id": name, "event": name, "at": at.isoformat(), **said} for name, at in moments.items()]
    land("outcomes/1.ndjson", lines)
    found = {}
    for number, zone in enumerate(("UTC", "Europe/Berlin", "Pacific/Auckland")):
        (settings.project / "policy.yml").write_text(f"zone: {zone}\nsalt: test\n")
        refresh(settings, Clock.at(RUN + timedelta(hours=3, minutes=number)))
        found[zone] = {
            (row["result_date"], name)
            for row in results(settings)
            for name in ("sent", "opened", "clicked")
            if row[name]
        }
    twentieth, after = date(2026, 1, 20), date(2026, 1, 21)
    assert found == {
        "UTC": {(twentieth, "sent"), (twentieth, "opened"), (after, "clicked")},
        "Europe/Berlin": {(twentieth, "sent"), (after, "opened"), (after, "clicked")},
        "Pacific/Auckland": {(after, "sent"), (after, "opened"), (after, "clicked")},
    }
