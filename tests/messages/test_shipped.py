"""The templates of this project are messages that any of its people can get, whatever is known of them."""

from __future__ import annotations

import gzip
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from assets.demo_shop import generate
from assets.journeys import documents
from assets.journeys.flat import flatten
from assets.messages import fitting, templates
from assets.messages.compiling import compiled
from assets.messages.rendering import Occasion, Rendered, render
from assets.messages.text import Text
from models.message import Message
from models.profile import Profile
from models.sync import TRANSACTIONAL, Channel
from orchestration.environment import settings
from sinks.mail import mail

PROJECT = settings({})
AT = datetime(2026, 10, 4, 9, 30, tzinfo=UTC)
UNSUBSCRIBE, PREFERENCES = "https://t.shop.example/u/x-y_z", "https://t.shop.example/preferences/x-y_z"
CAMPAIGN = {"utm_source": "shop", "utm_medium": "mail"}
TOLD = Occasion(AT, UNSUBSCRIBE, PREFERENCES, CAMPAIGN)
ORDERED = Occasion(AT, campaign=CAMPAIGN)  # nobody can say no to a message about their own order
MOST_BYTES = 60_000  # of HTML: Gmail cuts a page at 102 kB, and senders add to it
LONGEST_LINE = 998  # RFC 5322
NAME = "<b>Zoë</b> & O'Neil"
UNKNOWN = re.compile(r"\bNone\b|\bnull\b|\bnil\b| [,.?!:]|\{[{%]|[%}]\}")
Uses = Mapping[str, list[str | None]]  # template → the entry events of the journeys that send it


@dataclass(frozen=True)
class Made:
    """A message, and what it was made of."""

    template: Text
    is_known: bool  # whether all of its variables were
    message: Rendered

    @property
    def name(self) -> str:
        return f"{self.template.name}, {self.message.locale}, {'all' if self.is_known else 'nothing'} known"

    @property
    def can_refuse(self) -> bool:
        return self.template.template.purpose != TRANSACTIONAL


class Links(HTMLParser):
    """Where a page leads."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if (tag, name) == ("a", "href")]


def messages() -> Iterator[Made]:
    """Every template in every language, for somebody of whom all is known and for somebody of whom nothing is."""
    for template in templates.templates(PROJECT).values():
        what = compiled(template)
        occasion = ORDERED if template.template.purpose == TRANSACTIONAL else TOLD
        everything = {variable: NAME if variable == "first_name" else "12" for variable in what.variables}
        for values in (everything, dict.fromkeys(what.variables)):
            for locale in what.languages:
                yield Made(template, values is everything, render(what, locale, values, occasion))


@pytest.fixture(scope="module")
def made() -> list[Made]:
    return list(messages())


@pytest.fixture(scope="module")
def uses() -> Uses:
    found: dict[str, list[str | None]] = defaultdict(list)
    for read in documents.journeys(PROJECT):
        for node in flatten(read.journey).nodes:
            if node.step.send:
                found[node.step.send.template].append(read.journey.entry.event)
    return found


@pytest.fixture(scope="module")
def properties(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, set[str]]:
    """Event → what the demo shop says of it."""
    found: dict[str, set[str]] = defaultdict(set)
    shop = generate(tmp_path_factory.mktemp("landing"), people=300, days=3)
    for line in (line for path in shop.files if path.suffix == ".gz" for line in _lines(path)):
        found[line.get("event", "")] |= (line.get("properties") or {}).keys()
    return found


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    for line in gzip.decompress(path.read_bytes()).decode(errors="replace").splitlines():
        try:
            found = json.loads(line)
        except ValueError:  # a mishap that the shop's files have on purpose
            continue
        if isinstance(found, dict) and isinstance(found.get("properties"), dict | None):
            yield found


def test_every_template_is_sent_by_a_journey_in_english_and_german(uses: Uses) -> None:
    """Nothing is shipped that nobody sees, and whoever reads neither language reads English."""
    shipped = templates.templates(PROJECT)
    assert shipped.keys() == uses.keys()
    assert {each.template.languages for each in shipped.values()} == {("en", "de")}


def test_every_template_can_be_tried_out_for_what_it_is_for() -> None:
    """Each renders for anybody, and fits the channel of its file and its purpose."""
    channels: dict[str, tuple[Channel, ...]] = {".mjml": ("email",), ".txt": ("sms", "push")}
    for template in templates.templates(PROJECT).values():
        fitting.try_out(template, {})
        purpose = template.template.purpose
        assert purpose
        wrong = [list(fitting.problems(template, channel, purpose)) for channel in channels[template.ending]]
        assert [] in wrong, wrong


def test_every_variable_is_of_the_profile_or_of_the_entry_event(uses: Uses, properties: Mapping[str, set[str]]) -> None:
    """Each journey that sends a template has all that it uses, as the demo shop's files are."""
    for name, template in templates.templates(PROJECT).items():
        for event in uses[name]:
            there = Profile.model_fields.keys() | (properties[event] if event else set())
            assert compiled(template).variables <= there, (name, event)


