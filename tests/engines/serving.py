"""A PostgreSQL server of the tests' own: on loopback, of Debian's programs, gone with the process that began it."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

STARTED = "TAILRACE_TEST_ENGINES"  # where it is set, every worker starts its own
USER = "postgres"  # who runs it where we are root, which it refuses to be run by
PROGRAMS = Path("/usr/lib/postgresql")
FRESH = ["-A", "trust", "--lc-collate=C", "--lc-ctype=C.UTF-8", "-E", "UTF8", "--no-sync"]
SECONDS = 60
URLS = {"postgres": "database", "spark": "catalogue"}  # the fixtures with a warehouse's URL, of a module's own
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",  # nothing of it is kept
}


@dataclass
class Served:
    """A server that runs, and where."""

    folder: Path
    port: str
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/postgres"

    def restart(self, *, crash: bool = False) -> None:
        """End it at once for whoever is connected, or as if it were killed, and begin it again at the same place."""
        _end(self.process, signal.SIGQUIT if crash else signal.SIGINT)
        self.process = _begun(self.folder, self.port)


@contextmanager
def serving() -> Iterator[Served]:
    """A fresh server, which ends with the block, or when this process is killed."""
    programs = _programs()
    with tempfile.TemporaryDirectory(prefix="tailrace-postgres-") as name:
        folder = Path(name)
        if os.getuid() == 0:
            shutil.chown(folder, USER)
        made = [programs / "initdb", "-D", folder / "data", "-U", USER, *FRESH]
        subprocess.run(_as_its_user(made), cwd=folder, check=True, stdout=subprocess.DEVNULL)
        with socket.socket() as kept:  # bound, so that nobody else is given the port before the server listens
            kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            kept.bind(("127.0.0.1", 0))
            port = str(kept.getsockname()[1])
            served = Served(folder, port, _begun(folder, port))
            try:
                yield served
            finally:
                _end(served.process, signal.SIGINT)


def _programs() -> Path:
    """Where Debian has those of the newest server."""
    found = [path.parent for path in PROGRAMS.glob("*/bin/initdb")]
    if not found:
        message = "there is no PostgreSQL server to start here; `make test-engines` installs Debian's"
        raise FileNotFoundError(message)
    return max(found, key=lambda folder: int(folder.parent.name))


def _as_its_user(command: list[str | Path]) -> list[str]:
    """Ends with this process, even where that is killed."""
    user = ["--reuid", USER, "--regid", USER, "--init-groups"] if os.getuid() == 0 else []
    return ["setpriv", *user, "--pdeathsig", "INT", "--", *map(str, command)]


def _begun(folder: Path, port: str) -> subprocess.Popen[bytes]:
    """A server of the folder that answers."""
    programs = _programs()
    settings = [f"-c{name}={value}" for name, value in {**SETTINGS, "port": port}.items()]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            _as_its_user([programs / "postgres", "-D", folder / "data", *settings]),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C ends the tests first
        )
    try:
        _wait([programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", port, "-U", USER], process, folder)
    except BaseException:
        _end(process, signal.SIGINT)
        raise
    return process


def _wait(question: list[str | Path], process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + SECONDS
    while subprocess.run(question, check=False).returncode != 0:
        if process.poll() is not None or time.monotonic() > deadline:
            message = f"the PostgreSQL server did not start: {(folder / 'log').read_text()}"
            raise RuntimeError(message)
        time.sleep(0.05)


def _end(process: subprocess.Popen[bytes], by: signal.Signals) -> None:
    """It is our own child, so the number is nobody else's."""
    process.send_signal(by)
    try:
        process.wait(SECONDS)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGQUIT)
        process.wait()
