"""HubSpot: a segment as a static list (developers.hubspot.com/docs/api-reference, objects and lists v3).

An operation is a chain of two requests, contacts first and then the list by the record ids they have. A row that is
removed leaves the list; its contact stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import orjson
import polars as pl
from pydantic import BaseModel, Field

from models.delivery import Outcome, Outcomes, RowOutcome
from models.sync import Mode, Op
from sinks.base import (
    Batch,
    Fault,
    HttpSink,
    Known,
    Limits,
    Operation,
    Options,
    Simulated,
    destination,
    json_request,
)
from sinks.limiter import retry_after
from sinks.simulated import json_response, refused_without

HOST = "https://api.hubapi.com"
UPSERT, READ, LISTS = "/crm/v3/objects/contacts/batch/upsert", "/crm/v3/objects/contacts/batch/read", "/crm/v3/lists"
LARGEST_BATCH = 100  # contacts a request
LONGEST_VALUE = 65_536  # characters of a property
REQUESTS = 2  # of a chain; the loop paces chains
_LOCKED, _MIGRATING = 423, 477
_LOCKED_SECONDS = 2.0  # the least that HubSpot asks to wait


class HubspotOptions(Options):
    list_id: str = destination(
        description="The static list of contacts that rows enter and leave", pattern=r"^[0-9]+$", examples=["1234"]
    )
    portal: str = destination(
        description="The account's id: rate limits belong to it", pattern=r"^[0-9]+$", examples=["12345678"]
    )
    id_property: str = destination(
        "email",
        description="The property by which HubSpot knows a contact, email or one with unique values, and its column",
        pattern=r"^[a-z][a-z0-9_]{0,99}$",
    )
    connections: int = Field(default=4, ge=1, le=16, description="Requests in flight")
    per_second: float = Field(
        default=10.0, gt=0, description="Requests a second, two of them a batch: 10 in the smallest tier, else 19"
    )
    timeout: float = Field(default=30.0, gt=0, description="Seconds until an answer is given up")


class HubspotSink(HttpSink):
    """Every column is a property of contacts with the same name; null clears it. Both operations are idempotent.

    Left open by the documentation: whether results carry the trace ids of their inputs (without one a contact is
    found by its `id_property`), what a batch answers where two of its rows are one contact (a row that the answer
    leaves out is `unknown`, and sent again), and how a list that is not static refuses members (any 4xx stops).
    """

    Options = HubspotOptions
    secrets = ("token",)
    modes = frozenset({Mode.MIRROR, Mode.UPSERT})
    options: HubspotOptions

    # HubSpot's words, in `category` and in the codes of its errors
    NOT_THERE = "OBJECT_NOT_FOUND"
    NO_PROPERTY = "PROPERTY_DOESNT_EXIST"  # the mapping is wrong, not a row

    @property
    def account(self) -> str:
        return f"hubspot:{self.options.portal}"

    @property
    def limits(self) -> Limits:
        return Limits(
            rows=LARGEST_BATCH,
            bytes=1_000_000,  # HubSpot publishes none
            connections=self.options.connections,
            per_second=self.options.per_second / REQUESTS,
            timeout=self.options.timeout,
            envelope=LARGEST_BATCH * 100,  # what stands around each contact
        )

    @property
    def operations(self) -> Mapping[Op, Operation]:
        return {Op.UPSERT: Operation(idempotent=True), Op.REMOVE: Operation(idempotent=True)}

    def identity(self, key: Sequence[str]) -> tuple[str, ...]:  # noqa: ARG002 - HubSpot's, whatever ours is
        return (self.options.id_property,)

    def payloads(self, op: Op, rows: pl.DataFrame) -> Sequence[str]:
        """The properties, each as text; of a contact that is removed only what finds it, as `id`."""
        texts = {name: _text(name, dtype) for name, dtype in rows.schema.items()}
        if op is Op.REMOVE:
            texts = {"id": texts[self.options.id_property]}
        made = pl.struct([text.alias(name) for name, text in texts.items()])
        return rows.select(made.struct.json_encode()).to_series().to_list()

    def request(self, batch: Batch) -> httpx.Request:
        name = self.options.id_property
        rows = [orjson.loads(payload) for payload in batch.payloads]
        if batch.op is Op.REMOVE:
            return self._asked("POST", READ, {"idProperty": name, "properties": [name], "inputs": rows})
        # with trace ids HubSpot may answer row by row (207) where it would refuse the whole batch
        inputs = [
            {"id": row.pop(name), "idProperty": name, "objectWriteTraceId": _trace(offset), "properties": row}
            for offset, row in enumerate(rows)
        ]
        return self._asked("POST", UPSERT, {"inputs": inputs})

    def following(self, batch: Batch, answers: Sequence[httpx.Response]) -> httpx.Request | None:
        if len(answers) == REQUESTS or answers[0].is_error:
            return None
        records = list(dict.fromkeys(result.id for result in _contacts(answers[0]).results))
        if not records:
            return None
        verb = "remove" if batch.op is Op.REMOVE else "add"
        return self._asked("PUT", f"{LISTS}/{self.options.list_id}/memberships/{verb}", records)

    def _asked(self, method: str, path: str, body: object) -> httpx.Request:
        told = {"Authorization": f"Bearer {self._secrets['token']}"}
        return json_request(f"{HOST}{path}", orjson.dumps(body), told, method)

    def outcomes(self, batch: Batch, response: httpx.Response) -> Outcomes:
        return self.outcomes_of_chain(batch, [response])

    def outcomes_of_chain(self, batch: Batch, answers: Sequence[httpx.Response]) -> Outcomes:
        if answers[-1].is_error:
            return self._refused(answers[-1], of_list=len(answers) == REQUESTS)
        contacts = _contacts(answers[0])
        if contacts.errors and not contacts.results and all(told.has(self.NO_PROPERTY) for told in contacts.errors):
            return _no_property(contacts.errors[0])
        if contacts.results and len(answers) < REQUESTS:
            raise ValueError("contacts that were not put on the list, nor taken from it")
        missing = _Members.model_validate_json(answers[1].content).missing if contacts.results else []
        return self._settled(batch, contacts, frozenset(missing))

    def _settled(self, batch: Batch, contacts: _Contacts, missing: frozenset[str]) -> Outcomes:
        """Rows by what was found and told of them; one that cannot be told apart goes by whether all are counted."""
        offsets = self._offsets(batch)
        told = {offsets[name]: self._told(batch.op, error) for error in contacts.errors for name in error.names}
        named = [(offsets.get(result.name(self.options.id_property)), result.id) for result in contacts.results]
        found = {offset: record for offset, record in named if offset is not None}
        if not missing <= set(found.values()):
            raise ValueError("the list misses records of which it is not known whose they are")
        are_counted = len(named) + len(told) >= len(batch.offsets)
        rest = RowOutcome(Outcome.ACCEPTED) if are_counted else RowOutcome(Outcome.UNKNOWN, "not in the answer")
        return Outcomes(rest, {offset: _listed(record, missing) for offset, record in found.items()} | told)

    def _offsets(self, batch: Batch) -> Mapping[str, int]:
        """Rows by trace id and by identity."""
        column = "id" if batch.op is Op.REMOVE else self.options.id_property
        identities = [orjson.loads(payload)[column] for payload in batch.payloads]
        return {name: n for n, row in enumerate(identities) for name in (_trace(n), _name(row))}

    def _told(self, op: Op, error: _Error) -> RowOutcome:
        if op is Op.REMOVE and error.category == self.NOT_THERE:
            return RowOutcome(Outcome.ACCEPTED, "there is no such contact")
        return RowOutcome(Outcome.REJECTED, error.reason)

    def _refused(self, response: httpx.Response, *, of_list: bool) -> Outcomes:
        """What an answer of 4xx says of all rows."""
        status, text = response.status_code, f"{response.status_code} {response.text[:200]}"
        if status == _LOCKED:  # refused before anything is written, HubSpot says: certain
            return Outcomes.all(Outcome.RETRY, text, retry_after=retry_after(response.headers) or _LOCKED_SECONDS)
        if status == _MIGRATING:  # the account is moving and takes nothing
            return Outcomes.all(Outcome.RETRY, text, throttled=True, retry_after=retry_after(response.headers))
        if of_list:  # the records are HubSpot's own: what is wrong is the list
            stop = f"HubSpot does not change the list ({status}): check `list_id`; it is a static list of contacts"
            return Outcomes.all(Outcome.RETRY, text, stop=stop)
        error = _Error.model_validate_json(response.content)
        if error.has(self.NO_PROPERTY):
            return _no_property(error)
        return Outcomes.all(Outcome.REJECTED, error.reason, split=True)

    @classmethod
    def simulate(cls, request: httpx.Request, fault: Fault) -> Simulated:
        """Upserts are known from the contacts, which have the rows, and removes from the list, which loses them.

        A list has no word for a single record but `recordIdsMissing`: that is said of a rejected one.
        """
        if refusal := refused_without(request, "Authorization", "Bearer dev-token"):
            return refusal
        if fault.refuse is not None:
            return _problem(fault.refuse)
        try:
            return _heard(request.url.path, orjson.loads(request.content), fault)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            return _problem(f"not understood: {type(error).__name__}")


class _Result(BaseModel):
    id: str  # the record's
    trace: str | None = Field(default=None, alias="objectWriteTraceId")
    properties: dict[str, str | None] = Field(default_factory=dict)

    def name(self, id_property: str) -> str:
        return self.trace or _name(self.properties.get(id_property) or "")


class _Code(BaseModel):
    code: str = ""


class _Error(BaseModel):
    """Of a row (207) or of a request; HubSpot promises no field, and without a message it is no answer of its own."""

    category: str = ""
    message: str
    context: dict[str, list[str]] = Field(default_factory=dict)
    errors: list[_Code] = Field(default_factory=list)

    @property
    def names(self) -> Sequence[str]:
        return self.context.get("objectWriteTraceId") or [_name(identity) for identity in self.context.get("ids", [])]

    @property
    def reason(self) -> str:
        return f"{self.category}: {self.message[:300]}"

    def has(self, code: str) -> bool:
        """Also where it stands in the JSON inside the message; a row's own text is escaped there."""
        return any(error.code == code for error in self.errors) or f'"error":"{code}"' in self.message


