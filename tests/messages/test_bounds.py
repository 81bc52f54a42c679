"""A template is a program that anybody may have a part in: it can harm neither who sends it nor who reads it."""

from __future__ import annotations

import html
import resource
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from liquid.exceptions import UndefinedError

from assets.messages.bounds import LARGEST, SECONDS
from assets.messages.compiling import compiled
from assets.messages.composing import Letterhead
from assets.messages.liquid import environment
from assets.messages.rendering import Occasion, Rendered, Unrendered, render
from assets.messages.text import Text, written
from models.errors import ConfigError
from models.message import Message
from sinks.spool import PROFILE, SEND_KEY

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
OCCASION = Occasion(NOW, "https://t.example/u/x", "https://t.example/preferences/x", {"utm_source": "shop"})
GIGABYTES = 4  # of addresses: what libraries reserve is most of it
MOST_GROWTH = 200_000  # kB of memory that a bomb may take
BIG = '{% assign x = "0123456789" %}' + "{% assign x = x | append: x %}" * 15  # 327 680 characters
PAGE = "<mjml><mj-body><mj-section><mj-column><mj-text>{0}</mj-text></mj-column></mj-section></mj-body></mjml>"


def text_of(body: str, ending: str = ".txt", front: str = "subject: '{{ name }}'") -> Text:
    return written("bomb", ending, Path("bomb" + ending), f"---\n{front}\n---\n{body}")


def in_both(body: str) -> Text:
    return text_of(f"{body}\n--- text\n{body}", ".html")


def shown(read: Text, **values: Any) -> Rendered:
    template = compiled(read)
    return render(template, None, dict.fromkeys(template.variables) | values, OCCASION)


def within(body: str, value: Any) -> tuple[str, str]:
    """The HTML and the text of a body with `{{ value }}` in it."""
    made = shown(in_both(body), value=value)
    return made.html or "", made.text


def shown_or_said(read: Text, **values: Any) -> Rendered | str:
    try:
        return shown(read, **values)
    except (Unrendered, ConfigError) as error:
        return str(error)


def refused(body: str, **values: Any) -> str:
    with pytest.raises(Unrendered) as caught:
        shown(text_of(body), **values)
    return str(caught.value)


@dataclass(frozen=True)
class House:
    """A process with little memory, in which bombs go off."""

    pool: ProcessPoolExecutor

    def made(self, read: Text, values: Mapping[str, Any]) -> Message | str:
        """The message made there, or why there is none. Fails where it took long or much."""
        before = self._used()
        row = {"template_version": read.digest, "template": "bomb", "locale": None, "email": "", **values}
        letterhead = Letterhead("email", "marketing", "email", {read.digest: read}, None, {}, NOW)
        try:
            return self.pool.submit(letterhead.made, row | {PROFILE: "p", SEND_KEY: "k"}).result(timeout=60)
        finally:
            seconds, memory = (later - earlier for later, earlier in zip(self._used(), before, strict=True))
            assert seconds < SECONDS + 1
            assert memory < MOST_GROWTH

    def _used(self) -> tuple[float, int]:
        used = self.pool.submit(resource.getrusage, resource.RUSAGE_SELF).result()
        return self.pool.submit(time.process_time).result(), used.ru_maxrss


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    limit = (GIGABYTES * 2**30,) * 2
    setting = {"initializer": resource.setrlimit, "initargs": (resource.RLIMIT_AS, limit)}
    with ProcessPoolExecutor(1, get_context("spawn"), **setting) as pool:
        yield House(pool)


