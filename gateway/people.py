"""`/u/{token}` and `/preferences/{token}`: what a person decides by a link of a message, without a log-in.

Only a POST decides: mail scanners follow links. A token that is not ours gets the same page whatever is wrong with it.
"""

from __future__ import annotations

from collections.abc import Iterable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.decisions import Change, Decision, written
from gateway.gate import Gate
from gateway.intake import Bodies, fields, refuse
from gateway.rates import Buckets, host
from gateway.rendering import masked, page
from models.links import Recipient
from models.outcome import Told
from sinks.suppression import Stance, contact_hash, is_dead

ONE_CLICK = ("List-Unsubscribe", "One-Click")  # RFC 8058; our own form says the same


class People:
    """The routes of people."""

    def __init__(self, gate: Gate, bodies: Bodies) -> None:
        self._gate, self._bodies = gate, bodies
        self._buckets = Buckets(gate.limits.per_second, gate.limits.burst, gate.limits.clients)

    def routes(self) -> list[Route]:
        return [
            Route("/u/{token}", self.ask, methods=["GET"]),
            Route("/u/{token}", self.unsubscribe, methods=["POST"]),
            Route("/preferences/{token}", self.preferences, methods=["GET"]),
            Route("/preferences/{token}", self.save, methods=["POST"]),
        ]

    async def ask(self, request: Request) -> Response:
        """A form. Whoever only looks stays subscribed."""
        recipient = self._recipient(request)
        return page("unsubscribe", self._about(request, recipient))

    async def unsubscribe(self, request: Request) -> Response:
        recipient = self._recipient(request)
        form = await self._form(request)
        name, value = ONE_CLICK
        if form.get(name) != [value]:
            refuse(400, "This was not the form of an unsubscribe link.")
        await self._settle(recipient, [(recipient.purpose, Told.UNSUBSCRIBED)])
        return page("unsubscribed", self._about(request, recipient))

    async def preferences(self, request: Request) -> Response:
        """On is what nobody said no to: the gateway knows the journal's list, and not the warehouse."""
        return await self._choices(self._recipient(request), saved=False)

    async def save(self, request: Request) -> Response:
        """Only what differs from what the page showed is decided: what it could not know stays as it is."""
        recipient = self._recipient(request)
        form = await self._form(request)
        choices = self._gate.choices(recipient)
        shown, on = (choices.keys() & set(form.get(name, ())) for name in ("shown", "on"))
        if form.get("every") == ["off"]:
            shown, on = choices.keys() | set(), set()
        told: list[tuple[str, Change]] = [(purpose, Told.UNSUBSCRIBED) for purpose in sorted(shown - on)]
        told += [(purpose, Told.RESUBSCRIBED) for purpose in sorted(on - shown)]
        if told:
            await self._settle(recipient, told)
        return await self._choices(recipient, saved=True)

    def _recipient(self, request: Request) -> Recipient:
        """Raises HTTPException 404, and 429 where a client tries many tokens or one link is used again and again.

        Who has a link is counted by it: the one-click requests of a mail provider's customers come from few addresses.
        """
        recipient = self._gate.links.read(request.path_params["token"])
        key = f"{recipient.contact}/{recipient.send_key}" if recipient else host(request)
        if wait := self._buckets.take(key, self._gate.clock().timestamp()):
            refuse(429, "This was asked for very often. Please try again in a moment.", wait)
        if recipient is None:
            refuse(404, "This link is not one of ours, or not all of it arrived. Please use the one in the message.")
        return recipient

    async def _form(self, request: Request) -> dict[str, list[str]]:
        async with self._bodies.read(request, self._gate.limits.form_bytes) as body:
            return {**fields(request.headers.get("content-type", ""), body)}

    async def _settle(self, recipient: Recipient, told: Iterable[tuple[str, Change]]) -> None:
        """Durable in the journal and in a landing file when this returns: only then may it be answered."""
        at = self._gate.clock()
        decisions = [Decision(recipient, purpose, what, at) for purpose, what in told]
        await self._gate.landing.settle(lambda seen: written(decisions, self._gate.salt, seen))

    async def _choices(self, recipient: Recipient, *, saved: bool) -> Response:
        stances = await self._gate.landing.stances(contact_hash(self._gate.salt, recipient.contact))
        choices = [
            {"purpose": purpose, "label": label, "is_on": not stances.get(purpose, Stance()).is_refused}
            for purpose, label in self._gate.choices(recipient).items()
        ]
        contact = masked(recipient.channel, recipient.contact)
        return page(
            "preferences", {"choices": choices, "contact": contact, "is_dead": is_dead(stances), "saved": saved}
        )

    def _about(self, request: Request, recipient: Recipient) -> dict[str, str]:
        return {
            "label": self._gate.label(recipient.purpose),
            "contact": masked(recipient.channel, recipient.contact),
            "token": request.path_params["token"],
        }
