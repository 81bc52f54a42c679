"""The recorder: a vendor on the loopback that answers as any sink's vendor would and keeps what it heard.

`/<sink>/<original host><path>` is answered by that sink's `simulate`; `/_received`, `/_audience`, `/_behaviour` and
`/_outcomes` are for people and tests.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
from aiohttp import web
from pydantic import ValidationError

from models.errors import UserError
from sinks import recorder_outcomes, recorder_smtp
from sinks.base import Fault, HttpSink, Simulated
from sinks.recorder_answers import TAKEN_FIRST, after, answer, instead, original_request
from sinks.recorder_behaviour import Behaviour, Feedback, Reject, Rule
from sinks.recorder_store import Row, Store
from sinks.registry import discover

LARGEST_BODY = 256 * 1024 * 1024


class Recorder:
    """The service's state: its store, its programme and the ordinals of requests."""

    def __init__(self, store: Store, host: str = "127.0.0.1") -> None:
        self._store, self._host, self._mail_port = store, host, 0
        self._sinks = discover()
        self._behaviour = Behaviour()
        self._ordinals: Counter[str] = Counter()
        self._struck: Counter[int] = Counter()

    def application(self) -> web.Application:
        app = web.Application(client_max_size=LARGEST_BODY)
        app.router.add_get("/_received", self.received)
        app.router.add_get("/_audience", self.audience)
        app.router.add_get("/_ports", self.ports)
        app.router.add_get("/_behaviour", self.behaviour)
        app.router.add_put("/_behaviour", self.behave)
        app.router.add_post("/_outcomes", self.report)
        app.router.add_route("*", "/{sink}/{host}{path:/.*}", self.hear)
        app.cleanup_ctx.extend([self._reporting, self._mail])
        return app

    # --- the vendor

    async def hear(self, request: web.Request) -> web.StreamResponse:
        """Answer a sink's request, or do what the programme says of this one."""
        kind = self._sinks.get(request.match_info["sink"])
        if kind is None or not issubclass(kind, HttpSink):
            return _problem(404, f"no sink '{request.match_info['sink']}' that speaks HTTP")
        sync = request.headers.get("X-Tailrace-Sync", "")
        ordinal = self._next(sync)
        original = await original_request(request)
        heard = kind.simulate(original, Fault())
        rule = self._rule(sync, str(heard.rows[0].op) if heard.rows else "", ordinal)
        if self._behaviour.latency:
            await asyncio.sleep(self._behaviour.latency)
        if rule and rule.do not in TAKEN_FIRST:
            return instead(rule, request, kind, original)
        if fault := self._fault(sync, heard):
            heard = kind.simulate(original, fault)
        await self._keep(request, sync, ordinal, heard)
        if rule:
            return await after(rule, request, heard.response)
        return answer(heard.response)

    def _next(self, sync: str) -> int:
        self._ordinals[sync] += 1
        return self._ordinals[sync]

    def _rule(self, sync: str, op: str, ordinal: int) -> Rule | None:
        for position, rule in enumerate(self._behaviour.rules):
            spent = rule.times is not None and self._struck[position] >= rule.times
            if not spent and rule.holds(self._behaviour.seed, sync, op, ordinal):
                self._struck[position] += 1
                return rule
        return None

    def _fault(self, sync: str, heard: Simulated) -> Fault | None:
        """The rows of this request that the programme rejects, or the refusal of all of them."""
        found: dict[int, Reject] = {}
        for reject in self._behaviour.reject:
            for offset, row in enumerate(heard.rows):
                if reject.holds(self._behaviour.seed, sync, row.identity, row.payload):
                    found.setdefault(offset, reject)
        if not found:
            return None
        whole = next((reject.reason for reject in found.values() if reject.whole), None)
        if whole is not None and len(heard.rows) > 1:
            return Fault(refuse=whole)
        return Fault(reject={offset: reject.reason for offset, reject in found.items()})

    async def _keep(self, request: web.Request, sync: str, ordinal: int, heard: Simulated) -> None:
        if not heard.rows:
            return
        sink, as_of = request.match_info["sink"], request.headers.get("X-Tailrace-As-Of", "")
        key = request.headers.get("X-Tailrace-Request", str(ordinal))
        rows: list[Row] = [
            (sync, sink, str(row.op), row.identity, orjson.dumps(row.payload).decode(), key, as_of)
            for row in heard.rows
        ]
        await self._store.add(rows)

    # --- for people and tests

    async def received(self, request: web.Request) -> web.StreamResponse:
        """NDJSON, one line a row in the order of arrival. `?sync=` and `?after=<ordinal>` narrow it."""
        try:
            after = int(request.query.get("after", "0"))
        except ValueError:
            return _problem(400, "after: an ordinal is a number")
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        for chunk in _chunked(
            b'{"ordinal":%d,"sync":%s,"op":%s,"identity":%s,"payload":%s,"request":%s,"as_of":%s}\n'
            % (
                ordinal,
                *(orjson.dumps(value) for value in (sync, op, identity)),
                payload.encode(),
                *(orjson.dumps(value) for value in (key, as_of)),
            )
            for ordinal, sync, op, identity, payload, key, as_of, _ in self._store.received(
                request.query.get("sync"), after
            )
        ):
            await response.write(chunk)
        await response.write_eof()
        return response

    async def audience(self, request: web.Request) -> web.StreamResponse:
        """`?sync=`: identity → payload of everyone in the audience now."""
        sync = request.query.get("sync")
        if sync is None:
            return _problem(400, "name a sync: /_audience?sync=crm/seg_lapsed")
        pairs = (orjson.dumps(identity) + b":" + text.encode() for identity, text in self._store.audience(sync))
        return web.Response(body=b"{" + b",".join(pairs) + b"}", content_type="application/json")

    async def ports(self, _: web.Request) -> web.StreamResponse:
        """Where the recorder listens in protocols of their own."""
        return web.json_response({recorder_smtp.SINK: self._mail_port})

    async def behaviour(self, _: web.Request) -> web.StreamResponse:
        return web.Response(text=self._behaviour.model_dump_json(), content_type="application/json")

    async def behave(self, request: web.Request) -> web.StreamResponse:
        """A new programme; ordinals start again."""
        try:
            self._behaviour = Behaviour.model_validate_json(await request.read())
        except ValidationError as error:
            return _problem(400, _told(error))
        self._ordinals.clear()
        self._struck.clear()
        return await self.behaviour(request)

    async def report(self, request: web.Request) -> web.StreamResponse:
        """Write outcomes of every row not reported yet; `{folder, seed, rates}`, or what the programme has."""
        body = await request.read()
        try:
            feedback = Feedback.model_validate_json(body) if body else self._behaviour.outcomes
        except ValidationError as error:
            return _problem(400, _told(error))
        if feedback is None:
            return _problem(400, 'say where outcomes go: {"folder": …}')
        try:
            count = await asyncio.to_thread(recorder_outcomes.write, self._store, feedback)
        except httpx.HTTPError as error:
            return _problem(502, f"the gateway does not take what is told: {error}")
        return web.json_response({"outcomes": count})

    async def _reporting(self, _: web.Application) -> AsyncIterator[None]:
        """While the service runs: outcomes about a second after rows came in, where the programme asks for them."""
        task = asyncio.create_task(self._report_for_ever())
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def _mail(self, _: web.Application) -> AsyncIterator[None]:
        """While the service runs: the SMTP port beside it, on the same host and with the same programme."""
        server, self._mail_port = await recorder_smtp.listen(self._host, self._rule_of_mail, self._refusal, self._add)
        yield
        server.close()

    def _rule_of_mail(self, sync: str) -> Rule | None:
        return self._rule(sync, "send", self._next(sync))

    def _refusal(self, sync: str, payload: dict[str, Any]) -> Reject | None:
        found = self._behaviour.reject
        return next((each for each in found if each.holds(self._behaviour.seed, sync, payload["to"], payload)), None)

    async def _add(self, rows: list[Row]) -> None:
        await self._store.add(rows)

    async def _report_for_ever(self) -> None:
        before = self._store.last()
        while True:
            await asyncio.sleep(1)
            last = self._store.last()
            if self._behaviour.outcomes and last == before:
                with contextlib.suppress(httpx.HTTPError):  # told again the next time
                    await asyncio.to_thread(recorder_outcomes.write, self._store, self._behaviour.outcomes)
            before = last


