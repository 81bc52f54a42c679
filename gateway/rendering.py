"""Pages for people: templates of gateway/pages, everything escaped, nothing loaded from anywhere, no script."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

PAGES = Path(__file__).parent / "pages"


def page(
    name: str, values: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> HTMLResponse:
    """A page that no cache keeps, no search engine lists, no frame shows, and that tells nobody where it was."""
    text = _environment().get_template(f"{name}.html").render(style=_style(), **values)
    return HTMLResponse(text, status, {**_headers(), **(headers or {})})


def masked(channel: str, contact: str) -> str:
    """Enough of a contact point for whoever owns it to know it: `a•••@shop.example`, `•••123`."""
    name, at, host = contact.rpartition("@")
    if channel == "email" and at:
        return f"{name[:1]}•••@{host}"
    return f"•••{contact[-3:]}" if channel == "sms" else "this device"


@cache
def _environment() -> Environment:
    return Environment(loader=FileSystemLoader(PAGES), autoescape=True, undefined=StrictUndefined, trim_blocks=True)


@cache
def _style() -> Markup:
    return Markup((PAGES / "style.css").read_text())  # noqa: S704 - our own file


@cache
def _headers() -> dict[str, str]:
    style = base64.b64encode(sha256(_style().encode()).digest()).decode()
    return {
        "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'",
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Robots-Tag": "noindex, nofollow",
        "X-Content-Type-Options": "nosniff",
    }
