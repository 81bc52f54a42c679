"""Where a target's journal is: a file of the machine, or a schema of a PostgreSQL database that machines share."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

_SHOWN = re.compile(r"postgresql://(?:[^@/?#]*@)?([^@?#]*)(?:\?[^@]*)?")


@dataclass(frozen=True)
class JournalServer:
    """A schema of the database at `url`, which may hold a password: only `str` of this is for people."""

    url: str = field(repr=False)
    schema: str

    def __str__(self) -> str:
        """Without who and by which password."""
        found = _SHOWN.fullmatch(self.url)
        return f"{self.schema} at postgresql://{found[1]}" if found else f"{self.schema} of the PostgreSQL server"


Place = Path | JournalServer
