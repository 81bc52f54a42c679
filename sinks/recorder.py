"""The shipped vendor: a local service that takes audiences and messages, answers row by row and can be programmed.

sinks/recorder_server.py is the service; this is how it is spoken to and, for every sink, the pattern to follow.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any
from urllib.parse import quote

import httpx
import orjson
from pydantic import Field

from models.delivery import Outcome, Outcomes, RowOutcome
from models.sync import Op
from sinks.base import Batch, Fault, HttpSink, Known, Limits, Operation, Options, Simulated, destination, json_request
from sinks.simulated import json_response, refused_without

_OUTCOMES = {"accepted": Outcome.ACCEPTED, "rejected": Outcome.REJECTED, "busy": Outcome.RETRY}
_ALL_TAKEN = Outcomes.all(Outcome.ACCEPTED)
LARGEST_BODY = 1_000_000


class RecorderOptions(Options):
    audience: str = destination("default", description="The audience that rows enter and leave", min_length=1)
    account: str = destination("demo", description="The account: rate limits belong to it", pattern=r"^[a-z0-9-]+$")
    rows: int = Field(default=500, ge=1, le=500, description="Rows a request")
    connections: int = Field(default=4, ge=1, le=64, description="Requests in flight")
    per_second: float | None = Field(default=None, gt=0, description="Requests a second")
    timeout: float = Field(default=30.0, gt=0, description="Seconds until an answer is given up")


class RecorderSink(HttpSink):
    """Upserts and removes are idempotent; a message sent twice is heard twice."""

    Options = RecorderOptions
    secrets = ("token",)
    options: RecorderOptions

    @property
    def account(self) -> str:
        return f"recorder:{self.options.account}"

    @property
    def limits(self) -> Limits:
        return Limits(
            rows=self.options.rows,
            bytes=LARGEST_BODY,
            connections=self.options.connections,
            per_second=self.options.per_second,
            timeout=self.options.timeout,
        )

    @property
    def operations(self) -> Mapping[Op, Operation]:
        return {
            Op.UPSERT: Operation(idempotent=True),
            Op.REMOVE: Operation(idempotent=True),
            Op.SEND: Operation(idempotent=False),
        }

    def request(self, batch: Batch) -> httpx.Request:
        identity = orjson.dumps(batch.identity).decode()
        body = f'{{"identity":{identity},"rows":[{",".join(batch.payloads)}]}}'
        told = {"Authorization": f"Bearer {self._secrets['token']}", "Idempotency-Key": batch.key}
        return json_request(f"{self._audience}/{batch.op}", body.encode(), told)

    @cached_property
    def _audience(self) -> str:
        return f"https://{self.options.account}.recorder.invalid/audiences/{quote(self.options.audience, safe='')}"

    def outcomes(self, batch: Batch, response: httpx.Response) -> Outcomes:
        answer = orjson.loads(response.content)
        if response.is_error:
            return Outcomes.all(Outcome.REJECTED, str(answer["error"]), split=True)
        if int(answer["taken"]) + len(answer["rows"]) != len(batch.offsets):
            raise ValueError("the answer counts other rows than were sent")
        if not answer["rows"]:
            return _ALL_TAKEN
        rows = {int(row["row"]): RowOutcome(_OUTCOMES[row["result"]], str(row["reason"])) for row in answer["rows"]}
        return Outcomes(RowOutcome(Outcome.ACCEPTED), rows)

    @classmethod
    def simulate(cls, request: httpx.Request, fault: Fault) -> Simulated:
        if refusal := refused_without(request, "Authorization", "Bearer dev-token"):
            return refusal
        if len(request.content) > LARGEST_BODY:
            return Simulated(json_response(413, {"error": f"a body holds {LARGEST_BODY} bytes"}))
        try:
            body = orjson.loads(request.content)
            names, rows = list(body["identity"]), list(body["rows"])
            identities = ["|".join(str(row[name]) for name in names) for row in rows]
            op = Op(request.url.path.rpartition("/")[2])
        except (ValueError, LookupError, TypeError) as error:
            return Simulated(json_response(400, {"error": f"not understood: {type(error).__name__}"}))
        if fault.refuse is not None:
            return Simulated(json_response(400, {"error": fault.refuse}))
        refused = [{"row": row, "result": "rejected", "reason": reason} for row, reason in fault.reject.items()]
        answer: dict[str, Any] = {"taken": len(rows) - len(refused), "rows": refused}
        known = tuple(
            Known(op, identity, row)
            for offset, (identity, row) in enumerate(zip(identities, rows, strict=True))
            if offset not in fault.reject
        )
        return Simulated(json_response(200, answer), known)
