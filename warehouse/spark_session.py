"""A session of a Spark Connect server, and how statements are sent: names written, run, described, streamed, lent.

What asks for them is the port, in spark.py; what types become is in spark_arrow.py, what errors in spark_errors.py.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import reduce
from hashlib import sha256
from typing import Any, TypeVar

import pyarrow as pa
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql.connect import functions
from pyspark.sql.connect.client import DefaultChannelBuilder
from pyspark.sql.connect.client.retries import DefaultPolicy
from pyspark.sql.connect.dataframe import DataFrame as ConnectDataFrame
from pyspark.sql.connect.plan import SQL
from pyspark.sql.connect.proto import ConfigRequest, KeyValue, Plan
from pyspark.sql.connect.session import SparkSession
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructType

from models.errors import UserError, WarehouseVersion
from warehouse.dialect import Dialect
from warehouse.names import Names, Written
from warehouse.server_session import ServerSession
from warehouse.spark_arrow import CHUNK, arrow_type, kind_of, rows, shaped
from warehouse.spark_dialect import TEXT, SparkDialect
from warehouse.spark_errors import shown, translating, unreachable

Ran = TypeVar("Ran")
OLDEST = (4, 1)
COUNTED = "counted"  # the metric with the rows of an insert
PATIENCE = 10  # seconds for a server to answer at all

SETTINGS = {
    "spark.sql.ansi.enabled": "true",
    "spark.sql.ansi.doubleQuotedIdentifiers": "true",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.variable.substitute": "false",  # `${…}` in a text is text
    "spark.sql.sources.partitionOverwriteMode": "dynamic",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    # no part of rows is larger: what is, above a megabyte else, the server keeps until the session ends
    "spark.sql.session.localRelationCacheThreshold": str(2 * CHUNK),
}

# Of the server, for they are read when it starts. Otherwise a session keeps a list of a table's files, and what another
# one has written since is not there for it: no error, but yesterday's rows.
OF_SERVER = {
    "spark.sql.filesourceTableRelationCacheSize": "0",
    "spark.sql.hive.filesourcePartitionFileCacheSize": "0",
}


class Session(ServerSession):
    """One session. What `schemas` does not name is read where it says."""

    engine, reads = "Spark", "databases of its own catalogue"
    dialect: Dialect = SparkDialect()
    atomic = False

    def __init__(self, url: str, *, schemas: Mapping[str, str] | None = None) -> None:
        """Connect. Raises NeedsPerson, UserError or WarehouseVersion, each saying what to do."""
        self.names = Names(schemas or {}, TEXT)
        self._spark = SparkSession(channel(url))
        with translating(None):
            self._version = str(self._spark.version)
            if tuple(map(int, self._version.split(".")[:2])) < OLDEST:
                self._spark.stop()
                message = f"{shown(url)}: Spark {self._version}; Tailrace needs {'.'.join(map(str, OLDEST))} or newer"
                raise WarehouseVersion(message)
            chosen(self._spark)
            if forgotten := _forgotten(self._spark):
                self._spark.stop()
                message = (
                    f"{shown(url)}: its sessions would not see what others write; start the server with {forgotten}"
                )
                raise UserError(message)

    @property
    def version(self) -> str:
        return f"spark {self._version}"

    def rows(self, sql: str, params: Sequence[Any] = ()) -> list[dict[str, Any]]:
        written = self._written(sql, params)
        with translating(written):
            found, _, _ = self._spark.client.to_table(self._planned(written), {})
            return rows(found)

    def _run(self, sql: str, params: Sequence[Any] = ()) -> None:
        """Run a statement for its effect."""
        written = self._written(sql, params)
        with translating(written):
            cleared(self._spark.sql, written.sql)

    def _frame(self, written: Written) -> DataFrame:
        """A query's rows. The server hears of it when they are asked for, not before as by the client's `sql`."""
        return ConnectDataFrame(SQL(written.sql), self._spark)

    def _planned(self, written: Written) -> Plan:
        return SQL(written.sql).to_proto(self._spark.client)

    def _described(self, written: Written) -> dict[str, str]:
        """Column → type in the port's words."""
        with translating(written):
            return _kinds(self._spark.client.schema(self._planned(written)))

    def _streamed(self, written: Written, batch_rows: int) -> Generator[Any, None, None]:
        """The schema, then batches of it, as the server sends them."""
        with translating(written):
            parts = self._spark.client.to_table_as_iterator(self._planned(written), {})
            found = next(part for part in parts if isinstance(part, StructType))
            schema = pa.schema([(name, arrow_type(kind)) for name, kind in _kinds(found).items()])
            yield schema
            for part in parts:
                if isinstance(part, pa.Table):
                    yield from part.cast(schema).to_batches(max_chunksize=batch_rows)

    def _appended(self, table: str, frame: DataFrame, written: Written | None) -> int:
        """Append rows, in the table's order, to `table`; how many: of an insert the server does not say."""
        with translating(written):
            observed = frame.observe(COUNTED, functions.count(functions.lit(1)).alias("n"))
            observed.write.insertInto(self._written(table).sql)
            told = observed.executionInfo
        return sum(int(values["n"]) for name, values in (told.flows if told else ()) if name == COUNTED)

    def _aside(self, frame: DataFrame, written: Written | None) -> DataFrame:
        """The same rows, worked out and kept beside the session until nobody has them: no table, and no file of one."""
        with translating(written), _active(self._spark):
            return frame.localCheckpoint()

    def _sent(self, data: pa.Table | pa.RecordBatchReader, wanted: pa.Schema, table: str) -> Iterator[DataFrame]:
        """Arrow rows, in these types, in parts that the server has room for. Raises UserError that names the column.

        It holds each as rows, in six times the memory.
        """
        kinds = from_arrow_schema(wanted, prefer_timestamp_ntz=True)
        for part in shaped(data, wanted, table):
            with translating(None):
                frame = self._spark.createDataFrame(part, kinds)
            yield frame

    def _shown(self, name: str, frame: DataFrame) -> None:
        """Make rows a temporary view of this session, in the place of one of that name."""
        with translating(None):
            frame.createOrReplaceTempView(name)

    def _unshown(self, name: str) -> None:
        """Without the temporary view of this name."""
        with translating(None):
            self._spark.catalog.dropTempView(name)


