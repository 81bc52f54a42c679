"""Rows of the spool become messages: each its own, in order, in the person's language, with links that name them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from assets.messages.compiling import chosen
from assets.messages.composing import FEW, OF_SEGMENT, Composer, Letterhead, campaign_mistake
from assets.messages.text import Text, written
from assets.messages.versions import keep, kept, locale_sql
from models.links import Links, Recipient
from models.message import FIELDS
from models.sync import Op
from sinks.backlog import Chunk, cut
from sinks.composed import Composed
from sinks.smtp import SmtpOptions, SmtpSink
from sinks.spool import PROFILE, ROW, SEND_KEY
from warehouse import batches
from warehouse.duckdb import DuckDB

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
LINKS = Links("https://t.shop.example", ["a key of sixteen characters"])
CAMPAIGN = {"utm_source": "shop", "utm_campaign": "{{ journey }}_{{ node }}", "lang": "{{ locale }}"}
CART = """\
---
subject: "{{ t.hello }}"
from: Shop <shop@shop.example>
reply_to: help@shop.example
locales:
  en: {hello: "Hello {{ first_name | default: 'you' }}"}
  de: {hello: "Hallo {{ first_name | default: 'du' }}"}
  de-AT: {hello: "Servus {{ first_name | default: 'du' }}"}
