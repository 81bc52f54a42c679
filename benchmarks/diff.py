"""The diff of a sync against a full outer join that carries all columns of both sides, and the memory of a plan.

Text keys in random order, 8 columns, 1.6 % changed; the state compacted, and with a tenth of it not compacted.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import report
from deliver import receiver
from plan_and_deliver import prepare as prepare_sync

from assets import delivery_tables
from assets import ledger as ledgers
from assets.audience import Audience
from assets.diff import Question, difference
from models.sync import Mode
from warehouse import batches
from warehouse.base import Warehouse
from warehouse.duckdb import DuckDB

SIZES, QUICK = (1_000_000, 10_000_000), (2_000, 20_000)
GOALS = {"compacted": 1.2, "tail of a tenth": 2.0}  # at the larger size
PLANNING = 0.3  # more at the smaller: planning a statement of this length takes 20 ms whatever the size
ENGINE_MB, OURS_MB = 2_000, 300  # what DuckDB may keep in memory, and what the rest of a run may add
LEDGER = "tailrace.ledger_bench"
DAY = datetime(2026, 3, 1, tzinfo=UTC)
COLUMNS = {
    "email": "varchar",
    "first_name": "varchar",
    "last_name": "varchar",
    "country": "varchar",
    "orders": "integer",
    "revenue": "decimal(18,2)",
    "last_order_at": "timestamp with time zone",
    "is_vip": "boolean",
}
ROWS = """
select
    substring(md5(cast(n as varchar)), 1, 20) || '@example.com' as email,
    'first' || (n * 7919 % 100003) as first_name,
    'last' || (n * 104729 % 100019) as last_name,
    case when n % 10 > 0 then 'country ' || (n % 200) end as country,
    cast(n % 17 as integer) as orders,
    cast(n * 31 % 100000 / 100 as decimal(18, 2)) as revenue,
    timestamptz '2026-01-01' + to_seconds(n % 1000000) as last_order_at,
    n % 3 = 0 as is_vip
