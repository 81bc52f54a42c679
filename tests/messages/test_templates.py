"""A template says what it is between two lines at its beginning, and is one file with the parts it includes."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from assets.messages import fitting
from assets.messages.compiling import compiled
from assets.messages.rendering import Occasion, Rendered, render
from assets.messages.templates import readable, templates, unreadable
from assets.messages.text import LONGEST, read, written
from models.errors import ConfigError
from models.settings import Settings
from models.template import Template

FRONT = """\
---
description: After a cart was left
subject: "Your cart, {{ first_name }}"
from: Shop <shop@example.com>
reply_to: help@example.com
purpose: Marketing
---
"""
PAGE = "<mjml><mj-body><mj-section><mj-column><mj-text>{0}</mj-text></mj-column></mj-section></mj-body></mjml>"
TEXT = f"{FRONT}{PAGE.format('Hello')}\n--- text\nHello\n---\nsubject: this is text\n"
TWO = """\
---
subject: "{{ t.greeting }}"
locales:
  en: {greeting: "Hello, {{ name }}", more: Fish & chips}
  de: {greeting: "Hallo, {{ name }}", more: "Brot <3"}
---
"""
OCCASION = Occasion(datetime(2026, 1, 2, tzinfo=UTC), "https://t.example/u/x", "https://t.example/preferences/x")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "dbt_project/templates").mkdir(parents=True)
    return Settings(project=tmp_path, home=tmp_path / "home")


def put(settings: Settings, name: str, text: str | bytes) -> Path:
    path = settings.dbt_project / "templates" / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refusal(settings: Settings) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        templates(settings)
    return caught.value


def shown(settings: Settings, template_name: str, locale: str = "en", **values: object) -> Rendered:
    template = compiled(templates(settings)[template_name])
    return render(template, locale, dict.fromkeys(template.variables) | values, OCCASION)


def test_a_template_is_read_with_what_makes_it_this_text(settings: Settings) -> None:
    """Front matter, file and the digest of its ending and all of its text come back by the file's name."""
    path = put(settings, "cart_reminder.mjml", TEXT)
    put(settings, ".cart.swp", "an editor's")
    (found,) = templates(settings).values()
    assert found.template == Template(
        description="After a cart was left",
        subject="Your cart, {{ first_name }}",
        sender="Shop <shop@example.com>",
        reply_to="help@example.com",
        purpose="marketing",
    )
    assert (found.name, found.file, found.template.languages) == ("cart_reminder", path, ("en",))
    assert found.digest == hashlib.sha256(f".mjml\n{TEXT}".encode()).hexdigest()
    assert shown(settings, "cart_reminder").text == "Hello\n---\nsubject: this is text\n"
    path.write_text(TEXT + "more")
    assert templates(settings)["cart_reminder"].digest != found.digest


def test_the_same_text_with_another_ending_is_another_version(settings: Settings) -> None:
    """MJML and HTML of the same characters are not the same message."""
    path = put(settings, "hello.html", TEXT)
    assert read(path).digest != written("hello", ".mjml", path, TEXT).digest


def test_front_matter_may_be_empty_and_a_project_without_templates(settings: Settings) -> None:
    """Nothing need be said of a template, and there need be none."""
    assert templates(settings) == {}
    put(settings, "plain.txt", "---\r\n---\r\nHello\r\n")
    assert templates(settings)["plain"].template == Template()
    assert shown(settings, "plain") == Rendered("en", "", "Hello\n", None)
    assert templates(Settings(project=settings.project / "other", home=settings.home)) == {}


def test_a_template_in_two_languages_has_the_texts_of_each(settings: Settings) -> None:
    """Subject, page and text are of one language; in HTML its texts are escaped, and in text they are as written."""
    put(settings, "hello.mjml", f"{TWO}{PAGE.format('{{ t.greeting }} {{ t.more }}')}\n--- text\n{{{{ t.more }}}}\n")
    english = shown(settings, "hello", "en-GB", name="Ada")
    german = shown(settings, "hello", "de", name="Ada")
    assert (english.locale, english.subject, english.text) == ("en", "Hello, Ada", "Fish & chips\n")
    assert (german.locale, german.subject, german.text) == ("de", "Hallo, Ada", "Brot <3\n")
    assert "Hello, Ada Fish &amp; chips" in (english.html or "")
    assert "Hallo, Ada Brot &lt;3" in (german.html or "")


