"""What Python keeps in a warehouse, and by which definition it was made: what is noted is not looked at again.

A refresh opens the file twenty times. To describe every log each time takes longer than to open it,
and a view that is replaced is a write, after which the file is checkpointed when it is closed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from weakref import WeakKeyDictionary

from warehouse.base import Warehouse

TABLE = "tailrace.relation_definition"
_KNOWN: WeakKeyDictionary[Warehouse, dict[str, str]] = WeakKeyDictionary()  # what is noted, while it is open
_MAKING: WeakKeyDictionary[Warehouse, _Making] = WeakKeyDictionary()


def prepare(warehouse: Warehouse) -> None:
    """The schema exists. Who else writes meanwhile makes the same: another checkout's definitions come in turns."""
    text = warehouse.dialect.text
    warehouse.execute(f"create table if not exists {TABLE} (name {text}, digest {text})")
    _KNOWN[warehouse] = _noted(warehouse)


@contextmanager
def together(warehouse: Warehouse) -> Iterator[None]:
    """What the block makes is made alone, and noted at its end, at once: a server takes its time for a statement.

    What was made until something failed is made again the next time.
    """
    if warehouse in _MAKING:
        yield
        return
    with ExitStack() as stack:
        making = _MAKING[warehouse] = _Making(stack)
        try:
            yield
            making.note(warehouse)
        finally:
            del _MAKING[warehouse]


@contextmanager
def made(warehouse: Warehouse, name: str, definition: str) -> Iterator[bool]:
    """Whether the relation `name` was made by this definition; where it was not, the block makes it. `prepare`d."""
    digest = sha256(definition.encode()).hexdigest()
    if _KNOWN[warehouse].get(name) == digest:
        yield True
        return
    with together(warehouse):
        making = _MAKING[warehouse]
        making.begin(warehouse)
        is_made = _KNOWN[warehouse].get(name) == digest  # by somebody else, since this was opened
        yield is_made
        if not is_made:
            making.notes[name] = digest


@dataclass
class _Making:
    """Relations that are being made, and when that is done what is to be noted of them."""

    stack: ExitStack
    notes: dict[str, str] = field(default_factory=dict)
    begun: bool = False

    def begin(self, warehouse: Warehouse) -> None:
        if not self.begun:
            self.stack.enter_context(warehouse.alone())
            _KNOWN[warehouse] = _noted(warehouse)
            self.begun = True

    def note(self, warehouse: Warehouse) -> None:
        if not self.notes:
            return
        known, literal = _KNOWN[warehouse], warehouse.dialect.literal
        if other := [name for name in self.notes if name in known]:
            warehouse.remove(TABLE, "name", other)
        rows = ", ".join(f"({literal(name)}, {literal(digest)})" for name, digest in self.notes.items())
        warehouse.execute(f"insert into {TABLE} values {rows}")
        known.update(self.notes)


def create_view(warehouse: Warehouse, name: str, query: str) -> None:
    """Create the view `name` (`schema.view`), or replace one made of another query."""
    with made(warehouse, name, query) as is_made:
        if not is_made:
            warehouse.create_view(name, query)


def forget(warehouse: Warehouse, only: str | None = None) -> None:
    """A table is about to get new columns: what reads all of them is created again, or `only` its own view."""
    making = _MAKING[warehouse].notes if warehouse in _MAKING else {}
    names = {*_noted(warehouse), *making} if only is None else {only}
    warehouse.remove(TABLE, "name", names)
    for name in names:
        _KNOWN[warehouse].pop(name, None)
        making.pop(name, None)


def _noted(warehouse: Warehouse) -> dict[str, str]:
    return {row["name"]: row["digest"] for row in warehouse.rows(f"select name, digest from {TABLE}")}
