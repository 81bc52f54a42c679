"""A session of a Spark Connect server, and how statements are sent: names written, run, described, streamed, lent.

What asks for them is the port, in spark.py; what types become is in spark_arrow.py, what errors in spark_errors.py.
"""

from __future__ import annotations

import socket
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import reduce
from typing import Any

import pyarrow as pa
from pyspark.errors import PySparkException
from pyspark.sql.connect import functions
from pyspark.sql.connect.client import DefaultChannelBuilder
from pyspark.sql.connect.client.retries import DefaultPolicy
from pyspark.sql.connect.dataframe import DataFrame
from pyspark.sql.connect.observation import Observation
from pyspark.sql.connect.session import SparkSession
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructType

from models.errors import UserError, WarehouseVersion
from warehouse.dialect import Dialect
from warehouse.names import Names, Written
from warehouse.server_session import ServerSession
from warehouse.spark_arrow import arrow_type, kind_of, rows, shaped
from warehouse.spark_dialect import TEXT, SparkDialect
from warehouse.spark_errors import shown, translating, unreachable

OLDEST = (4, 1)
PATIENCE = 10  # seconds for a server to answer at all

SETTINGS = {
    "spark.sql.ansi.enabled": "true",
    "spark.sql.ansi.doubleQuotedIdentifiers": "true",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.variable.substitute": "false",  # `${…}` in a text is text
    "spark.sql.sources.partitionOverwriteMode": "dynamic",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    # what a run that was killed left in the folder of a table that was not there yet is written over
    "spark.sql.legacy.allowNonEmptyLocationInCTAS": "true",
}


class Session(ServerSession):
    """One session. What `schemas` does not name is read where it says."""

    engine, reads = "Spark", "databases of its own catalogue"
    dialect: Dialect = SparkDialect()

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

    @property
    def version(self) -> str:
        return f"spark {self._version}"

    def rows(self, sql: str, params: Sequence[Any] = ()) -> list[dict[str, Any]]:
        with self._asked(self._written(sql, params)) as frame:
            return rows(frame.toArrow())

    def close(self) -> None:
        self._spark.stop()

    def _run(self, sql: str, params: Sequence[Any] = ()) -> DataFrame:
        """Run a statement; what it says of itself."""
        with self._asked(self._written(sql, params)) as frame:
            return frame

    @contextmanager
    def _asked(self, written: Written) -> Iterator[DataFrame]:
        """The statement's rows, to be fetched in the block; what is no query has run by then."""
        with translating(written):
            yield self._spark.sql(written.sql)  # type: ignore[misc]

    def _described(self, written: Written) -> dict[str, str]:
        """Column → type in the port's words."""
        with self._asked(written) as frame:
            return {field.name: kind_of(field.dataType.simpleString()) for field in frame.schema.fields}

    def _streamed(self, written: Written, batch_rows: int) -> Generator[Any, None, None]:
        """The schema, then batches of it, as the server sends them: what the client has a public name for reads all."""
        with self._asked(written) as frame:
            schema = pa.schema([(name, arrow_type(kind)) for name, kind in _kinds(frame.schema).items()])
            yield schema
            client = frame._session.client  # noqa: SLF001 - see above
            for part in client.to_table_as_iterator(frame._plan.to_proto(client), {}):  # noqa: SLF001 - see above
                if isinstance(part, pa.Table):
                    yield from part.cast(schema).to_batches(max_chunksize=batch_rows)

    def _appended(self, table: str, written: Written) -> int:
        """Append a query's rows, in the table's order, to `table`; how many: of an insert the server does not say."""
        counted = Observation()
        with self._asked(written) as frame:
            observed = frame.observe(counted, functions.count(functions.lit(1)).alias("n"))
            observed.write.insertInto(self._written(table).sql)
        return int(counted.get["n"])

    def _lent(self, name: str, data: pa.Table | pa.RecordBatchReader, wanted: pa.Schema, table: str) -> None:
        """Make Arrow rows a temporary view of this session."""
        with translating(None):
            kinds = from_arrow_schema(wanted, prefer_timestamp_ntz=True)
            frames = [self._spark.createDataFrame(part, kinds) for part in shaped(data, wanted, table)]
            whole = reduce(lambda one, other: one.unionAll(other), frames)
            whole.createOrReplaceTempView(name)


def _kinds(schema: StructType) -> dict[str, str]:
    return {field.name: kind_of(field.dataType.simpleString()) for field in schema.fields}


def chosen(session: SparkSession) -> None:
    """Settings, and how long a server that is gone is asked again: by itself the client does for ten minutes."""
    session.client.set_retry_policies([DefaultPolicy(max_retries=5, max_backoff=5000)])
    for name, value in SETTINGS.items():
        session.conf.set(name, value)


def channel(url: str) -> DefaultChannelBuilder:
    """The way to a server that answers. Raises UserError for what is no address, NeedsPerson where nobody answers."""
    try:
        builder = DefaultChannelBuilder(url)
    except (PySparkException, ValueError):
        message = f"{shown(url)}: cannot be used as an address of a Spark Connect server; write sc://host:15002"
        raise UserError(message) from None  # the client's own text quotes the URL
    host, _, port = builder.endpoint.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), PATIENCE).close()
    except OSError:
        raise unreachable(url) from None
    return builder
