"""The promise, whatever a vendor and a network do in any order: nothing lost or doubled, every doubt told."""

import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.settings import Settings
from models.sync import Op
from sinks.journal import Journal
from sinks.recorder import RecorderOptions, RecorderSink
from tests.sinks.desk import AT, Desk, Scripted, people
from tests.sinks.vendor import WHAT, Vendor

events = st.lists(st.sampled_from(WHAT), max_size=14)


@contextmanager
def desk() -> Iterator[Desk]:
    with tempfile.TemporaryDirectory() as folder:
        here = Settings(project=Path(folder), home=Path(folder))
        with Journal(here.journal) as journal:
            yield Desk(here, journal)


@given(events, st.integers(1, 4), st.sampled_from([1, 3, 8]), st.sampled_from(list(Op)))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_receipts_tell_what_the_vendor_took(script: list[str], connections: int, rows: int, op: Op) -> None:
    """Accepted was taken; what was taken is accepted or unknown; a message is taken at most once; all rows are told."""
    sink = RecorderSink(RecorderOptions(rows=rows, connections=connections), {"token": "dev-token"})
    vendor = Vendor(sink, script)
    with desk() as here:
        summary = here.deliver(sink, people(16, op), transport=Scripted(vendor))
        assert here.journal.abandon(here.delivery.run_id, AT) == 0
        last = {f"person{row}@shop.example": outcome for row, outcome in here.last().items()}
    if op is Op.SEND:
        assert max(vendor.taken.values(), default=0) <= 1
    accepted = {identity for identity, outcome in last.items() if outcome == "accepted"}
    doubtful = {identity for identity, outcome in last.items() if outcome == "unknown"}
    assert accepted <= set(vendor.taken)
    told_otherwise = set(vendor.taken) - accepted - doubtful
    assert all(last[identity] == "rejected" for identity in told_otherwise)
    assert not told_otherwise or op is not Op.SEND
    assert Counter(last.values()) == summary.counts
    assert len(last) + summary.unsent == 16
    assert summary.stopped or summary.unsent == 0
