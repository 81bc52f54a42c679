"""`POST /webhooks/{destination}`: what providers tell. The signature first, then land, then 200.

A provider that gets another answer tells again, which is harmless: the id of an event is its own.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway import reports
from gateway.gate import Gate
from gateway.intake import Bodies, refuse
from gateway.landing import Written
from sinks.reporting import Heard

RECEIVED = "x-tailrace-received"  # when we heard it, for providers that tell no time
_QUICK = 64 << 10  # bytes read where everything else waits; a larger body gets a thread, which takes 0.1 ms more
_log = logging.getLogger("tailrace.gateway")


class Webhooks:
    """The routes of providers."""

    def __init__(self, gate: Gate, bodies: Bodies) -> None:
        self._gate, self._bodies = gate, bodies

    def routes(self) -> list[Route]:
        return [Route("/webhooks/{destination}", self.hear, methods=["POST"])]

    async def hear(self, request: Request) -> Response:
        name = request.path_params["destination"]
        if name not in self._gate.destinations:
            refuse(404, "No such destination")
        async with self._bodies.read(request, self._gate.limits.webhook_bytes) as body:
            at = self._gate.clock()
            heard = self._heard(request, body, at)
            if self._gate.destinations[name].fetches or len(body) > _QUICK:
                told = await asyncio.to_thread(self._told, name, heard, at)
            else:
                told = self._told(name, heard, at)
            if told.lines:
                await self._gate.landing.write(told.lines, told.suppressions)
        return Response()

    def _heard(self, request: Request, body: bytes, at: datetime) -> Heard:
        """The address as the provider called it: by the one we are known under, whatever a proxy made of it."""
        path, query = request.scope["raw_path"].decode("latin-1"), request.scope["query_string"].decode("latin-1")
        url = f"{self._gate.links.url}{path}?{query}" if query else f"{self._gate.links.url}{path}"
        return Heard(url, {**dict(request.headers), RECEIVED: at.astimezone(UTC).isoformat()}, body)

    def _told(self, name: str, heard: Heard, at: datetime) -> Written:
        """Lines and rows. Raises HTTPException: 401 where it is not signed, 400 where it cannot be read."""
        hook = self._gate.destinations[name]
        if not hook.kind.is_signed(heard, hook.secrets, at):
            refuse(401, "Not signed, or not lately")
        try:
            return reports.written(name, self._gate, hook.kind.reports(heard))
        except (ValueError, LookupError, TypeError) as error:
            # without its text, which may hold an address
            _log.warning("webhook of %s: signed, but not what is documented (%s)", name, type(error).__name__)
            refuse(400, "Not what is documented")
