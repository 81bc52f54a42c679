"""Plans: what a sync would do now, exactly, with verdicts; stored under an id made of its content."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from assets import ledger as ledgers
from assets.audience import Audience, audience_of
from assets.diff import ROWS, Question, Totals, difference, mask
from assets.first_plans import entries_after
from assets.guards import Size, verdicts
from assets.journeys.messages import due, sent_of_tick
from assets.ledger import Ledger
from assets.syncs import config_digest, destination_digest
from assets.upstream import upstream
from models.clock import Clock
from models.delivery import Guard, Plan
from models.errors import Refused, UserError
from models.policy import Policy
from models.settings import Settings
from models.sync import Guards, Mode, Op, Sync
from sinks.base import Sink
from warehouse import batches
from warehouse.base import Warehouse
from warehouse.query import render

SQL = Path(__file__).parent / "sql"
EXAMPLES = 5


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
    store(warehouse, planned.plan, launched_at or at)
    if show_pii:  # what is kept is masked
        sample = tuple(maker.sample(planned.audience, frozenset()))
        return replace(planned, plan=replace(planned.plan, sample=sample))
    return planned


def store(warehouse: Warehouse, plan: Plan, at: datetime) -> None:
    """Keep the plan for `tailrace apply`; the same plan again is nothing."""
    literal = warehouse.dialect.literal
    columns = {
        "plan_id": plan.plan_id,
        "sync": plan.sync,
        "as_of": plan.as_of,
        "planned_at": at,
        "seal": plan.seal,
        "document": json.dumps(document(plan), default=str),
    }
    row = "select " + ", ".join(f"{literal(value)} as {name}" for name, value in columns.items())
    batches.append_once(warehouse, f"plan/{plan.plan_id}", "tailrace.plan", row, at)


def stored(warehouse: Warehouse, plan_id: str) -> Mapping[str, Any]:
    """The kept plan: sync, as_of, planned_at, seal. Raises UserError when there is none of this id."""
    literal = warehouse.dialect.literal
    found = warehouse.rows(
        f"select plan_id, sync, as_of, planned_at, seal, document from tailrace.plan where plan_id = {literal(plan_id)}"
    )
    if not found:
        message = f"no plan '{plan_id}'; `tailrace plan` makes one and says its id"
        raise UserError(message)
    return found[0]


def document(plan: Plan) -> dict[str, Any]:
    """A plan as people and programs read it."""
    return {
        "plan_id": plan.plan_id,
        "sync": plan.sync,
        "as_of": plan.as_of.isoformat(),
        "upsert": plan.upsert,
        "remove": plan.remove,
        "send": plan.send,
        "held": dict(plan.held),
        "guards": [asdict(guard) for guard in plan.guards],
        "audience": plan.audience,
        "changes": dict(plan.changes),
        "new_columns": list(plan.new_columns),
        "sample": [dict(row) for row in plan.sample],
    }


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
        self.rows = ledgers.rows_sql(self.warehouse, self.ledger, audience.columns)
        position = ledgers.position(self.warehouse, self.ledger)
        rows = ledgers.rows_of(self.warehouse, self.ledger, audience.columns)
        totals = difference(self.warehouse, audience, rows, self._question())
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
            changes=self._changes(),
            new_columns=tuple(new_columns),
            sample=tuple(self.sample(audience, audience.pii)),
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

    def _changes(self) -> dict[str, int]:
        found = self.warehouse.rows(
            f"select _note, count(*) as n from {ROWS} where _kind = 'changed' group by _note order by _note"
        )
        counts = Counter[str]()
        for row in found:
            for name in _names(row):
                counts[name] += int(row["n"])
        return dict(counts)

    def sample(self, audience: Audience, masked: frozenset[str]) -> list[dict[str, Any]]:
        """The first rows of each kind, as they are shown; `masked` are the columns of which little is."""
        order = ", ".join(self.warehouse.dialect.quote(name) for name in audience.identity)
        query = render(SQL, "plan_sample", self.warehouse.dialect, rows=ROWS, order=order, examples=EXAMPLES)
        rows = self.warehouse.rows(query)
        held = self._held_by_vendor(audience, order) if any(row["_kind"] == "changed" for row in rows) else {}
        return [_shown(audience, masked, row, held) for row in rows if row["_kind"] != "same"]

    def _held_by_vendor(self, audience: Audience, order: str) -> dict[tuple[Any, ...], dict[str, Any]]:
        """For the changed rows of the sample: what was accepted last, by identity."""
        sampled = f"select {order} from {ROWS} where _kind = 'changed' order by {order} limit {EXAMPLES}"
        names = [self.warehouse.dialect.quote(name) for name in audience.identity]
        matching = " and ".join(f"kept.{name} = sampled.{name}" for name in names)
        found = self.warehouse.rows(
            f"select kept.* from ({self.rows}) as kept inner join ({sampled}) as sampled on {matching} "
            "where _outcome = 'accepted' order by _epoch, _seq"
        )
        return {tuple(row[name] for name in audience.identity): row for row in found}


def _shown(
    audience: Audience,
    masked: frozenset[str],
    row: Mapping[str, Any],
    held: Mapping[tuple[Any, ...], Mapping[str, Any]],
) -> dict[str, Any]:
    def values(source: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
        return {name: _visible(source[name], is_masked=name in masked) for name in names}

    why = {"refused": "held: rejected before", "waiting": "held: outcome unknown"}.get(row["_kind"], row["_kind"])
    shown = {"op": row["_op"], "why": why, "key": values(row, audience.identity)}
    if row["_kind"] == "changed":
        names = _names(row)
        before = held.get(tuple(row[name] for name in audience.identity), {})
        return {**shown, "before": values(before, [name for name in names if before]), "after": values(row, names)}
    return {**shown, "after": values(row, audience.columns)}


def _visible(value: Any, *, is_masked: bool) -> Any:
    if value is not None and is_masked:
        return mask(value)
    return value if isinstance(value, int | float | str | bool | None) else str(value)


def _names(row: Mapping[str, Any]) -> list[str]:
    """The columns that differ; none where an old value has no counterpart in today's type."""
    return [name for name in str(row["_note"]).split(",") if name]