@contextmanager
def _active(session: SparkSession) -> Iterator[None]:
    """For the block it is this thread's: the client gives what is kept aside to that, whoever asked."""
    before = SparkSession.getActiveSession()
    SparkSession._active_session.session = session  # noqa: SLF001 - there is no public way to choose one
    try:
        yield
    finally:
        SparkSession._active_session.session = before  # noqa: SLF001 - as above


def _kinds(schema: StructType) -> dict[str, str]:
    return {field.name: kind_of(field.dataType.simpleString()) for field in schema.fields}


def chosen(session: SparkSession) -> None:
    """Settings, and how long a server that is gone is asked again: by itself the client does for ten minutes."""
    session.client.set_retry_policies([DefaultPolicy(max_retries=5, max_backoff=5000)])
    pairs = [KeyValue(key=name, value=value) for name, value in SETTINGS.items()]
    session.client.config(ConfigRequest.Operation(set=ConfigRequest.Set(pairs=pairs)))  # at once


def _forgotten(session: SparkSession) -> str:
    """What the server should have been started with, as options."""
    asked = ConfigRequest.Operation(get_option=ConfigRequest.GetOption(keys=list(OF_SERVER)))
    told = dict(session.client.config(asked).pairs)
    return " ".join(f"--conf {name}={value}" for name, value in OF_SERVER.items() if told.get(name) != value)


def united(frames: Iterable[DataFrame]) -> DataFrame:
    return reduce(lambda one, other: one.unionAll(other), frames)


def cleared(run: Callable[[str], Ran], sql: str) -> Ran:
    """What a statement gives. Where it makes or renames a table, no folder of that name is in its way.

    A server that is killed leaves one without a table, and Spark takes none away that it knows nothing of: it is made
    a database's, and that is dropped.
    """
    try:
        return run(sql)
    except PySparkException as error:
        told = error.getMessageParameters() or {}
        if error.getCondition() != "LOCATION_ALREADY_EXISTS" or "location" not in told:
            raise
    place = told["location"]
    name = f"tailrace_left_{sha256(place.encode()).hexdigest()[:12]}"  # whoever is killed here, the next drops it
    run(f"create schema if not exists {name} location {place}")
    run(f"drop schema {name}")
    return run(sql)


def channel(url: str, session: str | None = None) -> DefaultChannelBuilder:
    """The way to a server that answers, to a session that is there if given.

    Raises UserError for what is no address, NeedsPerson where nobody answers.
    """
    try:
        builder = DefaultChannelBuilder(url)
        if session:
            builder.set(DefaultChannelBuilder.PARAM_SESSION_ID, session)
        if not builder.userId:  # else it is whoever began the process: a session is another user's to nobody of ours
            builder.set(DefaultChannelBuilder.PARAM_USER_ID, "tailrace")
    except (PySparkException, ValueError):
        message = f"{shown(url)}: cannot be used as an address of a Spark Connect server; write sc://host:15002"
        raise UserError(message) from None  # the client's own text quotes the URL
    host, _, port = builder.endpoint.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), PATIENCE).close()
    except OSError:
        raise unreachable(url) from None
    return builder
