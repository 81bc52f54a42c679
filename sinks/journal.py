"""The delivery journal: what was claimed before it left, what became of it, what may not leave, who is paused.

SQLite, every commit synced to the disk before it counts. Folded into the ledgers of the warehouse in large appends by
assets/deliveries.py; claims and receipts of many connections share commits through sinks/writer.py.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from itertools import groupby, islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson
import pyarrow as pa

from models.delivery import Delivery, Fold, Outcome, Outcomes
from models.steps import step
from sinks.journal_file import connect, new_id, transaction, translated, utc_text
from sinks.receipts import Written, encode, expand

INTERRUPTED = "interrupted after the claim"
SUPPRESSED_AT_ONCE = 10_000  # contacts a commit: it takes a tenth of a second
EXPAND_ROWS = 250_000  # receipts expanded at once: about 25 MB of Arrow

_DELIVERY = (
    "number, run_id, plan_id, sync, epoch, row_count, spool, as_of, opened_at, dagster_run_id, purpose, "
    "suppressed_from, scopes"
)


_PAUSE_CHANGE = "insert into pause_change (scope, change, at) values (?, ?, ?)"


class Journal:
    """An open journal. Not for two threads at once; a second connection to the same file is fine."""

    def __init__(self, path: Path) -> None:
        """Open or create. Raises StorageFull, or NeedsPerson where the file is not a journal or a newer one's."""
        self.path = path
        self._connection = connect(path)

    @property
    def id(self) -> str:
        """Stays with the file, until `renew` gives it another."""
        return str(self._value("select id from journal"))

    # --- deliveries

    def open_delivery(self, delivery: Delivery) -> None:
        """Make the run known; nothing can be claimed before. The same run twice is once."""
        with self._commit() as connection:
            connection.execute(
                "insert or ignore into delivery (run_id, plan_id, sync, epoch, row_count, spool, as_of, opened_at, "
                "dagster_run_id, purpose, suppressed_from, scopes) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
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
        with self._commit() as connection:
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
        with self._commit() as connection:
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
        with self._commit() as connection:
            begun = self._all("select number, first, last from fold where ended_at is null order by number limit 1")
            if begun:
                fold = Fold(*begun[0])
            else:
                number, first = self._all("select coalesce(max(number), 0) + 1, coalesce(max(last), 0) + 1 from fold")[
                    0
                ]
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
        with self._commit() as connection:
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

        A reader of its own: the journal may be written while it is read.
        """
        reader = connect(self.path)
        try:
            found = reader.execute(
                "select claim.delivery, claim.seq, claim.op, claim.row_ranges, claim.attempt, claim.sink, "
                "receipt.outcomes, receipt.recorded_at from receipt join claim on claim.seq = receipt.claim "
                "where receipt.position between ? and ? order by receipt.position",
                [fold.first, fold.last],
            )
            for number, group in groupby(found, key=lambda row: int(row[0])):
                delivery = _delivery(self._all(f"select {_DELIVERY} from delivery where number = ?", [number])[0])
                for chunk in _chunks(_written(row) for row in group):
                    yield delivery, expand(chunk)
        finally:
            reader.close()

    # --- what may not leave

    def pause(self, scope: str, at: datetime) -> None:
        """Hold a sync, `journey:NAME`, `channel:NAME` or `all` before its next claim."""
        with self._commit() as connection:
            added = connection.execute("insert or ignore into pause (scope, at) values (?, ?)", [scope, utc_text(at)])
            if added.rowcount:
                connection.execute(_PAUSE_CHANGE, [scope, "paused", utc_text(at)])

    def resume(self, scope: str, at: datetime) -> bool:
        """False when it was not paused."""
        with self._commit() as connection:
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
        before, rest = self._connection.total_changes, iter(rows)
        while some := [*islice(rest, SUPPRESSED_AT_ONCE)]:
            with self._commit() as connection:
                connection.executemany(
                    "insert or ignore into suppression (contact, purpose, suppressed_at) values (?, ?, ?)",
                    ((contact, purpose, utc_text(at)) for contact, purpose, at in some),
                )
        return self._connection.total_changes - before

    def suppression_position(self) -> int:
        """Where the list ends now: what a plan has already taken into account."""
        return int(self._value("select coalesce(max(position), 0) from suppression"))

    def withdraw(self, send_keys: Iterable[str], reason: str, at: datetime) -> int:
        """Take messages back; the number taken.

        Those claimed before have left, or are about to: they are taken only if it turns out that they did not leave.
        """
        rows = [(reason, utc_text(at), key) for key in send_keys]
        with self._commit() as connection:
            before = connection.total_changes
            connection.executemany("insert or ignore into send_key (reason, at, send_key) values (?, ?, ?)", rows)
            taken = connection.total_changes - before
            connection.executemany(
                "update send_key set reason = ?, at = ? where send_key = ? and claim is not null and reason = ''", rows
            )
            return taken

    def release(self, send_keys: Iterable[str]) -> int:
        """Let claimed messages be claimed again (`on_unknown: resend`); the number released. Withdrawn ones stay."""
        with self._commit() as connection:
            before = connection.total_changes
            connection.executemany(
                "delete from send_key where send_key = ? and claim is not null and reason = ''",
                ([key] for key in send_keys),
            )
            return connection.total_changes - before

    # --- housekeeping

    def renew(self, at: datetime) -> None:
        """Become another journal, for this one is an old copy of the journal that the warehouse knows.

        Deliveries end and receipts go: the warehouse has them, or is told that they are lost. Messages stay claimed or
        withdrawn, contacts suppressed, syncs paused; numbers of claims never restart.
        """
        with self._commit() as connection:
            connection.execute("update journal set id = ?", [new_id()])
            connection.execute("update delivery set closed_at = ? where closed_at is null", [utc_text(at)])
            connection.execute("delete from claim where seq < (select max(seq) from claim)")
            connection.execute("delete from receipt")
            connection.execute("delete from fold")

    def prune(self, before: datetime) -> int:
        """Forget receipts, claims and folds that were folded before; the number of receipts. Numbers never restart."""
        with self._commit() as connection:
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

    def _commit(self) -> AbstractContextManager[sqlite3.Connection]:
        return transaction(self._connection, self.path)

    def _all(self, sql: str, params: Iterable[Any] = ()) -> list[Any]:
        with translated(self.path):
            return self._connection.execute(sql, list(params)).fetchall()

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


def _written(row: tuple[Any, ...]) -> Written:
    _, seq, op, ranges, attempt, sink, outcomes, recorded_at = row
    pairs = tuple((first, count) for first, count in orjson.loads(ranges))
    return Written(seq, op, pairs, attempt, outcomes, datetime.fromisoformat(recorded_at), sink)


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
