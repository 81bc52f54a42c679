"""A cart is paid for while its reminder waits: what a refresh learns, a delivery under way still hears of."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx
import pytest

from models.settings import Settings
from tests.nights import ROOT, day, land, night, project, run
from warehouse.duckdb import DuckDB

pytestmark = [pytest.mark.slow, pytest.mark.sampled]

SYNC = "crm/seg_cart_abandoned"
WAS = "{sink: hook, mode: send_on_entry, fields: [email, first_name, last_cart_at], purpose: marketing}"
NOW = "{sink: crm, audience: Carts, mode: send_on_entry, fields: [email], rows: 1, connections: 1, timeout: 300}"
PEOPLE = ("ann", "bea", "cleo", "dan")


@pytest.fixture
def vendor(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The recorder's address and its process, which a test may halt."""
    command = [
        sys.executable,
        "-m",
        "orchestration",
        "recorder",
        "--port",
        "0",
        "--db",
        str(tmp_path / "vendor.sqlite"),
    ]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout
        line = process.stdout.readline()
        yield line[line.index("http://") :].split()[0].rstrip("/.,"), process
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(timeout=10)


def event(name: str, who: str, number: int) -> dict[str, Any]:
    at = f"{day(number)}T10:00:00Z"
    said = {"id": f"{name}-{who}-{number}", "type": "track", "event": name, "userId": who, "at": at}
    return {**said, "traits": {"email": f"{who}@shop.example"}, "properties": {"revenue": 10, "quantity": 1}}


def syncing(settings: Settings, recorder: str, number: int) -> subprocess.Popen[str]:
    environ = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "TAILRACE_PROJECT": str(settings.project),
        "TAILRACE_HOME": str(settings.home),
        "TAILRACE_RECORDER": recorder,
    }
    command = [
        sys.executable,
        "-m",
        "orchestration",
        "sync",
        SYNC,
        "--as-of",
        night(number).as_of.isoformat(),
        "--json",
    ]
    return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_for_a_claim(settings: Settings, process: subprocess.Popen[str]) -> None:
    until = monotonic() + 120
    while monotonic() < until:
        assert process.poll() is None, process.communicate()[0]
        if settings.journal.exists():
            with closing(sqlite3.connect(settings.journal)) as journal:
                if journal.execute("select count(*) from claim").fetchone()[0]:
                    return
        sleep(0.1)
    pytest.fail("nothing was claimed")


def asked(settings: Settings, sql: str) -> list[tuple[Any, ...]]:
    with DuckDB(settings.published, read_only=True) as copy:
        return [tuple(row.values()) for row in copy.rows(sql)]


def test_who_leaves_during_a_delivery_is_not_written_to(tmp_path: Path, vendor) -> None:
    """Who paid before the claim gets no reminder, recorded as withdrawn; of the next cart they are reminded."""
    settings, (recorder, process) = project(tmp_path), vendor
    described = settings.dbt_project / "models" / "segments" / "_segments.yml"
    text = described.read_text()
    assert WAS in text
    described.write_text(text.replace(WAS, NOW))
    land(settings, "shop/1.ndjson", [event("Signed Up", who, 1) for who in PEOPLE])
    run(settings, 1)
    land(settings, "shop/2.ndjson", [event("Cart Updated", who, 2) for who in PEOPLE])
    run(settings, 3)
    entered = (
        "select email from segment_history inner join profiles using (profile_id) where segment = 'seg_cart_abandoned'"
    )
    *others, last = [email for (email,) in asked(settings, f"{entered} order by entry_id")]
    assert len(others) == len(PEOPLE) - 1

    process.send_signal(signal.SIGSTOP)
    delivery = syncing(settings, recorder, 3)
    wait_for_a_claim(settings, delivery)
    land(settings, "shop/4.ndjson", [event("Order Completed", last.partition("@")[0], 4)])
    run(settings, 4)
    process.send_signal(signal.SIGCONT)
    said = delivery.communicate(timeout=1200)[0]
    assert delivery.returncode == 0, said

    def heard() -> list[str]:
        received = [json.loads(line) for line in httpx.get(f"{recorder}/_received").text.splitlines()]
        return sorted(row["payload"]["email"] for row in received if row["sync"] == SYNC)

    assert heard() == sorted(others)
    land(settings, "shop/5.ndjson", [event("Cart Updated", last.partition("@")[0], 5)])
    run(settings, 6)
    unsent = "select email, outcome, reason from deliveries inner join profiles using (profile_id)"
    assert asked(settings, f"{unsent} where outcome <> 'accepted'") == [(last, "withdrawn", "left the segment")]
    delivery = syncing(settings, recorder, 6)
    said = delivery.communicate(timeout=1200)[0]
    assert delivery.returncode == 0, said
    assert heard() == sorted([*others, last])
