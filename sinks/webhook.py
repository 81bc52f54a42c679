"""Any HTTP receiver, one row or a batch a request, signed as Standard Webhooks says (standardwebhooks.com).

A receiver's status is its whole answer: 2xx takes every row, 404, 405 and 410 end it, another 4xx refuses the batch.
What becomes of the rows it may report back as it was told them: sinks/webhook_reports.py.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping

import httpx
import orjson
from pydantic import Field

from models.delivery import Outcome, Outcomes
from models.sync import Op
from sinks.base import (
    Batch,
    Fault,
    HttpSink,
    Known,
    Limits,
    Operation,
    Options,
    Simulated,
    destination,
    json_request,
)
from sinks.simulated import json_response
from sinks.standard_webhooks import sign
from sinks.webhook_reports import WebhookReports

GONE = frozenset({404, 405, 410})
_PAGE = (b"<!doctype", b"<html")  # a proxy's page, not a receiver's answer


class WebhookOptions(Options):
    url: str = destination(
        description="Where requests go",
        pattern=r"^https?://[^\s/@?#]+([/?#]\S*)?$",
        examples=["https://hooks.example/in"],
    )
    rows: int = Field(
        default=1, ge=1, le=1000, description="Rows a request: 1 sends an object, more a list", examples=[10]
    )
    idempotent: dict[Op, bool] = Field(
        default_factory=dict,
        description="Operations the receiver may hear twice; default: upsert and remove, not send",
    )
    connections: int = Field(default=4, ge=1, le=64, description="Requests in flight")
    per_second: float | None = Field(default=None, gt=0, description="Requests a second")
    timeout: float = Field(default=30.0, gt=0, description="Seconds until an answer is given up")
    allow_private: bool = Field(
        default=False, description="Whether the receiver may be in a private network or on this machine"
    )


class WebhookSink(WebhookReports, HttpSink):
    """`webhook-id` is the batch's idempotency key, so a receiver can tell a repeat."""

    Options = WebhookOptions
    secrets = ("signing",)
    names_sync = True
    options: WebhookOptions

    @property
    def account(self) -> str:
        return f"webhook:{httpx.URL(self.options.url).netloc.decode()}"

    @property
    def public_url(self) -> str | None:
        return None if self.options.allow_private else self.options.url

    @property
    def limits(self) -> Limits:
        return Limits(
            rows=self.options.rows,
            bytes=1_000_000,
            connections=self.options.connections,
            per_second=self.options.per_second,
            timeout=self.options.timeout,
            envelope=1_024,
        )

    @property
    def operations(self) -> Mapping[Op, Operation]:
        told = {Op.UPSERT: True, Op.REMOVE: True, Op.SEND: False} | self.options.idempotent
        return {op: Operation(idempotent) for op, idempotent in told.items()}

    def request(self, batch: Batch) -> httpx.Request:
        head = {
            "type": f"{'message' if batch.op is Op.SEND else 'audience'}.{batch.op}",
            "timestamp": batch.at.isoformat(),
            "sync": batch.sync,
            "identity": batch.identity,
        }
        data = batch.payloads[0] if self.options.rows == 1 else f"[{','.join(batch.payloads)}]"
        body = orjson.dumps(head)[:-1] + b',"data":' + data.encode() + b"}"
        at = str(int(batch.at.timestamp()))
        signed = {"webhook-id": batch.key, "webhook-timestamp": at}
        signature = sign(self._secrets["signing"], batch.key, at, body)
        return json_request(self.options.url, body, {**signed, "webhook-signature": signature})

    def outcomes(self, batch: Batch, response: httpx.Response) -> Outcomes:
        if response.status_code in GONE:
            stop = f"the receiver is not there ({response.status_code}): check the url of this destination"
            return Outcomes.all(Outcome.RETRY, f"status {response.status_code}", stop=stop)
        if response.is_error:
            text = f"{response.status_code} {response.text[:200]}".strip()
            return Outcomes.all(Outcome.REJECTED, text, split=len(batch.offsets) > 1)
        if response.content[:64].lstrip().lower().startswith(_PAGE):
            raise ValueError("a page instead of an answer")
        return Outcomes.all(Outcome.ACCEPTED)

    @classmethod
    def simulate(cls, request: httpx.Request, fault: Fault) -> Simulated:
        body, headers = request.content, request.headers
        name, at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        if not hmac.compare_digest(headers.get("webhook-signature", ""), sign("dev-signing", name, at, body)):
            return Simulated(json_response(401, {"error": "the signature does not fit"}))
        try:
            heard = orjson.loads(body)
            op = Op(heard["type"].partition(".")[2])
            rows = heard["data"] if isinstance(heard["data"], list) else [heard["data"]]
            known = tuple(Known(op, "|".join(str(row[column]) for column in heard["identity"]), row) for row in rows)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            return Simulated(json_response(400, {"error": f"not understood: {type(error).__name__}"}))
        refused = fault.refuse or next(iter(fault.reject.values()), None)
        if refused is not None:  # a receiver has no word for a single row
            return Simulated(json_response(422, {"error": refused}))
        return Simulated(json_response(200, {}), known)
