"""A project of one's own, a real Dagster instance in a home of its own, and a person who is told about alerts."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from models.settings import Settings
from orchestration import cli, dagster_home
from orchestration.environment import child
from tests import parsed
from tests.ran import Ran


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


@pytest.fixture
def shop(tmp_path: Path) -> Settings:
    """A copy of the checkout's project, which a test may change, with two people who have landed."""
    return opened(tmp_path)


def opened(folder: Path) -> Settings:
    """A shop of one's own in this folder."""
    project, home = parsed.project(folder / "shop"), folder / "shop-home"
    made = parsed.target_into(Settings(project=project, home=home, recorder="http://127.0.0.1:9"))
    land(made, "shop/1.ndjson", opening())
    return made


def land(settings: Settings, name: str, lines: Sequence[Mapping[str, Any]]) -> Path:
    """Write lines as one NDJSON file of a source."""
    path = settings.landing / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def event(number: int, who: str, name: str, day: int, **rest: Any) -> dict[str, Any]:
    """What somebody did at ten o'clock on a day of January 2026."""
    at = f"2026-01-{day:02}T10:00:00Z"
    return {"id": str(number), "type": "track", "event": name, "userId": who, "at": at, "sentAt": at, **rest}


def opening() -> list[dict[str, Any]]:
    """Ann and Ben sign up, and Ann orders for 600."""
    signed = [event(at, who, "Signed Up", 4, traits={"email": f"{who}@x.com"}) for at, who in enumerate(("ann", "ben"))]
    bought = {"order_id": "1", "revenue": 600, "quantity": 1}
    return [*signed, event(2, "ann", "Order Completed", 4, properties=bought)]


Tailrace = Callable[..., Ran]


@pytest.fixture
def tailrace(shop: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tailrace:
    """Run a command line on the shop: `tailrace("plan", "crm/seg_new")`."""
    for name, value in child(shop).items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str) -> Ran:
        capsys.readouterr()
        code = cli.run(list(arguments))
        said = capsys.readouterr()
        return Ran(code, said.out, said.err)

    return run
