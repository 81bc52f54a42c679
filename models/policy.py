"""`policy.yml`: what holds for the whole project."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from models.sync import TRANSACTIONAL, Channel, Purpose, Share, number
from models.times import Duration, TimeOfDay
from models.zones import zone_name

Parameter = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]{1,40}$")]
FEW = 500  # so many always may


class QuietHours(BaseModel):
    """No marketing from `begin` to `end` of the recipient's day; what falls in between waits for `end`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    begin: TimeOfDay
    end: TimeOfDay

    @model_validator(mode="after")
    def _not_always(self) -> Self:
        if self.begin == self.end:
            raise ValueError("`begin` and `end` are the same: nothing would ever be sent, or always")
        return self


class Cap(BaseModel):
    """A person gets at most `max` messages of journeys within `per`, counted where they were to arrive."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max: Annotated[int, BeforeValidator(number)] = Field(ge=1)
    per: Duration
    channel: Channel | None = Field(default=None, description="Default: all together")
    purpose: Purpose | None = Field(default=None, description="Default: all but transactional")

    @field_validator("purpose")
    @classmethod
    def _counts(cls, purpose: Purpose | None) -> Purpose | None:
        if purpose == TRANSACTIONAL:
            raise ValueError("transactional messages skip caps: this one would hold nobody; allowed: other purposes")
        return purpose


class Policy(BaseModel):
    """Changing `salt` after the first refresh mints new ids for new people only; known people keep theirs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    zone: str = Field(
        default="UTC", description="The project's time zone: a day ends here, and moments without a zone are in it"
    )
    salt: str = Field(min_length=1, description="Makes this project's profile ids its own; any text, never changed")
    first_day: date = Field(
        default=date(2026, 1, 1), description="Where the days begin that Dagster offers; `tailrace backfill` takes any"
    )
    default_zone: str | None = Field(
        default=None, description="Of people whose time zone is not known; default: the project's"
    )
    quiet_hours: QuietHours | None = Field(default=None, description="When journeys send no marketing")
    caps: tuple[Cap, ...] = Field(default=(), description="How much a person gets, whatever journey it is from")
    cap_window: Duration = Field(
        default=timedelta(minutes=15), description="Messages of so long compete with each other; then it is decided"
    )
    repeat_window: Duration = Field(
        default=timedelta(days=1), description="Two journeys do not say the same (template) within so long"
    )
    global_holdout: Share = Field(default=0.0, le=1, description="Share of people who get no journey's messages")
    purposes: dict[Purpose, str] = Field(
        default_factory=dict,
        description="What people read on their preferences page for a purpose: `marketing: Offers and news`",
    )
    campaign: dict[Parameter, str] = Field(
        default_factory=dict,
        description='Parameters that links of messages get, such as `utm_campaign: "{{ journey }}"`; '
        "known are channel, journey, node, template and locale",
    )
    max_send: Share = Field(
        default=0.1,
        le=1,
        description="A tick in which more than this share of all people (and 500) enter or are sent to waits",
    )

    @field_validator("zone", "default_zone")
    @classmethod
    def _known(cls, zone: str | None) -> str | None:
        return zone if zone is None else zone_name(zone, "one like Europe/Berlin, or UTC")

    def at_once(self, people: int) -> int:
        """How many of so many people may enter journeys, or get their messages, at one tick without somebody's word."""
        return max(FEW, int(self.max_send * people))

    @property
    def recipient_zone(self) -> str:
        """The zone of people whose own is not known."""
        return self.default_zone or self.zone

    @property
    def zone_info(self) -> ZoneInfo:
        """The zone, to compute with."""
        return ZoneInfo(self.zone)
