"""The delivery journal: what was claimed before it left, what became of it, what may not leave, who is paused.

A file, or a database that machines share (sinks/journal_store.py). Folded into the ledgers of the warehouse in large
appends by assets/fold.py; claims and receipts of many connections share commits through sinks/writer.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import datetime
from itertools import groupby, islice
from operator import itemgetter
from types import TracebackType
from typing import Any, Self

import orjson
import pyarrow as pa

from models.delivery import Delivery, Fold, Outcome, Outcomes
from models.journal_place import Place
from models.steps import step
from sinks.journal_store import Connection, connect, insert, marks, new_id, parts, utc_text
from sinks.receipts import Written, encode, expand

INTERRUPTED = "interrupted after the claim"
SUPPRESSED_AT_ONCE = 10_000  # contacts a commit: it takes a tenth of a second
EXPAND_ROWS = 250_000  # receipts expanded at once: about 25 MB of Arrow
RECEIPTS_AT_ONCE = 5_000  # receipts read at once

_DELIVERY = (
    "number, run_id, plan_id, sync, epoch, row_count, spool, as_of, opened_at, dagster_run_id, purpose, "
    "suppressed_from, scopes"
)
_RECEIPTS = """
select receipt.position, claim.delivery, claim.seq, claim.op, claim.row_ranges, claim.attempt, claim.sink,
    receipt.outcomes, receipt.recorded_at