BOMBS = {
    "loops in loops": "{% for a in (1..2000) %}{% for b in (1..2000) %}{% for c in (1..2000) %}x{% endfor %}"
    "{% endfor %}{% endfor %}",
    "many loops": "{% for a in (1..2000) %}{% endfor %}" * 2_000,
    "many loops in a loop": "{% for a in (1..40) %}" + "{% for b in (1..50) %}{% endfor %}" * 2_000 + "{% endfor %}",
    "a loop with a long body": "{% for a in (1..2000) %}" + "{% if 1 == 2 %}{% endif %}" * 3_000 + "{% endfor %}",
    "a loop of long texts": BIG + "{% for a in (1..2000) %}{{ x }}{% endfor %}",
    "a loop that keeps": BIG + "{% for a in (1..2000) %}{% capture y %}{{ x }}{{ y }}{% endcapture %}{% endfor %}",
    "a table": "{% tablerow a in (1..2000) cols: 1 %}" + "x" * 1_000 + "{% endtablerow %}",
    "a long range": "{% for a in (1..999999999999) %}x{% endfor %}",
    "a range beyond numbers": "{% for a in (1..99999999999999999999999) %}x{% endfor %}",
    "a part of a long range": "{% for a in (1..999999999) limit: 1 offset: 999999990 %}x{% endfor %}",
    "a long range back": "{% for a in (1..999999999) reversed %}x{% endfor %}",
    "what is in a long range": "{% if (1..9999999999) contains 'x' %}{% endif %}",
    "what is a long range": "{% case (1..9999999999) %}{% when 'x' %}{% endcase %}",
    "what is no long range": "{% unless (1..n) contains 'x' %}{% endunless %}",
    "a long range as a text": "{% assign a = (1..99999999) | join: 'x' %}",
    "the size of a long range": "{{ (1..99999999999999999999999) | size }}",
    "append": "{% assign x = 'x' %}" + "{% assign x = x | append: x %}" * 60,
    "prepend": "{% assign x = 'x' %}" + "{% assign x = x | prepend: x %}" * 60,
    "capture": "{% assign x = 'x' %}" + "{% capture x %}{{ x }}{{ x }}{% endcapture %}" * 60,
    "captures in captures": BIG + "{% capture a %}" * 28 + "{{ x }}" + "{{ x }}{% endcapture %}" * 28,
    "replace": BIG + "{{ x | replace: '0', x }}",
    "replace nothing": BIG + "{{ x | replace: '', x }}",
    "replace by name": BIG + "{{ x | replace: seq: '', sub: x }}",
    "join": BIG + "{% assign many = x | slice: 0, 2000 | split: '' %}{{ many | join: x }}",
    "join by name": BIG + "{% assign many = x | slice: 0, 2000 | split: '' %}{{ many | join: separator: x }}",
    "concat": "{% assign a = 'a,b' | split: ',' %}" + "{% assign a = a | concat: a %}" * 40,
    "one text many times": BIG + "{% assign a = x | split: '|' %}" + "{% assign a = a | concat: a %}" * 10 + "{{ a }}",
    "one text many times joined": BIG
    + "{% assign a = x | split: '|' %}"
    + "{% assign a = a | concat: a %}" * 10
    + "{{ a | join }}",
    "many texts kept in lists": BIG
    + "".join(f"{{% assign a{n} = x | append: '{n}' | split: '|' %}}" for n in range(2_000)),
    "split": BIG + "{{ x | split: '' }}",
    "escape": BIG + "{% assign x = x | replace: '0', '&' %}" + "{% assign x = x | escape %}" * 30,
    "url": BIG + "{% assign x = x | replace: '0', '&' %}" + "{% assign x = x | url_encode %}" * 30,
    "base64": BIG + "{% assign x = x | base64_encode %}" * 30,
    "lines": '{% assign x = "\n" %}' + "{% assign x = x | append: x | newline_to_br %}" * 30,
    "cycle": BIG + "{% cycle " + "x," * 5_000 + "x %}",
    "unlike dictionaries": "{{ dicts | uniq }}" * 20,
    "times": "{% assign x = 9 %}" + "{% assign x = x | times: x %}" * 60,
    "plus": "{% assign x = " + "9" * 4_000 + " %}{{ x | plus: x }}",
    "a number of a text": "{{ digits | plus: 1 }}",
    "a number with a power": "{{ '1e999999999' | ceil }}",
    "a decimal with a power": "{{ decimal | ceil }}",
    "a sum": "{{ powers | sum }}",
    "a long number": "{{ " + "9" * 50_000 + " }}",
    "round": "{{ 5.5 | round: 999999999 }}{{ 5 | round: -999999999 }}{{ '5' | round: '-99999' }}{{ n | round: n }}",
    "a wide date": "{{ now | date: '%999999999d' }}",
    "a wide date with flags": "{{ now | date: '%-_^999999999Y' }}",
    "a long date": "{% assign f = '%c' %}" + "{% assign f = f | append: f %}" * 17 + "{{ now | date: f }}",
    "a date of a long text": "{{ digits | date: '%Y' }}{{ words | date: '%Y' }}",
    "what is no HTML": "{{ tags | strip_html }}",
    "ifchanged": BIG + "{% for a in (1..2000) %}{% ifchanged %}{{ a }}{{ x }}{% endifchanged %}{% endfor %}",
    "a huge text": "x" * 600_000,
    "very many variables": "".join(f"{{{{ a{n} }}}}" for n in range(8_000)),
    "very many ifs": "{% if a %}{% endif %}" * 4_700,
    "deep ifs": "{% if a %}" * 5_000 + "{% endif %}" * 5_000,
    "deep fors": "{% for a in b %}" * 25 + "{% endfor %}" * 25,
    "a deep condition": "{% if a" + " and a" * 10_000 + " %}{% endif %}",
    "a rather deep condition": "{% if a %}" * 20 + "{% if a" + " and a" * 300 + " %}{% endif %}" + "{% endif %}" * 20,
    "a deep path": "{{ " + "a[" * 5_000 + "a" + "]" * 5_000 + " }}",
    "a long path": "{{ a" + ".a" * 20_000 + " }}",
    "many filters": "{{ 'x' " + "| append: 'x' " * 6_000 + "}}",
    "open braces": "{{" * 50_000,
    "open tags": "{%" * 50_000,
    "raws": "{% raw %}" * 2_000,
}  # fmt: skip
GIVEN = {
    "n": 10**17,
    "digits": "9" * 400_000,
    "words": "Mon 1 " * 60_000,
    "tags": "<a <!-- <![CDATA[ </ &# " * 15_000 + ">",
    "decimal": Decimal("1e999999"),
    "powers": ["1e999999", "1e-999999"] * 900,
    "dicts": [{f"key{n}": n for n in range(10)} | {"z": place} for place in range(2_000)],
    "b": [[1]],
}


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.parametrize("ending", [".txt", ".html"])
def test_a_bomb_does_not_go_off(house: House, name: str, ending: str) -> None:
    """Whatever a template asks for, it is a message, a reason or a mistake within three seconds and little memory."""
    made = house.made(text_of(BOMBS[name] + ("" if ending == ".txt" else "\n--- text\n"), ending), GIVEN)
    assert isinstance(made, str) or len(made.text) + len(made.html or "") <= 2 * LARGEST


