"""What carries a batch to its vendor and says what became of it: HTTP requests, or lines of a protocol of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Protocol, Self
from uuid import uuid4

import httpx

from models.delivery import Claim, Outcome, Outcomes
from models.errors import NeedsPerson
from models.steps import step
from sinks import answers
from sinks.base import Batch, HttpSink, Line, LineSink, Twin
from sinks.leases import OVER, Lease
from sinks.transport import LetNobodyIn, Lost, NotSent, Transport


class Wire(Protocol):
    """Entered and left inside the running event loop."""

    def ready(self) -> None:
        """Raise NeedsPerson where it is known before any claim that nobody listens."""

    @property
    def is_prepared(self) -> bool:
        """Whether a batch would leave at once."""

    async def prepare(self) -> None:
        """Log in or connect before the claim, which is the last look at who may hear from us. Fails in `send`."""

    async def send(self, batch: Batch, claim: Claim) -> Outcomes:
        """What became of the batch."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


@dataclass
class HttpWire:
    """One request a batch, or a chain of them; the login before, where the vendor has one."""

    sink: HttpSink
    transport: Transport
    now: Callable[[], datetime]
    lease: Lease | None = None

    def ready(self) -> None:
        self.transport.ready()

    @property
    def is_prepared(self) -> bool:
        return self.sink.login(self.now()) is None

    async def prepare(self) -> None:
        if not self.is_prepared:
            await self._logged_in(uuid4().hex)

    async def send(self, batch: Batch, claim: Claim) -> Outcomes:
        refused = await self._logged_in(claim.key)
        if refused is not None:
            return refused
        given: list[httpx.Response] = []
        request: httpx.Request | None = self.sink.request(batch)
        while request is not None:
            try:
                response = await self._started(request, claim.key, _sent(claim))
            except (NotSent, Lost) as error:
                # of a chain that breaks something was done
                return answers.failed(error if not given else Lost(str(error)))
            step("answered", run=claim.run_id, claim=claim.seq)
            if outcomes := answers.refused(self.sink, response):
                return outcomes
            given.append(response)
            request = answers.following(self.sink, batch, given)
        return answers.read(self.sink, batch, given)

    async def _logged_in(self, key: str) -> Outcomes | None:
        """None once the vendor knows us, or why the rows were not sent: one connection asks, the others wait for it."""
        async with self._login:
            request = self.sink.login(self.now())
            if request is None:
                return None
            try:
                response = await self._started(request, f"{key}-login")
            except (NotSent, Lost) as error:
                return Outcomes.all(Outcome.RETRY, f"not logged in: {error}")
            return answers.login(self.sink, response, self.now())

    async def _started(
        self, request: httpx.Request, key: str, sent: Callable[[], None] | None = None
    ) -> httpx.Response:
        """The answer to one request of ours. Raises NotSent or Lost."""
        seconds = self.sink.limits.timeout
        _need(self.lease, seconds)
        return await self.transport.start(request, key, seconds, sent)

    async def __aenter__(self) -> Self:
        self._login = asyncio.Lock()
        await self.transport.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.transport.__aexit__(kind, error, trace)


@dataclass
class LineWire:
    """As many lines as there are batches under way, kept open from one to the next."""

    sink: LineSink
    twin: Callable[[], Twin] | None  # in dev: asks the recorder where it listens, raises NeedsPerson
    lease: Lease | None = None
    _idle: list[Line] = field(default_factory=list)
    _where: Twin | None = None

    def ready(self) -> None:
        self._where = self.twin() if self.twin else None

    @property
    def is_prepared(self) -> bool:
        return bool(self._idle)

    async def prepare(self) -> None:
        if not self.is_prepared:
            with contextlib.suppress(LetNobodyIn, NotSent):
                self._idle.append(await self._connected())

    async def send(self, batch: Batch, claim: Claim) -> Outcomes:
        try:
            line = self._idle.pop() if self._idle else await self._connected()
        except LetNobodyIn as error:
            stop = "the vendor refuses the account: check the secrets of this destination"
            return Outcomes.all(Outcome.RETRY, str(error), stop=stop)
        except NotSent as error:
            return answers.failed(error)
        try:
            _need(self.lease, self.sink.limits.longest)
            outcomes = await line.send(batch, self._leaving(claim))
        except (NotSent, Lost) as error:
            await line.close()
            return answers.failed(error)
        step("answered", run=claim.run_id, claim=claim.seq)
        if line.is_open:
            self._idle.append(line)
        return outcomes

    def _leaving(self, claim: Claim) -> Callable[[], None]:
        """Asked for the lease once more where the rows leave: what was said until then has taken its time."""
        sent = _sent(claim)

        def leaving() -> None:
            _need(self.lease, self.sink.limits.longest)
            sent()

        return leaving

    async def _connected(self) -> Line:
        return await self.sink.connect(self._where)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for line in self._idle:
            await line.close()


def _need(lease: Lease | None, seconds: float) -> None:
    """Raise NotSent where another machine might run the sync before an answer is given up."""
    if lease and not lease.outlives(seconds):
        raise NotSent(OVER)


def _sent(claim: Claim) -> Callable[[], None]:
    return lambda: step("sent", run=claim.run_id, claim=claim.seq)


def twin_of(recorder: str, protocol: str, sync: str, as_of: datetime) -> Twin:
    """Where this recorder listens in that protocol. Raises NeedsPerson where no recorder answers."""
    try:
        answer = httpx.get(f"{recorder}/_ports", timeout=10).raise_for_status().json()
    except httpx.HTTPError as error:
        message = f"no recorder answers at {recorder} ({error}); nothing was sent. "
        message += "Start one (tailrace recorder), or set TAILRACE_RECORDER"
        raise NeedsPerson(message) from error
    return Twin(httpx.URL(recorder).host, int(answer[protocol]), sync, as_of)
