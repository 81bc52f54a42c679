"""The same work on every engine: a diff, rows streamed out, the first night of a shop and the one after it.

The diff is beside the engine's own full outer join that carries all columns, streaming beside the engine's own scan of
them; of whole nights the limit is DuckDB. PostgreSQL is a server of the benchmark's own, with Debian's settings; Spark,
where `make spark` has put it, a cluster of its own with one worker, then with two, of a core each.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from hashlib import blake2b
from pathlib import Path

import diff
import polars as pl
import report
import stream_out

from assets import delivery_tables, demo_shop
from assets.refresh import RefreshResult, refresh
from models.clock import Clock, end_of_day
from models.settings import Settings
from orchestration import journeys
from tests.engines import spark_serving
from tests.engines.serving import serving
from tests.nights import deliver
from warehouse import batches
from warehouse.base import Warehouse
from warehouse.engine import engine
from warehouse.postgres_dialect import PostgresDialect

PROJECT = Path(__file__).parents[1]
SIZES, QUICK = (200_000, 2_000_000), (2_000, 20_000)
PEOPLE, FEW = (300, 3_000), (60,)
CHANGED = 100  # one of so many rows is an operation
DIFF = {"duckdb": 1.2}  # times the join, at the larger size; 2.0 elsewhere
# … where a tenth came since the compaction; 3.0 elsewhere, where what was last told is written as a table first
TAIL = {"duckdb": 2.0}
# Seconds of a plan whatever the size: at the smaller one it may take so much more. Spark plans a dozen statements;
# PostgreSQL hashes every row, and that join is done in its memory
FIXED = {"duckdb": 0.03, "postgres": 0.3, "spark": 6.0}
STREAMED = {"duckdb": 1_000_000}  # rows a second, at least; 200,000 from a server
WORKERS = {"spark, 1 worker": 1, "spark": 2}
COPIES = 5  # of the larger size, for what a second worker gives: smaller work waits for the server that plans it
FASTER = 1.5  # two workers than one
WARM = {"spark": 4}  # rounds before the first that counts: a server of Java's compiles what it runs often
STREAM_MB = 200  # more than a process that reads one row
NIGHTS, TICK = 2, "its tick"
AS_DUCKDB = {"postgres": 3.0, "spark": 100.0}  # a night may take so many times as long: statement by statement on Spark
# … and a tick, which has 300 statements there and takes a third of a second on DuckDB, however few people there are
TICK_AS_DUCKDB = {"postgres": 3.0, "spark": 250.0}


@dataclass(frozen=True)
class Place:
    """A target's warehouse on one engine."""

    name: str
    settings: Settings

    @property
    def engine(self) -> str:
        return self.name.split(",")[0]

    @contextmanager
    def opened(self) -> Iterator[Warehouse]:
        self.settings.root.mkdir(parents=True, exist_ok=True)
        with engine(self.settings).open() as warehouse:
            batches.prepare(warehouse)
            warehouse.execute("create schema if not exists main")
            delivery_tables.prepare(warehouse)
            yield warehouse


@contextmanager
def places() -> Iterator[list[Place]]:
    """One on DuckDB and one on PostgreSQL, empty; gone with the block."""
    with ExitStack() as kept:
        folder = Path(kept.enter_context(tempfile.TemporaryDirectory(prefix="bench-engines-")))
        url = kept.enter_context(serving()).url
        project = Settings(PROJECT, folder / "duckdb")
        yield [Place("duckdb", project), Place("postgres", Settings(PROJECT, folder / "postgres", warehouse_url=url))]


@contextmanager
def on_spark(name: str) -> Iterator[Place]:
    """One on a cluster of so many workers."""
    with ExitStack() as kept:
        folder = Path(kept.enter_context(tempfile.TemporaryDirectory(prefix="bench-engines-")))
        url = kept.enter_context(spark_serving.serving(WORKERS[name], options={})).url
        yield Place(name, Settings(PROJECT, folder, warehouse_url=url))


def cases(options: report.Options) -> Iterator[report.Case]:
    """Every work at each size, how each grows, and what a second worker gives."""
    done: list[report.Case] = []
    for case in works(options):
        done.append(case)
        yield case
    yield from report.growths(case for case in done if case.unit == "s")


