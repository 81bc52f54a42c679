"""No value makes a link that does something else, however its element is written; the others have the campaign."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.messages.compiling import compiled
from assets.messages.markup import NotMarkup, tags
from assets.messages.rendering import Occasion, render
from assets.messages.text import LONGEST, Text, written
from models.errors import ConfigError

OUT = "https://t.example/u/x"
OCCASION = Occasion(datetime(2026, 1, 2, tzinfo=UTC), OUT, "https://t.example/preferences/x", {"c": "d"})
SCRIPT = "javascript:alert(1)"
MJML = "<mjml><mj-body><mj-section><mj-column><mj-text>{0}</mj-text></mj-column></mj-section></mj-body></mjml>"


class Read(HTMLParser):
    """What a browser makes of a page: its elements with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def text_of(body: str, ending: str = ".html") -> Text:
    return written("page", ending, Path("page" + ending), f"---\nsubject: x\n---\n{body}\n--- text\nx\n")


def page(body: str, ending: str = ".html", **event: object) -> str:
    template = compiled(text_of(body, ending))
    return render(template, None, template.values({}, event), OCCASION).html or ""


SPELLINGS = [
    '<a href="{{ event.url }}">x</a>',
    "<a href='{{ event.url }}'>x</a>",
    '<a href="{% if event.url %}{{ event.url }}{% else %}https://x.example/{% endif %}">x</a>',
    '<a class="{% if event.n > 1 %}y{% endif %}" href="{{ event.url }}">x</a>',
    '<a {% if event.n > 1 %}class="y"{% endif %} href="{{ event.url }}">x</a>',
    '<a href = "{{ event.url }}">x</a>',
    '<A HREF\n=\n"{{ event.url }}">x</A>',
    '<a href="{{- event.url -}}">x</a>',
    '<a href="{% assign u = event.url %}{{ u }}">x</a>',
    """<a href="{% comment %}it's "so"{% endcomment %}{{ event.url }}">x</a>""",
    '{% raw %}{{ {% endraw %}<a href="{{ event.url }}">x</a>',
    '<a title="a>b" href="{{ event.url }}">x</a>',
    '<a title=">" data-href="y" href="{{ event.url }}">x</a>',
    '<a title=it\'s href="{{ event.url }}">x</a>',
    '<a/href="{{ event.url }}">x</a>',
    '<!-- a "quote --><a href="{{ event.url }}">x</a>',
    '<!--[if !mso]><!--><a href="{{ event.url }}">x</a><!--<![endif]-->',
    '<style>a::after { content: "<a b=\'" }</style><a href="{{ event.url }}">x</a>',
    'a < b and 1 <2 <a href="{{ event.url }}">x</a>',
    '<area href="{{ event.url }}">',
    '<form action="{{ event.url }}"><button formaction="{{ event.url }}">x</button></form>',
    '<iframe src="{{ event.url }}"></iframe>',
    '<img src="{{ event.url }}">',
    '<svg><a xlink:href="{{ event.url }}">x</a></svg>',
    '{% for each in event.list %}<a href="{{ each.url }}">x</a>{% endfor %}',
]


@pytest.mark.parametrize("body", SPELLINGS)
@pytest.mark.parametrize(
    "url", [SCRIPT, " JavaScript:alert(1)", "java\nscript:alert(1)", "data:text/html,x", "http://["]
)
def test_no_value_makes_a_script(body: str, url: str) -> None:
    """Wherever a value makes a link or says what is loaded, what is not of the web, mail or telephone is `#`."""
    found = Read(page(body, url=url, n=2, list=[{"url": url}])).found
    links = [
        value
        for _, attributes in found
        for name, value in attributes.items()
        if name in {"href", "xlink:href", "src", "action", "formaction"}
    ]
    assert links
    assert set(links) == {"#"}


