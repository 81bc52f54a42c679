"""How much an account may be sent: its quota, and the warm-up of a new sending domain."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from pydantic import BaseModel, ConfigDict, Field


class WarmUp(BaseModel):
    """A new sending domain begins with few messages a day: mailbox providers trust whom they know.

    Every day may have as many times more than the day before; after `days` days it is `per_day`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    begins: date = Field(description="The first day, UTC, like 2026-11-01; until it is over, `first` a day")
    days: int = Field(strict=True, ge=1, le=365, description="Days until `per_day` is reached")
    first: int = Field(strict=True, ge=1, description="Messages on the first day")


@dataclass(frozen=True)
class Quota:
    """Rows that may be claimed in a clock hour and in a day, both of UTC; None where there is no end."""

    per_hour: int | None = None
    per_day: int | None = None
    warm_up: WarmUp | None = None

    @property
    def is_endless(self) -> bool:
        return self.per_hour is None and self.per_day is None

    def of_day(self, day: date) -> int | None:
        """Rows of that day: `first * (per_day / first) ^ (days since it began / days)` while it warms up."""
        if self.warm_up is None or self.per_day is None:
            return self.per_day
        passed = max((day - self.warm_up.begins).days, 0)
        if passed >= self.warm_up.days:
            return self.per_day
        growth: float = (self.per_day / self.warm_up.first) ** (passed / self.warm_up.days)
        return round(self.warm_up.first * growth)