@pytest.mark.parametrize("element", ["div", "mj-wrapper", "mj-section", "b", "style", "DIV a='>' "])
def test_deep_markup_is_refused_before_it_takes_the_process_down(house: House, element: str) -> None:
    """MJML of many elements in each other is a mistake with its line, closed or not."""
    for end in (f"</{element.partition(' ')[0]}>", ""):
        deep = f"<{element}>" * 8_000 + end * 8_000
        reason = house.made(text_of(PAGE.format(deep) + "\n--- text\nx", ".mjml"), {})
        assert isinstance(reason, str)
        assert reason.endswith("bomb.mjml:4: is not MJML: goes more than 100 elements deep")


def test_a_long_name_is_no_bomb(house: House) -> None:
    """What a person is called may be as long as it likes: their message is made or not, and the next is."""
    read = text_of("Dear {{ name }}")
    reason = house.made(read, {"name": "x" * 50_000_000})
    assert reason == "bomb: output stream limit reached"
    assert isinstance(house.made(read, {"name": "Ada"}), Message)


@pytest.mark.parametrize(
    "body",
    [
        "{{ x.__class__ }}", "{{ x.__class__.__mro__ }}", '{{ x["__class__"] }}', "{{ x.mro }}",
        "{{ x.upper }}", "{{ x.format }}", "{{ d.year }}", "{{ d.now }}", "{{ d.tzinfo }}", "{{ m.real }}",
        "{{ o.keys }}", "{{ o.items }}", "{{ o.__init__ }}", "{{ o.__class__ }}", "{{ l.append }}", "{{ l.__len__ }}",
        "{{ o.get }}", "{{ n.bit_length }}", "{{ n.__add__ }}", "{{ forloop.__class__ }}",
        "{% for i in l %}{{ forloop.it }}{% endfor %}", "{% for i in l %}{{ forloop._keys }}{% endfor %}",
        "{% assign it = l | first %}{{ it.__class__ }}", "{{ locale.__class__ }}", "{{ now.year }}",
    ],
)  # fmt: skip
def test_attributes_of_python_cannot_be_reached(body: str) -> None:
    """A template sees keys of dictionaries and places of lists: no attribute, no method, nothing with underscores."""
    values = {"x": "text", "d": NOW, "m": Decimal(1), "o": {"a": 1}, "l": [1, "b"], "n": 1}
    assert "is not there" in refused(body, **values)