def test_a_message_reads_well_whatever_is_known(made: list[Made]) -> None:
    """There is no gap, no name of nothing and no Liquid in what somebody reads."""
    for each in made:
        subject, text, html = each.message.subject, each.message.text, each.message.html or ""
        read = re.sub(r"<(style|script)\b.*?</\1>|<[^>]*>", "", html, flags=re.DOTALL)
        assert not [found for part in (subject, text, read) if (found := UNKNOWN.search(part))], each.name
        assert "\n\n\n" not in text, each.name


def test_the_text_part_is_text(made: list[Made]) -> None:
    """It has no entity, no tag that nobody gave, no line a mail server may break, and a name as it was written."""
    for each in made:
        text = each.message.text
        assert not re.search(r"&#?\w+;|<(?!/?b>)", text), each.name
        assert max(map(len, text.splitlines())) <= LONGEST_LINE, each.name
        if each.is_known and "Zo" in text:
            assert NAME in text, each.name


def test_who_may_say_no_is_told_how_in_both_parts(made: list[Made]) -> None:
    """An e-mail for marketing has both links as they are, a text message the word to answer, an order's mail none."""
    for each in made:
        if each.message.html is None:
            continue
        links = Links(each.message.html).found
        lines = each.message.text.split()
        for url in (UNSUBSCRIBE, PREFERENCES):
            assert (url in links) == (url in lines) == each.can_refuse, each.name
    texts = [each.message.text for each in made if each.template.name == "cart_text"]
    assert texts
    assert all("STOP" in text for text in texts)


def test_every_link_leads_to_the_shop_and_says_where_it_came_from(made: list[Made]) -> None:
    """Links of the HTML are the text's, too, and each has the campaign's parameters once."""
    for each in made:
        if each.message.html:
            links = {link for link in Links(each.message.html).found if link not in (UNSUBSCRIBE, PREFERENCES)}
            said = {word for word in each.message.text.split() if word.startswith("https://shop.example/")}
            assert said <= links, each.name
            assert links - said <= {"https://shop.example/?utm_source=shop&utm_medium=mail"}, each.name
            for link in links:
                assert link.startswith("https://shop.example/"), each.name
                assert link.count("utm_source=shop") == link.count("?") == 1, (each.name, link)


def test_a_name_is_never_markup(made: list[Made]) -> None:
    """Whatever somebody calls themselves stands in the page as they wrote it, and nowhere as a tag."""
    named = [each for each in made if each.is_known and "Zo" in (each.message.html or "")]
    assert named
    for each in named:
        html = each.message.html or ""
        assert "&lt;b&gt;Zoë&lt;/b&gt; &amp; O&#" in html, each.name
        assert "<b>Zoë" not in html, each.name


def test_a_page_says_its_language_and_is_small(made: list[Made]) -> None:
    """The page has the `lang` of its words, knows light and dark, loads nothing and stays below MOST_BYTES."""
    pages = [(each, each.message.html) for each in made if each.message.html]
    assert pages
    for each, page in pages:
        assert f'<html lang="{each.message.locale}"' in page, each.name
        assert '<meta name="color-scheme" content="light dark"' in page, each.name
        assert not re.search(r"<(img|link|script|iframe)\b|url\(|@import|@font-face|\bsrc=", page), each.name
        assert len(page.encode()) < MOST_BYTES, each.name


def test_an_e_mail_comes_back_out_of_its_bytes(made: list[Made]) -> None:
    """What a mail program reads is the subject, the text and the page that were composed."""
    for each in made:
        if not each.message.html:
            continue
        row = asdict(_message(each))
        parsed = message_from_bytes(mail(row, "The Shop <hello@shop.example>", None, AT), policy=SMTP)
        assert isinstance(parsed, EmailMessage)
        text, page = parsed.get_body(("plain",)), parsed.get_body(("html",))
        assert text
        assert page
        assert parsed["Subject"] == each.message.subject, each.name
        assert _as_sent(text.get_content()) == _as_sent(each.message.text), each.name
        assert _as_sent(page.get_content()) == _as_sent(each.message.html), each.name
        assert ("List-Unsubscribe" in parsed) == each.can_refuse, each.name


def _message(each: Made) -> Message:
    return Message(
        send_key=f"{0:032x}",
        profile_id="p1",
        to="zoe@shop.example",
        subject=each.message.subject,
        text=each.message.text,
        html=each.message.html,
        sender=each.template.template.sender,
        reply_to=each.template.template.reply_to,
        unsubscribe_url=UNSUBSCRIBE if each.can_refuse else None,
        preferences_url=PREFERENCES if each.can_refuse else None,
        purpose=each.template.template.purpose or "",
        journey="welcome",
        node="1",
        template=each.template.name,
        template_version=each.template.digest,
        locale=each.message.locale,
    )


def _as_sent(text: str) -> str:
    """Mail has its own ends of lines, and one at its end."""
    return text.replace("\r\n", "\n").rstrip("\n")
