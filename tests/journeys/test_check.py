"""A journey that could not work is refused before it is published, with its place and what would be right."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from assets import dbt_project
from assets.configuration import parsed as read_yaml
from assets.journeys import checks, documents, seen
from assets.journeys.seen import Seen
from assets.syncs import load_syncs
from models.errors import ConfigError
from models.journey import Journey, Split
from models.settings import Settings
from orchestration import checking, schemas
from tests.journeys.mistaken import REFERENCES, SHAPES, entered, steps
from warehouse.duckdb import DuckDB

ROOT = Path(__file__).parents[2]
FILES = ("sources.yml", "policy.yml")
SINKS = """\
sinks:
  crm: {sink: recorder}
  mail: {sink: recorder, channel: email}
  text: {sink: recorder, channel: sms}
  hook: {sink: webhook, options: {url: "https://hooks.example.com/in"}}
  files: {sink: file}
  letters: {sink: smtp, options: {host: smtp.example.com, sender: "The Shop <hello@shop.example>"}}
"""
SYNC = "select profile_id from {{ ref('profiles') }}\n"
TEMPLATES = {
    "cart_reminder.txt": "---\nsubject: Your cart\n---\nHello\n",
    "cart_sms.txt": "---\n---\nHello\n",
    "receipt.txt": "---\nsubject: Thank you\npurpose: transactional\n---\nHello\n",
}
SEEN = Seen(
    senders={"Cart Updated": {"shop"}, "Order Completed": {"shop"}, "Old Event": {"gone"}},
    properties={"Cart Updated": {"cart_id", "value"}, "Order Completed": {"order_id", "cart_id", "revenue"}},
)
CLASHING = replace(SEEN, properties={**SEEN.properties, "Order Completed": {"order_id", "email"}})

GOOD = """\
journey: good
description: Everything the language has
entry: {event: Cart Updated, key: cart_id, reentry: per_key, gap: 1 day, zone: recipient}
exit:
  - {segment: seg_unsubscribed}
  - {event: Order Completed, match: cart_id}
goal: {event: Order Completed, match: cart_id, within: 7 days}
holdout: 10%
max_stale: 2 days
on_publish: {migrate: {old: again, other: exit}}
steps:
  - wait_for: {event: Order Completed, match: cart_id, since: entry, timeout: 4 hours, then: exit, else: next}
  - name: again
    send: {sink: mail, template: cart_reminder, purpose: marketing, priority: 70, expires: 12 hours}
  - wait: 1 day
  - wait: {until: "09:00", zone: Europe/Berlin}
  - wait: {until: monday 21:00}
  - wait: {until: 21:00}
  - wait: {date: last_order_at, after: 2 weeks, at: "10:00"}
  - branch: {segment: seg_high_value, then: [{send: {sink: text, template: cart_sms}}], else: [{wait: 1 week}]}
  - branch:
      arms:
        - {property: value, at_least: 100, less_than: 500.5, then: next}
        - {property: value, in: [1, two, true], then: [{sync: {audience: vip, op: leave}}]}
        - {property: cart_id, is: c1, then: again}
      else: next
  - wait_for:
      event: Message Clicked
      timeout: 1 day
      then: [{send: {sink: mail, template: receipt, purpose: transactional, expires: 5 minutes}}]
  - split: {a: 50, b: 33.3, c: 16.7, steps: {a: next, b: [{wait: 1 week}, {sync: {audience: vip, op: enter}}], c: exit}}
  - split: {weights: {a: 50, b: 50}, steps: {a: next, b: [{exit: lost}]}}
  - exit: done
"""
TIMED = """\
journey: timed
entry: {segment: seg_lapsed, every: month 09:00, zone: Europe/Berlin}
on_publish: exit
steps:
  - send: {sink: mail, template: cart_reminder}
