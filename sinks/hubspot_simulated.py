"""HubSpot as simulated: it knows every contact, by a record id that is the identity's bytes in decimal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from models.sync import Op
from sinks.base import Fault, Known, Simulated
from sinks.hubspot_answers import LARGEST_BATCH, READ, UPSERT, name_of
from sinks.simulated import json_response

LONGEST_VALUE = 65_536  # characters of a property


def _record(identity: str) -> str:
    return "1" + "".join(f"{byte:03}" for byte in identity.encode())


def _identity(record: str) -> str:
    return bytes(int(record[start : start + 3]) for start in range(1, len(record), 3)).decode()


def heard(path: str, body: Any, fault: Fault) -> Simulated:
    if path == UPSERT:
        return _upserted(body["inputs"], fault)
    if path == READ:
        return _read(body["idProperty"], body["inputs"])
    return _changed(path.rpartition("/memberships/")[2], body, fault)


def _upserted(inputs: Sequence[Mapping[str, Any]], fault: Fault) -> Simulated:
    values = [value for row in inputs for value in row["properties"].values()]
    if not all(isinstance(value, str) and len(value) <= LONGEST_VALUE for value in values):
        return problem(f"Property values were not valid: they are texts of {LONGEST_VALUE} characters at most")
    if wrong := _wrong([row["id"] for row in inputs]):
        return wrong
    errors = [
        {**_error(reason), "context": {"objectWriteTraceId": [inputs[offset]["objectWriteTraceId"]]}}
        for offset, reason in fault.reject.items()
    ]
    taken = [row for offset, row in enumerate(inputs) if offset not in fault.reject]
    results = [
        {
            "id": _record(row["id"]),
            "objectWriteTraceId": row["objectWriteTraceId"],
            "properties": {row["idProperty"]: row["id"].lower(), **row["properties"]},
        }
        for row in taken
    ]
    known = tuple(Known(Op.UPSERT, row["id"], {row["idProperty"]: row["id"], **row["properties"]}) for row in taken)
    answer = {"status": "COMPLETE", "results": results}
    if errors:
        return Simulated(json_response(207, {**answer, "numErrors": len(errors), "errors": errors}), known)
    return Simulated(json_response(200, answer), known)


def _read(name: str, inputs: Sequence[Mapping[str, str]]) -> Simulated:
    ids = [row["id"] for row in inputs]
    if wrong := _wrong(ids):
        return wrong
    results = [{"id": _record(found), "properties": {name: found.lower()}} for found in ids]
    return Simulated(json_response(200, {"status": "COMPLETE", "results": results}))


def _changed(verb: str, records: Sequence[str], fault: Fault) -> Simulated:
    taken = [record for offset, record in enumerate(records) if offset not in fault.reject]
    done = {"add": "recordsIdsAdded", "remove": "recordIdsRemoved"}[verb]
    answer = {done: taken, "recordIdsMissing": [records[offset] for offset in fault.reject]}
    gone = [_identity(record) for record in taken] if verb == "remove" else []
    return Simulated(json_response(200, answer), tuple(Known(Op.REMOVE, row, {"id": row}) for row in gone))


def _wrong(ids: Sequence[str]) -> Simulated | None:
    """Batches that HubSpot refuses whatever they are about."""
    if not 0 < len(ids) <= LARGEST_BATCH:
        return problem(f"a batch has 1 to {LARGEST_BATCH} inputs, not {len(ids)}")
    if len({name_of(identity) for identity in ids}) < len(ids) or not all(ids):
        return problem("Duplicate or empty IDs found in batch input: IDs must be unique")
    return None


def _error(message: str) -> dict[str, str]:
    return {"status": "error", "category": "VALIDATION_ERROR", "message": message}


def problem(message: str) -> Simulated:
    return Simulated(json_response(400, _error(message)))
