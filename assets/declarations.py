"""One entry of a model's `meta.syncs` on its way to a Sync: checked against its sink, its model and profiles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assets.configuration import Document, KeyPath, parse
from assets.journeys.messages import CONTACTS
from assets.messages import fitting, templates
from assets.messages.compiling import compiled
from assets.messages.composing import OF_SEGMENT
from assets.messages.text import Text
from assets.mistakes import suggestion
from assets.parsed import declared_syncs, marked
from models.settings import Settings
from models.sync import Channel, Destination, Mode, Sync, SyncEntry
from sinks import base, registry

Node = Mapping[str, Any]
MESSAGE_COLUMNS = ("profile_id", "template", "template_version", "locale")  # of messages that a segment sends
TABLES = ("table", "incremental")  # how a model that is synced is made
RESERVED = frozenset({"batch_id"})  # and every name with an underscore first: the ledger's own columns


def declarations(settings: Settings, models: Mapping[str, Node]) -> Iterator[Declaration]:
    """Every entry there is, model by model."""
    for model in models.values():
        syncs = declared_syncs(model)
        for index, given in enumerate(syncs if isinstance(syncs, list) else [syncs]):
            yield Declaration(settings, models, model, index, given)


@dataclass(frozen=True)
class Declaration:
    """One entry of one model's `meta.syncs`, on its way to a Sync."""

    settings: Settings
    models: Mapping[str, Node]
    model: Node
    index: int
    given: Any

    def read(self, destinations: Mapping[str, Destination]) -> Sync:
        """Raises ConfigError with file, line, model, key and what is allowed."""
        document, base_path = self._document()
        self._check_form(document, base_path)
        mine = {key: value for key, value in self.given.items() if key in SyncEntry.model_fields}
        rest = {key: value for key, value in self.given.items() if key not in mine}
        entry = _at(document, base_path, mine).read(SyncEntry, *base_path)
        if entry.sink not in destinations:
            message = f"no sink '{entry.sink}'{suggestion(entry.sink, list(destinations), 'in sinks.yml')}"
            raise document.error(message, *base_path, "sink")
        destination = destinations[entry.sink]
        kind = registry.load(destination.sink)
        for key in rest:
            if key not in kind.Options.model_fields:
                allowed = sorted({*SyncEntry.model_fields, *kind.Options.model_fields})
                message = f"unknown key{suggestion(key, allowed)}"
                raise document.error(message, *base_path, key)
        merged = {**destination.options, **rest}
        options = _at(document, base_path, merged).read(kind.Options, *base_path)
        if entry.mode not in kind.modes:
            message = f"sink '{destination.sink}' cannot {entry.mode}; allowed: {', '.join(sorted(kind.modes))}"
            raise document.error(message, *base_path, "mode")
        texts: dict[str, tuple[str, ...]] = {}
        if kind.channel:
            read, entry = self._message(document, base_path, entry, kind.channel)
            texts = {read.digest: read.template.languages}
        elif entry.template:
            message = f"sink '{destination.sink}' sends rows, no messages: it needs no template"
            raise document.error(message, *base_path, "template")
        self._check_columns(document, base_path, entry)
        key = ("entry_id",) if entry.mode is Mode.SEND_ON_ENTRY else entry.key
        sink = without_secrets(kind, options)
        identity = key if entry.mode is Mode.SEND_ON_ENTRY else tuple(sink.identity(key))
        for column in identity:
            if column not in {*key, *(entry.fields or self._columns(self.model) or identity)}:
                message = f"sink '{destination.sink}' knows a row by '{column}'; add it to `fields` or `key`"
                raise document.error(message, *base_path, "fields")
        return Sync(
            model=self.model["name"],
            relation=relation(self.model),
            profiles=relation(self.models["profiles"]) if "profiles" in self.models else None,
            consent=relation(self.models["consent"]) if "consent" in self.models else None,
            file=str(document.error("").file),
            line=document.where(*base_path),
            entry=entry,
            destination=destination,
            options=merged,
            identity=identity,
            pii=pii_of([self.model, *([self.models["profiles"]] if "profiles" in self.models else [])]),
            above=above(self.models, [self.model["name"], "profiles", *(["consent"] if entry.purpose else [])]),
            texts=texts,
        )

    def _check_form(self, document: Document, path: KeyPath) -> None:
        """A mapping, of a model that is a table."""
        if not isinstance(self.given, dict):
            raise document.error("must be a mapping (key: value)", *path)
        made = self.model["config"].get("materialized", TABLES[0])
        if made not in TABLES:
            message = f"its model is a {made}, which an engine may drop while what it reads is made anew: "
            raise document.error(message + "begin it with {{ config(materialized='table') }}", *path)

    def _message(self, document: Document, path: KeyPath, entry: SyncEntry, channel: Channel) -> tuple[Text, SyncEntry]:
        """The template of what enters are sent, and the entry with the columns that it needs."""
        texts = templates.readable(self.settings)
        if entry.template not in texts:
            message = f"no template '{entry.template}'" if entry.template else "is missing: what is sent to who enters"
            hint = suggestion(entry.template or "", list(texts), "in dbt_project/templates")
            raise document.error(message + hint, *path, "template")
        if entry.purpose is None:
            message = "is missing: what the message is for; marketing, transactional or what consent is about"
            raise document.error(message, *path, "purpose")
        if entry.fields is not None:
            message = "a message has the columns that its template uses; leave `fields` out"
            raise document.error(message, *path, "fields")
        read = texts[entry.template]
        for wrong in fitting.problems(read, channel, entry.purpose):
            raise document.error(wrong, *path, "template")
        template, contact = compiled(read), entry.contact or CONTACTS[channel]
        if template.properties:
            message = f"its text uses 'event.{min(template.properties)}', and who enters a segment has no entry event"
            raise document.error(message, *path, "template")
        named = template.variables | template.columns
        if ours := named & OF_SEGMENT:
            message = f"its text uses '{min(ours)}', a word that messages need themselves: call the column otherwise"
            raise document.error(message, *path, "template")
        used = sorted(named - {contact, *MESSAGE_COLUMNS})
        return read, entry.model_copy(update={"contact": contact, "fields": (*MESSAGE_COLUMNS, contact, *used)})

    def _document(self) -> tuple[Document, KeyPath]:
        """The entry as a document whose path reads `model.syncs[0]`, with the lines of the YAML file that has it."""
        name = self.model["name"]
        base_path: KeyPath = (name, "syncs", self.index)
        patch = self.model.get("patch_path")
        lines: dict[KeyPath, int] = {}
        file = self.settings.dbt_project / self.model["original_file_path"]
        if patch:
            file = self.settings.dbt_project / str(patch).split("://", 1)[1]
            written = parse(file)
            for where in _places(written, name):
                if written.at(*where):
                    lines = {
                        (name, "syncs", *path[len(where) :]): line
                        for path, line in written.lines.items()
                        if path[: len(where)] == where
                    }
        document = Document(Path(file), {name: {"syncs": {self.index: self.given}}}, lines)
        return document, base_path

    def _check_columns(self, document: Document, path: KeyPath, entry: SyncEntry) -> None:
        own, theirs = self._columns(self.model), self._columns(self.models.get("profiles"))
        allowed = [*(own or ()), *(theirs or ())]
        for place in ("key", "fields"):
            for position, column in enumerate(getattr(entry, place) or ()):
                if column.startswith("_") or column in RESERVED:
                    message = f"'{column}': names that begin with _ are reserved, and batch_id"
                    raise document.error(message, *path, place, position)
                # a model that declares no columns is known once it is built: the plan checks it then
                known = not own or column in own or (theirs is not None and column in theirs)
                if known or column in {"profile_id", *(MESSAGE_COLUMNS if entry.template else ())}:
                    continue
                missing = f"no column of {self.model['name']} or profiles{suggestion(column, allowed)}"
                # of a template nobody wrote these fields: its text asks for them
                message = (
                    f"its text uses '{column}', which is {missing}" if entry.template else f"'{column}' is {missing}"
                )
                raise document.error(message, *path, *(("template",) if entry.template else (place, position)))
        if entry.contact and own and entry.contact not in allowed:
            message = f"'{entry.contact}' is no column of {self.model['name']} or profiles"
            raise document.error(message + suggestion(entry.contact, allowed), *path, "contact")

    @staticmethod
    def _columns(model: Node | None) -> tuple[str, ...] | None:
        return tuple(model["columns"]) if model else None