"""
ONCE = """\
journey: once
entry: {segment: seg_lapsed, at: 2026-12-01 09:00}
steps: [{send: {sink: mail, template: cart_reminder}}]
"""


def as_written(text: str) -> Any:
    """What the YAML says."""
    return read_yaml(Path("journey.yml"), text).data


@dataclass
class Desk:
    """A project to write journeys into."""

    settings: Settings
    manifest: Mapping[str, Any]

    def journey(self, text: str, name: str = "bad") -> Path:
        return self._written(f"journeys/{name}.yml", text)

    def template(self, name: str, text: str) -> Path:
        return self._written(f"templates/{name}", text)

    def _written(self, name: str, text: str) -> Path:
        path = self.settings.dbt_project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.settings.project / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    def check(self, known: Seen | None = SEEN) -> None:
        checks.check(self.settings, self.manifest, documents.journeys(self.settings), seen=known)

    def refusal(self, known: Seen | None = SEEN) -> ConfigError:
        with pytest.raises(ConfigError) as caught:
            self.check(known)
        return caught.value


@pytest.fixture(scope="session")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The shipped project with a model for the audience `vip`, parsed once."""
    folder = tmp_path_factory.mktemp("parsed")
    project, left_out = folder / "project", ("target", "logs", "journeys", "templates")
    shutil.copytree(ROOT / "dbt_project", project / "dbt_project", ignore=shutil.ignore_patterns(*left_out))
    for name in FILES:
        shutil.copy(ROOT / name, project / name)
    (project / "sinks.yml").write_text(SINKS)
    (project / "dbt_project/models/syncs/sync_journey_vip.sql").write_text(SYNC)
    settings = Settings(project=project, home=folder / "home")
    dbt_project.read_manifest(settings)
    return settings


@pytest.fixture
def desk(parsed: Settings, tmp_path: Path) -> Desk:
    """A project with templates and without journeys; its models are those of `parsed`."""
    for name in FILES:
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "sinks.yml").write_text(SINKS)
    made = Desk(Settings(project=tmp_path, home=tmp_path / "home"), dbt_project.read_manifest(parsed))
    for name, text in TEMPLATES.items():
        made.template(name, text)
    return made


@pytest.mark.parametrize("what", [*SHAPES, *REFERENCES])
def test_a_journey_that_cannot_work_is_refused_where_it_says_so(desk: Desk, what: str) -> None:
    """Each mistake is told once, with file, line and key, the wrong word and what is allowed."""
    text, line, key, words = {**SHAPES, **REFERENCES}[what]
    desk.journey(text)
    error = desk.refusal()
    assert (error.line, error.key) == (line, key), str(error)
    assert str(error.file).endswith("journeys/bad.yml")
    assert [word for word in words if word not in str(error)] == [], str(error)
    assert "\n" not in str(error), str(error)


def test_there_are_many_kinds_of_mistakes() -> None:
    """The tables have no kind twice."""
    assert len(SHAPES.keys() | REFERENCES.keys()) == len(SHAPES) + len(REFERENCES) >= 40


@pytest.mark.parametrize(("name", "text"), [("good", GOOD), ("timed", TIMED), ("once", ONCE)])
@pytest.mark.parametrize("known", [SEEN, None])
def test_a_good_journey_passes(desk: Desk, name: str, text: str, known: Seen | None) -> None:
    """A journey that uses all of the language is accepted, before anything is published and after."""
    desk.journey(text, name)
    if known:
        known = Seen({**known.senders, "Message Clicked": {"outcomes"}}, known.properties)
    desk.check(known)


@pytest.mark.parametrize("text", [GOOD, TIMED, ONCE])
def test_a_journey_reads_itself_back(text: str) -> None:
    """What a published version keeps of a journey is the journey."""
    journey = Journey.model_validate(as_written(text))
    assert Journey.model_validate_json(journey.model_dump_json(by_alias=True)) == journey


@pytest.mark.parametrize("text", [GOOD, TIMED, ONCE])
def test_an_editor_accepts_what_check_accepts(text: str) -> None:
    """The JSON Schema allows all that the contract allows, short forms too, and what the contract writes itself."""
    validator = Draft202012Validator(schemas.schema("journey"))
    validator.check_schema(schemas.schema("journey"))
    assert [error.message for error in validator.iter_errors(as_written(text))] == []
    written = Journey.model_validate(as_written(text)).model_dump(mode="json", by_alias=True)
    assert [error.message for error in validator.iter_errors(written)] == []


# a schema cannot count weights or days, weigh one key against another, know zones, or see what JSON cannot say
BEYOND_SCHEMA = {
    "two kinds in one step",
    "a step of no kind",
    "two kinds of wait",
    "a wait for a month",
    "a time beside a duration",
    "a time beside a time",
    "a zone beside a duration",
    "a zone that is none",
    "a zone of the machine",
    "a zone of leap seconds",
    "a zone that is a folder",
    "a wait of millions of years",
    "a gap past what can be counted",
    "a goal in eleven years",
    "weights that are not 100",
    "weights that are nearly 100",
    "a weight without steps",
    "an arm about nothing",
    "an arm that asks nothing",
    "an arm that asks for a date",
    "per_key by a segment",
    "a key by a segment",
    "entry by both",
    "always without a gap",
    "a holdout above everybody",
    "a moment at the end of time",
    "a bound without an end",
    "a value that is no number",
    "a value without an end",
}


