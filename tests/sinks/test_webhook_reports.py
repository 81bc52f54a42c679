"""What receivers of our webhooks report back: the documented body, signed by the reference library."""

import base64
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from standardwebhooks import Webhook

from gateway.gate import Hook
from models.outcome import Report, Told
from sinks.reporting import Heard
from sinks.suppression import Listed, contact_hash
from sinks.webhook import WebhookSink
from tests.gateway.house import SALT, Client, House
from tests.sinks.desk import AT

SECRET = "whsec_" + base64.b64encode(b"twenty-four secret bytes").decode()
SECRETS = {"reports": SECRET}
PAGE = Path(__file__).parents[2] / "docs" / "webhooks.md"
ONE = {"id": "e1", "event": "delivered", "at": "2026-11-01T09:30:00Z", "send_key": "m1"}


def heard(body: Any, at: datetime = AT, secret: str = SECRET) -> Heard:
    text = body if isinstance(body, str) else json.dumps(body)
    signature = Webhook(secret).sign("msg_1", at, text)
    told = {"webhook-id": "msg_1", "webhook-timestamp": str(int(at.timestamp())), "webhook-signature": signature}
    return Heard("https://t.shop.example/webhooks/hook", told, text.encode())


def test_the_documented_body_is_understood() -> None:
    """What the page shows is a report with everything in it."""
    (shown,) = re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.DOTALL)
    request = heard(shown)
    assert WebhookSink.is_signed(request, SECRETS, AT)
    (report,) = WebhookSink.reports(request)
    assert report == Report(
        event_id="bounce-81",
        told=Told.BOUNCED,
        at=datetime(2026, 11, 1, 9, 30, tzinfo=UTC),
        send_key="9f3c52a1",
        profile_id="p_81",
        contact="ann@shop.example",
        bounce="hard",
        reason="550 unknown",
    )


def test_one_is_an_object_and_more_are_a_list() -> None:
    """Either is taken, in every word of ours."""
    assert [report.event_id for report in WebhookSink.reports(heard(ONE))] == ["e1"]
    many = [{**ONE, "id": str(told), "event": str(told)} for told in Told]
    assert [report.told for report in WebhookSink.reports(heard(many))] == [*Told]
    assert [*WebhookSink.reports(heard([]))] == []


@pytest.mark.parametrize(
    "change",
    [{"id": ""}, {"id": None}, {"event": "danced"}, {"at": "2026-11-01T09:30:00"}, {"at": None}, {"contact": 7},
     {"sendkey": "m1"}, {"bounce": "medium"}, {"id": "x" * 201}],
    ids=str,
)  # fmt: skip
def test_what_is_not_documented_is_refused(change: dict[str, Any]) -> None:
    """A word that is none, a moment without a zone, a misspelt field: all of the request, and never half of it."""
    with pytest.raises(ValidationError):
        WebhookSink.reports(heard([ONE, {**ONE, **change}]))


def test_what_is_old_or_signed_with_the_secret_of_what_we_send_is_refused() -> None:
    """Five minutes as for every Standard Webhook; nothing that we sent is a report."""
    assert WebhookSink.is_signed(heard(ONE), SECRETS, AT + timedelta(seconds=300))
    assert not WebhookSink.is_signed(heard(ONE), SECRETS, AT + timedelta(seconds=301))
    other = "whsec_" + base64.b64encode(b"what signs what we send.").decode()
    assert not WebhookSink.is_signed(heard(ONE, secret=other), SECRETS, AT)


def test_a_report_is_landed_and_heeded(tmp_path: Path) -> None:
    """Through the gateway: a line and a row of the list before the 200; said again it is the same of both."""
    house = House(tmp_path, now=AT)
    left = heard({**ONE, "event": "unsubscribed", "contact": "ann@shop.example", "purpose": "newsletter"})
    hook = {"hook": Hook(WebhookSink, "email", SECRETS)}
    with Client(house.gate(destinations=hook)) as client:
        sent = {"content": left.body, "headers": dict(left.headers)}
        assert [client.post("/webhooks/hook", **sent).status_code for _ in range(2)] == [200, 200]
        bad = heard({**ONE, "event": "danced"})
        assert client.post("/webhooks/hook", content=bad.body, headers=dict(bad.headers)).status_code == 400
    assert len({str(line) for line in house.lines()}) == 1
    assert {line["email"] for line in house.lines()} == {"ann@shop.example"}
    with Listed(house.journal) as listed:
        assert listed.stances(contact_hash(SALT, "ann@shop.example"))["newsletter"].is_refused