def works(options: report.Options) -> Iterator[report.Case]:
    sizes, clusters = options.pick(SIZES, QUICK), WORKERS if spark_serving.home() else ()
    for size in sizes:
        with places() as found:
            for place in found:
                yield from at_size(place, size, options.rounds)
    for name in clusters:
        for size in sizes:
            with on_spark(name) as place:
                yield from at_size(place, size, options.rounds)
    if clusters:
        yield second_worker(options)
    for people in FEW if options.quick else PEOPLE:
        with ExitStack() as kept:
            found = kept.enter_context(places())
            found += [kept.enter_context(on_spark("spark"))] if clusters else []
            yield from nights(found, people)


def at_size(place: Place, size: int, rounds: int) -> Iterator[report.Case]:
    with place.opened() as warehouse:
        prepare(warehouse, size)
        changed, query = size // CHANGED, "select count(*) as n from plan_rows where _op is not null"

        def diff_once() -> None:
            diff.difference_once(warehouse)
            found = int(warehouse.rows(query)[0]["n"])
            assert found == changed, f"{found} operations; {changed} rows differ"

        fixed = FIXED[place.engine] if size < SIZES[-1] else 0.0
        for tail, goal in (
            ("", DIFF.get(place.name, 2.0)),
            (" a tenth of it sent since the compaction,", TAIL.get(place.name, 3.0)),
        ):
            if tail:
                diff.append_tail(warehouse)
                analyze(warehouse)
            warm_up(place, rounds, lambda: (diff_once(), diff.limit_once(warehouse)))
            ours, limit = report.alternate(
                lambda: report.seconds(diff_once), lambda: report.seconds(lambda: diff.limit_once(warehouse)), rounds
            )
            case = f"diff of one in a hundred,{tail} {place.name}"
            yield report.Case(case, size, ours, limit, "s", goal + fixed / limit)
        ours, limit = report.alternate(
            lambda: size / report.seconds(lambda: stream_out.read(warehouse, "main.model")),
            lambda: size / report.seconds(lambda: scanned(warehouse)),
            rounds,
        )
        yield report.Case(
            f"streamed out, {place.name}",
            size,
            ours,
            limit,
            "rows/s",
            STREAMED.get(place.name, 200_000),
            "ours at least",
        )
    peak, one = (
        stream_peak(place, relation) for relation in ("main.model", "(select * from main.model limit 1) as one")
    )
    yield report.Case(f"memory of streaming, {place.name}", size, peak, one, "MB", one + STREAM_MB, "ours at most")


def warm_up(place: Place, rounds: int, work: Callable[[], object]) -> None:
    for _ in range(WARM.get(place.engine, 0) if rounds > 1 else 0):
        work()


def second_worker(options: report.Options) -> report.Case:
    """The diff of several times the larger size on a cluster of one worker, and on one of two."""
    size, taken = options.pick(SIZES, QUICK)[-1], []
    for name in WORKERS:
        with on_spark(name) as place, place.opened() as warehouse:
            prepare(warehouse, size, COPIES)
            warm_up(place, options.rounds, lambda: diff.difference_once(warehouse))
            taken.append(report.median(lambda: diff.difference_once(warehouse), options.rounds))
    return report.Case("diff, two workers of Spark and one", size * COPIES, *taken, "s", FASTER, "ratio at least")


