"""What `tailrace sync` prints of its syncs."""

import pytest

from assets.sync_run import SyncResult
from models.errors import Refused
from orchestration import sending_reports


def test_a_reason_names_its_sync_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Whether the error has the name in it or the vendor's word has not."""
    refused = SyncResult("crm/seg_x", error=Refused("crm/seg_x: max_add: 228 would enter"))
    stopped = SyncResult("crm/seg_y", stopped="the vendor's day is used up")
    sending_reports.say([refused, stopped], as_json=False)
    *_, first, second = capsys.readouterr().out.splitlines()
    assert first == "crm/seg_x: max_add: 228 would enter"
    assert second == "crm/seg_y: the vendor's day is used up"