@pytest.mark.parametrize("body", [each for each in SPELLINGS if each.lower().count("<a") and "svg" not in each])
def test_a_link_that_a_value_makes_has_the_campaign(body: str) -> None:
    """However it is written a link to others gets the parameters, once."""
    found = Read(page(body, url="https://x.example/", n=2, list=[{"url": "https://x.example/"}])).found
    assert [told["href"] for _, told in found if "href" in told] == ["https://x.example/?c=d"]


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ("<a href=https://x.example/>x</a>", '<a href="https://x.example/?c=d">x</a>'),
        ('<a href="#top">x</a>', '<a href="#top">x</a>'),
        ('<a href="HTTPS://x.example/">x</a>', '<a href="https://x.example/?c=d">x</a>'),
        ('<a name="x">x</a>', '<a name="x">x</a>'),
        ('<a href="{% if event.n %}{{ unsubscribe_url }}{% endif %}">x</a>', f'<a href="{OUT}">x</a>'),
        ('<a href="{{ event.sms }}">x</a>', '<a href="sms:1?a=b">x</a>'),
        ('<link href="https://x.example/{{ event.n }}">', '<link href="https://x.example/2">'),
        ('<form action="https://x.example/{{ event.n }}">', '<form action="https://x.example/2">'),
        ('<img src="https://x.example/{{ event.n }}.png?a=1&b=2">', '<img src="https://x.example/2.png?a=1&b=2">'),
        ('<img src="{{ event.inline }}">', '<img src="cid:a@b">'),
        ('<img src="{{ event.picture }}">', '<img src="data:image/png;base64,AA==">'),
        ('<td background="{{ event.picture }}">', '<td background="data:image/png;base64,AA==">'),
        ('<iframe src="{{ event.picture }}">', '<iframe src="#">'),
        ('<!--[if mso]><v:rect href="https://x.example/"><![endif]-->', None),
        ("{% raw %}<a href='https://x.example/'>{% endraw %}", "<a href='https://x.example/'>"),
        ("<p title='{{ event.url }}'>", "<p title='javascript:alert(1)'>"),
    ],
)  # fmt: skip
def test_what_becomes_of_a_link(body: str, shown: str | None) -> None:
    """Links to others get the campaign, also in Outlook's comments; pictures may be of the message; others stay."""
    event = {"url": SCRIPT, "n": 2, "sms": "sms:1?a=b", "inline": "cid:a@b", "picture": "data:image/png;base64,AA=="}
    assert page(body, **event) == (shown or body.replace("example/", "example/?c=d"))


def test_links_of_mjml_are_looked_at_too() -> None:
    """A button, a picture and what is written in a text are links as any other."""
    button = '</mj-text><mj-button href="{{ event.url }}">x</mj-button><mj-image src="{{ event.url }}"/><mj-text>'
    made = page(
        MJML.format(f'<a class="{{% if event.n > 1 %}}y{{% endif %}}" href="{{{{ event.url }}}}">x</a>{button}'),
        ".mjml",
        url=SCRIPT,
        n=2,
    )
    assert "javascript" not in made
    assert made.count('"#"') == 3


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("<a href={{ event.url }}>x</a>", '<a> has {{ event.url }} without quotes around it: write href="…"'),
        ("<a href=https://x.example/{{ event.id }}>x</a>", "<a> has {{ event.id }} without quotes around it"),
        ("<a href={% if event.a %}b{% endif %}>x</a>", "<a> has {% if event.a %} without quotes around it"),
        ("<a {{ event.more }}>x</a>", "<a> has {{ event.more }} without quotes around it"),
        ("<a {% echo event.more %}>x</a>", "<a> has {% echo event.more %} without quotes around it"),
        ("<h{{ event.level }}>x</h1>", "<h> has {{ event.level }} without quotes around it"),
        ("<{{ event.name }}>x", "<{{ event.name }} is no element: a < of the text is &lt;"),
        ('<a href="https://x.example/>x</a>', '<a href="…> has no second "'),
    ],
)  # fmt: skip
@pytest.mark.parametrize("ending", [".html", ".mjml"])
def test_a_value_without_quotes_is_refused(body: str, says: str, ending: str) -> None:
    """What could end an attribute, or be one, is a mistake with its line."""
    source = f"<p>\n{body}" if ending == ".html" else MJML.format("\n" + body)
    with pytest.raises(ConfigError) as caught:
        compiled(text_of(source, ending))
    assert says in str(caught.value)
    assert caught.value.line == 5


PIECES = st.sampled_from(
    [
        "<a ",
        "<b",
        ">",
        "</a>",
        "<",
        "/",
        "=",
        '"',
        "'",
        " ",
        "\n",
        "href",
        "x",
        "<!--",
        "-->",
        "<style>",
        "</style>",
        "é",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=14).map("".join))
def test_tags_stand_where_they_are_said_to_stand(source: str) -> None:
    """Of any text tags come one after the other, each from its < to its >, with values as they are written."""
    end = 0
    with suppress(NotMarkup):
        for tag in tags(source):
            assert end <= tag.start < tag.end <= len(source)
            assert source[tag.start : tag.end].startswith(f"<{'/' if tag.closes else ''}{tag.name}")
            assert source[tag.end - 1] == ">"
            for each in tag.attributes:
                assert source[each.start : each.end] == f"{each.quote}{each.value}{each.quote}"
            end = tag.end


@pytest.mark.parametrize(
    "piece", ["<a ", "<!--", "<a b='{{ c }}'", "{% raw %}", "<style>", "<a b=", "a ", "<a>", "<a b=' "]
)
def test_long_sources_are_read_in_no_time(piece: str) -> None:
    """Whatever a template repeats is read once: what went over it again at every character would not end today."""
    source = piece * (LONGEST // len(piece))
    with suppress(NotMarkup):
        assert len(list(tags(source))) <= source.count("<")
