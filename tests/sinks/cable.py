"""A network between a process and a server that a test can cut."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Cable:
    """Listens on a port of its own and passes everything on, until it is cut."""

    server: tuple[str, int]
    listening: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    ends: list[socket.socket] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.listening.getsockname()[1])

    def drop(self) -> None:
        """Every connection ends; a new one is taken."""
        for end in self.ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self.ends.clear()

    def cut(self) -> None:
        """Nothing comes through any more, and nobody listens."""
        with suppress(OSError):
            self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        self.drop()

    def listen(self) -> None:
        with suppress(OSError):
            while True:
                here, _ = self.listening.accept()
                there = socket.create_connection(self.server)
                self.ends += [here, there]
                for source, sink in ((here, there), (there, here)):
                    threading.Thread(target=_pass_on, args=(source, sink), daemon=True).start()


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


@contextmanager
def laid(url: str) -> Iterator[tuple[Cable, str]]:
    """A cable to the server of the URL, and the URL by which it is reached through it."""
    parts = urlsplit(url)
    cable = Cable((parts.hostname or "", parts.port or 5432))
    thread = threading.Thread(target=cable.listen, daemon=True)
    thread.start()
    try:
        yield cable, parts._replace(netloc=f"{parts.username}@127.0.0.1:{cable.port}").geturl()
    finally:
        cable.cut()
        thread.join()
