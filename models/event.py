"""The shape every staging model brings its source to, and `events` publishes."""

from __future__ import annotations

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class Event(BaseModel):
    """One thing that happened, as one source tells it. Identifiers are as written; identity normalises them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    event_id: str = Field(description="The source's own id, or made of file and line; once a source")
    source: str = Field(description="Its name in sources.yml")
    name: str = Field(description="What happened, in Title Case: `Order Completed`")
    occurred_at: AwareDatetime = Field(description="When it happened; `as_of` bounds it")
    received_at: AwareDatetime | None = Field(default=None, description="When the source's own collector had it")
    known_at: AwareDatetime = Field(description="When it was loaded here; `known_by` bounds it")
    batch_id: str | None = Field(default=None, description="The file it came in; null for a table in place")
    anonymous_id: str | None = Field(default=None, description="The device or browser")
    user_id: str | None = Field(default=None, description="The account")
    email: str | None = Field(default=None, description="Personal")
    phone: str | None = Field(default=None, description="Personal")
    crm_id: str | None = Field(default=None, description="The contact in the CRM")
    profile_id: str | None = Field(default=None, description="The person, where the source was told by us")
    properties: str | None = Field(default=None, description="Everything else, as the text of a JSON object")