@pytest.mark.parametrize("what", [what for what in SHAPES if what not in BEYOND_SCHEMA])
def test_an_editor_refuses_what_the_contract_refuses(what: str) -> None:
    """An unknown word, a missing key and a value of the wrong kind are mistakes for the JSON Schema too."""
    validator = Draft202012Validator(schemas.schema("journey"))
    assert list(validator.iter_errors(as_written(SHAPES[what][0])))


def test_all_mistakes_of_a_file_are_told_in_order(desk: Desk) -> None:
    """Several mistakes are one message, in the order of the lines, each with its place."""
    desk.journey(
        steps("- send: {sink: crm, template: lost}", "- exit: a", "- wait: {date: orders}").replace("Cart", "Crt")
    )
    said = str(desk.refusal()).splitlines()
    assert [line.split("bad.yml:")[1].split(": ")[:2] for line in said] == [
        ["2", "entry.event"],
        ["4", "steps[0].send.sink"],
        ["4", "steps[0].send.template"],
        ["6", "steps[2]"],
        ["6", "steps[2].wait.date"],
    ]


def test_the_mistakes_of_all_journeys_are_told(desk: Desk) -> None:
    """Whoever writes one hears of it also while another one is wrong."""
    one = "entry: {segment: seg_new}\nsteps: [{send: {sink: mail, template: cart_remindr}}]\n"
    for name in ("first", "second"):
        desk.journey(f"journey: {name}\n{one}", name)
    lines = str(desk.refusal()).splitlines()
    assert [line.split("journeys/")[1].split(": no template")[0] for line in lines] == [
        f"{name}.yml:3: steps[0].send.template" for name in ("first", "second")
    ]


def test_two_journeys_of_one_name_are_refused(desk: Desk) -> None:
    """The second is told, and the first is named with its file."""
    desk.journey(TIMED, "timed")
    desk.journey(TIMED, "timed_again")
    error = desk.refusal()
    assert str(error.file).endswith("timed_again.yml")
    assert "journeys/timed.yml is a journey 'timed' too" in str(error)


def nested(levels: int) -> str:
    """A journey of branches in branches."""
    way = "[{wait: 1 hour}, {branch: {segment: seg_new, then: "
    return "journey: bad\nentry: {event: Cart Updated}\nsteps:\n  " + way * levels + "exit" + "}}]" * levels + "\n"