---
<p>{{ t.hello }}, {{ items | size }} for {{ total | times: 1 }}
<a href="https://shop.example/cart?id={{ cart_id }}">Cart</a>
<a href="{{ unsubscribe_url }}">No</a> <a href="{{ preferences_url }}">Choose</a></p>
--- text
{{ t.hello }} on {{ now | date: "%F" }}: https://shop.example/cart
{{ unsubscribe_url }} {{ preferences_url }} {{ birthday | date: "%d.%m." }}
"""
ORDER = "---\n---\nOrder {{ order.number }} of {{ first_name | divided_by: divisor }}"


def text_of(name: str, body: str, ending: str = ".html") -> Text:
    return written(name, ending, Path(name + ending), body)


CART_TEXT, ORDER_TEXT = text_of("cart", CART), text_of("order", ORDER, ".txt")
LETTERHEAD = Letterhead(
    channel="email",
    purpose="marketing",
    contact="email",
    texts={each.digest: each for each in (CART_TEXT, ORDER_TEXT)},
    links=LINKS,
    campaign=CAMPAIGN,
    now=NOW,
)
ROWS: dict[str, Any] = {
    PROFILE: pl.String, SEND_KEY: pl.String, "template": pl.String, "template_version": pl.String, "locale": pl.String,
    "journey": pl.String, "node": pl.String, "email": pl.String, "variables": pl.String, "first_name": pl.String,
    "total": pl.Decimal(10, 2), "birthday": pl.Date,
}  # fmt: skip


def row(number: int, text: Text = CART_TEXT, **other: Any) -> dict[str, Any]:
    made = {
        PROFILE: f"p_{number}", SEND_KEY: f"key_{number}", "template": text.name, "template_version": text.digest,
        "locale": "en", "journey": "carts", "node": "remind", "email": f"p{number}@example.com",
        "variables": json.dumps({"cart_id": f"c&{number}", "items": ["a", "b"]}), "first_name": f"Person {number}",
        "total": Decimal("12.50"), "birthday": date(2000, 2, 29),
    }  # fmt: skip
    return made | other


def spooled(*rows: Mapping[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=ROWS)


def composed(*rows: Mapping[str, Any], letterhead: Letterhead = LETTERHEAD) -> Composed:
    with Composer(letterhead) as compose:
        return compose(spooled(*rows))


def only(*rows: Mapping[str, Any], letterhead: Letterhead = LETTERHEAD) -> dict[str, Any]:
    made = composed(*rows, letterhead=letterhead)
    assert not made.failed
    return made.frame.row(0, named=True)


def test_a_row_becomes_a_message_with_all_that_it_needs() -> None:
    """Every column of a message is filled from the row, the template and the letterhead."""
    made = only(row(1))
    assert list(made) == list(FIELDS)
    token = LINKS.token(Recipient("p_1", "email", "p1@example.com", "marketing", "key_1"))
    unsubscribe, preferences = LINKS.unsubscribe(token), LINKS.preferences(token)
    assert made == {
        "send_key": "key_1",
        "profile_id": "p_1",
        "to": "p1@example.com",
        "subject": "Hello Person 1",
        "text": "Hello Person 1 on 2026-01-02: "
        "https://shop.example/cart?utm_source=shop&utm_campaign=carts_remind&lang=en\n"
        f"{unsubscribe} {preferences} 29.02.\n",
        "html": "<p>Hello Person 1, 2 for 12.5\n"
        '<a href="https://shop.example/cart?id=c&amp;1&amp;utm_source=shop&amp;utm_campaign=carts_remind&amp;lang=en">'
        f'Cart</a>\n<a href="{unsubscribe}">No</a> <a href="{preferences}">Choose</a></p>',
        "sender": "Shop <shop@shop.example>",
        "reply_to": "help@shop.example",
        "unsubscribe_url": unsubscribe,
        "preferences_url": preferences,
        "purpose": "marketing",
        "journey": "carts",
        "node": "remind",
        "template": "cart",
        "template_version": CART_TEXT.digest,
        "locale": "en",
    }


def test_links_are_signed_and_name_whom_they_are_about() -> None:
    """What the gateway reads out of a link is the person, the contact point, the purpose and the message."""
    for number in range(3):
        made = only(row(number))
        for url in (made["unsubscribe_url"], made["preferences_url"]):
            assert LINKS.read(url.rpartition("/")[2]) == Recipient(
                f"p_{number}", "email", f"p{number}@example.com", "marketing", f"key_{number}"
            )
        assert made["unsubscribe_url"] in made["text"]
        assert f"{made['profile_id']}" not in made["unsubscribe_url"]


def test_a_transactional_message_has_no_way_out() -> None:
    """Nobody can unsubscribe from what they asked for: there is no link in the row and none in the text."""
    made = only(row(1), letterhead=replace(LETTERHEAD, links=None, purpose="transactional"))
    assert (made["unsubscribe_url"], made["preferences_url"], made["purpose"]) == (None, None, "transactional")
    assert "t.shop.example" not in made["text"] + made["html"]


@pytest.mark.parametrize(
    ("locale", "used", "subject"),
    [
        ("de-AT", "de-AT", "Servus Ada"),
        ("de_at", "de-AT", "Servus Ada"),
        ("de-CH", "de", "Hallo Ada"),
        ("DE", "de", "Hallo Ada"),
        ("fr", "en", "Hello Ada"),
        ("en-GB", "en", "Hello Ada"),
        ("", "en", "Hello Ada"),
        (None, "en", "Hello Ada"),
    ],
)
def test_everybody_reads_their_language_or_the_nearest(locale: str | None, used: str, subject: str) -> None:
    """A region falls back to its language, and a language that is not there to the first; the row says which it was."""
    made = only(row(1, locale=locale, first_name="Ada"))
    assert (made["locale"], made["subject"]) == (used, subject)


@given(st.lists(st.sampled_from(["right", "no version", "no text", "fails", "no variables"]), max_size=12))
@settings(deadline=None)
def test_every_row_has_its_row_in_order(kinds: list[str]) -> None:
    """The frame has one row a row, whichever have no message; those are named with their position."""
    rows = [_row_of(kind, number) for number, kind in enumerate(kinds)]
    made = composed(*rows)
    assert made.frame.columns == list(FIELDS)
    assert made.frame.schema == dict.fromkeys(FIELDS, pl.String)
    assert len(made.frame) == len(kinds)
    right = {number for number, kind in enumerate(kinds) if kind in {"right", "no variables"}}
    assert set(made.failed) == set(range(len(kinds))) - right
    assert made.frame["send_key"].to_list() == [
        f"key_{number}" if number in right else None for number in range(len(kinds))
    ]


def _row_of(kind: str, number: int) -> dict[str, Any]:
    match kind:
        case "no version":
            return row(number, template_version=None)
        case "no text":
            return row(number, template_version="0" * 64)
        case "fails":
            return row(number, ORDER_TEXT)
        case "no variables":
            return row(number, variables=None, first_name=None, birthday=None, total=None)
        case _:
            return row(number)


def test_why_a_row_has_no_message_is_said_without_the_person() -> None:
    """A reason names the template and what it lacks, and nothing that the row holds."""
    secret = json.dumps({"order": {"SECRET": "SECRET"}, "divisor": "SECRET"})
    number = json.dumps({"order": {"number": 1}, "divisor": 0})
    rows = [
        row(0, template_version="0" * 64),
        row(1, ORDER_TEXT, variables=secret, first_name="SECRET"),
        row(2, ORDER_TEXT, variables=number, first_name="SECRET"),
        row(3, ORDER_TEXT, variables=None),
    ]
    failed = composed(*rows).failed
    assert failed == {
        0: "cart: this version of its text was never kept",
        1: "order: 'order.number' is not there",
        2: "order: 'divided_by' cannot work with what it is given",
        3: "order: 'order.number' is not there",
    }
    assert not re.search("SECRET|p_|example.com", " ".join(failed.values()))


OURS = ("journey", "version", "node", "template", "template_version", "variables", "entry_id", "_row", "_as_of")


def test_a_name_that_is_ours_too_is_the_events() -> None:
    """What a journey, its step or its version is called, and what else a row has of a message, no template sees."""
    names = " ".join(f"{{{{ {name} }}}}" for name in (*OURS, "first_name"))
    text = text_of("app", f"---\n---\n{names} {{{{ profile.version }}}}", ".txt")
    letterhead = replace(LETTERHEAD, channel="sms", texts={text.digest: text})
    event = {name: f"their {name}" for name in OURS} | {"first_name": "not theirs"}
    sent = row(1, text, variables=json.dumps(event), version="3", entry_id="e", _row=1, _as_of=NOW)
    made = letterhead.made(sent)
    assert not isinstance(made, str)
    assert made.text == " ".join(f"their {name}" for name in OURS) + " Person 1\n"
    assert (made.journey, made.template) == ("carts", "app")


def test_a_segments_message_has_all_columns_of_its_model() -> None:
    """Only what is joined to them is hidden: a column may be called as a journey's would be."""
    text = text_of("app", "---\n---\n{{ version }} {{ variables }}", ".txt")
    letterhead = replace(LETTERHEAD, channel="sms", texts={text.digest: text}, own=OF_SEGMENT)
    made = letterhead.made(row(1, text, version="7.2.1", variables="three"))
    assert not isinstance(made, str)
    assert made.text == "7.2.1 three\n"