from receipt inner join claim on claim.seq = receipt.claim
where receipt.position > ? and receipt.position <= ? order by receipt.position limit ?
"""
_PAUSE_CHANGE = "insert into pause_change (scope, change, at) values (?, ?, ?)"


class Journal:
    """An open journal. Not for two threads at once; a second connection to the same is fine."""

    def __init__(self, place: Place) -> None:
        """Open or create. Raises StorageFull, or NeedsPerson where it is no journal, a newer one's or out of reach."""
        self.place = place
        self._connection = connect(place)

    @property
    def id(self) -> str:
        """Stays with the journal, until `renew` gives it another."""
        return str(self._value("select id from journal"))

    # --- deliveries

    def open_delivery(self, delivery: Delivery) -> None:
        """Make the run known; nothing can be claimed before. The same run twice is once."""
        with self._connection.transaction() as connection:
            connection.execute(
                "insert into delivery (run_id, plan_id, sync, epoch, row_count, spool, as_of, opened_at, "
                "dagster_run_id, purpose, suppressed_from, scopes) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
                "on conflict do nothing",
                [
                    delivery.run_id,
                    delivery.plan_id,
                    delivery.sync,
                    delivery.epoch,
                    delivery.rows,
                    delivery.spool,
                    utc_text(delivery.as_of),
                    utc_text(delivery.opened_at),
                    delivery.dagster_run_id,
                    delivery.purpose,
                    delivery.suppressed_from,
                    _scopes(delivery),
                ],
            )

    def close_delivery(self, run_id: str, at: datetime) -> None:
        """Nothing more of this run can be claimed."""
        with self._connection.transaction() as connection:
            connection.execute(
                "update delivery set closed_at = ? where run_id = ? and closed_at is null", [utc_text(at), run_id]
            )

    def delivery(self, run_id: str) -> Delivery | None:
        found = self._all(f"select {_DELIVERY} from delivery where run_id = ?", [run_id])
        return _delivery(found[0]) if found else None

    def open_deliveries(self, sync: str | None = None) -> list[Delivery]:
        """Deliveries begun and not closed, oldest first: after a crash those whose process is gone are among them."""
        found = self._all(
            f"select {_DELIVERY} from delivery where closed_at is null and (? is null or sync = ?) order by number",
            [sync, sync],
        )
        return [_delivery(row) for row in found]

    def runs(self) -> frozenset[str]:
        """Every run this journal was ever told of."""
        return frozenset(run_id for (run_id,) in self._all("select run_id from delivery"))

    def kept_runs(self) -> frozenset[str]:
        """Runs that are open, or whose receipts may have to be folded again."""
        found = self._all(
            "select run_id from delivery where closed_at is null or number in (select delivery from claim)"
        )
        return frozenset(run_id for (run_id,) in found)

    def last_epoch(self, sync: str) -> int:
        """The epoch of the sync's latest delivery in this journal, 0 before the first."""
        return int(self._value("select coalesce(max(epoch), 0) from delivery where sync = ?", [sync]))

    def abandon(self, run_id: str, at: datetime) -> int:
        """Give every claim of the run that has no receipt an `unknown` one; the number of claims that got it."""
        unknown = encode(Outcomes.all(Outcome.UNKNOWN, INTERRUPTED))
        with self._connection.transaction() as connection:
            added = connection.execute(
                "insert into receipt (claim, outcomes, recorded_at) select seq, ?, ? from claim "
                "where delivery = (select number from delivery where run_id = ?) "
                "and not exists (select 1 from receipt where receipt.claim = claim.seq) order by seq",
                [unknown, utc_text(at), run_id],
            )
            return added.rowcount

    # --- folds

    def begin_fold(self, at: datetime) -> Fold | None:
        """The receipts to move to the ledger next: durable before returning, the same again until it is ended."""
        with self._connection.transaction() as connection:
            begun = self._all("select number, first, last from fold where ended_at is null order by number limit 1")
            if begun:
                fold = Fold(*begun[0])
            else:
                numbers = "select coalesce(max(number), 0) + 1, coalesce(max(last), 0) + 1 from fold"
                number, first = self._all(numbers)[0]
                last = self._value("select coalesce(max(position), 0) from receipt")
                if last < first:
                    return None
                fold = Fold(number, first, last)
                connection.execute(
                    "insert into fold (number, first, last, begun_at) values (?, ?, ?, ?)",
                    [number, first, last, utc_text(at)],
                )
        step("folding", journal=self.id, fold=fold.number, first=fold.first, last=fold.last)
        return fold

    def end_fold(self, number: int, at: datetime) -> None:
        """The fold is visible in the warehouse."""
        with self._connection.transaction() as connection:
            connection.execute(
                "update fold set ended_at = ? where number = ? and ended_at is null", [utc_text(at), number]
            )

    def folds(self) -> list[Fold]:
        """All folds whose receipts are kept, ended or not: a warehouse older than its journal is folded again."""
        return [Fold(*row) for row in self._all("select number, first, last from fold order by number")]

    def last_fold(self) -> int:
        """The number of the latest fold, ended or not; 0 before the first."""
        return int(self._value("select coalesce(max(number), 0) from fold"))

    def receipts(self, fold: Fold) -> Iterator[tuple[Delivery, pa.Table]]:
        """One row a spool row (columns: sinks/receipts.py), of one delivery a table, in the order of the receipts.

        A reader of its own, in parts: the journal may be written while it is read.
        """
        with closing(connect(self.place)) as reader:
            found = _written_in(reader, fold)
            for number, group in groupby(found, key=itemgetter(0)):
                delivery = _delivery(self._all(f"select {_DELIVERY} from delivery where number = ?", [number])[0])
                for chunk in _chunks(receipt for _, receipt in group):
                    yield delivery, expand(chunk)

    # --- what may not leave

    def pause(self, scope: str, at: datetime) -> None:
        """Hold a sync, `journey:NAME`, `channel:NAME` or `all` before its next claim."""
        with self._connection.transaction() as connection:
            added = connection.execute(
                "insert into pause (scope, at) values (?, ?) on conflict do nothing", [scope, utc_text(at)]
            )
            if added.rowcount:
                connection.execute(_PAUSE_CHANGE, [scope, "paused", utc_text(at)])

    def resume(self, scope: str, at: datetime) -> bool:
        """False when it was not paused."""
        with self._connection.transaction() as connection:
            resumed = connection.execute("delete from pause where scope = ?", [scope]).rowcount > 0
            if resumed:
                connection.execute(_PAUSE_CHANGE, [scope, "resumed", utc_text(at)])
            return resumed

    def pause_changes(self, after: int = 0) -> list[tuple[int, str, str, datetime]]:
        """(position, scope, `paused` or `resumed`, when) of every change after a position, in order."""
        found = self._all(
            "select position, scope, change, at from pause_change where position > ? order by position", [after]
        )
        return [(int(place), scope, change, datetime.fromisoformat(at)) for place, scope, change, at in found]

    def paused(self) -> dict[str, datetime]:
        return {scope: datetime.fromisoformat(at) for scope, at in self._all("select scope, at from pause")}

    def suppress(self, rows: Iterable[tuple[str, str, datetime]]) -> int:
        """Add (hash of the contact point, purpose, suppressed at) to the list; the number of new ones.

        Many rows are many commits: claims go on meanwhile.
        """
        added, rest = 0, iter(rows)
        while some := [(contact, purpose, utc_text(at)) for contact, purpose, at in islice(rest, SUPPRESSED_AT_ONCE)]:
            with self._connection.transaction() as connection:
                into = "insert into suppression (contact, purpose, suppressed_at)"
                added += insert(connection, into, some, "on conflict do nothing")
        return added

    def suppression_position(self) -> int:
        """Where the list ends now: what a plan has already taken into account."""
        return int(self._value("select coalesce(max(position), 0) from suppression"))

    def withdraw(self, send_keys: Iterable[str], reason: str, at: datetime) -> int:
        """Take messages back; the number taken.

        Those claimed before have left, or are about to: they are taken only if it turns out that they did not leave.
        """
        taken, moment = 0, utc_text(at)
        with self._connection.transaction() as connection:
            for keys in parts(send_keys):
                rows = [(key, reason, moment) for key in keys]
                taken += insert(
                    connection, "insert into send_key (send_key, reason, at)", rows, "on conflict do nothing"
                )
                connection.execute(
                    "update send_key set reason = ?, at = ? where claim is not null and reason = '' "
                    f"and send_key in ({marks(keys)})",
                    [reason, moment, *keys],
                )
        return taken

    def release(self, send_keys: Iterable[str]) -> int:
        """Let claimed messages be claimed again (`on_unknown: resend`); the number released. Withdrawn ones stay."""
        released = 0
        with self._connection.transaction() as connection:
            for keys in parts(send_keys):
                gone = f"delete from send_key where claim is not null and reason = '' and send_key in ({marks(keys)})"
                released += connection.execute(gone, keys).rowcount
        return released

    # --- housekeeping

    def renew(self, at: datetime, folded: int | None = None) -> None:
        """Become another journal, for this one is an old copy of the journal that the warehouse knows.

        Deliveries end and receipts go: the warehouse has them, or is told that they are lost. Those after the position
        `folded` stay, to be folded by the new id: somebody was delivering. What was not answered is dropped (a claim of
        the copy may have been answered and folded since), and answers that come later are not written
        (sinks/writer.py). Messages stay claimed or withdrawn, contacts suppressed, syncs paused; numbers of claims
        never restart.
        """
        with self._connection.transaction() as connection:
            connection.execute("update journal set id = ?", [new_id()])
            connection.execute("update delivery set closed_at = ? where closed_at is null", [utc_text(at)])
            connection.execute("delete from receipt where ? is null or position <= ?", [folded, folded])
            connection.execute(
                "delete from claim where seq < (select max(seq) from claim) and seq not in (select claim from receipt)"
            )
            # the newest stays for its number, and is nobody's
            connection.execute("update claim set delivery = 0 where seq not in (select claim from receipt)")
            connection.execute("delete from fold")

    def prune(self, before: datetime) -> int:
        """Forget receipts, claims and folds that were folded before; the number of receipts. Numbers never restart."""
        with self._connection.transaction() as connection:
            last = self._value(
                "select coalesce(max(last), 0) from fold "
                "where ended_at < ? and number < (select max(number) from fold)",
                [utc_text(before)],
            )
            connection.execute(
                "delete from claim where seq in (select claim from receipt where position <= ?) "
                "and seq < (select max(seq) from claim)",
                [last],
            )
            pruned = connection.execute("delete from receipt where position <= ?", [last]).rowcount
            connection.execute("delete from fold where last <= ?", [last])
            return pruned

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _all(self, sql: str, params: Iterable[Any] = ()) -> list[Any]:
        return self._connection.execute(sql, [*params]).fetchall()

    def _value(self, sql: str, params: Iterable[Any] = ()) -> Any:
        return self._all(sql, params)[0][0]


