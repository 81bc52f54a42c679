"""`POST /webhooks/{destination}`: what providers tell. The signature first, then land, then 200.

A provider that gets another answer tells again, which is harmless: the id of an event is its own. So is whoever tells
again what was overheard: a signature has a date, or the event keeps the moment at which it was first heard.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway import reports
from gateway.gate import Gate
from gateway.intake import FORM, Bodies, refuse
from gateway.landing import Written
from gateway.rates import Buckets, host
from models.outcome import Report
from sinks.callbacks import RECEIVED, Undated
from sinks.reporting import Heard
from sinks.suppression import Seen

_QUICK = 64 << 10  # bytes read where everything else waits; a larger body gets a thread, which takes 0.1 ms more
_UNSIGNED = frozenset({401, 408, 413})  # no provider, or none that we know: too slow or too large for one
_log = logging.getLogger("tailrace.gateway")


class Webhooks:
    """The routes of providers."""

    def __init__(self, gate: Gate, bodies: Bodies) -> None:
        self._gate, self._bodies = gate, bodies
        bounds = gate.limits
        self._unsigned = Buckets(bounds.unsigned_per_second, bounds.unsigned_burst, bounds.clients)
        self._repeats = reports.Repeats(bounds.events)

    def routes(self) -> list[Route]:
        return [Route("/webhooks/{destination}", self.hear, methods=["POST"])]

    async def hear(self, request: Request) -> Response:
        name = request.path_params["destination"]
        if name not in self._gate.destinations:
            refuse(404, "No such destination")
        at, address = self._gate.clock(), host(request)
        if wait := self._unsigned.wait(address, at.timestamp()):
            refuse(429, "Too much came from here that nobody signed", wait)
        try:
            async with self._bodies.read(request, self._most(request)) as body:
                at = self._gate.clock()
                heard = self._heard(request, body, at)
                if len(body) > _QUICK:
                    told = await asyncio.to_thread(self._told, name, heard, at)
                else:
                    told = self._told(name, heard, at)
                await self._land(name, *told)
        except HTTPException as error:
            if error.status_code in _UNSIGNED:
                self._unsigned.take(address, at.timestamp())
            raise
        return Response()

    def _most(self, request: Request) -> int:
        is_form = request.headers.get("content-type", "").lower().startswith(FORM)
        return self._gate.limits.webhook_form_bytes if is_form else self._gate.limits.webhook_bytes

    def _heard(self, request: Request, body: bytes, at: datetime) -> Heard:
        """The address as the provider called it: by the one we are known under, whatever a proxy made of it."""
        path, query = request.scope["raw_path"].decode("latin-1"), request.scope["query_string"].decode("latin-1")
        url = f"{self._gate.links.url}{path}?{query}" if query else f"{self._gate.links.url}{path}"
        return Heard(url, {**dict(request.headers), RECEIVED: at.astimezone(UTC).isoformat()}, body)

    def _told(self, name: str, heard: Heard, at: datetime) -> tuple[Sequence[Report], Written]:
        """What it tells, and as lines and rows.

        Raises HTTPException: 401 where it is not signed, 400 where it cannot be read.
        """
        hook = self._gate.destinations[name]
        if not hook.kind.is_signed(heard, hook.secrets, at):
            refuse(401, "Not signed, or not lately")
        try:
            told = [*hook.kind.reports(heard)]
            return told, reports.written(name, self._gate, told)
        except (ValueError, LookupError, TypeError) as error:
            # without its text, which may hold an address
            _log.warning("webhook of %s: signed, but not what is documented (%s)", name, type(error).__name__)
            refuse(400, "Not what is documented")

    async def _land(self, name: str, told: Sequence[Report], written: Written) -> None:
        """Durable when this returns. Of a provider that tells no time only what is new."""
        if not issubclass(self._gate.destinations[name].kind, Undated):
            if written.lines:
                await self._gate.landing.write(written.lines, written.suppressions)
        elif new := self._repeats.without(name, told):

            def once(seen: Seen) -> Written:
                return reports.written_once(name, self._gate, new, seen)

            await self._gate.landing.settle(once, sum(map(len, written.lines)))
            self._repeats.note(name, new)