@pytest.mark.parametrize("body", ["Tickets for {{ event }}", "{{ name", "{{ t.nope }}"])
def test_a_version_that_is_no_template_any_more_is_a_reason(body: str) -> None:
    """Messages of a text that was kept when more was allowed are rejected, and those of others go."""
    old = Text("old", ".txt", Path("old.txt"), f"---\n---\n{body}")
    letterhead = replace(LETTERHEAD, texts={**LETTERHEAD.texts, old.digest: old})
    made = composed(row(0, old), row(1), letterhead=letterhead)
    assert list(made.failed) == [0]
    assert made.failed[0].startswith("old: this version of its text cannot be used any more: old.txt:3: ")


@pytest.mark.parametrize(("of", "part"), [("</p>", "HTML"), ("birthday", "text")])
def test_who_could_not_say_no_gets_no_offer(of: str, part: str) -> None:
    """An e-mail whose way out is hidden from its person is rejected, one for a transaction goes; so does a text."""
    hidden = CART.replace("{{ unsubscribe_url }}", "{% if total > 99 %}{{ unsubscribe_url }}{% endif %}")
    half = hidden.partition("--- text")
    whole = CART.partition("--- text")
    text = text_of("cart", "".join((*half[:2], whole[2]) if part == "HTML" else (*whole[:2], half[2])))
    assert of in text.text
    letterhead = replace(LETTERHEAD, texts={text.digest: text})
    failed = composed(row(1, text), letterhead=letterhead).failed
    assert failed == {0: f"cart: its {part} has no unsubscribe_url for this person, and marketing needs one"}
    assert only(row(1, text, total=Decimal(100)), letterhead=letterhead)["unsubscribe_url"]
    for other in (replace(letterhead, links=None, purpose="transactional"), replace(letterhead, channel="sms")):
        assert not composed(row(1, text), letterhead=other).failed


def test_rows_without_a_message_never_leave() -> None:
    """In the backlog a row that was not composed is settled as rejected, with its reason, beside those that leave."""
    sink = SmtpSink(SmtpOptions(host="smtp.example.com", sender="Shop <shop@shop.example>"), {})
    rows = spooled(row(0), row(1, ORDER_TEXT), row(2)).with_row_index(ROW)
    with Composer(LETTERHEAD) as compose:
        chunk = Chunk.of(sink, Op.SEND, rows, compose)
    works = list(cut(chunk, replace(sink.limits, rows=3)))
    settled = {work.offsets[place]: told for work in works for place, told in (work.settled or {}).items()}
    assert {offset: told.reason for offset, told in settled.items()} == {1: "order: 'order.number' is not there"}
    assert [json.loads(payload)["to"] for payload in chunk.payloads] == ["p0@example.com", None, "p2@example.com"]