class _Contacts(BaseModel):
    """The answer to an upsert and to a read."""

    results: list[_Result]
    errors: list[_Error] = Field(default_factory=list)


class _Members(BaseModel):
    """The answer of a list, which leaves out what is empty; who is on it, or is not, already is in neither."""

    missing: list[str] = Field(default_factory=list, alias="recordIdsMissing")


def _trace(offset: int) -> str:
    """In capitals, which no identity's name has."""
    return f"ROW-{offset}"


def _name(identity: str) -> str:
    """An identity as HubSpot compares e-mail addresses."""
    return identity.strip().lower()


def _contacts(response: httpx.Response) -> _Contacts:
    return _Contacts.model_validate_json(response.content)


def _listed(record: str, missing: frozenset[str]) -> RowOutcome:
    """HubSpot found the record a moment ago: that the list misses it now settles nothing."""
    if record in missing:
        return RowOutcome(Outcome.RETRY, "the list misses this record", record)
    return RowOutcome(Outcome.ACCEPTED, provider_id=record)


def _no_property(error: _Error) -> Outcomes:
    stop = "a column of this sync is no property of contacts in HubSpot (receipts name it): create it, or leave it out"
    return Outcomes.all(Outcome.RETRY, error.reason, stop=stop)


def _text(name: str, dtype: pl.DataType) -> pl.Expr:
    """A column as HubSpot writes values: ISO 8601, times in UTC; `a;b` for several; an empty text clears."""
    column = pl.col(name)
    match dtype:
        case pl.Datetime():
            told = column.dt.convert_time_zone("UTC") if dtype.time_zone else column
            text = told.dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
        case pl.Duration():
            text = column.dt.to_string("iso")
        case pl.List() if not dtype.inner.is_nested():
            text = column.cast(pl.List(pl.String)).list.join(";")
        case _ if dtype.is_nested():  # HubSpot has no such value: JSON
            whole = column if isinstance(dtype, pl.Struct) else pl.struct(column)
            text = pl.when(column.is_not_null()).then(whole.struct.json_encode())
        case pl.Binary():
            text = column.bin.encode("base64")
        case _:
            text = column.cast(pl.String)
    return text.fill_null("")


