"""HubSpot: a segment as a static list (developers.hubspot.com/docs/api-reference, objects and lists v3).

An operation is a chain of two requests, contacts first and then the list by the record ids they have. A row that is
removed leaves the list; its contact stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import httpx
import orjson
import polars as pl
from pydantic import Field

from models.delivery import Outcome, Outcomes, RowOutcome
from models.sync import Mode, Op
from sinks.base import (
    Batch,
    Fault,
    HttpSink,
    Limits,
    Operation,
    Options,
    Simulated,
    destination,
    json_request,
)
from sinks.hubspot_answers import LARGEST_BATCH, LISTS, READ, UPSERT, Contacts, Error, Members, name_of, trace
from sinks.hubspot_answers import contacts as read_contacts
from sinks.hubspot_simulated import heard, problem
from sinks.limiter import retry_after
from sinks.simulated import refused_without

HOST = "https://api.hubapi.com"
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
            {"id": row.pop(name), "idProperty": name, "objectWriteTraceId": trace(offset), "properties": row}
            for offset, row in enumerate(rows)
        ]
        return self._asked("POST", UPSERT, {"inputs": inputs})

    def following(self, batch: Batch, answers: Sequence[httpx.Response]) -> httpx.Request | None:
        if len(answers) == REQUESTS or answers[0].is_error:
            return None
        records = list(dict.fromkeys(result.id for result in read_contacts(answers[0]).results))
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
        contacts = read_contacts(answers[0])
        if contacts.errors and not contacts.results and all(told.has(self.NO_PROPERTY) for told in contacts.errors):
            return _no_property(contacts.errors[0])
        if contacts.results and len(answers) < REQUESTS:
            raise ValueError("contacts that were not put on the list, nor taken from it")
        missing = Members.model_validate_json(answers[1].content).missing if contacts.results else []
        return self._settled(batch, contacts, frozenset(missing))

    def _settled(self, batch: Batch, contacts: Contacts, missing: frozenset[str]) -> Outcomes:
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
        return {name: n for n, row in enumerate(identities) for name in (trace(n), name_of(row))}

    def _told(self, op: Op, error: Error) -> RowOutcome:
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
        error = Error.model_validate_json(response.content)
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
            return problem(fault.refuse)
        try:
            return heard(request.url.path, orjson.loads(request.content), fault)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            return problem(f"not understood: {type(error).__name__}")


def _listed(record: str, missing: frozenset[str]) -> RowOutcome:
    """HubSpot found the record a moment ago: that the list misses it now settles nothing."""
    if record in missing:
        return RowOutcome(Outcome.RETRY, "the list misses this record", record)
    return RowOutcome(Outcome.ACCEPTED, provider_id=record)


def _no_property(error: Error) -> Outcomes:
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
