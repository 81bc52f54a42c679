"""Every e-mail of this project as people see it: on a phone and a desktop, in the light and in the dark."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from assets.messages.compiling import compiled
from assets.messages.rendering import Occasion, Rendered, render
from assets.messages.templates import templates
from models.sync import TRANSACTIONAL
from orchestration.environment import settings

Scheme = Literal["light", "dark"]

pytestmark = pytest.mark.slow
CHROMIUM = Path("/usr/bin/chromium")
PHONE, DESKTOP = 375, 900
AA = 4.5  # contrast that WCAG 2 asks for text of any size
FINGER = 44  # CSS pixels
DARK, LIGHT = 0.05, 0.6  # luminance of what is behind text: below and above
KNOWN = {
    "first_name": "Annegret-Wilhelmine", "order_id": "o1042003", "cart_id": "c1042003", "quantity": "3",
    "value": "149.5",
}  # fmt: skip
LINKS = ("https://t.shop.example/u/x", "https://t.shop.example/preferences/x")
LOOK = """() => {
    const rgb = (text) => text.match(/[0-9.]+/g).map(Number);
    const behind = (element) => {
        for (let each = element; each; each = each.parentElement) {
            const colour = rgb(getComputedStyle(each).backgroundColor);
            if (colour.length === 3 || colour[3] === 1) return colour.slice(0, 3);
        }
        return null;
    };
    const texts = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const parent = walker.currentNode.parentElement, text = walker.currentNode.data.trim();
        if (!text || !parent.checkVisibility() || parent.closest("style")) continue;
        const colour = rgb(getComputedStyle(parent).color);
        const onSurface = !parent.closest(".button, [aria-hidden]");
        texts.push({text, colour, behind: behind(parent), onSurface});
    }
    const links = [...document.querySelectorAll("a")].map(
        (link) => ({text: link.innerText, label: link.ariaLabel, height: link.getBoundingClientRect().height}));
    const ends = [...document.body.querySelectorAll("*")].map((element) => element.getBoundingClientRect().right);
    const width = Math.max(document.documentElement.scrollWidth, ...ends);  // what is cut off ends beyond the edge
    const first = document.body.firstElementChild;
    const preheader = {text: first.textContent, isVisible: first.checkVisibility()};
    const page = behind(document.querySelector(".page"));
    return {texts, links, width, preheader, page, said: document.body.innerText};
}"""


@dataclass(frozen=True)
class View:
    """What there is to see of a message on one screen. Colours are red, green and blue up to 255."""

    name: str
    message: Rendered
    width: int
    scheme: Scheme
    seen: dict[str, Any]  # what LOOK returns
    heard: list[str]  # errors of the console, and requests

    def contrasts(self) -> Iterator[tuple[str, float]]:
        for each in self.seen["texts"]:
            lighter, darker = sorted((luminance(each["colour"]), luminance(each["behind"])), reverse=True)
            yield each["text"], (lighter + 0.05) / (darker + 0.05)

    def surfaces(self) -> list[float]:
        """The luminance of the page and of what is behind its words, but for buttons and decoration."""
        behind = [each["behind"] for each in self.seen["texts"] if each["onSurface"]]
        return [luminance(colour) for colour in [self.seen["page"], *behind]]


def luminance(colour: list[float]) -> float:
    """Relative, as WCAG 2 has it: 0 is black, 1 is white."""
    parts = [each / 255 for each in colour[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def messages() -> Iterator[tuple[str, Rendered]]:
    """Every e-mail in every language, for somebody of whom all is known and for somebody of whom nothing is."""
    for name, template in templates(settings({})).items():
        what = compiled(template)
        links = () if template.template.purpose == TRANSACTIONAL else LINKS
        occasion = Occasion(datetime(2026, 10, 4, tzinfo=UTC), *links)
        people: dict[str, dict[str, str | None]] = {"known": {**KNOWN}, "unknown": dict.fromkeys(KNOWN)}
        for locale in what.languages if template.ending != ".txt" else ():
            for person, values in people.items():
                given = {variable: values[variable] for variable in what.variables}
                yield f"{name}-{locale}-{person}", render(what, locale, given, occasion)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM} (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def views(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> list[View]:
    """All of them, their pictures taken."""
    pictures = tmp_path_factory.mktemp("pictures")
    composed = list(messages())
    schemes: tuple[Scheme, ...] = ("light", "dark")
    found = []
    for scheme, width in product(schemes, (PHONE, DESKTOP)):
        page = browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 700}, offline=True)
        heard = listening(page)
        for name, message in composed:
            heard.clear()
            page.set_content(message.html or "", wait_until="load")
            page.screenshot(path=pictures / f"{name}-{width}-{scheme}.png", full_page=True)
            found.append(View(f"{name}-{width}-{scheme}", message, width, scheme, page.evaluate(LOOK), [*heard]))
        page.close()
    return found


def listening(page: Page) -> list[str]:
    """Grows by every request, and by all that the console complains about."""
    heard: list[str] = []
    page.on("request", lambda request: heard.append(request.url))
    page.on("console", lambda said: heard.append(said.text) if said.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: heard.append(str(error)))
    return heard


def words(text: str) -> set[str]:
    return set(re.findall(r"[^\W_]+", re.sub(r"https?://\S+", "", text).lower()))


def test_nothing_is_wider_than_its_screen(views: list[View]) -> None:
    """No message scrolls sideways or is cut off, on a phone neither."""
    assert views
    assert [(view.name, view.seen["width"]) for view in views if view.seen["width"] > view.width] == []


def test_the_page_says_what_the_text_part_says(views: list[View]) -> None:
    """Every word of the text part can be seen, or is heard from the label of a link."""
    for view in views:
        labels = " ".join(link["label"] or "" for link in view.seen["links"])
        assert words(view.message.text) <= words(f"{view.seen['said']} {labels}"), view.name


def test_what_is_known_of_somebody_can_be_seen(views: list[View]) -> None:
    """Name, order and amount stand where they are used, as their language writes them."""
    for template, expected in {
        "welcome-de-known": "Annegret-Wilhelmine",
        "order_taken-en-known": "o1042003",
        "cart_reminder-en-known": "€149.50",
        "cart_reminder-de-known": "149,50 €",
    }.items():
        said = [view.seen["said"] for view in views if view.name.startswith(f"{template}-")]
        assert len(said) == 4
        assert all(expected in each for each in said), template


def test_the_inbox_has_something_to_show(views: list[View]) -> None:
    """Each begins with a preheader, which nobody sees in the message and which does not say the subject again."""
    for view in views:
        assert not view.seen["preheader"]["isVisible"], view.name
        assert words(view.seen["preheader"]["text"]) - words(view.message.subject), view.name


def test_every_text_can_be_read(views: list[View]) -> None:
    """Each has the contrast that WCAG 2 AA asks for, in the light and in the dark."""
    poor = [(view.name, text, round(ratio, 2)) for view in views for text, ratio in view.contrasts() if ratio < AA]
    assert poor == []


def test_the_dark_is_dark(views: list[View]) -> None:
    """Whoever asks for the dark sees light words on dark ground throughout, all others the other way round."""
    for view in views:
        if view.scheme == "dark":
            assert max(view.surfaces()) < DARK, view.name
        else:
            assert min(view.surfaces()) > LIGHT, view.name


def test_every_link_is_as_high_as_a_finger(views: list[View]) -> None:
    """Buttons, stars, and the ways out at the end, too."""
    assert all(view.seen["links"] for view in views)
    small = [(view.name, link) for view in views for link in view.seen["links"] if link["height"] < FINGER]
    assert small == []


def test_a_message_is_whole_in_itself(views: list[View]) -> None:
    """Nothing is asked of any server, and nothing goes wrong."""
    assert [(view.name, view.heard) for view in views if view.heard] == []