def _problem(status: int, message: str) -> web.Response:
    return web.json_response({"error": message}, status=status)


def _told(error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_input=False)
    return "; ".join(f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}" for problem in problems)


def _chunked(lines: Iterator[bytes], size: int = 500) -> Iterator[bytes]:
    chunk: list[bytes] = []
    for line in lines:
        chunk.append(line)
        if len(chunk) == size:
            yield b"".join(chunk)
            chunk = []
    yield b"".join(chunk)


def serve(port: int, db: Path, *, host: str = "127.0.0.1", ready: Callable[[int], None] | None = None) -> None:
    """Run until SIGTERM or SIGINT. `ready` hears the port once it listens (0 picks a free one).

    Raises UserError where the port is taken.
    """
    asyncio.run(_serve(port, db, host, ready or (lambda _: None)))


async def _serve(port: int, db: Path, host: str, ready: Callable[[int], None]) -> None:
    store = Store(db)
    runner = web.AppRunner(Recorder(store, host).application(), access_log=None)
    try:
        await runner.setup()
        site = web.TCPSite(runner, host, port, shutdown_timeout=1)
        try:
            await site.start()
        except OSError as error:
            message = f"port {port} is not free ({error.strerror}); name another with --port"
            raise UserError(message) from error
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, stop.set)
        ready(int(runner.addresses[0][1]))
        await stop.wait()
    finally:
        await runner.cleanup()
        store.close()
