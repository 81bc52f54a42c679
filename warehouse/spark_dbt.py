"""The session that dbt's adapter finds in this process while it runs: as the port's own, whatever the adapter sets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.sql.connect.conf import RuntimeConf
from pyspark.sql.connect.session import SparkSession

from warehouse.spark_session import channel, chosen


class _Settled(RuntimeConf):
    """dbt-spark turns ANSI SQL off before every statement: a value that does not fit would be null, and nobody told."""

    def _set_all(self, configs: dict[str, str | int | bool], silent: bool) -> None:  # noqa: FBT001 - as the base has it
        """What a builder of sessions was told to set; who sets a thing by itself is heard."""


class _Session(SparkSession):
    @property
    def conf(self) -> RuntimeConf:
        return _Settled(self.client)


@contextmanager
def dbt_session(url: str) -> Iterator[None]:
    """For the block it is the one that threads of this process are given which ask for any."""
    session = _Session(channel(url))
    try:
        chosen(session)
        SparkSession._set_default_and_active_session(session)  # noqa: SLF001 - the builder has no way to make another kind
        yield
    finally:
        session.stop()
