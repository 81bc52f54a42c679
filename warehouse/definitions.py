"""What Python keeps in a warehouse, and by which definition it was made: what is noted is not looked at again.

A refresh opens the file twenty times. To describe every log each time takes longer than to open it,
and a view that is replaced is a write, after which the file is checkpointed when it is closed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from weakref import WeakKeyDictionary

from warehouse.base import Warehouse

TABLE = "tailrace.relation_definition"
_KNOWN: WeakKeyDictionary[Warehouse, dict[str, str]] = WeakKeyDictionary()  # what is noted, while it is open


def prepare(warehouse: Warehouse) -> None:
    """The schema exists. Who else writes meanwhile makes the same: another checkout's definitions come in turns."""
    text = warehouse.dialect.text
    warehouse.execute(f"create table if not exists {TABLE} (name {text}, digest {text})")
    _KNOWN[warehouse] = {row["name"]: row["digest"] for row in warehouse.rows(f"select name, digest from {TABLE}")}


@contextmanager
def made(warehouse: Warehouse, name: str, definition: str) -> Iterator[bool]:
    """Whether the relation `name` was made by this definition; where it was not, the block makes it. `prepare`d."""
    digest = sha256(definition.encode()).hexdigest()
    if _KNOWN[warehouse].get(name) == digest:
        yield True
        return
    with warehouse.alone():
        noted = [row["digest"] for row in warehouse.rows(f"select digest from {TABLE} where name = ?", [name])]
        yield noted == [digest]  # by somebody else, since this was opened
        if noted == [digest]:
            _KNOWN[warehouse][name] = digest
            return
        if noted:
            warehouse.remove(TABLE, "name", [name])
        warehouse.execute(f"insert into {TABLE} values (?, ?)", [name, digest])
    _KNOWN[warehouse][name] = digest


def create_view(warehouse: Warehouse, name: str, query: str) -> None:
    """Create the view `name` (`schema.view`), or replace one made of another query."""
    with made(warehouse, name, query) as is_made:
        if not is_made:
            warehouse.create_view(name, query)


def forget(warehouse: Warehouse) -> None:
    """A table is about to get new columns: what reads all of them is created again."""
    warehouse.remove(TABLE, "name", [row["name"] for row in warehouse.rows(f"select name from {TABLE}")])
    _KNOWN[warehouse].clear()
