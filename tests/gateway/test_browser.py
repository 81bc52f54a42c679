"""The preferences page in a real browser; left out where Debian's chromium is not installed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from models.links import Recipient
from sinks.suppression import Listed, contact_hash
from tests.gateway.child import serving
from tests.gateway.house import LINKS, SALT, House

CHROMIUM = Path("/usr/bin/chromium")
LONG = "a-very-long-name-that-somebody-chose-for-all-of-their-mail@a-shop-with-a-long-name.example"
TOKEN = LINKS.token(Recipient("p1", "email", LONG, "marketing", "m1"))

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="chromium is not installed")


@contextmanager
def page(*, script: bool = True) -> Iterator[Page]:
    """On the narrowest phone there is."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        opened = browser.new_page(viewport={"width": 320, "height": 640}, java_script_enabled=script)
        yield opened
        browser.close()


def test_who_unticks_a_box_and_saves_is_refused(house: House) -> None:
    """By its labels, without a script: untick, save, and it is off on the page, in the journal and where it lands."""
    with serving(house) as child, page(script=False) as browser:
        browser.goto(f"{child.url}/preferences/{TOKEN}")
        box = browser.get_by_label("The monthly letter")
        expect(box).to_be_checked()
        box.uncheck()
        browser.get_by_role("button", name="Save").click()
        expect(browser.get_by_role("status")).to_contain_text("Saved")
        expect(box).not_to_be_checked()
        expect(browser.get_by_label("Offers & news")).to_be_checked()
        box.check()
        browser.keyboard.press("Enter")  # in a form that is to save
        expect(box).to_be_checked()
        assert [line["event"] for line in house.growing()] == ["unsubscribed", "resubscribed"]
    with Listed(house.journal) as listed:
        stances = listed.stances(contact_hash(SALT, LONG))
    assert {purpose: stance.is_refused for purpose, stance in stances.items()} == {"newsletter": False}


@pytest.mark.parametrize("path", ["u", "preferences"])
def test_a_page_fits_a_narrow_phone_and_obeys_its_own_policy(house: House, path: str) -> None:
    """At 320 pixels nothing sticks out, targets are large enough for a thumb, the style applies, nothing is refused."""
    said: list[str] = []
    with serving(house) as child, page() as browser:
        browser.on("console", lambda message: said.append(message.text))
        browser.goto(f"{child.url}/{path}/{TOKEN}")
        assert browser.evaluate("document.documentElement.scrollWidth") <= 320
        heights = browser.evaluate("[...document.querySelectorAll('button, label')].map(e => e.offsetHeight)")
        assert min(heights) >= 40
        assert (
            browser.evaluate("getComputedStyle(document.querySelector('button')).backgroundColor") == "rgb(11, 87, 164)"
        )
    assert [text for text in said if "favicon" not in text] == []


def test_one_click_and_the_link_on_the_page(house: House) -> None:
    """The button of the unsubscribe page unsubscribes, and its link leads to the choices, where it shows."""
    with serving(house) as child, page(script=False) as browser:
        browser.goto(f"{child.url}/u/{TOKEN}")
        browser.get_by_role("button", name="Unsubscribe").click()
        expect(browser.get_by_role("heading")).to_have_text("You are unsubscribed")
        browser.get_by_role("link").click()
        expect(browser.get_by_label("Offers & news")).not_to_be_checked()