def test_parts_are_included_and_belong_to_the_version(settings: Settings) -> None:
    """A part's text is the template's: it is shown, can use texts and variables, and makes another digest."""
    part = put(settings, "_footer.mjml", "<mj-text>\n  Bye, {{ name }}\n</mj-text>\n")
    page = PAGE.format("Hi</mj-text><mj-include path='_footer.mjml' /><mj-text>")
    put(settings, "hello.mjml", f"---\nsubject: x\n---\n{page}\n--- text\nHi\n")
    put(settings, "other.mjml", f"---\nsubject: x\n---\n{page.replace(' />', '></mj-include>')}\n--- text\nHi\n")
    before = templates(settings)
    assert set(before) == {"hello", "other"}
    assert before["hello"].digest == before["other"].digest
    assert compiled(before["hello"]).variables == {"name"}
    assert "Bye, &lt;Ada&gt;" in (shown(settings, "hello", name="<Ada>").html or "")
    part.write_text("<mj-text>So long</mj-text>")
    assert templates(settings)["hello"].digest != before["hello"].digest


def test_lines_after_a_part_keep_their_numbers(settings: Settings) -> None:
    """A mistake behind an included part is told with the file's own line, however many lines the part has."""
    put(settings, "_footer.mjml", "\n\n\n<mj-text>Bye</mj-text>\n\n")
    page = PAGE.format("Hi</mj-text>\n<mj-include path='_footer.mjml' />\n<mj-text>{{ x | upcas }}")
    put(settings, "hello.mjml", f"---\nsubject: x\n---\n{page}\n--- text\nHi\n")
    assert refusal(settings).line == 6


@pytest.mark.parametrize(
    "path", ["../../secret.mjml", "/etc/passwd", "secret.mjml", "_none.mjml", "_a/../../secret.mjml", "_folder", ""]
)
def test_nothing_is_included_from_elsewhere(settings: Settings, path: str) -> None:
    """A part is a file beside the template whose name begins with _; any other is refused with its line."""
    (settings.project / "secret.mjml").write_text("secret")
    (settings.dbt_project / "templates/_folder").mkdir()
    page = PAGE.format(f"Hi</mj-text>\n<mj-include path='{path}' />\n<mj-text>")
    put(settings, "hello.mjml", f"---\nsubject: x\n---\n{page}\n--- text\nHi\n")
    error = refusal(settings)
    assert error.line == 5
    assert f"includes '{path}', which is no part in templates/" in str(error)


@pytest.mark.parametrize(
    "include", ["<mj-include path='_a.css' type='css' />", "<mj-include type='html' path='/etc/'/>"]
)
def test_what_mjml_itself_would_include_is_refused(settings: Settings, include: str) -> None:
    """MJML reads no file: what is left of an include after ours is a mistake."""
    put(settings, "_a.css", "p { color: red }")
    put(settings, "hello.mjml", f"---\nsubject: x\n---\n{PAGE.format('Hi')}\n{include}\n--- text\nHi\n")
    error = refusal(settings)
    assert "includes a part in another way" in str(error) or "is not MJML" in str(error)


FM = "---\nsubject: x\n---\n"


