"""The session that dbt's adapter finds in this process while it runs: as the port's own, whatever the adapter sets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql.connect.conf import RuntimeConf
from pyspark.sql.connect.session import SparkSession
from pyspark.sql.types import Row, StructType

from warehouse import spark_sessions as sessions
from warehouse.names import Written
from warehouse.spark_errors import translating
from warehouse.spark_session import channel, chosen, cleared


class _Settled(RuntimeConf):
    """dbt-spark turns ANSI SQL off before every statement: a value that does not fit would be null, and nobody told."""

    def _set_all(self, configs: dict[str, str | int | bool], silent: bool) -> None:  # noqa: FBT001 - as the base has it
        """What a builder of sessions was told to set; who sets a thing by itself is heard."""


class _Found:
    """A statement's rows as dbt's cursor asks for them; what goes wrong is told in words, and without the data."""

    def __init__(self, frame: DataFrame, written: Written) -> None:
        self.frame, self.written = frame, written

    @property
    def schema(self) -> StructType:
        with translating(self.written):
            return self.frame.schema

    def collect(self) -> list[Row]:
        with translating(self.written):
            return self.frame.collect()

    def take(self, count: int) -> list[Row]:
        with translating(self.written):
            return self.frame.take(count)


class _Session(SparkSession):
    @property
    def conf(self) -> RuntimeConf:
        return _Settled(self.client)

    def sql(self, sql: str) -> _Found:  # type: ignore[override]
        written = Written(sql, sql, ())
        with translating(written):
            return _Found(cleared(super().sql, sql), written)


@contextmanager
def dbt_session(url: str, locks: Path) -> Iterator[None]:
    """For the block it is the one that threads of this process are given which ask for any. `locks`: of sessions."""
    with ExitStack() as kept:
        session = _Session(channel(url))
        sessions.begun(session, url, locks, kept)
        kept.callback(sessions.ended, session, locks)
        chosen(session)
        SparkSession._set_default_and_active_session(session)  # noqa: SLF001 - the builder has no way to make another kind
        yield
