"""The gateway's clock: now; in dev, where clocks are made up, that of whoever calls."""

from __future__ import annotations

from contextvars import ContextVar
from datetime import UTC, datetime

from starlette.types import ASGIApp, Receive, Scope, Send

HEADER = b"x-tailrace-as-of"  # the recorder sends it with what it tells in dev
_said: ContextVar[datetime | None] = ContextVar("said", default=None)


def now() -> datetime:
    """The real one."""
    return datetime.now(UTC)


def said() -> datetime:
    """The one that this request came with, else the real one."""
    return _said.get() or now()


class HeardClock:
    """In dev: hears the clock of each request. What is no moment with a zone is as if nothing was said."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            _said.set(_moment(dict(scope["headers"]).get(HEADER, b"")))
        await self._app(scope, receive, send)


def _moment(text: bytes) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text.decode("ascii"))
    except ValueError:
        return None
    return moment if moment.tzinfo else None
