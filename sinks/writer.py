"""Group commit: the claims and receipts of all connections that are waiting, in one.

The claim is the last decision: its transaction reads pause, suppression, withdrawn messages, the sync's epoch and the
clock of messages. It runs in the event loop's own thread: a commit is 0.3 ms in which the wire goes on in its thread
and answers gather for the next one, while a writer thread waited five times as long for the interpreter's lock.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import blake2b

from models.delivery import Claim, Delivery, Outcome, Outcomes, Ranges, RowOutcome
from models.steps import step
from models.sync import Op
from sinks import allowances
from sinks.allowances import ENDLESS, Counts, Room
from sinks.claims import Entry, Grant, Receipt, Request, ranges_of, rows_in, text_of
from sinks.journal import Journal
from sinks.journal_store import Connection, connect, insert, marks, utc_text
from sinks.leases import OVER, Lease
from sinks.message_keys import Keys
from sinks.receipts import encode
from sinks.suppression import DEAD

SUPPRESSED = "suppressed since the plan"
EXPIRED = "expired since the plan"
QUIET = "the quiet hours of the recipient have begun since the plan"
GIVES_BACK = frozenset({Outcome.RETRY, Outcome.WITHDRAWN})  # its place in the quota of its account
_NEVER_LEFT = 0  # the attempt of a claim of rows that were not to leave
_EXPIRED, _QUIET = RowOutcome(Outcome.WITHDRAWN, EXPIRED), RowOutcome(Outcome.RETRY, QUIET)

_POSITIONS = """
select (select coalesce(max(seq), 0) from claim), (select coalesce(max(position), 0) from suppression),
    (select id from journal)
"""
_STANDING = """
select number, closed_at,
    (select max(later.epoch) from delivery as later where later.sync = delivery.sync),
    (
        select min(pause.scope) from pause
        where pause.scope in (delivery.sync, 'all')
            or replace(delivery.scopes, '|' || pause.scope || '|', '') <> delivery.scopes
    )
