"""Which messages are sent: candidates of all journeys against consent, suppression, quiet hours, caps and each other.

The result is that of taking them one by one (window, priority, time, key); a round here takes the next of every person.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import pyarrow as pa

from assets.journeys import pauses
from assets.journeys.program import NEVER
from assets.journeys.tick import Tick
from models.journey import WITHDRAWING

_ADMITTED = (
    "send_key, unit_id, person, journey, channel, template, purpose, is_marketing, not_before, null as again_at, "
    "null as again_priority, null as again_logical_at"
)


def arbitrate(tick: Tick, *, is_busy: bool) -> dict[str, int]:
    """Decide what can be decided by the clock, into `decided` and `withdrawal`; how many by reason."""
    return _Arbitration(tick, is_busy=is_busy).run()


class _Arbitration:
    def __init__(self, tick: Tick, *, is_busy: bool) -> None:
        self.tick, self.is_busy, self.policy = tick, is_busy, tick.policy
        self.has_left = any(tick.ended.get(each) for each in WITHDRAWING)
        self.has_late = False

    def run(self) -> dict[str, int]:
        tick = self.tick
        has_offers = self._offer()
        if self.is_busy and (tick.has_run_events or tick.has_signals):
            withdrawing = tick.texts(WITHDRAWING)
            tick.make("late_stop", "late_stops", has_run_events=tick.has_run_events, withdrawing=withdrawing)
            self.has_late = tick.has("late_stop")
        if not (has_offers or self.has_left or self.has_late):
            return {}
        has_stops = self._stop(has_offers=has_offers)
        if has_offers:
            self._decide()
        if has_stops:
            tick.make("withdrawal", "withdrawals", has_decided=has_offers)
        return self._counted() if has_offers else {}

    def _counted(self) -> dict[str, int]:
        found = self.tick.warehouse.rows(
            "select coalesce(reason, 'admitted') as reason, count(*) as n from decided group by 1 order by 1"
        )
        return {str(row["reason"]): int(row["n"]) for row in found}

    def _offer(self) -> bool:
        """What may be decided now; whether there is anything."""
        tick, window = self.tick, self.policy.cap_window
        spans = pauses.spans(tick.warehouse, tick.clock.as_of, tick.program, window)
        self.has_pauses = bool(spans)
        if spans:
            tick.keep("pause_span", pa.Table.from_pylist(spans, pauses.SPANS))
        # sends of before were decided, but those whose window was open when the journey moved last, or that were paused
        lasts = [each for name, each in tick.last.items() if name in tick.moving]
        seen = min((each.as_of for each in lasts), default=NEVER)
        held = [
            span["from_at"] for span in spans if span["decided_at"] is None or span["decided_at"] > seen
        ]  # fmt: skip
        open_since = [_window_begin(each.as_of, max(window, each.cap_window)) for each in lasts]
        since = min([tick.clock.as_of, *open_since, *(_less(at, window) for at in held)])
        held_since = min(held, default=None)
        tick.make("old_send", "old_sends", since=since)
        olds, has_sent = tick.counts("old_send")["old_send"], "sent" in tick.kinds
        if not (olds or has_sent or held):
            return False
        tick.make("offer", "offers", held_since=held_since, has_sent=has_sent, olds=olds)
        return tick.has("offer")

    def _stop(self, *, has_offers: bool) -> bool:
        """Runs of which nothing is to be sent any more; whether there are any."""
        tick, withdrawing = self.tick, self.tick.texts(WITHDRAWING)
        has = {"has_left": self.has_left, "has_late": self.has_late, "withdrawing": withdrawing}
        has["has_offers"] = has_offers
        tick.make("stopping_run", "stopping_runs", **has)
        tick.make("stop", "stops", runs="stopping_run", **has)
        return tick.has("stop")

    def _decide(self) -> None:
        """Judge each message alone, then those that are left beside each other, until none is."""
        tick = self.tick
        self._gather()
        tick.make("judged", "judge", offers="offer", has_pauses=self.has_pauses)
        self._look_back()
        tick.make("pending", "pending", offers="offer", judgements="judged")
        tick.create("settled", "select cast(null as bigint) as o, '' as reason limit 0")
        while tick.has("pending"):
            tick.make("verdict", "compete", has_aliases=tick.has_aliases, has_pauses=self.has_pauses)
            self._settle()
        tick.show("decided", tick.sql("decided"))

    def _gather(self) -> None:
        tick = self.tick
        tick.show("kin", tick.sql("kin", people="offer", has_aliases=tick.has_aliases))
        if tick.has_aliases:
            tick.make("together", "together")
        tick.make("fact", "facts", people="kin")
        tick.make("stance", "stances")

    def _look_back(self) -> None:
        tick = self.tick
        first = tick.warehouse.rows("select min(logical_at) as first_at from offer")[0]["first_at"]
        reach = max([self.policy.repeat_window, *(cap.per for cap in self.policy.caps)])
        tick.make("admitted", "admitted", since=_less(first, reach))
        tick.make("freed", "freed")

    def _settle(self) -> None:
        """The verdicts count; an admitted message that is paused when it was to go is offered again."""
        tick = self.tick
        tick.insert("settled", "select o, reason from verdict")
        tick.create(
            "left_pending",
            "select pending.* from pending left join verdict on pending.o = verdict.o where verdict.o is null",
        )
        if self.has_pauses or tick.has("left_pending"):
            going = "pending inner join verdict on pending.o = verdict.o and verdict.reason is null"
            tick.insert("admitted", f"select {_ADMITTED} from {going}")
        tick.replace("pending", "left_pending")
        if self.has_pauses:
            self._offer_again()

    def _offer_again(self) -> None:
        tick = self.tick
        tick.make("offer_again", "offers_again", offers=tick.warehouse.rows("select max(o) as o from offer")[0]["o"])
        if not tick.has("offer_again"):
            return
        tick.make("judged_again", "judge", offers="offer_again", has_pauses=True)
        tick.insert("pending", tick.sql("pending", offers="offer_again", judgements="judged_again"))
        tick.make("still_admitted", "admitted_again")
        tick.replace("admitted", "still_admitted")
        tick.insert("offer", "select * from offer_again")
        tick.insert("judged", "select * from judged_again")


def _window_begin(at: datetime, size: timedelta) -> datetime:
    return pauses.window_end(at, size) - size


def _less(at: datetime, size: timedelta) -> datetime:
    return max(at, NEVER + size) - size
