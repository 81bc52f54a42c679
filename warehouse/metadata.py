"""Which layout the tables of a warehouse have, and which engines wrote them: what is too new is refused early."""

from __future__ import annotations

from models.errors import WarehouseVersion
from warehouse.base import Warehouse

LAYOUT = 1  # grows when tables that Python owns change in a way that older code would misread
TABLE = "tailrace.metadata"


def stamp(warehouse: Warehouse) -> None:
    """Check the layout, and note layout and engine where they are not the last noted.

    Raises WarehouseVersion when a newer Tailrace wrote to it. The schema exists.
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
    if not rows or (rows[-1]["layout"], rows[-1]["engine"]) != (LAYOUT, warehouse.version):
        engine = warehouse.dialect.literal(warehouse.version)
        warehouse.execute(f"insert into {TABLE} values ({len(rows) + 1}, {LAYOUT}, {engine})")
