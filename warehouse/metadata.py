"""Which layout the tables of a warehouse have, and which engines wrote them: what is too new is refused early."""

from __future__ import annotations

from models.errors import NeedsPerson, WarehouseVersion
from warehouse.base import Warehouse

LAYOUT = 1  # grows when tables that Python owns change in a way that older code would misread
TABLE = "tailrace.metadata"
MOVING = "moving"  # stands where an engine does while another warehouse is copied into this one


def stamp(warehouse: Warehouse, *, moving: bool = False) -> None:
    """Check the layout, and note layout and engine where they are not the last noted. The schema exists.

    `moving`: this is what another warehouse is copied into; nothing else may open it before `moved`. Raises
    WarehouseVersion when a newer Tailrace wrote to it, NeedsPerson where a move into it has not ended.
    """
    warehouse.execute(
        f"create table if not exists {TABLE} (number bigint, layout bigint, engine {warehouse.dialect.text})"
    )
    rows = warehouse.rows(f"select number, layout, engine from {TABLE} order by number")
    newest = max((int(row["layout"]) for row in rows), default=0)
    if newest > LAYOUT:
        message = (
            f"the warehouse has layout {newest}, written by a newer Tailrace; this one knows up to {LAYOUT}: "
            "update the checkout"
        )
        raise WarehouseVersion(message)
    last = (rows[-1]["layout"], rows[-1]["engine"]) if rows else None
    if last == (LAYOUT, MOVING) and not moving:
        message = (
            "another warehouse is being moved into this one and not all of it is here: run `tailrace move` once more, "
            "with TAILRACE_WAREHOUSE as it was before"
        )
        raise NeedsPerson(message)
    engine = MOVING if moving else warehouse.version
    if last != (LAYOUT, engine):
        _note(warehouse, len(rows) + 1, engine)


def is_moving(warehouse: Warehouse) -> bool:
    """Whether a move into this warehouse was begun and has not ended."""
    rows = warehouse.rows(f"select engine from {TABLE} order by number desc limit 1")
    return bool(rows) and rows[0]["engine"] == MOVING


def moved(warehouse: Warehouse) -> None:
    """All is there that was moved into it: from now on it is a warehouse like any other."""
    rows = warehouse.rows(f"select count(*) as n from {TABLE}")
    _note(warehouse, int(rows[0]["n"]) + 1, warehouse.version)


def _note(warehouse: Warehouse, number: int, engine: str) -> None:
    warehouse.execute(f"insert into {TABLE} values ({number}, {LAYOUT}, {warehouse.dialect.literal(engine)})")