def test_python_never_shows() -> None:
    """Filters that look into values find nothing of Python in them."""
    body = "{% assign found = l | map: key %}[{{ found | join }}]{{ l | where: key | size }}{{ l | find: key }}"
    for key in ("__class__", "upper", "__len__", "mro"):
        assert shown(text_of(body), l=["b", {}, []], key=key).text == "[ ]0\n"
        assert "cannot work with what it is given" in refused(body, l=[NOW, 1.5, Decimal(1)], key=key)
    for body in ('{{ "".__class__ }}', "{{ empty.token }}", "{{ 1.real }}", "{{ (1..2).start }}"):
        with pytest.raises(ConfigError, match="expected end of expression"):
            compiled(text_of(body))


@pytest.mark.parametrize(
    "name", ["today", "Now", "date", "time", "random", "env", "settings", "self", "CAMPAIGN", "_link"]
)
def test_nothing_is_there_but_what_was_given(name: str) -> None:
    """No name has a meaning of its own: there is no clock and no environment."""
    for part in (True, False):
        with pytest.raises(UndefinedError):
            environment(html=part).from_string(f"{{{{ {name} }}}}").render({"now": NOW})


def test_dates_are_of_the_messages_moment() -> None:
    """`now`, `today` and a time without a day are read by the moment the message is made for, wherever that is."""
    body = (
        "{{ now | date: '%Y-%m-%d %H:%M' }} {{ 'now' | date: '%F' }} {{ 'today' | date: '%F' }} "
        "{{ '10:30' | date: '%F %H:%M' }} {{ 'March' | date: '%Y' }} {{ 0 | date: '%F %H' }} "
        "{{ '86400' | date: '%F %H' }}"
    )
    told = "2026-01-02 03:04 2026-01-02 2026-01-02 2026-01-02 10:30 2026 1970-01-01 00 1970-01-02 00\n"
    assert shown(text_of(body)).text == told


@pytest.mark.parametrize("value", ["soon", "", "²", "9" * 30, "x" * 10_000, 10**17, "99-99-99", "1 2 3 4 5 6 7 8"])
def test_what_is_no_date_stays_as_it_is(value: str | int) -> None:
    """A value that says no moment is shown as it is, as in every Liquid."""
    assert shown(text_of("{{ value | date: '%F' }}"), value=value).text == f"{value}\n"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("{{ value | times: 2 }}", "25.0"),
        ("{{ value | round }}", "12"),
        ("{{ 100 | minus: value }}", "87.5"),
        ("{{ value }}", "12.50"),
        ("{{ value | append: ' €' }}", "12.50 €"),
        ("{% if value > 12 %}much{% endif %}", "much"),
    ],
)
def test_a_decimal_is_a_number(body: str, says: str) -> None:
    """A column of decimals is shown with its digits and reckoned with as its number."""
    assert shown(text_of(body), value=Decimal("12.50")).text == f"{says}\n"


@pytest.mark.parametrize("value", [None, "", "  ", [], {}])
def test_what_is_not_known_is_blank(value: object) -> None:
    """`== blank` is true of nothing known, no text, spaces, and no entries."""
    assert shown(text_of("{% if value == blank %}yes{% endif %}"), value=value).text == "yes\n"
    assert shown(text_of("{% case value %}{% when blank %}yes{% endcase %}"), value=value).text == "yes\n"


