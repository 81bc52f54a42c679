"""The JSON Schemas of the YAML files that people write, for their editors."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from models.journey import Journey
from models.policy import Policy
from models.source import Sources
from models.sync import Destinations, SyncEntry
from sinks.registry import discover

CONTRACTS: dict[str, type[BaseModel]] = {
    "sources": Sources,
    "sinks": Destinations,
    "policy": Policy,
    "syncs": SyncEntry,
    "journey": Journey,
}


def schema(file: str) -> dict[str, Any]:
    """The schema of one of CONTRACTS; of `syncs`, that of one entry with the options of every sink there is."""
    found = CONTRACTS[file].model_json_schema()
    return _with_options(found) if file == "syncs" else found


def _with_options(entry: dict[str, Any]) -> dict[str, Any]:
    """An option that several sinks have may be what any of them allows: `tailrace check` knows which sink it is."""
    options: dict[str, list[Any]] = {}
    for _, sink in sorted(discover().items()):
        theirs = sink.Options.model_json_schema()
        entry["$defs"].update(theirs.get("$defs", {}))
        for name, allowed in theirs["properties"].items():
            known = options.setdefault(name, [])
            known += [] if allowed in known else [allowed]
    merged = {name: allowed[0] if len(allowed) == 1 else {"anyOf": allowed} for name, allowed in options.items()}
    return {**entry, "properties": {**merged, **entry["properties"]}}