def _scopes(delivery: Delivery) -> str:
    """As `sinks/writer.py` looks for one: a bar before and after each."""
    return "".join(f"|{scope}" for scope in delivery.scopes) + "|" if delivery.scopes else ""


def _delivery(row: tuple[Any, ...]) -> Delivery:
    _, run_id, plan_id, sync, epoch, rows, spool, as_of, opened_at, dagster_run_id, purpose, suppressed_from, scopes = (
        row
    )
    return Delivery(
        run_id,
        plan_id,
        sync,
        epoch,
        rows,
        spool,
        datetime.fromisoformat(as_of),
        datetime.fromisoformat(opened_at),
        dagster_run_id,
        purpose,
        suppressed_from,
        tuple(scope for scope in scopes.split("|") if scope),
    )


def _written_in(reader: Connection, fold: Fold) -> Iterator[tuple[int, Written]]:
    """The receipts of a fold in order, each with the number of its delivery."""
    before = fold.first - 1
    while found := reader.execute(_RECEIPTS, [before, fold.last, RECEIPTS_AT_ONCE]).fetchall():
        before = found[-1][0]
        for _, number, seq, op, ranges, attempt, sink, outcomes, recorded_at in found:
            pairs = tuple((first, count) for first, count in orjson.loads(ranges))
            yield number, Written(seq, op, pairs, attempt, outcomes, datetime.fromisoformat(recorded_at), sink)


def _chunks(receipts: Iterator[Written]) -> Iterator[list[Written]]:
    """Receipts in lists of about EXPAND_ROWS rows."""
    chunk: list[Written] = []
    rows = 0
    for receipt in receipts:
        chunk.append(receipt)
        rows += sum(count for _, count in receipt.ranges)
        if rows >= EXPAND_ROWS:
            yield chunk
            chunk, rows = [], 0
    if chunk:
        yield chunk