# --- the vendor as simulated: it knows every contact, by a record id that is the identity's bytes in decimal


def _record(identity: str) -> str:
    return "1" + "".join(f"{byte:03}" for byte in identity.encode())


def _identity(record: str) -> str:
    return bytes(int(record[start : start + 3]) for start in range(1, len(record), 3)).decode()


def _heard(path: str, body: Any, fault: Fault) -> Simulated:
    if path == UPSERT:
        return _upserted(body["inputs"], fault)
    if path == READ:
        return _read(body["idProperty"], body["inputs"])
    return _changed(path.rpartition("/memberships/")[2], body, fault)


def _upserted(inputs: Sequence[Mapping[str, Any]], fault: Fault) -> Simulated:
    values = [value for row in inputs for value in row["properties"].values()]
    if not all(isinstance(value, str) and len(value) <= LONGEST_VALUE for value in values):
        return _problem(f"Property values were not valid: they are texts of {LONGEST_VALUE} characters at most")
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
        return _problem(f"a batch has 1 to {LARGEST_BATCH} inputs, not {len(ids)}")
    if len({_name(identity) for identity in ids}) < len(ids) or not all(ids):
        return _problem("Duplicate or empty IDs found in batch input: IDs must be unique")
    return None


def _error(message: str) -> dict[str, str]:
    return {"status": "error", "category": "VALIDATION_ERROR", "message": message}


def _problem(message: str) -> Simulated:
    return Simulated(json_response(400, _error(message)))
