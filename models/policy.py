"""`policy.yml`: what holds for the whole project."""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator


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

    @field_validator("zone")
    @classmethod
    def _known(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            message = f"'{zone}' is not a time zone; write one like Europe/Berlin, or UTC"
            raise ValueError(message) from error
        return zone

    @property
    def zone_info(self) -> ZoneInfo:
        """The zone, to compute with."""
        return ZoneInfo(self.zone)