UNREADABLE = {
    "a byte that is no text": ("journey: bad\nentry: \0\n", 2, "number 0 of Unicode"),
    "an anchor that holds itself": ("journey: bad\nsteps: &all\n  - exit: *all\n", 2, "holds itself by an anchor"),
    "branches in branches": (nested(300), None, "more than 100 levels deep"),
    "branches in branches, fewer": (nested(40), 4, "more than 100 levels deep"),
    "brackets": ("journey: " + "[" * 3_000, None, "more than 100 levels deep"),
    "nothing": ("# later\n", None, "is empty; it needs `journey`, `entry`, `steps`"),
    "two documents": ("journey: bad\n---\njourney: bad\n", 2, "a second document begins here"),
    "a day that is none": ("journey: bad\nentry: {segment: seg_new, at: 2026-13-45}\n", 2, "month must be in 1..12"),
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_a_file_that_cannot_be_read_is_one_mistake(desk: Desk, what: str) -> None:
    """Whatever is in the file: one error with the file and, where there is one, the line."""
    text, line, says = UNREADABLE[what]
    desk.journey(text)
    error = desk.refusal()
    assert (error.line, says in str(error)) == (line, True), str(error)
    assert str(error.file).endswith("journeys/bad.yml")
    assert "\n" not in str(error), str(error)


def test_branches_may_be_nested(desk: Desk) -> None:
    """What is not refused as too deep is read, checked and read back."""
    desk.journey(nested(24))
    desk.check()
    journey = documents.journeys(desk.settings)[0].journey
    assert Journey.model_validate_json(journey.model_dump_json(by_alias=True)) == journey


def test_a_key_is_text_as_it_is_written(desk: Desk) -> None:
    """What YAML takes for a number or for true is a name where names stand."""
    lines = ("- {name: ask, wait: 1 day}", "- split: {yes: 50, no: 50, steps: {yes: exit, no: next}}")
    desk.journey(steps(*lines).replace("steps:\n", "on_publish: {migrate: {2: ask}}\nsteps:\n", 1))
    desk.check()
    (read,) = documents.journeys(desk.settings)
    assert read.journey.steps[1].split is not None
    assert list(read.journey.steps[1].split.weights) == ["yes", "no"]


def test_rounded_weights_leave_nobody_without_a_way() -> None:
    """Weights that miss 100 by their last digit are accepted, and the last way has the rest."""
    split = Split.model_validate({"weights": dict.fromkeys("abc", 33.3333333), "steps": dict.fromkeys("abc", "exit")})
    assert split.weights == {"a": 33.3333333, "b": 33.3333333, "c": pytest.approx(33.3333334, abs=1e-9)}
    assert sum(split.weights.values()) == pytest.approx(100, abs=1e-12)


RECEIPT = """\
journey: {name}
entry: {{event: Cart Updated}}
steps: [{{send: {{sink: mail, template: receipt, purpose: {purpose}}}}}]
"""


@pytest.mark.parametrize(
    "sends",
    [
        [("post", "transactional"), ("post_transactional", "marketing")],
        [("post", "news letter"), ("post_news_letter", "marketing")],
        [("a", "order-news"), ("a_order", "news")],
    ],
)
def test_no_journey_takes_the_messages_of_another(desk: Desk, sends: list[tuple[str, str]]) -> None:
    """Two journeys whose messages would leave by a sync of one name are refused; the first is named with its file."""
    for name, purpose in sends:
        desk.journey(RECEIPT.format(name=name, purpose=purpose), name)
    nodes = {key: node for key, node in desk.manifest["nodes"].items() if node["name"] in ("profiles", "consent")}
    with pytest.raises(ConfigError, match="give one of them another name") as caught:
        load_syncs(desk.settings, {"nodes": nodes})
    (first, _), (second, _) = sends
    assert str(caught.value.file).endswith(f"journeys/{second}.yml")
    assert (caught.value.line, caught.value.key) == (1, "journey")
    assert f"journeys/{first}.yml" in str(caught.value)


@pytest.mark.parametrize("name", ["timed.yaml", "timed.YML", "timed.json", "mail/timed.yml"])
def test_a_journey_elsewhere_is_not_passed_over(desk: Desk, name: str) -> None:
    """A file of another ending or in a folder is told instead of ignored."""
    path = desk.settings.dbt_project / "journeys" / name
    path.parent.mkdir(parents=True)
    path.write_text(TIMED)
    error = desk.refusal()
    assert str(error.file).endswith(name)
    assert "call it journeys/timed.yml" in str(error)


def test_notes_beside_journeys_are_left_alone(desk: Desk) -> None:
    """A file that nobody takes for a journey is none."""
    desk.journey(TIMED, "timed")
    (desk.settings.dbt_project / "journeys/README.md").write_text("Ours\n")
    desk.check()


def test_a_template_uses_what_its_messages_have(desk: Desk) -> None:
    """A variable is a column of profiles or a property of the entry event, where anything was seen of that."""
    send = "- send: {sink: mail, template: cart_reminder}"
    desk.template("cart_reminder.txt", "---\n---\nHello {{ first_name }}: {{ cart_id }}\n")
    desk.journey(steps(send))
    desk.check()
    desk.journey(steps(send).replace("Cart Updated", "Signed Up"))
    desk.check(replace(SEEN, senders={**SEEN.senders, "Signed Up": {"shop"}}))
    said = "cart_reminder.txt uses 'cart_id', which is no column of profiles"
    desk.journey(steps(send).replace("event: Cart Updated", "segment: seg_new"))
    assert said in str(desk.refusal(None))
    desk.journey(steps(send).replace("Cart Updated", "Order Completed").replace("cart_reminder", "cart_sms"))
    desk.template("cart_sms.txt", "---\n---\nHello {{ order }}\n")
    error = desk.refusal()
    assert (error.line, error.key) == (4, "steps[0].send.template")
    assert "no column of profiles and no property of the last 1,000 events 'Order Completed'" in str(error)
    assert "did you mean 'orders'?" in str(error)


def test_a_template_says_whose_value_it_means(desk: Desk) -> None:
    """What is named with `profile.` or `event.` is looked for there; a name alone may be of both."""
    order = steps("- send: {sink: mail, template: cart_reminder}").replace("Cart Updated", "Order Completed")
    desk.journey(order)
    for used, wrong in (
        ("profile.mail", "uses 'profile.mail', which is no column of profiles; did you mean 'email'?"),
        ("event.mail", "'event.mail', which is no property of the last 1,000 events 'Order Completed'; did you mean"),
    ):
        desk.template("cart_reminder.txt", f"---\n---\n{{{{ {used} }}}}\n")
        assert wrong in str(desk.refusal(CLASHING))
    desk.template("cart_reminder.txt", "---\n---\n{{ profile.email }} {{ event.email }} {{ email }}\n")
    desk.check(CLASHING)
    desk.journey(order.replace("event: Order Completed", "segment: seg_new"))
    assert "cart_reminder.txt uses 'event.email', and no event enters it" in str(desk.refusal())


def test_a_word_that_messages_need_is_an_events_or_nobodys(desk: Desk) -> None:
    """An event may have a property called as what a message has of its journey; a column of profiles may not."""
    known = replace(SEEN, properties={**SEEN.properties, "Cart Updated": {"version"}})
    nodes = {key: dict(node) for key, node in desk.manifest["nodes"].items()}
    for node in nodes.values():
        if node["name"] == "profiles":
            node["columns"] = {**node["columns"], "version": {**node["columns"]["email"], "name": "version"}}
    desk.journey(steps("- send: {sink: mail, template: cart_reminder}"))
    desk.template("cart_reminder.txt", "---\n---\n{{ version }} {{ event.version }}\n")
    for manifest in (desk.manifest, {**desk.manifest, "nodes": nodes}):
        replace(desk, manifest=manifest).check(known)
    desk.template("cart_reminder.txt", "---\n---\n{{ node }} {{ profile.version }}\n")
    said = str(replace(desk, manifest={**desk.manifest, "nodes": nodes}).refusal(known))
    assert "cart_reminder.txt uses 'profile.version', a word that messages need themselves: rename the column" in said
    assert "cart_reminder.txt uses 'node', which is no column of profiles and no property of the last" in said


def test_a_segments_template_uses_no_word_that_messages_need(desk: Desk) -> None:
    """What a message is made of is no value of who enters, whatever their columns are called."""
    text = "---\nsubject: x\n---\n{{ template }} {{ unsubscribe_url }} {{ preferences_url }}\n"
    desk.template("hello.txt", text)
    entry = {"sink": "letters", "template": "hello", "purpose": "marketing", "mode": "send_on_entry"}
    node = next(node for node in desk.manifest["nodes"].values() if node["name"] == "seg_new")
    changed = {**node, "patch_path": None, "config": {**node["config"], "meta": {"syncs": [entry]}}}
    with pytest.raises(ConfigError, match="its text uses 'template', a word that messages need themselves"):
        load_syncs(desk.settings, {"nodes": {"seg_new": changed}})


def test_a_message_is_what_its_channel_and_purpose_need(desk: Desk) -> None:
    """By a sink that carries messages an e-mail has a subject, and offers have both ways out, in every part."""
    send = "- send: {sink: letters, template: cart_sms}"
    desk.journey(steps(send))
    error = desk.refusal()
    assert (error.line, error.key) == (4, "steps[0].send.template")
    assert "cart_sms.txt needs a `subject`" in str(error)
    text = "---\nsubject: x\n---\n{{ unsubscribe_url }}"
    desk.template("cart_sms.txt", text)
    assert "needs {{ preferences_url }} in its HTML and in its text" in str(desk.refusal())
    desk.template("cart_sms.txt", text + " {{ preferences_url }}\n")
    desk.check()
    desk.template("cart_sms.txt", "---\nsubject: x\n---\nThank you\n")
    desk.journey(steps(send.replace("}", ", purpose: transactional}")))
    desk.check()


def test_a_purpose_is_one_that_consent_or_a_template_names(desk: Desk) -> None:
    """A word that no consent and no template has is refused, in a message and in a cap."""
    desk.journey(steps("- send: {sink: mail, template: cart_sms, purpose: surveys}"))
    error = desk.refusal()
    assert (error.line, error.key) == (4, "steps[0].send.purpose")
    assert "no consent or template is about 'surveys'" in str(error)
    desk.check(replace(SEEN, purposes=frozenset({"surveys"})))
    desk.template("cart_sms.txt", "---\npurpose: surveys\n---\nHello\n")
    desk.check()
    desk.edit("policy.yml", "{purpose: marketing, max", "{purpose: marketng, max")
    error = desk.refusal()
    assert error.key == "caps[0].purpose"
    assert "did you mean 'marketing'? known: marketing, surveys, transactional" in str(error)


def test_an_event_nobody_knows_of_may_still_come(desk: Desk) -> None:
    """Before anything is published, a source that does not say its events may send any."""
    desk.journey(entered("{event: Lead Scored}"))
    assert "no source sends 'Lead Scored'" in str(desk.refusal(None))
    desk.edit("sources.yml", "    events: [Contact Updated]\n", "")
    desk.check(None)
    assert "no source sends 'Lead Scored'" in str(desk.refusal())


def test_an_event_of_a_source_that_is_gone_is_known(desk: Desk) -> None:
    """What was sent once may be named, also when its source was taken out."""
    desk.journey(entered("{event: Old Event}"))
    desk.check()


@pytest.mark.parametrize("known", [SEEN, None])
def test_a_wait_needs_to_know_until_when_all_its_sources_are_loaded(desk: Desk, known: Seen | None) -> None:
    """A `wait_for` is refused while a source that may send the event does not say until when it is loaded."""
    desk.journey(steps("- wait_for: {event: Order Completed, timeout: 1 day}"))
    desk.check(known)
    desk.edit("sources.yml", "    loaded_through: {closes: day}\n", "")
    error = desk.refusal(known)
    assert (error.line, error.key) == (4, "steps[0].wait_for.event")
    assert "shop in sources.yml does not say until when" in str(error)
    assert "{lag: 2 hours}" in str(error)


def test_a_source_that_once_sent_the_event_counts_too(desk: Desk) -> None:
    """Whoever sent the awaited event may send it again, whatever it declares."""
    desk.edit(
        "sources.yml",
        "    events: [Contact Updated]\n    loaded_through: {lag: 1 hour}\n",
        "    events: [Contact Updated]\n",
    )
    desk.journey(steps("- wait_for: {event: Order Completed, timeout: 1 day}"))
    desk.check()
    assert "crm in sources.yml" in str(desk.refusal(Seen({"Order Completed": {"shop", "crm"}}, {})))


def test_what_was_published_says_which_events_there_are(desk: Desk) -> None:
    """Senders are read of all events, properties of the last of each event that a journey names."""
    journeys = [Journey.model_validate(as_written(GOOD))]
    assert seen.look(desk.settings, journeys) is None
    desk.settings.root.mkdir(parents=True)
    at = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [
        ("shop", "Cart Updated", '{"cart_id":"1","value":null}'),
        ("app", "Cart Updated", '{"total":3}'),
        ("app", "Cart Updated", None),
        ("shop", "Page Viewed", '{"path":"/"}'),
        ("shop", "Order Completed", "not JSON"),
        ("shop", None, "{}"),
    ]
    with DuckDB(desk.settings.published) as copy:
        copy.execute("create table events (source varchar, name varchar, properties varchar, occurred_at timestamptz)")
        for row in rows:
            copy.execute("insert into events values (?, ?, ?, ?)", [*row, at])
        copy.execute("create table consent as select unnest(['news', 'news', null]) as purpose")
    found = seen.look(desk.settings, journeys)
    assert found == Seen(
        {"Cart Updated": {"shop", "app"}, "Page Viewed": {"shop"}, "Order Completed": {"shop"}},
        {"Cart Updated": {"cart_id", "value", "total"}, "Order Completed": set()},
        frozenset({"news"}),
    )


def test_check_counts_journeys_and_templates(parsed: Settings, desk: Desk) -> None:
    """`tailrace check` reads journeys and templates like everything else, and they do not make dbt parse again."""
    before = dbt_project.fingerprint(parsed)
    folders = [(desk.settings.dbt_project / name, parsed.dbt_project / name) for name in ("journeys", "templates")]
    desk.journey(GOOD, "good")
    for ours, theirs in folders:
        shutil.copytree(ours, theirs)
    try:
        assert dbt_project.fingerprint(parsed) == before
        found = checking.check(parsed, lambda _: None)
        assert (found["journeys"], found["templates"]) == (1, 3)
        (parsed.dbt_project / "journeys/bad.yml").write_text(steps("- wat: 1 day"))
        with pytest.raises(ConfigError, match="did you mean 'wait'"):
            checking.check(parsed, lambda _: None)
    finally:
        for _, theirs in folders:
            shutil.rmtree(theirs)
