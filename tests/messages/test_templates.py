"""A template says what it is between two lines at its beginning, and is one file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from assets.messages.templates import templates
from models.errors import ConfigError
from models.settings import Settings
from models.template import Template

TEXT = """\
---
description: After a cart was left
subject: "Your cart, {{ first_name }}"
purpose: Marketing
variables: [cart_id, items]
---
Hello
---
subject: this is text
"""


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


def test_a_template_is_read_with_what_makes_it_this_text(settings: Settings) -> None:
    """Front matter, file and the digest of all of the file come back by the file's name."""
    path = put(settings, "cart_reminder.mjml", TEXT)
    put(settings, ".cart.swp", "an editor's")
    (found,) = templates(settings).values()
    assert found.template == Template(
        description="After a cart was left",
        subject="Your cart, {{ first_name }}",
        purpose="marketing",
        variables=("cart_id", "items"),
    )
    assert found.file == path
    assert found.digest == hashlib.sha256(TEXT.encode()).hexdigest()
    path.write_text(TEXT + "more")
    assert templates(settings)["cart_reminder"].digest != found.digest


def test_front_matter_may_be_empty_and_a_project_without_templates(settings: Settings) -> None:
    """Nothing need be said of a template, and there need be none."""
    assert templates(settings) == {}
    put(settings, "plain.txt", "---\r\n---\r\nHello\r\n")
    assert templates(settings)["plain"].template == Template()
    assert templates(Settings(project=settings.project / "other", home=settings.home)) == {}


@pytest.mark.parametrize(
    ("name", "text", "line", "key", "says"),
    [
        ("a.md", "---\nsubjct: x\n---\n", 2, "subjct", "unknown key; did you mean 'subject'? allowed: description"),
        ("a.md", "---\nsubject: x\nvariables:\n  - ok\n  - not ok\n---\n", 5, "variables[1]", "'not ok' must be"),
        ("a.md", "---\nsubject: ''\n---\n", 2, "subject", "at least 1 character"),
        ("a.md", "---\nsubject: x\nsubject: y\n---\n", 3, "subject", "the key is already on line 2"),
        ("a.md", "---\nsubject: x\0\n---\n", 2, None, "has a character that no text has"),
        ("a.md", "---\nsubject: [x\n---\n", 3, None, "is not valid YAML"),
        ("a.md", "---\n- x\n---\n", 2, None, "must be a mapping (key: value), not a list"),
        ("a.md", "Hello\n", 1, None, "must begin with a line ---"),
        ("a.md", "", 1, None, "must begin with a line ---"),
        ("a.md", "---\nsubject: x\n", 1, None, "have no end: write a line ---"),
        ("a.md", b"---\nsubject: \xff\n---\n", None, None, "is not UTF-8 text"),
        ("a.docx", TEXT, None, None, "'.docx' is no ending of a template; allowed: .md, .html"),
        ("Cart-1.md", TEXT, None, None, "'Cart-1' is no name of a template; allowed: small letters"),
        ("a.en.md", TEXT, None, None, "'a.en' is no name of a template"),
    ],
)
def test_a_mistake_in_a_template_is_told_with_its_place(
    settings: Settings, name: str, text: str | bytes, line: int | None, key: str | None, says: str
) -> None:
    """Every mistake names the file, the line in it and the key, and what is allowed."""
    put(settings, name, text)
    error = refusal(settings)
    assert (error.line, error.key) == (line, key), str(error)
    assert str(error.file).endswith(name)
    assert says in str(error)


def test_a_template_is_one_file(settings: Settings) -> None:
    """Of two files of one name both are told."""
    put(settings, "hello.html", TEXT)
    put(settings, "hello.md", TEXT)
    error = refusal(settings)
    assert str(error.file).endswith("hello.md")
    assert "templates/hello.html; a template is one file" in str(error)
