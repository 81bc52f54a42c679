"""The one exception tree.

    TailraceError
    ├── UserError            the user's mistake: wrong file, key, option, argument      exit 2
    │   └── ConfigError      … in a file we read: carries file, line and key
    ├── Refused              a guard, a moved plan, a clock that goes backwards         exit 3
    └── NeedsPerson          something only a person can settle                         exit 1
        ├── WarehouseHeld    another process holds the writer lock or the file
        ├── WarehouseVersion the database file was written by another engine version
        ├── StorageFull      no space left where something durable had to be written
        └── BuildFailed      a dbt model or test failed

Every message says what is wrong, where, and what to do; the CLI prints it without a traceback.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


class TailraceError(Exception):
    """Root of everything Tailrace raises on purpose; `exit_code` is what the CLI returns for it."""

    exit_code = 1


class UserError(TailraceError):
    """The user asked for something that is not there or not allowed."""

    exit_code = 2


class ConfigError(UserError):
    """A file we read is wrong: `file`, `line`, `column` (both from 1) and `key` say where, as far as known."""

    def __init__(
        self,
        message: str,
        *,
        file: Path | str | None = None,
        line: int | None = None,
        column: int | None = None,
        key: str | None = None,
    ) -> None:
        self.message, self.file, self.line, self.column, self.key = message, file, line, column, key
        where = ":".join(str(part) for part in (file, line, column) if part is not None)
        prefix = ": ".join(part for part in (where, key) if part)
        super().__init__(f"{prefix}: {message}" if prefix else message)

    @classmethod
    def together(cls, errors: Iterable[ConfigError]) -> ConfigError:
        """All of them as one, which says where the first is."""
        first, *others = errors
        told = "\n".join((first.message, *map(str, others)))
        return cls(told, file=first.file, line=first.line, column=first.column, key=first.key)


class Refused(TailraceError):
    """A safety rule said no; nothing was done."""

    exit_code = 3


class NeedsPerson(TailraceError):
    """The run could not go on and only a person can settle why."""


class WarehouseHeld(NeedsPerson):
    """Another process holds the warehouse for writing."""


class WarehouseVersion(NeedsPerson):
    """The warehouse file was written by another version of the engine."""


class StorageFull(NeedsPerson):
    """No space left on the device where something durable had to be written."""


class BuildFailed(NeedsPerson):
    """One or more dbt models or tests failed; the message lists each with file and line."""