def test_many_rows_go_through_other_processes_and_are_the_same() -> None:
    """Above FEW rows other processes compose, and so they do from then on; the frame is what one process makes."""
    rows = [
        _row_of(["right", "fails", "no text", "right", "no variables"][number % 5], number) for number in range(FEW + 1)
    ]
    with Composer(LETTERHEAD) as compose:
        compose(spooled(*rows[:3]))
        many = compose(spooled(*rows))
        more = compose(spooled(*rows[:7]))
        assert compose._begun
    parts = [composed(*rows[begin : begin + 500]) for begin in range(0, len(rows), 500)]
    assert many.frame.equals(pl.concat(part.frame for part in parts))
    assert many.failed == {500 * n + place: why for n, part in enumerate(parts) for place, why in part.failed.items()}
    assert more.frame.equals(parts[0].frame.head(7))


def test_nothing_begins_for_a_few() -> None:
    """A delivery of a few messages begins no process, and one of none has a frame with all columns."""
    with Composer(LETTERHEAD) as compose:
        assert compose(spooled()).frame.equals(pl.DataFrame(schema=dict.fromkeys(FIELDS, pl.String)))
        compose(spooled(row(1)))
        assert not compose._begun


@given(st.text(max_size=30), st.sampled_from(["journey", "node", "template"]))
@settings(deadline=None)
def test_campaign_parameters_come_back_out_of_the_links(word: str, name: str) -> None:
    """A link's parameter says what a journey or a step is called, and is not there where it would say nothing."""
    letterhead = replace(LETTERHEAD, campaign={"utm_campaign": f"{{{{ {name} }}}}", "id": "not mine"})
    made = only(row(1, journey=word, node=word), letterhead=letterhead)
    (link,) = re.findall(r'href="(https://shop[^"]*)"', made["html"])
    wanted = "cart" if name == "template" else word.replace("\r\n", "\n").replace("\r", "\n")
    query = parse_qs(urlsplit(link.replace("&amp;", "&")).query, keep_blank_values=True)
    assert query.get("utm_campaign") == ([wanted] if wanted else None)
    assert query["id"] == ["c"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{{ journey }}_{{ node }}", None),
        ("{{ channel | upcase }} {% if journey %}j{% endif %}", None),
        ("fixed", None),
        (
            "{{ first_name }}",
            "'first_name' is not known of a message; allowed: channel, template, journey, node, locale",
        ),
        ("{{ journey", "is not Liquid: expected '}}', found end of file"),
        ("{% if journey %}", "is not Liquid: '{% if %}' has no '{% endif %}'"),
        ("{% include 'x' %}", "is not Liquid: unexpected tag 'include'"),
        ("{{ journey | divided_by: 0 }}", "cannot be made: campaign: 'divided_by' cannot work with what it is given"),
        ("{{ journey.x }}", "cannot be made: campaign: 'journey.x' is not there"),
    ],
)
def test_a_mistake_in_a_campaign_parameter_is_told(text: str, says: str | None) -> None:
    """What cannot be a parameter of every message is told when the policy is checked."""
    assert campaign_mistake(text) == says


def test_a_parameter_that_fails_fails_its_messages_only() -> None:
    """A parameter that cannot be made is a reason of the row, not an end of the delivery."""
    failing = replace(LETTERHEAD, campaign={"utm_term": "{{ journey | divided_by: 0 }}"})
    assert composed(row(1), letterhead=failing).failed == {
        0: "campaign: 'divided_by' cannot work with what it is given"
    }


@pytest.fixture
def warehouse(tmp_path: Path) -> DuckDB:
    with DuckDB(tmp_path / "warehouse.duckdb") as opened:
        batches.prepare(opened)
        yield opened


