"""Where a target's journal is: a file of the machine, or a schema of a PostgreSQL database that machines share."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from models.postgres_server import shown


@dataclass(frozen=True)
class JournalServer:
    """A schema of the database at `url`, which may hold a password: only `str` of this is for people."""

    url: str = field(repr=False)
    schema: str

    def __str__(self) -> str:
        """Without who and by which password."""
        return f"{self.schema} at {shown(self.url)}"


Place = Path | JournalServer
