"""Keys of messages: each is claimed or withdrawn once, whoever is first. A commit looks all of its own up at once.

An earlier attempt of the very same row may move its key to the next; what certainly did not leave sets it free.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from models.delivery import Outcome, RowOutcome
from models.sync import Op
from sinks.claims import Receipt, Request, rows_in
from sinks.journal_store import Connection, insert, marks, parts, utc_text

TAKEN = "the message was claimed before"
SENDS_AGAIN = frozenset({Outcome.RETRY, Outcome.REJECTED, Outcome.WITHDRAWN})  # the message's key is free again

_KEYS = "insert into send_key (send_key, claim, offset_in_claim, reason, at)"
# of the messages that did not leave after all, those that were to be taken back meanwhile are, and the others are free
_FREED = (
    "update send_key set claim = null where claim = ? and reason <> ''",
    "delete from send_key where claim = ? and reason = ''",
)
_HELD = """
select send_key.send_key, send_key.claim, send_key.reason, claim.delivery, claim.row_ranges, send_key.offset_in_claim
from send_key left join claim on claim.seq = send_key.claim where send_key.send_key in
"""


@dataclass
class Keys:
    """The keys as they will be after a commit that is being gathered."""

    connection: Connection
    _holders: dict[str, Sequence[Any]] = field(default_factory=dict)  # of keys that were claimed or withdrawn before
    _claimed: dict[str, tuple[str, int, int, str, str]] = field(default_factory=dict)

    def free(self, receipt: Receipt) -> None:
        """Set free what did not leave, as the receipt has it."""
        rows = receipt.outcomes.rows
        if receipt.outcomes.default.outcome in SENDS_AGAIN:
            self._free(
                receipt.claim.seq, but=[offset for offset, row in rows.items() if row.outcome not in SENDS_AGAIN]
            )
        elif freed := [offset for offset, row in rows.items() if row.outcome in SENDS_AGAIN]:
            self._free(receipt.claim.seq, only=freed)

    def _free(self, seq: int, *, only: Sequence[int] = (), but: Sequence[int] = ()) -> None:
        """Messages of the claim: all of them, `only` those at these offsets, or all `but` those."""
        offsets = [*only, *but]
        which = f"and offset_in_claim {'in' if only else 'not in'} ({marks(offsets)})" if offsets else ""
        for statement in _FREED:
            self.connection.execute(f"{statement} {which}", [seq, *offsets])

    def look_up(self, requests: Sequence[Request]) -> None:
        """Who holds the keys that are asked for: before any is taken, after all are freed."""
        asked = (request.send_keys or () for request in requests if request.op is Op.SEND)
        for some in parts([key for each in asked for key in each if key is not None]):
            found = self.connection.execute(f"{_HELD} ({marks(some)})", some)
            self._holders.update((row[0], row[1:]) for row in found)

    def take(
        self, request: Request, number: int, seq: int, refused: Mapping[int, RowOutcome], most: int
    ) -> dict[int, RowOutcome]:
        """Claim at most so many messages' keys for the claim `seq`; offsets of those claimed or withdrawn before."""
        rows, moment = rows_in(request.ranges), utc_text(request.at)
        taken: dict[int, RowOutcome] = {}
        offset_in_claim = 0
        for offset, key in enumerate(request.send_keys or ()):
            if offset_in_claim == most:
                break
            if offset in refused:
                continue
            if key is not None:
                reason = TAKEN if key in self._claimed else _reason(self._holders.get(key), number, rows[offset])
                if reason is not None:
                    taken[offset] = RowOutcome(Outcome.WITHDRAWN, reason)
                    continue
                self._claimed[key] = (key, seq, offset_in_claim, "", moment)
            offset_in_claim += 1
        return taken

    def write(self) -> None:
        """As part of the commit."""
        for some in parts([key for key in self._claimed if key in self._holders]):
            self.connection.execute(f"delete from send_key where send_key in ({marks(some)})", some)
        insert(self.connection, _KEYS, [*self._claimed.values()])


def _reason(held: Sequence[Any] | None, number: int, row: int) -> str | None:
    """Why a key is taken; None where it is not, or an earlier attempt of this very row has it: its answer was lost."""
    if held is None:
        return None
    claim, reason, delivery, ranges, offset = held
    if claim is None:
        return str(reason)
    is_own = delivery == number and rows_in(orjson.loads(ranges))[offset] == row
    return reason or None if is_own else TAKEN