def test_a_key_that_is_not_there_can_be_asked_for() -> None:
    """`if`, `== nil` and `default` are of what an event may lack; to write it or to reckon with it is refused."""
    body = "{% if item.hue %}a{% else %}b{% endif %}{% if item.hue == nil %}c{% endif %}{{ item.hue | default: 'd' }}"
    assert shown(text_of(body), item={"a": 1}).text == "bcd\n"
    assert refused("{{ item.hue }}", item={"a": 1}) == "bomb: 'item.hue' is not there"
    assert refused("{{ item.hue | times: 2 }}", item={"a": 1}) == "bomb: 'item.hue' is not there"
    assert refused("{{ 2 | plus: item.hue }}", item={"a": 1}) == "bomb: 'item.hue' is not there"
    assert refused("{% for a in item.hue %}{% endfor %}", item={"a": 1}) == "bomb: 'item.hue' is not there"


@pytest.mark.parametrize(
    "body",
    [
        "{{ item[value] }}", "{{ [value] }}", "{{ item.a[value].b }}", "{{ 5.5 | round: value | plus: item[value] }}",
        "{{ 'x' | truncate: value }}", "{{ 'x' | slice: value }}", "{{ value | divided_by: 0 }}", "{{ value | date }}",
        "{{ list | uniq: value }}", "{{ list | compact: value }}", "{{ list | sort }}", "{{ value | concat: value }}",
        "{% if value > 1 %}{% endif %}", "{% for i in (1..3) limit: value %}{% endfor %}",
        "{{ value | base64_decode }}", "{{ list | map: value | join: item[value] }}", "{{ value | ceil: value }}",
        "{% for i in list offset: value %}{% endfor %}", "{% break %}{{ value }}",
    ],
)  # fmt: skip
def test_a_reason_holds_nothing_of_the_person(body: str) -> None:
    """Why a message cannot be made is told with words of the template, never with the value that it failed at."""
    reason = refused(body, value="SECRET!", item={"a": {}}, list=["SECRET!", 1, {"a": 1}])
    assert reason.startswith("bomb: ")
    assert "SECRET" not in reason


PLACES = [
    "<p>{0}</p>",
    '<img alt="{0}">',
    "{{% capture it %}}{0}{{% endcapture %}}{{{{ it }}}}",
    "{{% assign it = value %}}{{{{ it }}}}",
    "{{% assign it = value | append: '' %}}{{{{ it }}}}",
    "{{% for it in list %}}{{{{ it }}}}{{% endfor %}}",
    "{{% if value %}}{0}{{% endif %}}",
    "{{{{ item.key }}}}",
    "{{{{ list | first }}}}",
    "{{{{ list | join: ', ' }}}}",
    "{{{{ list }}}}",
    "{{{{ none | default: value }}}}",
    "{{{{ '' | append: value }}}}",
    "{{{{ '' | prepend: value }}}}",
    "{{{{ 'x' | replace: 'x', value }}}}",
    "{{% cycle value %}}",
    "{{% echo value %}}",
    "{{% liquid echo value %}}",
    "{{% case 1 %}}{{% when 1 %}}{0}{{% endcase %}}",
    "{{{{ value | escape }}}}",
]
BODIES = [place.format("{{ value }}") for place in PLACES]
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=40)
MARKUP = st.text(st.sampled_from("<>&\"'{}%#; =lgtamp;scriptx-\n"), max_size=40)


@settings(max_examples=300, deadline=None)
@given(body=st.sampled_from(BODIES), value=TEXTS | MARKUP)
def test_a_value_is_escaped_once_in_html_and_never_in_text(body: str, value: str) -> None:
    """In any place of a page a value reads as it is and makes no element; in a text it is as it is."""
    assume("escape" not in body or value == html.escape(value))
    values = {"value": value, "list": [value], "item": {"key": value}}
    around, _, after = body.partition("{{ value }}") if body.startswith("<") else ("", "", "")
    made = shown(in_both(body), **values)
    page = (made.html or "").removeprefix(around).removesuffix(after)
    assert html.unescape(page) == html.unescape(html.escape(value)) == value
    assert not set("<>\"'") & set(page)
    assert made.text.removeprefix(around).strip("\n").removesuffix(after).strip() == value.strip()


def test_escape_escapes_once_in_html() -> None:
    """The filter `escape` is for text: in HTML, where all is escaped, it does nothing more."""
    assert within("{{ value | escape }}", "<b>") == ("&lt;b&gt;", "&lt;b&gt;\n")
    assert within("{{ value | escape_once }}", "<b>")[0] == "&lt;b&gt;"