from delivery where run_id = ?
"""
_CLAIMS = "insert into claim (seq, delivery, op, row_ranges, attempt, sink)"
_RECEIPTS = "insert into receipt (claim, outcomes, recorded_at)"


class Writer:
    """Writes to the journal over a connection of its own. For one thread."""

    def __init__(self, journal: Journal, lease: Lease | None = None) -> None:
        """`lease`: without which nothing may be claimed, where there is one."""
        self._connection = connect(journal.place)
        self._journal_id, self._lease = journal.id, lease
        self._suppressed: dict[tuple[int, str], tuple[int, frozenset[str]]] = {}

    def write(self, entries: Sequence[Entry]) -> list[Grant | None]:
        """One commit, on the disk when this returns; a grant for every entry with a request.

        Raises StorageFull or NeedsPerson: then nothing of it was written.
        """
        with self._connection.transaction() as connection:
            grants = _Commit(connection, self._journal_id, self._suppressed, self._lease).write(entries)
        _say(entries, grants)
        return grants

    def claim(self, request: Request) -> Grant:
        """A claim alone."""
        grant = self.write([Entry(request=request)])[0]
        assert grant, "an entry with a request is answered by a grant"
        return grant

    def receive(self, claim: Claim, outcomes: Outcomes, at: datetime) -> None:
        """A receipt alone."""
        self.write([Entry(receipt=Receipt(claim, outcomes, at))])

    def close(self) -> None:
        self._connection.close()


@dataclass
class _Commit:
    """The statements of one commit, gathered so that each kind runs once."""

    connection: Connection
    journal_id: str  # of the journal that the claims were made in
    suppressed: dict[tuple[int, str], tuple[int, frozenset[str]]]
    lease: Lease | None = None
    claims: list[tuple[int, int, str, str, int, str]] = field(default_factory=list)
    receipts: list[tuple[int, str, str]] = field(default_factory=list)
    standing: dict[str, tuple[int, str | None]] = field(default_factory=dict)

    def write(self, entries: Sequence[Entry]) -> list[Grant | None]:
        self.seq, self.listed, journal_id = self.connection.execute(_POSITIONS).fetchone()
        self.is_over = self.lease is not None and not self.lease.is_held(self.connection)
        self.counts, self.keys = Counts(self.connection), Keys(self.connection)
        # a journal that became another knows the claims of before no more (Journal.renew): their rows are `unknown`
        received = [entry.receipt for entry in entries if entry.receipt and journal_id == self.journal_id]
        settled = self._settled(received) if self.is_over else frozenset[int]()
        for receipt in received:
            if receipt.claim.seq not in settled:
                self._receive(receipt)
        self.keys.look_up([entry.request for entry in entries if entry.request])
        results: list[Grant | None] = [self._claim(entry.request) if entry.request else None for entry in entries]
        self.keys.write()
        self.counts.write()
        insert(self.connection, _CLAIMS, self.claims)
        insert(self.connection, _RECEIPTS, self.receipts)
        return results

    def _settled(self, receipts: Sequence[Receipt]) -> frozenset[int]:
        """Claims that whoever runs the sync by now has given a receipt, as of a run that is gone."""
        claims = [receipt.claim.seq for receipt in receipts]
        known = f"select claim from receipt where claim in ({marks(claims)})"
        found = self.connection.execute(known, claims) if claims else ()
        return frozenset(int(claim) for (claim,) in found)

    def _receive(self, receipt: Receipt) -> None:
        self.receipts.append((receipt.claim.seq, encode(receipt.outcomes), utc_text(receipt.at)))
        if receipt.place and (back := _counted(receipt, GIVES_BACK)):
            self.counts.give_back(receipt.place, back)
        if receipt.claim.op == Op.SEND:
            self.keys.free(receipt)

    def _claim(self, request: Request) -> Grant:
        number, stopped = self._standing(request.delivery)
        if stopped:
            return Grant(None, stopped=stopped)
        room = self.counts.room(request.allowance) if request.allowance else Room()
        if room.rows == 0:
            return Grant(None, spent=room.why)
        if request.allowance and not request.slot and allowances.is_early(self.connection, request.allowance):
            return Grant(None, leaves_at=allowances.take_slot(self.connection, request.allowance))
        refused = {**self._late(request), **self._listed(request), **request.settled}
        if request.op is Op.SEND and request.send_keys:
            refused |= self.keys.take(request, number, self.seq + 1, refused, room.rows)
        if not refused and room.rows == ENDLESS:
            return self._granted(request, number, request.ranges, room)
        rows = rows_in(request.ranges)
        leaving = [offset for offset in range(len(rows)) if offset not in refused]
        left = ranges_of([rows[offset] for offset in leaving[: room.rows]])
        grant = self._granted(request, number, left, room) if left else Grant(None)
        self._settle(request, number, rows, refused)
        return replace(grant, settled=refused, held=leaving[room.rows :])

    def _standing(self, delivery: Delivery) -> tuple[int, str | None]:
        """The delivery's number, and why it may not claim: closed, overtaken by a later epoch, paused, or not ours."""
        found = self.standing.get(delivery.run_id)
        if found is None:
            row = self.connection.execute(_STANDING, [delivery.run_id]).fetchone()
            number, closed_at, epoch, scope = row or (0, "", delivery.epoch, None)
            stopped = None
            if closed_at is not None or epoch > delivery.epoch:
                stopped = "this run was closed, or another run of the sync has begun since"
            elif self.is_over:
                stopped = OVER
            elif scope is not None:
                stopped = f"paused ({scope})"
            found = self.standing[delivery.run_id] = (number, stopped)
        return found

    def _listed(self, request: Request) -> dict[int, RowOutcome]:
        """Offsets of rows whose contact was suppressed since the plan, or is dead. A removal always leaves."""
        purpose, since = request.delivery.purpose, request.delivery.suppressed_from
        if request.contacts is None or purpose is None or request.op is Op.REMOVE or self.listed <= since:
            return {}
        listed, contacts = self.suppressed.get((since, purpose), (-1, frozenset[str]()))
        if listed != self.listed:
            found = self.connection.execute(
                "select contact from suppression where position > ? and purpose in (?, ?)", [since, purpose, DEAD]
            )
            contacts = frozenset(row[0] for row in found)
            self.suppressed[since, purpose] = (self.listed, contacts)
        withdrawn = RowOutcome(Outcome.WITHDRAWN, SUPPRESSED)
        return {offset: withdrawn for offset, contact in enumerate(request.contacts) if contact in contacts}

    def _late(self, request: Request) -> dict[int, RowOutcome]:
        """Offsets of messages whose time is over: for good, or until the quiet hours end and they are planned again."""
        times = request.times
        if times is None:
            return {}
        now = times.now()
        late = {offset: _QUIET for offset, at in enumerate(times.quiet_at) if at is not None and at <= now}
        late |= {offset: _EXPIRED for offset, at in enumerate(times.expires_at) if at is not None and at <= now}
        if request.in_doubt:  # it does not go again, but nobody can say that it never left
            return {offset: replace(row, outcome=Outcome.UNKNOWN) for offset, row in late.items()}
        return late

    def _granted(self, request: Request, number: int, ranges: Ranges, room: Room) -> Grant:
        self.seq += 1
        text = text_of(ranges)
        key = blake2b(f"{request.delivery.run_id}{request.op}{text}".encode(), digest_size=16).hexdigest()
        self.claims.append((self.seq, number, str(request.op), text, request.attempt, request.sink))
        claim = Claim(self.seq, request.delivery.run_id, str(request.op), ranges, request.attempt, key)
        if request.allowance is None:
            return Grant(claim)
        if room.place:
            self.counts.take(room.place, claim.count)
        leaves_at = request.slot or allowances.take_slot(self.connection, request.allowance)
        return Grant(claim, place=room.place, leaves_at=leaves_at)

    def _settle(self, request: Request, number: int, rows: Sequence[int], refused: Mapping[int, RowOutcome]) -> None:
        """Rows that do not leave have a claim of attempt 0 and its receipt, one an outcome."""
        by_outcome: dict[RowOutcome, list[int]] = {}
        for offset in sorted(refused):
            by_outcome.setdefault(refused[offset], []).append(rows[offset])
        for outcome, settled in by_outcome.items():
            self.seq += 1
            self.claims.append(
                (self.seq, number, str(request.op), text_of(ranges_of(settled)), _NEVER_LEFT, request.sink)
            )
            self.receipts.append((self.seq, encode(Outcomes(outcome)), utc_text(request.at)))


def _counted(receipt: Receipt, outcomes: Collection[Outcome]) -> int:
    """How many rows of the claim ended as one of these."""
    exceptions = receipt.outcomes.rows.values()
    others = receipt.claim.count - len(exceptions) if receipt.outcomes.default.outcome in outcomes else 0
    return others + sum(row.outcome in outcomes for row in exceptions)


def _say(entries: Sequence[Entry], results: Sequence[Grant | None]) -> None:
    for entry, result in zip(entries, results, strict=True):
        if entry.receipt:
            claim = entry.receipt.claim
            step("received", run=claim.run_id, claim=claim.seq)
        if result and result.claim:
            step("claimed", run=result.claim.run_id, claim=result.claim.seq)
