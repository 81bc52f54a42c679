"""The ASGI application: its routes, what refusals look like, and the figures of the service."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gateway import metrics
from gateway.clock import HeardClock
from gateway.gate import Gate
from gateway.intake import LATER, SOON, Bodies, Door
from gateway.landing import Busy
from gateway.people import People
from gateway.rendering import page
from gateway.webhooks import Webhooks
from models.errors import TailraceError

OF_PEOPLE = ("/u/", "/preferences/")
CHECK_SECONDS = 5.0
TARGET = "X-Tailrace-Target"
_TITLES = {404: "Link not found", 429: "Too often", 503: "Not now"}
_log = logging.getLogger("tailrace.gateway")


def application(gate: Gate) -> Starlette:
    """The service. `gate.landing` is open while it runs (`gateway/serve.py` sees to it)."""
    answered = metrics.Counter("tailrace_gateway_requests_total", "Requests answered.", ("route", "status"))
    bodies, health = Bodies(gate.limits), Health(gate, answered)
    app = Starlette(
        routes=[*Webhooks(gate, bodies).routes(), *People(gate, bodies).routes(), *health.routes()],
        middleware=[
            Middleware(Door, limits=gate.limits, answered=answered),
            *([Middleware(HeardClock)] if gate.hears_clock else []),
        ],
        exception_handlers={HTTPException: _refused, TailraceError: _unwritten, ClientDisconnect: _gone},
    )
    app.router.redirect_slashes = False  # several clients take a redirect for a failure
    return app


class Health:
    """The routes of whoever runs the service."""

    def __init__(self, gate: Gate, answered: metrics.Counter) -> None:
        self._gate, self._answered = gate, answered
        self._check: asyncio.Task[None] | None = None

    def routes(self) -> list[Route]:
        return [
            Route("/healthz", self.alive),
            Route("/readyz", self.ready),
            Route("/metrics", self.metrics),
        ]

    async def alive(self, _: Request) -> Response:
        return PlainTextResponse("alive\n", headers={TARGET: self._gate.target})

    async def ready(self, _: Request) -> Response:
        """Whether journal and landing folder can be written; whoever asks meanwhile hears the same."""
        self._check = self._check or asyncio.create_task(asyncio.to_thread(self._gate.landing.check))
        check = self._check
        try:
            await asyncio.wait_for(asyncio.shield(check), CHECK_SECONDS)
        except (TailraceError, TimeoutError) as error:
            _log.error("not ready: %s", str(error) or "the journal is held")
            return PlainTextResponse("not ready\n", 503, _after(LATER))
        finally:
            if check.done():
                self._check = None
        return PlainTextResponse("ready\n")

    async def metrics(self, _: Request) -> Response:
        text = metrics.text([self._answered, *self._gate.landing.measures])
        return PlainTextResponse(text, headers={"Content-Type": metrics.CONTENT_TYPE})


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _said(request, error.status_code, error.detail, error.headers or {})


async def _unwritten(request: Request, error: Exception) -> Response:
    """Nothing was promised: who asked has to ask again."""
    if not isinstance(error, Busy):
        _log.error("%s", error)
    wait = SOON if isinstance(error, Busy) else LATER
    return _said(request, 503, "This could not be kept. Please try again in a moment.", _after(wait))


async def _gone(_: Request, __: Exception) -> Response:
    return Response(status_code=400)  # nobody hears it


def _said(request: Request, status: int, text: str, headers: Mapping[str, str]) -> Response:
    if request.url.path.startswith(OF_PEOPLE):
        return page("message", {"title": _TITLES.get(status, "That did not work"), "text": text}, status, headers)
    return PlainTextResponse(f"{text}\n", status, dict(headers))


def _after(seconds: int) -> dict[str, str]:
    return {"Retry-After": str(seconds)}
