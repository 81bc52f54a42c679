"""A person as segments and syncs read them: the columns of the published `profiles`."""

from __future__ import annotations

from decimal import Decimal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class Profile(BaseModel):
    """One person. Nothing here changes only because time passes: windows belong in segments."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    profile_id: str = Field(description="Minted once, kept through merges; looked up, never recomputed")
    email: str | None = Field(description="In lower case. Personal")
    phone: str | None = Field(description="In E.164. Personal")
    push_token: str | None = Field(description="Of the app on their device. Personal")
    first_name: str | None = Field(description="Personal")
    last_name: str | None = Field(description="Personal")
    country: str | None = Field(description="Two letters")
    time_zone: str | None = Field(description="An IANA name")
    locale: str | None = Field(description="The language they read, like en or de-AT")
    orders: int = Field(ge=0, description="Orders completed, refunded ones too")
    items: int = Field(description="Pieces in them")
    revenue: Decimal = Field(description="What they paid, less refunds, in the shop's currency")
    recency_score: int | None = Field(ge=1, le=5, description="How lately they bought, among buyers")
    frequency_score: int | None = Field(ge=1, le=5, description="How often")
    monetary_score: int | None = Field(ge=1, le=5, description="For how much")
    email_marketing: bool = Field(description="Whether this e-mail address may be written to for marketing")
    email_suppressed: bool = Field(description="Whether a complaint or hard bounce forbids it for good")
    sms_marketing: bool = Field(description="Whether this number may be written to for marketing")
    push_marketing: bool = Field(description="Whether this device may be written to for marketing")
    first_seen_at: AwareDatetime = Field(description="Their first event")
    last_seen_at: AwareDatetime | None = Field(description="The last thing they did themselves")
    signed_up_at: AwareDatetime | None
    last_viewed_at: AwareDatetime | None
    last_cart_at: AwareDatetime | None
    first_order_at: AwareDatetime | None
    last_order_at: AwareDatetime | None
    last_opened_at: AwareDatetime | None
    last_clicked_at: AwareDatetime | None
    email_marketing_at: AwareDatetime | None = Field(description="When consent to e-mail was decided, yes or no")