from range({first}, {last}) as numbers (n)
order by hash(n, {seed})
"""


def cases(options: report.Options) -> Iterator[report.Case]:
    """Both states at each size, then how each grows."""
    done: list[report.Case] = []
    sizes = options.pick(SIZES, QUICK)
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="bench-diff-") as folder:
            for case in at_size(Path(folder), size, options.rounds):
                done.append(case)
                yield case
    yield from report.growths(done)
    for size in sizes:
        yield memory(size)


def memory(size: int) -> report.Case:
    """The peak of a process that plans and delivers `size` new rows, against what its engine may keep."""
    with tempfile.TemporaryDirectory(prefix="bench-memory-") as folder, receiver(latency=0) as url:
        prepare_sync(Path(folder), ROWS.format(first=0, last=size, seed=1), list(COLUMNS))
        script = Path(__file__).with_name("plan_and_deliver.py")
        command = [sys.executable, str(script), folder, url, f"{ENGINE_MB}MB"]
        peak = float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])
    name = "memory of plan and delivery"
    return report.Case(name, size, peak, ENGINE_MB, "MB", ENGINE_MB + OURS_MB, "ours at most")


def at_size(folder: Path, size: int, rounds: int) -> Iterator[report.Case]:
    """The two cases on one warehouse: the tail is appended after the first."""
    with DuckDB(folder / "warehouse.duckdb") as warehouse:
        prepare(warehouse, size)
        for name, goal in GOALS.items():
            if name != "compacted":
                append_tail(warehouse)
                warehouse.execute("checkpoint")
            ours, limit = report.alternate(
                lambda: report.seconds(lambda: ours_once(warehouse, size)),
                lambda: report.seconds(lambda: limit_once(warehouse)),
                rounds,
            )
            yield report.Case(name, size, ours, limit, "s", goal if size >= SIZES[-1] else goal + PLANNING)


def prepare(warehouse: Warehouse, size: int) -> None:
    """The model, and a state in which 0.8 % have another value, 0.4 % are missing and 0.4 % are too many."""
    batches.prepare(warehouse)
    delivery_tables.prepare(warehouse)
    less = size * 4 // 1000
    warehouse.execute(f"create table model as {ROWS.format(first=0, last=size, seed=1)}")
    state = ROWS.format(first=less, last=size + less, seed=2)
    warehouse.execute(
        f"create table state as select * replace (case when hash(email) % 125 = 0 then first_name || '!' "
        f"else first_name end as first_name) from ({state})"
    )
    batches.create_log(warehouse, LEDGER, {**delivery_tables.LEDGER_COLUMNS, **COLUMNS})
    append(warehouse, "compact/bench/1.1", "select * from state", 1)
    warehouse.execute("checkpoint")


def append_tail(warehouse: Warehouse) -> None:
    """The same state, of which a tenth was sent again since the compaction: an old and a new row of the same key."""
    again = "last_name like '%7'"
    listed = ", ".join(COLUMNS).replace("orders", f"case when {again} then orders - 1 else orders end as orders")
    append(warehouse, "compact/bench/1.2", f"select {listed} from main.state", 1, ["compact/bench/1.1"])
    append(warehouse, "fold/bench/2", f"select {', '.join(COLUMNS)} from main.state where {again}", 2)
    batches.discard_replaced(warehouse, LEDGER, DAY + timedelta(days=2))


def append(warehouse: Warehouse, batch_id: str, rows: str, epoch: int, replaces: Sequence[str] = ()) -> None:
    batch, at = batches.Batch(warehouse, batch_id, replaces), warehouse.dialect.literal(DAY)
    batch.append(
        LEDGER,
        f"""
        select 'run' as _run_id, _seq as _row, 'upsert' as _op, 'plan' as _plan_id, 'accepted' as _outcome,
            '' as _reason, '' as _provider_id, 1 as _attempt, {epoch} as _epoch, _seq, {at} as _recorded_at,
            {at} as _as_of, '' as _dagster_run_id, 'config' as _config, {", ".join(COLUMNS)}
        from (select row_number() over (order by md5(email)) as _seq, kept.* from ({rows}) as kept) as numbered
        """,
    )
    batch.commit(DAY)


def audience(text: str) -> Audience:
    """The model as it is; `text`: the engine's word for a text."""
    listed, nothing = ", ".join(COLUMNS), f"cast(null as {text})"
    sql = f"select {listed}, {nothing} as _profile_id, {nothing} as _contact, false as _suppressed from main.model"
    return Audience(sql, COLUMNS, ("email",), ("email",), contact=None, refused=None)


def ours_once(warehouse: Warehouse, size: int) -> None:
    """The statement, and a look at what it found."""
    difference_once(warehouse)
    check(warehouse, "select count(*) as n from plan_rows where _op is not null", size)


def difference_once(warehouse: Warehouse) -> None:
    """The statement a plan runs, its result kept as a plan keeps it."""
    ledger = ledgers.Ledger("bench", (LEDGER,), ("email",))
    rows = ledgers.rows_of(warehouse, ledger, COLUMNS)
    difference(warehouse, audience(warehouse.dialect.text), rows, Question(Mode.MIRROR, "config", DAY))


def limit_once(warehouse: Warehouse) -> None:
    """A full outer join whose output has every column of both sides: each is counted, so each is carried."""
    counted = ", ".join(f"count({side}.{name}) as {side}_{name}" for side in ("model", "state") for name in COLUMNS)
    both = "main.model as model full outer join main.state as state on model.email = state.email"
    warehouse.rows(f"select {counted} from {both}")


def check(warehouse: Warehouse, query: str, size: int) -> None:
    found = int(warehouse.rows(query)[0]["n"])
    assert abs(found / size - 0.016) < 0.004, f"{found} of {size} rows are operations"


if __name__ == "__main__":
    report.main("diff", cases, __doc__.splitlines()[0])