LIQUID_TEXTS = st.sampled_from(
    ["{{ name }}", "{% if true %}x{% endif %}", "{{", "%}", "{% raw %}", "{{ t.x }}", "{{ now"]
)


@settings(deadline=None)
@given(value=LIQUID_TEXTS | st.lists(LIQUID_TEXTS, min_size=1).map(" ".join), body=st.sampled_from(BODIES[:-1]))
def test_a_value_is_never_liquid(value: str, body: str) -> None:
    """What a person or an event says is shown, also where it looks like a template."""
    made = shown(in_both(body), value=value, list=[value], item={"key": value}, name="NOT ME")
    assert html.escape(value) in (made.html or "")
    assert value in made.text


def test_markup_cannot_be_made_of_values() -> None:
    """No filter calls a value markup, not even after it was decoded, cut, put together or stripped."""
    for filters in (
        "url_decode", "base64_decode", "escape_once", "strip_html", "squish", "newline_to_br", "strip_newlines",
        "replace: 'X', ''", "remove: 'X'", "append: '>'", "prepend: '<'", "split: 'X' | join: ''", "upcase", "downcase",
        "slice: 0, 100", "truncate: 100", "default: ''", "date: '%F'", "capitalize", "split: '' | reverse | join: ''",
    ):  # fmt: skip
        for value in ("<script>", "%3Cscript%3E", "PHNjcmlwdD4=", "&lt;script&gt;", "<scXript>", ">tpircs<", "&lt;<b>"):
            body = (
                f"{{% capture c %}}{{{{ value }}}}{{% endcapture %}}{{{{ value | {filters} }}}}{{{{ c | {filters} }}}}"
            )
            page = shown_or_said(text_of(body + "\n--- text\n", ".html"), value=value)
            made = page if isinstance(page, str) else page.html or ""
            for ours in ("<br />", "<" if "prepend" in filters else "", ">" if "append" in filters else ""):
                made = made.replace(ours, "") if ours else made
            assert not set("<>") & set(made), (filters, value)


@settings(deadline=None)
@given(st.text())
def test_a_subject_is_one_line(name: str) -> None:
    """Whatever a person is called, a subject has one line, and so no header of theirs."""
    subject = shown(text_of("x", front="subject: 'Dear {{ name }}, hello'"), name=name).subject
    assert len(subject.splitlines()) == 1
    assert subject.startswith("Dear ")


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.datetimes() | st.decimals(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
FILTERS = sorted(environment(html=True).filters)


@settings(max_examples=500, deadline=None)
@given(
    values=st.fixed_dictionaries({"a": ANYTHING, "b": ANYTHING, "c": ANYTHING}),
    names=st.lists(st.sampled_from(FILTERS), min_size=1, max_size=3),
    arguments=st.sampled_from(["", ": b", ": b, c", ": 'x'", ": 2", ": -1"]),
)
def test_rendering_raises_nothing_but_unrendered(values: dict[str, Any], names: list[str], arguments: str) -> None:
    """Any filter on anything is a text or a reason."""
    body = "{{ a " + "".join(f"| {name}{arguments} " for name in names) + "}}"
    made = shown_or_said(in_both(body), **values)
    assert made.startswith("bomb: ") if isinstance(made, str) else "\r" not in made.text


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("{}%|:.'\"[]() abifend12=,<>-\n"), max_size=60) | st.text(max_size=60))
def test_any_text_is_a_template_or_a_mistake(body: str) -> None:
    """Whatever is written, it is read and rendered, or it is said why not."""
    for ending in (".txt", ".html", ".mjml"):
        source = body if ending != ".mjml" else PAGE.format(body)
        made = shown_or_said(text_of(source + "\n--- text\nx", ending, front="subject: x"))
        assert isinstance(made, Rendered) or made.startswith("bomb")


def test_kinds_of_values_are_shown_plainly() -> None:
    """Numbers, dates, and what is true are written as a person would, nothing known as nothing."""
    body = "{{ a }},{{ b }},{{ c }},{{ d }},{{ e }}"
    values = {"a": 1, "b": True, "c": None, "d": date(2026, 1, 2), "e": Decimal("1.50")}
    assert within(body, None)[1] == ",,,,\n"
    assert shown(text_of(body), **values).text == "1,true,,2026-01-02,1.50\n"
