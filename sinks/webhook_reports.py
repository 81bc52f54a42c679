"""What a receiver of our webhooks reports back, as a Standard Webhook of its own: outcomes in our words, as JSON.

One object or a list of them; docs/webhooks.md shows one. Signed with the secret `reports`: not with the one that signs
what we send, or what we sent could come back as a report.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Annotated, Any, Literal

import httpx
import orjson
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from models.outcome import Report, Told
from sinks.base import json_request
from sinks.callbacks import Checked, Setup
from sinks.reporting import Heard
from sinks.standard_webhooks import is_signed, readable, sign

SECRET = "reports"  # noqa: S105 - its name
EVENTS_A_REQUEST = 500
Text = Annotated[str, Field(min_length=1, max_length=2_000)]


class Reported(BaseModel):
    """One outcome. What it does not know is refused: a misspelt field would be a lost one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(min_length=1, max_length=200)]  # the same when it is reported again
    event: Told
    at: AwareDatetime  # when it happened
    send_key: Text | None = None  # of the message: in what was received
    profile_id: Text | None = None
    contact: Text | None = None
    purpose: Text | None = None
    bounce: Literal["hard", "soft"] | None = None
    url: Text | None = None
    reason: Text | None = None

    @property
    def report(self) -> Report:
        told = self.model_dump(exclude={"id", "event"})
        return Report(self.id, self.event, **told)


_ONE_OR_MORE = TypeAdapter(Reported | list[Reported])


class WebhookReports(Checked):
    """Whoever receives our webhooks; `reports` need not be there, and then nothing is heard."""

    webhook_secrets = (SECRET,)
    events_a_request = EVENTS_A_REQUEST

    @classmethod
    def mistakes(cls, setup: Setup) -> Iterator[tuple[tuple[str, str], str]]:
        try:
            readable(setup.secrets[SECRET])
        except ValueError as error:
            yield ("secrets", SECRET), f"the environment variable holds something else: {error}"

    @classmethod
    def is_signed(cls, heard: Heard, secrets: Mapping[str, str], now: datetime) -> bool:
        return is_signed(heard, secrets[SECRET], now)

    @classmethod
    def reports(cls, heard: Heard) -> Iterable[Report]:
        told = _ONE_OR_MORE.validate_json(heard.body)
        return [one.report for one in (told if isinstance(told, list) else [told])]

    @classmethod
    def tell(cls, url: str, reports: Sequence[Report], at: datetime) -> Iterator[httpx.Request]:
        for first in range(0, len(reports), EVENTS_A_REQUEST):
            body = orjson.dumps([_told(report) for report in reports[first : first + EVENTS_A_REQUEST]])
            name, seconds = f"msg_{blake2b(body, digest_size=12).hexdigest()}", str(int(at.timestamp()))
            signature = sign(f"dev-{SECRET}", name, seconds, body)
            signed = {"webhook-id": name, "webhook-timestamp": seconds, "webhook-signature": signature}
            yield json_request(url, body, signed)


def _told(report: Report) -> dict[str, Any]:
    given = {
        "id": report.event_id,
        "event": report.told,
        "at": report.at,
        "send_key": report.send_key,
        "profile_id": report.profile_id,
        "contact": report.contact,
        "purpose": report.purpose,
        "bounce": report.bounce,
        "url": report.url,
        "reason": report.reason,
    }
    return {field: value for field, value in given.items() if value is not None}
