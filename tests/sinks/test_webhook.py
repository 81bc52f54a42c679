"""Webhooks: signed as Standard Webhooks says, one row or a batch, stopped where the receiver is gone."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import pytest
from pydantic import ValidationError
from standardwebhooks import Webhook

from models.sync import Op
from sinks.http import deliver
from sinks.limiter import Limiters
from sinks.webhook import WebhookOptions, WebhookSink
from tests.sinks.desk import AT, Desk, Scripted, people
from tests.sinks.test_contract import batch

SECRET = "whsec_" + base64.b64encode(b"twenty-four secret bytes").decode()


def hook(secret: str = "dev-signing", **options: object) -> WebhookSink:
    return WebhookSink(WebhookOptions(**{"url": "https://hooks.example/in"} | options), {"signing": secret})


def test_the_standard_library_of_webhooks_verifies_our_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    """A receiver with the reference implementation and the same secret accepts the request as it is."""
    sink = hook(SECRET)
    request = sink.request(batch(sink, people(1)))
    verifier = Webhook(SECRET)
    monkeypatch.setattr(verifier, "_Webhook__verify_timestamp", lambda _: AT, raising=True)
    body = verifier.verify(request.content, dict(request.headers))
    assert body["type"] == "audience.upsert"
    assert body["data"] == {"email": "person0@shop.example", "orders": 0}
    assert request.headers["webhook-timestamp"] == str(int(AT.timestamp()))


@pytest.mark.parametrize("target", ["prod", "dev"])
def test_a_request_is_signed_when_it_leaves(offline: Desk, target: str) -> None:
    """In prod a receiver that allows five minutes takes a plan of this morning; in dev the run's clock is told."""
    opened = offline.open(people(3))
    scripted = Scripted(lambda _request, _ordinal: httpx.Response(200))
    deliver(
        hook(SECRET, connections=1),
        opened,
        offline.delivery,
        offline.journal,
        settings=replace(offline.settings, target=target),
        key=("email",),
        limiters=Limiters(),
        transport=scripted,
        clock=lambda: datetime.now(UTC),
    )
    for request in scripted.requests:
        if target == "prod":
            Webhook(SECRET).verify(request.content, dict(request.headers))
        else:
            assert 0 <= int(request.headers["webhook-timestamp"]) - AT.timestamp() < 60


def test_one_row_is_an_object_and_more_are_a_list() -> None:
    """The shape depends on the option, never on how many rows happen to be left."""
    single, many = hook(), hook(rows=10)
    assert isinstance(json.loads(single.request(batch(single, people(1))).content)["data"], dict)
    assert len(json.loads(many.request(batch(many, people(1))).content)["data"]) == 1
    assert json.loads(many.request(batch(many, people(3), Op.SEND)).content)["type"] == "message.send"


def test_idempotent_is_said_per_operation() -> None:
    """Upsert and remove are by default, send is not; each can be said otherwise."""
    told = {op: operation.idempotent for op, operation in hook(idempotent={"send": True}).operations.items()}
    assert told == dict.fromkeys(Op, True)
    assert not hook().operations[Op.SEND].idempotent
    assert not hook(idempotent={"upsert": False}).operations[Op.UPSERT].idempotent


@pytest.mark.parametrize("status", [404, 405, 410])
def test_a_receiver_that_is_gone_stops_the_sync(offline: Desk, status: int) -> None:
    """Not there is not a fault of the rows: nothing is rejected and the message names the url to check."""
    scripted = Scripted(lambda _request, _ordinal: httpx.Response(status))
    summary = offline.deliver(hook(connections=1), people(20), transport=scripted)
    assert "check the url" in str(summary.stopped)
    assert summary.counts == {"retry": 1}
    assert len(scripted.requests) == 1


def test_a_receiver_may_answer_anything_with_2xx(offline: Desk) -> None:
    """Empty, text, any JSON: 2xx is success."""
    bodies = [b"", b"ok", b"{}", b"\x00"]
    scripted = Scripted(lambda _request, ordinal: httpx.Response(202, content=bodies[ordinal % 4]))
    assert offline.deliver(hook(), people(8), transport=scripted).counts == {"accepted": 8}


@pytest.mark.parametrize(
    "url", ["hooks.example/in", "ftp://hooks.example", "https://user:secret@hooks.example", "https://"]
)
def test_an_address_is_http_and_holds_no_password(url: str) -> None:
    """Credentials belong into secrets: an address with one is refused."""
    with pytest.raises(ValidationError, match="url"):
        hook(url=url)
