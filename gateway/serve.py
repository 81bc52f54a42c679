"""Runs the application on uvicorn with httptools and uvloop, which answered the most requests a core.

An empty 200 to a POST of 450 bytes, requests a second of one core: uvicorn with httptools on uvloop 13,500, on asyncio
11,300; with h11 3,700; aiohttp's own server on uvloop 9,100; granian (ASGI) 7,700; hypercorn 2,500.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import uvicorn

from gateway.app import application
from gateway.connections import SWEEP_TICKS, Line, protocol, sweep
from gateway.gate import Gate
from models.errors import UserError

STOP_SECONDS = 5  # in which what was begun is answered: shorter than service managers wait before they kill
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def serve(
    make: Callable[[], Gate],
    host: str = "127.0.0.1",
    port: int = 8791,
    ready: Callable[[int], None] | None = None,
    *,
    proxies: str = "127.0.0.1",
    line: Line | None = None,
) -> None:
    """Run until SIGTERM or SIGINT; what was answered is then in finished files.

    For the main thread. `ready` hears the port once it listens (0 picks a free one). `proxies`: whose `X-Forwarded-For`
    is believed, addresses separated by commas. `line`: what one connection may take. Raises UserError where the port
    is taken, StorageFull or NeedsPerson where nothing can be written.
    """
    with _bound(host, port) as listening, _signals_heard() as heard:
        gate = make()
        with gate.landing:
            config = uvicorn.Config(
                application(gate),
                access_log=False,  # a link says who follows it
                forwarded_allow_ips=proxies,
                http=protocol(line or Line()),
                lifespan="off",
                log_config=None,
                server_header=False,
                timeout_graceful_shutdown=STOP_SECONDS,
                ws="none",  # an upgrade would leave the limits of `http`
            )
            config.load()
            with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
                runner.run(_Server(config, ready or (lambda _: None), heard).serve([listening]))


class _Server(uvicorn.Server):
    """Says when it listens; does not begin where it was told to end before."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[int], None], heard: Sequence[int]) -> None:
        super().__init__(config)
        self._ready, self._heard = ready, heard

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listening in sockets or ():
            self._ready(listening.getsockname()[1])
        self.should_exit = bool(self._heard)

    async def on_tick(self, counter: int) -> bool:
        if counter % SWEEP_TICKS == 0:
            sweep(self.server_state.connections, asyncio.get_running_loop().time())
        return await super().on_tick(counter)


@contextmanager
def _bound(host: str, port: int) -> Iterator[socket.socket]:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.create_server((host, port), family=family)
    except OSError as error:
        message = f"{host} port {port} cannot be listened on ({error.strerror}); name another with --port"
        raise UserError(message) from error
    with listening:
        yield listening


@contextmanager
def _signals_heard() -> Iterator[Sequence[int]]:
    """Signals before the server listens to them, and after: when it has ended it sends itself the one that it heard."""
    heard: list[int] = []
    before = {name: signal.signal(name, lambda number, _: heard.append(number)) for name in _SIGNALS}
    try:
        yield heard
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