def test_texts_of_an_old_version_are_shown_as_they_were(warehouse: DuckDB, tmp_path: Path) -> None:
    """After a template was changed a message of the version before is composed to the letter as it was."""
    before = only(row(1))
    changed = text_of("cart", CART.replace("Hello", "Good day"))
    keep(warehouse, [CART_TEXT], NOW)
    keep(warehouse, [changed, CART_TEXT], NOW)
    keep(warehouse, [changed, CART_TEXT], NOW)
    texts = kept(warehouse, tmp_path)
    assert set(texts) == {CART_TEXT.digest, changed.digest}
    letterhead = replace(LETTERHEAD, texts=texts)
    assert only(row(1), letterhead=letterhead) == before
    assert only(row(1, changed), letterhead=letterhead)["subject"] == "Good day Person 1"
    assert asdict(texts[CART_TEXT.digest]) == asdict(CART_TEXT) | {"file": tmp_path / "cart.html"}


def test_a_text_of_another_time_hides_no_other(warehouse: DuckDB, tmp_path: Path) -> None:
    """What was kept comes back also where its front matter has a key that nobody knows any more."""
    keep(warehouse, [CART_TEXT], NOW)
    warehouse.execute(
        "create table copied as select template, digest, ending, text from tailrace.template_version union all "
        "select 'old', 'old', '.txt', '---\nold_key: 1\n---\nx'"
    )
    texts = kept(warehouse, tmp_path, "copied")
    assert texts.keys() == {CART_TEXT.digest, "old"}
    assert only(row(1), letterhead=replace(LETTERHEAD, texts=texts))["subject"] == "Hello Person 1"


def test_nothing_was_kept_before_the_first(warehouse: DuckDB, tmp_path: Path) -> None:
    """A warehouse without the log has no texts."""
    assert kept(warehouse, tmp_path) == {}


LOCALES = st.from_regex(r"[a-z]{2}(-[A-Z][A-Za-z0-9]{1,3})?", fullmatch=True)
LANGUAGES = st.lists(
    st.sampled_from(["en", "de", "de-AT", "de-CH", "pt-BR", "pt", "zh-Hant"]) | LOCALES, min_size=1, unique=True
)
ASKED = st.none() | st.text(max_size=8) | st.sampled_from(
    ["de", "DE-at", "de_AT", "de_AT_x", "de-", "-de", "_", " de", "pt_br", "PT", "zh-hant-TW", "zh", "en--", "de\x00"]
) | LOCALES  # fmt: skip


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> DuckDB:
    with DuckDB(tmp_path_factory.mktemp("locales") / "warehouse.duckdb") as opened:
        yield opened


@given(languages=LANGUAGES, other=LANGUAGES, asked=ASKED, which=st.sampled_from(["a", "b", "c", None]))
@example(languages=["en", "de", "de-AT"], other=["fr"], asked="DE_at", which="a")
@example(languages=["en", "sk"], other=["fr"], asked="\u017fK", which="a")
@example(languages=["en", "it"], other=["fr"], asked="\u0130T", which="a")
@example(languages=["de-CH", "de-AT"], other=["fr"], asked="de", which="a")
@settings(max_examples=300, deadline=None)
def test_the_warehouse_chooses_the_language_as_python_does(
    shared: DuckDB, languages: list[str], other: list[str], asked: str | None, which: str | None
) -> None:
    """For any languages of a version and any locale of a person the SQL names the language that is rendered."""
    texts = {"a": tuple(languages), "b": tuple(other)}
    for locale in ("locale", None):
        sql = locale_sql(shared.dialect, texts, "version", locale)
        (found,) = shared.rows(
            f"select {sql} as used from (select ?::varchar as version, ?::varchar as locale)", [which, asked]
        )
        wanted = chosen(texts[which], asked if locale else None) if which in texts else None
        assert found["used"] == wanted


def test_without_versions_there_is_no_language(shared: DuckDB) -> None:
    """Where no template was ever published the column is there, and empty."""
    (found,) = shared.rows(f"select {locale_sql(shared.dialect, {}, 'version', None)} as used")
    assert found["used"] is None


@pytest.mark.parametrize(
    "written", ["Bob <bob@example.com>", "bob@example.com, eve@example.com", "bob@example.com (b)"]
)
def test_an_address_that_is_written_otherwise_gets_nothing(written: str) -> None:
    """By whatever sink: who said no is known by the address alone. The reason does not repeat it."""
    failed = composed(row(1, email=written), row(2)).failed
    assert list(failed) == [0]
    assert "no address alone" in failed[0] or "no address that a relay takes" in failed[0]
    assert "bob" not in failed[0]
