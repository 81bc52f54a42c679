"""Pages for people: readable by everyone, loading nothing, escaping everything."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import httpx
import pytest

from gateway.rendering import PAGES
from models.links import Recipient
from tests.gateway.house import LINKS, RECIPIENT, Client, House

TOKEN = LINKS.token(RECIPIENT)
VOID = {"meta", "input", "br"}


class Elements(HTMLParser):
    """Every element with its attributes and text; `left` are those that were never closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.left: list[str] = []
        self.texts: dict[str, str] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.left.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.left.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.left:
            self.texts[self.left[-1]] = self.texts.get(self.left[-1], "") + data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.found if name == tag]


def pages(client: Client) -> list[httpx.Response]:
    """One of each."""
    return [
        client.get(f"/u/{TOKEN}"),
        client.post(f"/u/{TOKEN}", data={"List-Unsubscribe": "One-Click"}),
        client.get(f"/preferences/{TOKEN}"),
        client.post(f"/preferences/{TOKEN}", data={"shown": ["newsletter"]}),
        client.get("/u/x"),
    ]


def test_a_page_can_be_read_by_everyone(client: Client) -> None:
    """A language, a title, one heading that is the title, a landmark, labels tied to inputs, groups with a legend."""
    for answer in pages(client):
        page = Elements(answer.text)
        assert page.left == []
        assert page.of("html") == [{"lang": "en"}]
        assert len(page.of("h1")) == len(page.of("main")) == len(page.of("title")) == 1
        assert page.texts["h1"] == page.texts["title"] != ""
        boxes = [attrs["id"] for attrs in page.of("input") if attrs.get("type") != "hidden"]
        assert boxes == [attrs["for"] for attrs in page.of("label")]
        assert len({*boxes}) == len(boxes)
        assert len(page.of("fieldset")) == len(page.of("legend"))
        assert "width=device-width" in str(page.of("meta"))
        assert page.of("script") == page.of("img") == page.of("link") == []


def test_a_page_loads_nothing_and_tells_nobody(client: Client) -> None:
    """Its own style by its hash is all that a browser may use; nobody keeps, lists, frames or hears of the page."""
    for answer in pages(client):
        style = Elements(answer.text).texts["style"]
        hashed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        policy = answer.headers["content-security-policy"]
        assert policy.startswith(f"default-src 'none'; style-src 'sha256-{hashed}'; form-action 'self';")
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-robots-tag"] == "noindex, nofollow"
        assert " style=" not in answer.text


def test_nothing_of_a_link_is_taken_for_html(client: Client) -> None:
    """What a token holds, and what a purpose is called, is text wherever it is shown."""
    bad = '"><script>alert(1)</script>'
    token = LINKS.token(Recipient(bad, "email", f"{bad}@{bad}", bad, bad))
    for answer in (
        client.get(f"/u/{token}"),
        client.get(f"/preferences/{token}"),
        client.post(f"/u/{token}", data={"List-Unsubscribe": "One-Click"}),
    ):
        assert answer.status_code == 200
        assert "<script" not in answer.text
        assert "&lt;script&gt;" in answer.text
    assert "Offers &amp; news" in client.get(f"/u/{TOKEN}").text


def luminance(colour: str) -> float:
    """As WCAG 2 defines it."""
    whole = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(whole[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize(
    ("above", "below"),
    [("#1b1b1f", "#fff"), ("#1b1b1f", "#eef7f0"), ("#0b57a4", "#fff"), ("#fff", "#0b57a4"), ("#6b6b76", "#fff")],
)
def test_text_stands_out(above: str, below: str) -> None:
    """Every colour on its ground reaches the 4.5 to 1 that WCAG 2 asks of text, and both are the style's."""
    lighter, darker = sorted((luminance(above), luminance(below)), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= 4.5
    assert {above, below} <= set(re.findall(r"#[0-9a-f]{3,6}\b", (PAGES / "style.css").read_text()))


def test_a_contact_point_is_shown_in_part(house: House, client: Client) -> None:
    """A link that was passed on does not say whose it is."""
    assert "A•••@shop.example" in client.get(f"/u/{TOKEN}").text
    assert "Ann@" not in client.get(f"/preferences/{TOKEN}").text
