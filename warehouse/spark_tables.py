"""What a session of Spark knows of tables, so as not to ask again, and has for itself: temporary ones, in a database.

Spark has only temporary views. So a temporary table is one in a database that goes with the session; a lock file says
whose process lives, and the next session of the home drops what a killed one left.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

from models.errors import TailraceError
from warehouse import spark_sessions as sessions
from warehouse.lock import hold, is_held
from warehouse.spark_session import Session


class Tables(Session):
    """A session that has them."""

    def __init__(
        self, url: str, *, locks: Path, schemas: Mapping[str, str] | None = None, kept: ExitStack | None = None
    ) -> None:
        """Connect, as a session does. `locks`: their folder; `kept`: what is left when this is closed."""
        super().__init__(url, schemas=schemas)
        self._locks, self._kept = locks, kept or ExitStack()
        sessions.begun(self._spark, url, locks, self._kept)
        self._scratch = ""
        self._temporary: dict[str, str] = {}  # name → the table that it shows
        self._made = 0  # temporary tables, all in all
        self._shapes: dict[str, tuple[Mapping[str, str], str | None]] = {}  # of tables: columns, partitioned by

    def create_temporary(self, name: str, query: str, parts: Mapping[str, str] | None = None) -> None:
        """A table in the session's own database, under a view; so is each part, for the statement.

        Within one statement Spark works out a part again wherever it is read, with all that it reads.

        Rows kept aside on the workers would be there sooner, but what Spark guesses of their size is a product of
        guesses: after two rounds of a tick to multiply them takes minutes.
        """
        for part, made in (parts or {}).items():
            self.create_temporary(part, made)
        self._made += 1
        place = f"{self.scratch()}.t{self._made}"
        super()._run(f"create table {place} using parquet as {query}")
        self._keep(name, place)
        for part in parts or ():
            self.drop_temporary(part)

    def drop_temporary(self, name: str, *, is_view: bool = False) -> None:
        del is_view
        self._unshown(name)
        if place := self._temporary.pop(name, None):
            super()._run(f"drop table if exists {place}")

    def replace_temporary(self, name: str, by: str) -> None:
        self._keep(name, self._temporary.pop(by))
        self._unshown(by)

    def _keep(self, name: str, place: str) -> None:
        """The temporary table that is there is called so, and one that was is gone."""
        super()._run(f"create or replace temporary view {name} as select * from {place}")
        if before := self._temporary.get(name):
            super()._run(f"drop table if exists {before}")
        self._temporary[name] = place
        self._shapes.pop(name, None)

    def scratch(self) -> str:
        """A database; the next session of this home drops what a killed one left."""
        if not self._scratch:
            name = f"{self._scratches}{uuid4().hex[:12]}"
            self._forget_scratches()
            self._kept.enter_context(hold(self._locks / f"{name}.lock", what=name))
            super()._run(f"create schema {name}")
            self._scratch = name
        return self._scratch

    @property
    def _scratches(self) -> str:
        """How the names of this home's databases for what is temporary begin."""
        of_home = sha256(str(self._locks.resolve()).encode()).hexdigest()[:8]
        return f"{self._real('tailrace')}_scratch_{of_home}_"

    def _forget_scratches(self) -> None:
        """Drop the databases of sessions whose process is gone."""
        for row in self.rows(f"show schemas like '{self._scratches}*'"):
            name = str(row["namespace"])
            if not is_held(lock := self._locks / f"{name}.lock"):
                super()._run(f"drop schema if exists {name} cascade")
                lock.unlink(missing_ok=True)

    def close(self) -> None:
        if self._scratch:
            try:
                super()._run(f"drop schema if exists {self._scratch} cascade")
                (self._locks / f"{self._scratch}.lock").unlink(missing_ok=True)
            except TailraceError:
                pass  # the server is gone: left to the next session
            self._scratch = ""
        sessions.ended(self._spark, self._locks)
        self._kept.close()

    def _known(self, table: str, given: Collection[str]) -> Mapping[str, str]:
        """As the base says; looked at once, until a table of this session changes."""
        if table not in self._shapes:
            self._shapes[table] = super()._known(table, ()), self._partition_column(table)
        kinds = self._shapes[table][0]
        return kinds if all(name in kinds for name in given) else super()._known(table, given)

    def _partition(self, table: str) -> str | None:
        """The column that a table is partitioned by."""
        self._known(table, ())
        return self._shapes[table][1]

    def _partition_column(self, table: str) -> str | None:
        if table in self._temporary:
            return None
        names = [str(row["col_name"]) for row in self.rows(f"describe table {table}")]
        return names[names.index("# col_name") + 1] if "# col_name" in names else None
