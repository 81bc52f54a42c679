"""Plans: what a sync would do now, exactly, with verdicts; stored under an id made of its content."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from assets import kept_plans
from assets import ledger as ledgers
from assets.audience import Audience, audience_of
from assets.diff import ROWS, Question, Totals, difference
from assets.first_plans import entries_after
from assets.guards import Size, verdicts
from assets.journeys.messages import due, sent_of_tick
from assets.ledger import Ledger
from assets.plan_samples import changes, sample
from assets.syncs import config_digest, destination_digest
from assets.upstream import upstream
from models.clock import Clock
from models.delivery import Guard, Plan
from models.errors import Refused, UserError
from models.policy import Policy
from models.settings import Settings
from models.sync import Guards, Mode, Op, Sync
from sinks.base import Sink
from warehouse.base import Warehouse
from warehouse.query import render

SQL = Path(__file__).parent / "sql"


@dataclass(frozen=True)
class Planned:
    """A plan with what is needed to carry it out on the same connection: its rows are in `plan_rows`."""

    plan: Plan
    sync: Sync
    audience: Audience
    ledger: Ledger
    config: str
    operations: str  # the condition that tells operations from held rows


def make(
    warehouse: Warehouse,
    settings: Settings,
    policy: Policy,
    sync: Sync,
    sink: Sink,
    clock: Clock,
    *,
    at: datetime,
    launched_at: datetime | None = None,
    show_pii: bool = False,
) -> Planned:
    """Plan the sync as of the clock and store the plan. Raises Refused where a key is null or not unique.

    `at` is the real time: it only dates what is stored. The plan is dated by when it was asked for.
    """
    maker = _Maker(warehouse, settings, policy, sync, sink, clock, at)
    planned = maker.planned()
    kept_plans.store(warehouse, planned.plan, launched_at or at)
    if show_pii:  # what is kept is masked
        shown = tuple(sample(warehouse, planned.audience, maker.rows.all))
        return replace(planned, plan=replace(planned.plan, sample=shown))
    return planned


class _Maker:
    def __init__(
        self,
        warehouse: Warehouse,
        settings: Settings,
        policy: Policy,
        sync: Sync,
        sink: Sink,
        clock: Clock,
        at: datetime,
    ) -> None:
        self.warehouse, self.policy, self.sync, self.sink = warehouse, policy, sync, sink
        self.clock, self.at = clock, at
        self.above = upstream(warehouse, settings, sync, clock, at)
        self.destination, self.config = destination_digest(settings, sync), config_digest(sync)

    def planned(self) -> Planned:
        self._refuse_missing()
        before = ledgers.find(self.warehouse, self.sync, self.destination)
        audience = self._audience(before)
        self._refuse_reserved(audience)
        known = self.warehouse.columns(before.newest) if before else {}
        self.ledger = ledgers.open_for(self.warehouse, self.sync, self.destination, audience.columns, self.at)
        self.rows = ledgers.rows_of(self.warehouse, self.ledger, audience.columns)
        position = ledgers.position(self.warehouse, self.ledger)
        totals = difference(self.warehouse, audience, self.rows, self._question())
        kinds, digest = self._counts(audience)
        plan = self._plan(
            audience,
            totals,
            kinds,
            position,
            digest,
            [name for name in audience.columns if known and name not in known],
        )
        return Planned(plan, self.sync, audience, self.ledger, self.config, self._operations(kinds))

    def _refuse_missing(self) -> None:
        """A model that was never whole has no table to plan with: then its error is what there is to say."""
        relation = ".".join(self.warehouse.dialect.quote(part) for part in self.sync.relation)
        if self.above.broken and not self.warehouse.columns(relation):
            message = f"{self.sync.name}: upstream: {self.above.trouble}; {self.sync.model} was never built"
            raise Refused(message)

    def _refuse_reserved(self, audience: Audience) -> None:
        for name in audience.columns:
            if name in self.sink.reserved:
                message = (
                    f"{self.sync.name}: '{name}' is a column of sink '{self.sink.name}' itself; rename it in the model"
                )
                raise UserError(message)

    def _audience(self, ledger: Ledger | None) -> Audience:
        settled = ledgers.settled_sql(self.warehouse, self.sync, ledger)
        after, messages = self._entries_after(), None
        if self.sync.journey:
            messages = due(self.warehouse, self.sync, self.policy, settled, self.clock.as_of)
        audience = audience_of(self.warehouse, self.sync, settled, after=after, messages=messages)
        kept = ledgers.kept_kinds(self.warehouse, ledger, audience.columns) if ledger else {}
        return audience_of(self.warehouse, self.sync, settled, kept, after, messages) if kept else audience

    def _entries_after(self) -> datetime | None:
        """A message sync that is new to an old segment is not for those who entered long ago."""
        if self.sync.entry.mode is not Mode.SEND_ON_ENTRY or self.sync.journey:
            return None
        after = entries_after(self.warehouse, self.sync, self.destination, self.at)
        return after if self.sync.entry.first_run == "hold" else None

    def _question(self) -> Question:
        operations = self.sink.operations
        waits = self.sync.entry.on_unknown == "hold"
        return Question(
            mode=self.sync.entry.mode,
            config=self.config,
            day_start=self._day_start(),
            waiting=[op for op, operation in operations.items() if waits and not operation.idempotent],
            whole=self.sink.whole_audience,
            released=ledgers.released_sql(self.warehouse, self.sync, self.destination),
            released_all=ledgers.released_all(self.warehouse, self.sync, self.destination),
        )

    def _day_start(self) -> datetime:
        local = self.clock.as_of.astimezone(self.policy.zone_info)
        return local.replace(hour=0, minute=0, second=0, microsecond=0)

    def _counts(self, audience: Audience) -> tuple[Counter[tuple[str, str | None, bool]], str]:
        dialect = self.warehouse.dialect
        hashed = [dialect.hashable(dialect.quote(name), kind) for name, kind in audience.columns.items()]
        query = render(SQL, "plan_counts", dialect, rows=ROWS, row_hash=dialect.row_hash(["_op", *hashed]))
        found = self.warehouse.rows(query)
        kinds = Counter({(row["_kind"], row["_op"], row["_excused"]): int(row["row_count"]) for row in found})
        digests = sorted(f"{row['_kind']}:{row['digest']}" for row in found if row["_op"])
        return kinds, ",".join(digests)

    def _operations(self, kinds: Counter[tuple[str, str | None, bool]]) -> str:
        """A sink that takes the whole audience gets it when anything changed, and nothing otherwise."""
        moves = any(op for kind, op, _ in kinds if kind != "same")
        return "_op is not null" if moves else "_op is not null and _kind <> 'same'"

    def _plan(
        self,
        audience: Audience,
        totals: Totals,
        kinds: Counter[tuple[str, str | None, bool]],
        position: ledgers.Position,
        digest: str,
        new_columns: list[str],
    ) -> Plan:
        moves = "same" not in self._operations(kinds)
        by_op = Counter[str]()
        by_kind = Counter[str]()
        for (kind, op, _), count in kinds.items():
            by_kind[kind] += count
            if op and (moves or kind != "same"):
                by_op[op] += count
        size = Size(
            model=totals.model + totals.suppressed,
            accepted=totals.accepted,
            adds=by_kind["entered"] if not by_op[Op.SEND] else 0,
            removes=by_op[Op.REMOVE],
            excused=sum(count for (_, op, excused), count in kinds.items() if op == Op.REMOVE and excused),
            sends=by_op[Op.SEND],
            is_first=self._is_first(),
            sent=sent_of_tick(self.warehouse) if self.sync.journey and by_op[Op.SEND] else 0,
        )
        guards: tuple[Guard, ...] = tuple(verdicts(self._guards(), size, self.above))
        sealed = [self.sync.name, self.destination, self.config, position, digest]
        seal = hashlib.sha256(json.dumps(sealed).encode()).hexdigest()
        name = hashlib.sha256(f"{self.sync.name}|{self.clock.as_of.isoformat()}|{seal}".encode()).hexdigest()[:12]
        return Plan(
            plan_id=name,
            sync=self.sync.name,
            as_of=self.clock.as_of,
            upsert=by_op[Op.UPSERT],
            remove=by_op[Op.REMOVE],
            send=by_op[Op.SEND],
            audience=totals.model,
            held={"rejected": by_kind["refused"], "unknown": by_kind["waiting"], "suppressed": totals.suppressed},
            guards=guards,
            seal=seal,
            changes=changes(self.warehouse),
            new_columns=tuple(new_columns),
            sample=tuple(sample(self.warehouse, audience, self.rows.all, audience.pii)),
        )

    def _guards(self) -> Guards:
        """Of journeys' messages a share of all people may go at once, and always a few."""
        guards = self.sync.entry.guards
        if not self.sync.journey or self.sync.profiles is None:
            return guards
        profiles = ".".join(self.warehouse.dialect.quote(part) for part in self.sync.profiles)
        people = int(self.warehouse.rows(f"select count(*) as n from {profiles}")[0]["n"])
        return guards.model_copy(update={"max_send": self.policy.at_once(people)})

    def _is_first(self) -> bool:
        """Until a run went through: one that was killed or stopped half-way is gone on with."""
        destination = self.warehouse.dialect.literal(self.destination)
        through = "closed_at is not null and stopped is null"
        found = self.warehouse.rows(
            f"select count(*) as n from tailrace.sync_runs where destination = {destination} and {through}"
        )
        return int(found[0]["n"]) == 0