@pytest.mark.parametrize(
    ("name", "text", "line", "key", "says"),
    [
        ("a.txt", "---\nsubjct: x\n---\n", 2, "subjct", "unknown key; did you mean 'subject'? allowed: description"),
        ("a.txt", "---\nsubject: x\nvariables: [a]\n---\n", 3, "variables", "unknown key; allowed: description, from,"),
        ("a.txt", "---\nsubject: ''\n---\n", 2, "subject", "at least 1 character"),
        ("a.txt", "---\nfrom: ''\n---\n", 2, "from", "at least 3 characters"),
        ("a.txt", "---\nsubject: x\nsubject: y\n---\n", 3, "subject", "the key is already on line 2"),
        ("a.txt", "---\nsubject: x\0\n---\n", 2, None, "has a character that no text has"),
        ("a.txt", "---\nsubject: [x\n---\n", 3, None, "is not valid YAML"),
        ("a.txt", "---\n- x\n---\n", 2, None, "must be a mapping (key: value), not a list"),
        ("a.txt", "Hello\n", 1, None, "must begin with a line ---"),
        ("a.txt", "", 1, None, "must begin with a line ---"),
        ("a.txt", "---\nsubject: x\n", 1, None, "have no end: write a line ---"),
        ("a.txt", "---\x0c---\nHello\n", 1, None, "must begin with a line ---"),
        ("a.txt", b"---\nsubject: \xff\n---\n", None, None, "is not UTF-8 text"),
        ("a.docx", TEXT, None, None, "'.docx' is no ending of a template; allowed: .mjml, .html, .txt"),
        ("a.md", TEXT, None, None, "'.md' is no ending of a template"),
        ("Cart-1.txt", TEXT, None, None, "'Cart-1' is no name of a template; allowed: small letters"),
        ("a.en.txt", TEXT, None, None, "'a.en' is no name of a template"),
        ("a.txt", f"{FM}{'x' * LONGEST}", None, None, "characters, of which mail programs show no more than 100,000"),
        ("a.html", f"{FM}<p>x</p>\n", 5, None, "has no text for who reads without HTML: write a line --- text"),
        ("a.txt", "---\nlocales: {en: {a: x}, de: {b: x}}\n---\n", 2, None, "must have the same texts; in one only"),
        ("a.txt", "---\nlocales: {english: {a: x}}\n---\n", 2, "locales.english", "must match"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_template_is_told_with_its_place(
    settings: Settings, name: str, text: str | bytes, line: int | None, key: str | None, says: str
) -> None:
    """Every mistake names the file, the line in it and the key, and what is allowed."""
    put(settings, name, text)
    error = refusal(settings)
    assert (error.line, error.key) == (line, key), str(error)
    assert str(error.file).endswith(name)
    assert says in str(error)


@pytest.mark.parametrize(
    ("name", "text", "line", "says"),
    [
        ("a.txt", f"{FM}a\n{{{{ t.nope }}}}", 5, "has no text 'nope' in `locales`; there are: none"),
        ("a.html", f"{TWO}a\n\n{{{{ t.greting }}}}\n--- text\n", 9, "did you mean 'greeting'"),
        ("a.html", f"{TWO}a\n--- text\n{{{{ t.greting }}}}", 9, "no text 'greting'"),
        ("a.txt", '---\ndescription: x\nsubject: "{{ t.nope }}"\n---\n', 3, "subject: has no text 'nope' in `locales`"),
        ("a.txt", f"{FM}a\n{{% if x %}}\nb", 5, "is not Liquid: '{% if %}' has no '{% endif %}'"),
        ("a.html", f"{FM}a\n{{% for x in y %}}\nb\n--- text\n", 5, "'{% for %}' has no '{% endfor %}'"),
        ("a.html", f"{FM}a\n--- text\nb\n{{% if x %}}{{% endfor %}}", 7, "is not Liquid: unexpected tag 'endfor'"),
        ("a.txt", f"{FM}a\n{{{{ x | upcas }}}}", 5, "unknown filter 'upcas'"),
        ("a.txt", f"{FM}{{% if false %}}\n{{{{ x | upcas }}}}{{% endif %}}", 5, "unknown filter 'upcas'"),
        ("a.txt", f"{FM}a\n{{{{ x | safe }}}}", 5, "is not Liquid: unknown filter 'safe'"),
        ("a.txt", f"{FM}a\n{{% include 'b' %}}", 5, "is not Liquid: unexpected tag 'include'"),
        ("a.txt", f"{FM}a\n{{% render 'b' %}}", 5, "is not Liquid: unexpected tag 'render'"),
        ("a.txt", f"{FM}a\n{{{{ x", 5, "is not Liquid: expected '}}', found end of file"),
        ("a.txt", f"{FM}a\n{{% if x and %}}b{{% endif %}}", 5, "is not Liquid: expected a primitive expression"),
        ("a.txt", f"{FM}a\n{{{{ }}}}", 5, "is not Liquid: expected a primitive expression"),
        ("a.txt", "---\nsubject: '{{ x'\n---\n", 2, "subject: is not Liquid: expected '}}'"),
        ("a.txt", "---\nlocales:\n  en: {a: x}\n  de:\n    a: '{% if x %}'\n---\n", 5, "locales.de.a: is not Liquid"),
        ("a.mjml", f"{FM}\n{PAGE.format('x</mj-text>')}\n--- text\n", 5, "</mj-text> has no beginning <mj-text>"),
        ("a.mjml", f"{FM}<mjml><mj-body>\n<mj-section>\n</mj-body></mjml>\n--- text\n", 5, "<mj-section> has no end"),
        ("a.mjml", f"{FM}<mjml><mj-body>\n\n<mj-txt>a</mj-txt></mj-body></mjml>\n--- text\n", 6, "no element 'mj-txt'"),
        ("a.mjml", f"{FM}\n{PAGE.format('a<br>{% if x %}<b>y{% endif %}')}\n--- text\n", 5, "<b> has no end </b>"),
        ("a.mjml", f"{FM}Hello\n--- text\n", None, "is not MJML: cannot be read: one <mjml> is around all"),
        ("a.mjml", f"{FM}{PAGE.format('a < b')}\n--- text\n", None, "a < of the text is &lt;"),
        ("a.mjml", f"{FM}{PAGE.format('é&>')}\n--- text\n", None, "an & of the text is &amp;, and a < is &lt;"),
        ("a.mjml", f"{FM}\n{PAGE.format('LIQUID0MARK')}\n--- text\n", 5, "cannot have the word LIQUID0MARK"),
    ],
)  # fmt: skip
def test_a_mistake_in_what_is_written_is_told_with_its_line(
    settings: Settings, name: str, text: str, line: int | None, says: str
) -> None:
    """What is no Liquid or no MJML, or names a text that is not there, is told with the file's line."""
    put(settings, name, text)
    error = refusal(settings)
    assert says in str(error)
    assert error.line == line, str(error)


def test_a_template_is_one_file(settings: Settings) -> None:
    """Of two files of one name both are told."""
    put(settings, "hello.html", TEXT)
    put(settings, "hello.txt", TEXT)
    error = refusal(settings)
    assert str(error.file).endswith("hello.txt")
    assert "templates/hello.html; a template is one file" in str(error)


def test_a_template_with_a_mistake_stops_no_other(settings: Settings) -> None:
    """While one file is being written, the others are read; asked for all, every mistake is told at once."""
    put(settings, "right.txt", "---\n---\nHello")
    put(settings, "wrong.txt", "Hello")
    put(settings, "worse.txt", "---\n---\n{{ x")
    assert set(readable(settings)) == {"right"}
    assert set(unreadable(settings)) == {"wrong", "worse"}
    assert "must begin with" in str(refusal(settings))
    assert "expected '}}'" in str(refusal(settings))


@pytest.mark.parametrize(
    ("written_so", "shown_so"),
    [
        ("See https://x.example/a.", "See https://x.example/a?c=d."),
        ("(https://x.example/?q={{ name }}), or", "(https://x.example/?q=Ada&c=d), or"),
        ('{{ other | default: "https://x.example/" }}', "https://x.example/"),
        ('{% assign url = "https://x.example/" %}{{ url }}', "https://x.example/"),
        ("{% if name %}https://x.example/a{% else %}https://x.example/b{% endif %}", "https://x.example/a?c=d"),
        ("https://x.example/?c=own", "https://x.example/?c=own"),
        ("{{ unsubscribe_url }} mailto:a@x.example", "https://t.example/u/x mailto:a@x.example"),
    ],
)
def test_links_in_a_text_have_the_campaign(settings: Settings, written_so: str, shown_so: str) -> None:
    """A link as it is written gets the parameters, what ends its sentence and what is Liquid's own stay as they are."""
    put(settings, "hello.txt", f"---\n---\n{written_so}\n")
    template = compiled(templates(settings)["hello"])
    occasion = Occasion(OCCASION.now, OCCASION.unsubscribe_url, campaign={"c": "d"})
    assert render(template, "en", {"name": "Ada", "other": None}, occasion).text == f"{shown_so}\n"


@pytest.mark.parametrize(
    ("href", "shown_so"),
    [
        ('"https://x.example/?a=1&region=2"', '"https://x.example/?a=1&amp;region=2&amp;c=d"'),
        ('"https://x.example/?a=1&amp;b=2#top"', '"https://x.example/?a=1&amp;b=2&amp;c=d#top"'),
        ('"https://x.example/{{ name }}"', '"https://x.example/&lt;&amp;amp;&gt;?c=d"'),
        ('"{{ other | default: "https://x.example/" }}"', '"https://x.example/?c=d"'),
        ("'{{ other | default: 'https://x.example/' }}'", "'https://x.example/?c=d'"),
        ('"{{ unsubscribe_url }}"', '"https://t.example/u/x"'),
        ('"mailto:a@x.example"', '"mailto:a@x.example"'),
        ('"{{ script }}"', '"#"'),
        ('" {{ script | prepend: "\t" }}"', '"#"'),
    ],
)
def test_links_in_html_have_the_campaign(settings: Settings, href: str, shown_so: str) -> None:
    """Every link to others gets the parameters, escaped once; the ways out are ours and stay; a script is no link."""
    put(settings, "hello.html", f'---\nsubject: x\n---\n<a class="b" href={href}>x</a>\n--- text\nx\n')
    template = compiled(templates(settings)["hello"])
    occasion = Occasion(OCCASION.now, OCCASION.unsubscribe_url, campaign={"c": "d"})
    values = {"name": "<&amp;>", "other": None, "script": "JavaScript:alert(1)//https://x.example"}
    assert render(template, "en", values, occasion).html == f'<a class="b" href={shown_so}>x</a>'


def test_a_name_can_say_whose_it_is(settings: Settings) -> None:
    """`profile.` and `event.` tell the person's from the entry event's; lists of an event are gone through."""
    text = "{{ profile.revenue }} {{ event.revenue }} {% for item in event.items %}[{{ item.name }}]{% endfor %}"
    put(settings, "hello.txt", f"---\n---\n{text} {{{{ name }}}}\n")
    template = compiled(templates(settings)["hello"])
    assert (template.variables, template.columns, template.properties) == ({"name"}, {"revenue"}, {"revenue", "items"})
    told = {"revenue": 12.5, "items": [{"name": "A"}, {"name": "B"}], "name": "theirs"}
    values = template.values({"revenue": 100, "name": "Ada"}, told)
    assert render(template, None, values, OCCASION).text == "100 12.5 [A][B] Ada\n"
    assert render(template, None, template.values({}, told), OCCASION).text == "12.5 [A][B] theirs\n"
    assert render(template, None, template.values({}, {}), OCCASION).text == "\n"
    fitting.try_out(templates(settings)["hello"], {"revenue": "DECIMAL(18,2)"})


@pytest.mark.parametrize("used", ["{{ event }}", "{{ event[name] }}", "{% for each in profile %}{% endfor %}"])
def test_all_of_an_event_or_a_person_is_no_value(settings: Settings, used: str) -> None:
    """Which property or column a template needs is known before it is sent, or it is told on which line."""
    for name, text, line, key in (
        ("hello.txt", f"---\n---\n{{{{ event.a }}}}\n\n{used}\n", 5, None),
        ("hello.html", f"{FM}x\n{used}\n--- text\n", 5, None),
        ("hello.html", f"{FM}x\n--- text\n\n{used}", 7, None),
        ("hello.mjml", f"{FM}{PAGE.format(chr(10) + used)}\n--- text\n", 5, None),
        ("hello.txt", f"---\nfrom: a@x.example\nsubject: '{used}'\n---\n", 3, "subject"),
        ("hello.txt", f"---\nlocales:\n  en:\n    a: '{used}'\n---\n{{{{ t.a }}}}", 4, "locales.en.a"),
    ):
        path = put(settings, name, text)
        error = refusal(settings)
        assert re.search(r"uses '(event|profile).*write `(event|profile)\.NAME`", str(error)), str(error)
        assert (error.line, error.key) == (line, key), str(error)
        path.unlink()


OUT = "{{ unsubscribe_url }} {{ preferences_url }}"


@pytest.mark.parametrize(
    "hidden",
    ['{% if country == "US" %}{0}{% endif %}', "{% if city %}{0}{% endif %}", "{% unless city %}{0}{% endunless %}"],
)
@pytest.mark.parametrize("part", ["HTML", "text"])
def test_ways_out_are_shown_to_everybody(settings: Settings, hidden: str, part: str) -> None:
    """What an e-mail has for who wants no more, it has for whomever it is tried out for, in both of its parts."""
    html, text = (hidden.replace("{0}", OUT) if name == part else OUT for name in ("HTML", "text"))
    for purpose in ("", "purpose: news\n"):
        put(settings, "hello.html", f"---\nsubject: x\n{purpose}---\n{html}\n--- text\n{text}\n")
        with pytest.raises(
            ConfigError, match=rf"has no \{{\{{ unsubscribe_url }}}} in its {part} in 'en' for somebody"
        ):
            fitting.try_out(templates(settings)["hello"], {"country": "varchar", "city": "varchar"})
    put(settings, "hello.html", f"---\nsubject: x\npurpose: transactional\n---\n{html}\n--- text\n{text}\n")
    fitting.try_out(templates(settings)["hello"], {})
    put(settings, "hello.html", f"{FM}{{% if unsubscribe_url %}}{OUT}{{% endif %}}\n--- text\n{OUT}\n")
    put(settings, "stop.txt", f"---\n---\n{hidden.replace('{0}', OUT)}\n")
    for template in templates(settings).values():
        fitting.try_out(template, {})