def prepare(warehouse: Warehouse, size: int, copies: int = 1) -> None:
    """The model, and a state: of two hundred rows one has another value, and one is missing or too many.

    Both as often as `copies` says, with other keys.
    """
    quarter = size // CHANGED // 4
    model = rows(0, size)
    changed = pl.col("last_name").is_in([f"last{n}" for n in range(size // 2, size // 2 + 2 * quarter)])
    state = rows(quarter, size + quarter).with_columns(
        pl.when(changed).then(pl.col("first_name") + "!").otherwise(pl.col("first_name")).alias("first_name")
    )
    for name, table in (("model", model), ("state", state)):
        warehouse.create_table(f"main.{name}", diff.COLUMNS)
        warehouse.load(f"main.{name}", table.to_arrow())
        numbers = " union all ".join(f"select {number} as copy" for number in range(1, copies))
        if numbers:
            copied = ", ".join(diff.COLUMNS).replace("email", "concat('copy', copy, email)")
            warehouse.execute(
                f"insert into main.{name} select {copied} from main.{name} cross join ({numbers}) as copies"
            )
    batches.create_log(warehouse, diff.LEDGER, {**delivery_tables.LEDGER_COLUMNS, **diff.COLUMNS})
    diff.append(warehouse, "compact/bench/1.1", "select * from main.state", 1)
    analyze(warehouse)


def analyze(warehouse: Warehouse) -> None:
    """What a server of PostgreSQL does by itself, some time after so many rows came."""
    if isinstance(warehouse.dialect, PostgresDialect):
        warehouse.execute("analyze")


def rows(first: int, last: int) -> pl.DataFrame:
    """The columns of benchmarks/diff.py, made outside of every engine; keys in no order."""
    n = pl.int_range(first, last, eager=True)
    keys = [f"{blake2b(str(number).encode(), digest_size=10).hexdigest()}@example.com" for number in range(first, last)]
    text, moment = pl.String, pl.datetime(2026, 1, 1, time_zone="UTC")
    return (
        pl.DataFrame({"email": keys, "n": n})
        .select(
            "email",
            first_name="first" + (pl.col("n") * 7919 % 100_003).cast(text),
            last_name="last" + pl.col("n").cast(text),
            country=pl.when(pl.col("n") % 10 > 0).then("country " + (pl.col("n") % 200).cast(text)),
            orders=(pl.col("n") % 17).cast(pl.Int32),
            revenue=((pl.col("n") * 31 % 100_000) / 100).cast(pl.Decimal(18, 2)),
            last_order_at=moment + pl.duration(seconds=pl.col("n") % 1_000_000),
            is_vip=pl.col("n") % 3 == 0,
        )
        .sample(fraction=1, shuffle=True, seed=first)
    )


def scanned(warehouse: Warehouse) -> None:
    """Every column of every row is looked at, and nothing leaves the engine."""
    warehouse.rows(f"select {', '.join(f'count({name}) as {name}' for name in diff.COLUMNS)} from main.model")


def stream_peak(place: Place, relation: str) -> float:
    """The most that a process had in memory that streamed a relation."""
    command = [sys.executable, str(Path(__file__).with_name("stream_out.py")), str(place.settings.home), relation]
    command += [place.settings.warehouse_url or ""]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])


def nights(found: list[Place], people: int) -> Iterator[report.Case]:
    """A shop's first refresh, the next night's, and the tick of its journeys in that."""
    with tempfile.TemporaryDirectory(prefix="bench-shop-") as name:
        folder = Path(name)
        few = demo_shop.generate(folder / "few", people=20, days=1, seed=20)
        night(Settings(PROJECT, folder / "home"), folder / "few", few.last_day)  # what it imports is no one's time
        shop = demo_shop.generate(folder / "shop", people=people, days=NIGHTS, seed=20)
        taken = {place.name: night_by_night(place.settings, folder / "shop", shop.last_day) for place in found}
    for place in found:
        for work, seconds in taken[place.name].items():
            bare = taken["duckdb"][work]
            goals = TICK_AS_DUCKDB if work == TICK else AS_DUCKDB
            yield report.Case(f"{work}, {place.name}", people, seconds, bare, "s", goals.get(place.name, 1.0))


def night_by_night(settings: Settings, shop: Path, last: date) -> Mapping[str, float]:
    first, second = (last - timedelta(days=ago) for ago in (1, 0))
    began = night(settings, shop, first)
    for name in ("cart_recovery", "post_purchase", "welcome", "win_back"):
        journeys.publish(settings, name, clock(first, microseconds=1))
    following = night(settings, shop, second)
    return {
        "first night": sum(began.seconds.values()),
        "next night": sum(following.seconds.values()),
        TICK: following.seconds["journeys"],
    }


def night(settings: Settings, shop: Path, day: date) -> RefreshResult:
    deliver(settings, shop, day)
    done = refresh(settings, clock(day))
    assert done.ok, done
    return done


def clock(day: date, microseconds: int = 0) -> Clock:
    return Clock.at(end_of_day(day, UTC) + timedelta(microseconds=microseconds))


if __name__ == "__main__":
    report.main("engines", cases, __doc__.splitlines()[0])
