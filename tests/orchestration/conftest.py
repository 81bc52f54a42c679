"""A real Dagster instance in a home of its own, and a person who is told about alerts."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from models.settings import Settings
from orchestration import dagster_home

CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass
class Told:
    """A local server that takes alerts and keeps them; `status` is what it answers."""

    url: str = ""
    status: int = 204
    bodies: list[dict[str, Any]] = field(default_factory=list)

    @property
    def words(self) -> list[tuple[str, str]]:
        return [(body["what"], body["state"]) for body in self.bodies]


@pytest.fixture
def told() -> Iterator[Told]:
    kept = Told()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if kept.status < 300:
                kept.bodies.append(body)
            self.send_response(kept.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept.url = f"http://127.0.0.1:{server.server_address[1]}/alerts"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield kept
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    """Settings of a project without files, in a home of its own."""
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "policy.yml").write_text("zone: UTC\nsalt: test\n")
    return Settings(project=tmp_path / "project", home=tmp_path / "home")


@pytest.fixture
def instance(home: Settings) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.from_config(str(dagster_home.prepare(home))) as made:
        yield made
