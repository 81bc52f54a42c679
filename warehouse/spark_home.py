"""Which home writes to a target on Spark: its locks are files, so another's writers would know nothing of them.

A property of the target's own database says whose it is. Of several that would create that, the catalogue lets one.
"""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from uuid import uuid4

from models.errors import NeedsPerson
from warehouse.spark import Spark

FILE = "home"  # among a home's locks: its id
PROPERTY = "tailrace.home"
# as it is described; of values that Spark takes for secrets it says nothing
_NOTED = re.compile(rf"\({re.escape(PROPERTY)},(?:(?P<home>[0-9a-f]+) (?P<place>.*?)|\*+\(redacted\))\)(?:, \(|\)$)")


def check(warehouse: Spark, schema: str, locks: Path) -> None:
    """Note this home where none is noted. Raises NeedsPerson where another is. `schema`: its real name."""
    noted = _noted(warehouse, schema, locks)
    if noted is None:
        take_over(warehouse, schema, locks)
    elif noted["home"] != _own(locks):
        message = (
            f"{warehouse.server}: another home writes to {schema}, {_place(noted)}, and two would not know of each "
            "other. Run it there; or, when nothing has run there for five minutes, `tailrace take-over` here"
        )
        raise NeedsPerson(message)


def take_over(warehouse: Spark, schema: str, locks: Path) -> str | None:
    """From now on this home writes. Where the one before it was, if there was another."""
    noted = _noted(warehouse, schema, locks)
    if noted and noted["home"] == _own(locks):
        return None
    warehouse.execute(f"alter schema {schema} set dbproperties ({_property(locks)})")
    return _place(noted) if noted else None


def _noted(warehouse: Spark, schema: str, locks: Path) -> re.Match[str] | None:
    """The home that writes, and where it is: this one, where it is the first. None where others made the database."""
    warehouse.execute(f"create schema if not exists {schema} with dbproperties ({_property(locks)})")
    described = {row["info_name"]: row["info_value"] for row in warehouse.rows(f"describe schema extended {schema}")}
    return _NOTED.search(str(described["Properties"]))


def _property(locks: Path) -> str:
    """The place is written in hexadecimal digits: Spark hides a property in which `url` or `token` stands."""
    place = os.fsencode(f"{locks.parent} on {socket.gethostname()}").hex()
    return f"'{PROPERTY}' = '{_own(locks)} {place}'"


def _place(noted: re.Match[str]) -> str:
    """Where that home is; as it stands there, where it was noted before places were written in digits."""
    place = noted["place"] or "one that cannot be read"
    return os.fsdecode(bytes.fromhex(place)) if re.fullmatch("[0-9a-f]+", place) else place


def _own(locks: Path) -> str:
    """The id of this home, made by the first who asks. The lock of its target is held."""
    file = locks / FILE
    if not file.exists():
        locks.mkdir(parents=True, exist_ok=True)
        fresh = file.with_suffix(".new")
        with fresh.open("w") as made:
            made.write(uuid4().hex)
            made.flush()
            os.fsync(made.fileno())
        fresh.rename(file)
    return file.read_text()
