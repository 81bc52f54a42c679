"""What HubSpot answers, read; and how it names contacts. For sinks/hubspot.py and the vendor it simulates."""

from __future__ import annotations

from collections.abc import Sequence

import httpx
from pydantic import BaseModel, Field

UPSERT, READ, LISTS = "/crm/v3/objects/contacts/batch/upsert", "/crm/v3/objects/contacts/batch/read", "/crm/v3/lists"
LARGEST_BATCH = 100  # contacts a request


class Result(BaseModel):
    id: str  # the record's
    trace: str | None = Field(default=None, alias="objectWriteTraceId")
    properties: dict[str, str | None] = Field(default_factory=dict)

    def name(self, id_property: str) -> str:
        return self.trace or name_of(self.properties.get(id_property) or "")


class _Code(BaseModel):
    code: str = ""


class Error(BaseModel):
    """Of a row (207) or of a request; HubSpot promises no field, and without a message it is no answer of its own."""

    category: str = ""
    message: str
    context: dict[str, list[str]] = Field(default_factory=dict)
    errors: list[_Code] = Field(default_factory=list)

    @property
    def names(self) -> Sequence[str]:
        return self.context.get("objectWriteTraceId") or [name_of(identity) for identity in self.context.get("ids", [])]

    @property
    def reason(self) -> str:
        return f"{self.category}: {self.message[:300]}"

    def has(self, code: str) -> bool:
        """Also where it stands in the JSON inside the message; a row's own text is escaped there."""
        return any(error.code == code for error in self.errors) or f'"error":"{code}"' in self.message


class Contacts(BaseModel):
    """The answer to an upsert and to a read."""

    results: list[Result]
    errors: list[Error] = Field(default_factory=list)


class Members(BaseModel):
    """The answer of a list, which leaves out what is empty; who is on it, or is not, already is in neither."""

    missing: list[str] = Field(default_factory=list, alias="recordIdsMissing")


def trace(offset: int) -> str:
    """In capitals, which no identity's name has."""
    return f"ROW-{offset}"


def name_of(identity: str) -> str:
    """An identity as HubSpot compares e-mail addresses."""
    return identity.strip().lower()


def contacts(response: httpx.Response) -> Contacts:
    return Contacts.model_validate_json(response.content)
