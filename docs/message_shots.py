"""Takes the picture of a message in docs/images: the cart reminder on a desktop, and in German on a phone in the dark.

python docs/message_shots.py [FOLDER]     needs Debian's chromium; without it says so and does nothing

Words are set as on Android where Debian's fonts-roboto-unhinted is installed.
"""

from __future__ import annotations

import base64
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from assets.messages.compiling import compiled
from assets.messages.rendering import Occasion, render
from assets.messages.templates import templates
from orchestration.environment import settings

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = Path("/usr/bin/chromium")
TEMPLATE = "cart_reminder"
HEIGHT = 924  # of the longer one
VIEWS: tuple[Mapping[str, Any], ...] = (
    {"locale": "en", "color_scheme": "light", "viewport": {"width": 660, "height": HEIGHT}},
    {"locale": "de", "color_scheme": "dark", "viewport": {"width": 375, "height": HEIGHT}},
)
KNOWN = {"first_name": "Ada", "cart_id": "c1042003", "quantity": "3", "value": "149.5"}
OCCASION = Occasion(datetime(2026, 10, 4, tzinfo=UTC), "https://t.shop.example/u/x", "https://t.shop.example/p/x")
SHARPNESS = 4 / 3  # pixels a CSS pixel
MOST_BYTES = 200_000
SIDE_BY_SIDE = """<!doctype html><style>
    body { display: flex; gap: 24px; width: max-content; margin: 0; }
    img { border-radius: 20px; }
</style>"""


def main(folder: Path) -> int:
    """The picture into `folder`; 0 also where it cannot be done."""
    if not CHROMIUM.exists():
        print(f"skipped: there is no {CHROMIUM} (Debian: apt-get install chromium)")
        return 0
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        picture = beside(browser, [shot(browser, **view) for view in VIEWS])
        browser.close()
    assert len(picture) < MOST_BYTES, f"message.png has {len(picture):,} bytes"
    (folder / "message.png").write_bytes(picture)
    print(f"message.png: {len(picture):,} bytes")
    return 0


def shot(browser: Browser, *, locale: str, **screen: Any) -> str:
    """The message in this language on this screen, as an `img`."""
    message = render(compiled(templates(settings({}))[TEMPLATE]), locale, KNOWN, OCCASION)
    assert message.html
    page = browser.new_page(**screen, device_scale_factor=SHARPNESS, offline=True)
    page.set_content(message.html)
    taken = base64.b64encode(page.screenshot(full_page=True)).decode()
    return f'<img width="{screen["viewport"]["width"]}" src="data:image/png;base64,{taken}">'


def beside(browser: Browser, shots: list[str]) -> bytes:
    """All of them in one picture, on no ground of its own: it is shown on light pages and on dark ones."""
    page = browser.new_page(viewport={"width": 1_200, "height": 1_200}, device_scale_factor=SHARPNESS)
    page.set_content(SIDE_BY_SIDE + "".join(shots), wait_until="load")
    return page.locator("body").screenshot(omit_background=True)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images"))
