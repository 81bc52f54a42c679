"""Remembers, in the warehouse itself, which parts were built from what, which models are broken, and how late it is.

An unchanged part is not built again, and time does not go back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from models.clock import Clock
from models.errors import Refused
from warehouse import definitions
from warehouse.base import Warehouse
from warehouse.batches import Batch, create_log

BUILDS, MODELS, DEFINITIONS = "tailrace.build", "tailrace.model_status", "tailrace.model_definition"
BROKEN = "tailrace.broken_models"
CLOCK = "refresh"  # the part that only says at which clock a refresh began


@dataclass(frozen=True)
class Build:
    """One build of one part. `inputs` says from what; what it holds is the part's own affair."""

    number: int
    part: str
    definition: str
    inputs: str
    as_of: datetime
    known_by: datetime


def prepare(warehouse: Warehouse) -> None:
    """Create the logs, and the view of models that are broken now, where they are missing."""
    moments = {"as_of": "timestamptz", "known_by": "timestamptz"}
    texts = dict.fromkeys(("part", "definition", "inputs"), "varchar")
    create_log(warehouse, BUILDS, {"number": "bigint", **texts, **moments})
    create_log(
        warehouse,
        MODELS,
        {"number": "bigint", "model": "varchar", "is_broken": "boolean", "reason": "varchar", **moments},
    )
    create_log(warehouse, DEFINITIONS, {"number": "bigint", "model": "varchar", "definition": "varchar", **moments})
    definitions.create_view(
        warehouse,
        BROKEN,
        "select model, reason, as_of, known_by from ("
        f"select *, row_number() over (partition by model order by number desc) as latest from {MODELS}) as ranked "
        "where latest = 1 and is_broken",
    )


def begin(warehouse: Warehouse, clock: Clock) -> None:
    """Refuse a clock earlier than the last refresh's; remember this one."""
    last = latest(warehouse, CLOCK)
    if last and (clock.as_of < last.as_of or clock.known_by < last.known_by):
        message = (
            f"the last refresh was as of {last.as_of:%Y-%m-%d %H:%M:%S} UTC and this one says "
            f"{clock.as_of:%Y-%m-%d %H:%M:%S}: time does not go back; for the past run `tailrace backfill`"
        )
        raise Refused(message)
    if not last or (clock.as_of, clock.known_by) != (last.as_of, last.known_by):
        remember(warehouse, clock, CLOCK, definition="", inputs="")


def latest(warehouse: Warehouse, part: str) -> Build | None:
    """The last build of this part; None before the first."""
    columns = "number, part, definition, inputs, as_of, known_by"
    found = warehouse.rows(f"select {columns} from {BUILDS} where part = ? order by number desc limit 1", [part])
    return Build(**found[0]) if found else None


def remember(warehouse: Warehouse, clock: Clock, part: str, definition: str, inputs: str) -> Build:
    """Say that this part is now built from `inputs` by `definition`."""
    last = latest(warehouse, part)
    build = Build((last.number if last else 0) + 1, part, definition, inputs, clock.as_of, clock.known_by)
    batch = Batch(warehouse, f"build/{part}/{build.number}")
    batch.append(BUILDS, pa.Table.from_pylist([vars(build)]))
    batch.commit(clock.known_by)
    return build


def broken(warehouse: Warehouse) -> dict[str, str]:
    """Models whose last build failed or was stopped by another's failure → why."""
    found = warehouse.rows(f"select model, reason from {BROKEN} order by model")
    return {str(row["model"]): str(row["reason"]) for row in found}


def remember_models(warehouse: Warehouse, clock: Clock, built: Iterable[str], failed: Mapping[str, str]) -> None:
    """Write down which models became broken or whole, or are broken for another reason; nothing when none did."""
    before = broken(warehouse)
    changed = {model: (True, reason) for model, reason in failed.items() if before.get(model) != reason}
    changed |= {model: (False, "") for model in built if model in before and model not in failed}
    if not changed:
        return
    number = int(warehouse.rows(f"select coalesce(max(number), 0) + 1 as next from {MODELS}")[0]["next"])
    rows = [
        {"number": number, "model": model, "is_broken": is_broken, "reason": reason, **vars(clock)}
        for model, (is_broken, reason) in sorted(changed.items())
    ]
    batch = Batch(warehouse, f"models/{number}")
    batch.append(MODELS, pa.Table.from_pylist(rows))
    batch.commit(clock.known_by)


def remember_definitions(warehouse: Warehouse, clock: Clock, definitions: Mapping[str, str]) -> None:
    """Write down by what these models were just built, where that is new: a preview compares with it."""
    before = built_by(warehouse, DEFINITIONS)
    changed = {model: definition for model, definition in definitions.items() if before.get(model) != definition}
    if not changed:
        return
    number = int(warehouse.rows(f"select coalesce(max(number), 0) + 1 as next from {DEFINITIONS}")[0]["next"])
    rows = [
        {"number": number, "model": model, "definition": definition, **vars(clock)}
        for model, definition in sorted(changed.items())
    ]
    batch = Batch(warehouse, f"definitions/{number}")
    batch.append(DEFINITIONS, pa.Table.from_pylist(rows))
    batch.commit(clock.known_by)


def built_by(warehouse: Warehouse, relation: str) -> dict[str, str]:
    """Model → the checksum of what it was built by last. `relation`: the log, or its published copy."""
    found = warehouse.rows(
        "select model, definition from ("
        f"select *, row_number() over (partition by model order by number desc) as latest from {relation}) as ranked "
        "where latest = 1"
    )
    return {str(row["model"]): str(row["definition"]) for row in found}
