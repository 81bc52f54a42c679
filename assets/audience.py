"""The query of a sync's audience: the model, what is joined from profiles, who has no consent, whose message it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from assets.journeys.messages import COLUMNS, TIMES
from assets.messages.versions import locale_sql
from assets.mistakes import suggestion
from models.errors import UserError
from models.sync import TRANSACTIONAL, Mode, Sync
from warehouse.base import Warehouse
from warehouse.query import render

SQL = Path(__file__).parent / "sql"
HISTORY, PROFILE_MAP = "tailrace.segment_history", "tailrace.profile_map"
# types without a form in JSON or Parquet, alone or inside others; a field of such a name is followed by its own type
UNSENDABLE = re.compile(r"\b(blob|bit|interval|bignum|geometry|variant)(?=[\[\],)]|$)|\bunion\(")


@dataclass(frozen=True)
class Audience:
    """A query, and its typed columns: the key and the fields, in the order they are sent."""

    sql: str
    columns: Mapping[str, str]
    key: tuple[str, ...]
    identity: tuple[str, ...]
    contact: str | None  # the column with the contact point, where it is one of `columns`
    refused: str | None  # a query of contact points that said no, where the sync has a purpose
    pii: frozenset[str] = frozenset()  # columns shown masked
    carried: tuple[str, ...] = ()  # columns that are not sent and that the claim asks for


@dataclass(frozen=True)
class Column:
    name: str
    expression: str
    kind: str


def audience_of(
    warehouse: Warehouse,
    sync: Sync,
    settled: str,
    kinds: Mapping[str, str] | None = None,
    after: datetime | None = None,
    messages: str | None = None,
) -> Audience:
    """The audience today.

    For send_on_entry, `settled` is a query of entry ids that need no message, and only entries `after` that moment
    get one; for a journey's sync `messages` is the query of those due. `kinds` are types to cast to instead of those
    the model has. Raises UserError when a relation or column is missing.
    """
    return _Shape(warehouse, sync, settled, kinds or {}, after, messages).audience()


class _Shape:
    def __init__(
        self,
        warehouse: Warehouse,
        sync: Sync,
        settled: str,
        kinds: Mapping[str, str],
        after: datetime | None,
        messages: str | None,
    ) -> None:
        self.warehouse, self.sync, self.settled, self.kinds, self.after = warehouse, sync, settled, kinds, after
        self.entry, self.quote, self.messages = sync.entry, warehouse.dialect.quote, messages
        self.own = (
            dict.fromkeys(COLUMNS, warehouse.dialect.text) if messages else self._described(sync.relation, "the model")
        )
        self.theirs = warehouse.columns(self._named(sync.profiles)) if sync.profiles else {}
        if self.entry.mode is Mode.SEND_ON_ENTRY:
            if "entry_id" in self.own:
                message = (
                    f"{sync.file}: {sync.model}: `send_on_entry` gives each entry an 'entry_id'; rename the model's"
                )
                raise UserError(message)
            self.own = {"entry_id": warehouse.dialect.text, **self.own}

    def audience(self) -> Audience:
        names = self._names()
        columns = [self._column(name) for name in names]
        contact, column = self._contact(names)
        joined = {name for name in (*names, column) if name and (name not in self.own or name == "locale")}
        sql = render(
            SQL,
            "audience",
            self.warehouse.dialect,
            columns=columns,
            profile_id="model.profile_id" if self._has_profile() else "null",
            contact=contact if self.entry.purpose else "null",
            carried=self._carried,
            source=self._source(),
            profiles=self._named(self.sync.profiles) if joined and self.sync.profiles else None,
            purpose=self.entry.purpose,
            is_transactional=self.entry.purpose == TRANSACTIONAL,
            consent=self._consent(),
            by_profile=self._has_profile(),
        )
        key = ("entry_id",) if self.entry.mode is Mode.SEND_ON_ENTRY else self.entry.key
        return Audience(
            sql=sql,
            columns={each.name: each.kind for each in columns},
            key=key,
            identity=self.sync.identity,
            contact=column if column in names else None,
            refused=self._refused(),
            pii=self.sync.pii,
            carried=self._carried,
        )

    @property
    def _carried(self) -> tuple[str, ...]:
        return TIMES if self.messages else ()

    def _names(self) -> tuple[str, ...]:
        """What is sent: the key, then the fields; without fields all columns of the model."""
        first = ("entry_id",) if self.entry.mode is Mode.SEND_ON_ENTRY else ()
        fields = self.own if self.entry.fields is None else self.entry.fields
        return tuple(dict.fromkeys((*first, *self.entry.key, *fields)))

    def _column(self, name: str) -> Column:
        if name == "locale" and self.sync.texts:
            return Column(name, self._locale(), self.warehouse.dialect.text)
        if name in {"template", "template_version"} and self.entry.template:
            return Column(name, self._template(name), self.warehouse.dialect.text)
        if name.startswith("_") or name == "batch_id":
            message = (
                f"{self.sync.name}: the column name '{name}' is reserved; rename it, or leave it out with `fields`"
            )
            raise UserError(message)
        if name in self.own:
            return Column(name, f"model.{self.quote(name)}", self._kind(name, self.own[name]))
        if name in self.theirs and self._has_profile():
            return Column(name, f"profiles.{self.quote(name)}", self._kind(name, self.theirs[name]))
        allowed = suggestion(name, [*self.own, *self.theirs])
        message = f"{self.sync.file}: {self.sync.model}: '{name}' is no column of the model or of profiles{allowed}"
        raise UserError(message)

    def _locale(self) -> str:
        """The language that the message is made in: of those its version has, the person's or the first."""
        theirs = "profiles.locale" if "locale" in self.theirs else None
        version = self._template("template_version") if self.entry.template else "model.template_version"
        return locale_sql(self.warehouse.dialect, self.sync.texts, version, theirs)

    def _template(self, name: str) -> str:
        """Of a segment's messages: one template, in its version of now."""
        told = self.entry.template if name == "template" else next(iter(self.sync.texts))
        return self.warehouse.dialect.literal(told)

    def _kind(self, name: str, kind: str) -> str:
        if UNSENDABLE.search(kind):
            message = (
                f"{self.sync.file}: {self.sync.model}: '{name}' is of type {kind}, which no destination can be sent; "
                "cast it to text in the model, or leave it out with `fields`"
            )
            raise UserError(message)
        return self.kinds.get(name) or self.warehouse.dialect.sent(kind)

    def _contact(self, names: tuple[str, ...]) -> tuple[str, str | None]:
        """The contact point as SQL text, and its column."""
        candidates = [self.entry.contact] if self.entry.contact else ["email", "phone"]
        places = [names, tuple(self.own), tuple(self.theirs) if self._has_profile() else ()]
        for place in places:
            for name in candidates:
                if name in place:
                    dialect = self.warehouse.dialect
                    return dialect.normalized(f"cast({self._column(name).expression} as {dialect.text})"), name
        if self.entry.purpose:
            message = (
                f"{self.sync.file}: {self.sync.model}: `purpose` needs a contact point: "
                "a column email or phone, or one named by `contact`"
            )
            raise UserError(message)
        return "null", None

    def _source(self) -> str:
        if self.messages:
            return f"({self.messages})"
        relation = self._named(self.sync.relation)
        if self.entry.mode is not Mode.SEND_ON_ENTRY:
            return relation
        causes = ("data", "first") if self.entry.first_run == "send" else ("data",)
        literal = self.warehouse.dialect.literal
        entries = render(
            SQL,
            "entries",
            self.warehouse.dialect,
            history=HISTORY,
            profile_map=PROFILE_MAP,
            segment=self.sync.model,
            causes=", ".join(literal(cause) for cause in causes),
            members=relation,
            settled=self.settled,
            after=self.after,
        )
        return f"({entries})"

    def _consent(self) -> str | None:
        if not self.entry.purpose:
            return None
        if self.sync.consent is None or not self.warehouse.columns(self._named(self.sync.consent)):
            message = f"{self.sync.file}: {self.sync.model}: `purpose` needs the model `consent`, which is not built"
            raise UserError(message)
        return self._named(self.sync.consent)

    def _refused(self) -> str | None:
        consent, purpose = self._consent(), self.warehouse.dialect.literal(self.entry.purpose)
        said_no = (
            "suppressed"
            if self.entry.purpose == TRANSACTIONAL
            else f"purpose = {purpose} and (not granted or suppressed)"
        )
        normalized = self.warehouse.dialect.normalized("contact_point")
        return consent and f"select distinct {normalized} as contact_point from {consent} where {said_no}"

    def _has_profile(self) -> bool:
        return "profile_id" in self.own

    def _described(self, relation: tuple[str, str], what: str) -> dict[str, str]:
        columns = self.warehouse.columns(self._named(relation))
        if not columns:
            message = f"{self.sync.name}: {what} {'.'.join(relation)} is not built yet; run `tailrace refresh`"
            raise UserError(message)
        return columns

    def _named(self, relation: tuple[str, str]) -> str:
        schema, name = relation
        return f"{schema}.{self.quote(name)}"  # a schema is ours, and may be another on this connection