def _at(document: Document, path: KeyPath, data: Mapping[str, Any]) -> Document:
    """The same document with other data at `path`: its lines stay."""
    name, syncs, index = path
    return Document(document.file, {name: {syncs: {index: data}}}, document.lines)


def _places(written: Document, name: str) -> Iterator[KeyPath]:
    for position, model in enumerate(written.at("models") or ()):
        if isinstance(model, dict) and model.get("name") == name:
            yield ("models", position, "meta", "syncs")
            yield ("models", position, "config", "meta", "syncs")


def relation(node: Node) -> tuple[str, str]:
    """Schema and name of a model's table."""
    return node["schema"], node.get("alias") or node["name"]


def above(models: Mapping[str, Node], names: Iterable[str]) -> frozenset[str]:
    """These models and every model above them."""
    waiting, found = [*names], set[str]()
    while waiting:
        name = waiting.pop()
        if name in models and name not in found:
            found.add(name)
            nodes = models[name].get("depends_on", {}).get("nodes", ())
            waiting += [node_id.split(".")[2] for node_id in nodes if node_id.startswith("model.")]
    return frozenset(found)


def pii_of(nodes: Iterable[Node]) -> frozenset[str]:
    """The columns that are marked as personal."""
    return frozenset[str]().union(*(marked(node, "pii") for node in nodes))


def without_secrets(kind: type[base.Sink], options: base.Options) -> base.Sink:
    """The sink, to be asked what it is: it cannot send."""
    return kind(options, dict.fromkeys(kind.secrets, ""))
