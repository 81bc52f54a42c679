"""The gateway as `deploy/` starts it: what it is given is what it needs."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from models.errors import UserError
from orchestration import gateway_service
from orchestration.environment import settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["gateway"]
(POD,) = (
    each["spec"]["template"]["spec"]["containers"][0]
    for each in yaml.safe_load_all((DEPLOY / "kubernetes" / "gateway.yaml").read_text())
    if each["kind"] == "Deployment"
)
KEY = ec.derive_private_key(7, ec.SECP256R1()).public_key()
VALUES = {
    "TAILRACE_TARGET": "prod",
    "TAILRACE_GATEWAY": "https://t.example.com",
    "TAILRACE_WAREHOUSE": "postgresql://tailrace:secret@postgres/marketing",
    "TAILRACE_JOURNAL": "postgresql://tailrace:secret@postgres/marketing",
    "TAILRACE_LINK_KEY": "0123456789abcdef0123",
    "SENDGRID_VERIFICATION_KEY": base64.b64encode(
        KEY.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ).decode(),
}


def assigned(file: str) -> dict[str, str]:
    return dict(re.findall(r"^(\w+)=(.*)$", (DEPLOY / file).read_text(), re.MULTILINE))


def named_by_compose() -> set[str]:
    assert COMPOSE["env_file"] == ["secrets.env"]
    return {*COMPOSE["environment"], *assigned("secrets.example")}


def named_for_the_cluster() -> set[str]:
    (secret,) = (each["secretRef"]["name"] for each in POD["envFrom"])
    (row,) = re.findall(rf"^\| `{secret}` \|.*$", (ROOT / "docs/deploying.md").read_text(), re.MULTILINE)
    return {*re.findall(r"`(TAILRACE_[A-Z_]+)`", row), *(each["name"] for each in POD["env"])}


@pytest.mark.parametrize("named", [named_by_compose, named_for_the_cluster])
def test_in_prod_it_starts_with_what_is_named(named: Callable[[], set[str]], tmp_path: Path) -> None:
    """The variables that files and page name, and the secrets of sinks.yml, are enough; the key is needed."""
    sinks = yaml.safe_load((ROOT / "sinks.yml").read_text())["sinks"].values()
    secrets = {variable for sink in sinks for variable in sink.get("secrets", {}).values()}
    environ = {name: VALUES.get(name, "") for name in named()} | {name: VALUES.get(name, "s") for name in secrets}
    environ["TAILRACE_HOME"] = str(tmp_path)
    assert gateway_service.gate(settings(environ)).links.url == VALUES["TAILRACE_GATEWAY"]
    del environ["TAILRACE_LINK_KEY"]
    with pytest.raises(UserError, match="TAILRACE_LINK_KEY"):
        gateway_service.gate(settings(environ))


def test_the_example_is_the_gateway_of_the_sinks() -> None:
    """Where the shipped sinks.yml names an address to be called back at, it is that of the example."""
    called = re.findall(r"callback_url: (https://[^/\s]+)", (ROOT / "sinks.yml").read_text())
    assert {*called} == {assigned("env.example")["TAILRACE_GATEWAY"]}


def proxies(command: list[str]) -> str:
    given = re.sub(r"\$\{PROXIES:-[^}]*\}", assigned("env.example")["PROXIES"], command[command.index("--proxies") + 1])
    assert all(ip_network(each).is_private for each in given.split(","))
    return given


@pytest.mark.parametrize("command", [COMPOSE["command"], [*POD["command"], *POD["args"]]], ids=["compose", "cluster"])
@pytest.mark.parametrize(
    ("connects", "says", "counts"),
    [
        ("172.18.0.1", "203.0.113.9", "203.0.113.9"),
        ("172.18.0.1", "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
    ],
)
def test_callers_are_told_apart(command: list[str], connects: str, says: str, counts: str) -> None:
    """What the proxy says of its caller counts; what the caller says of itself does not."""
    heard: list[str] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        heard.append(scope["client"][0])

    scope = {"type": "http", "client": (connects, 1), "headers": [(b"x-forwarded-for", says.encode())]}
    asyncio.run(ProxyHeadersMiddleware(application, proxies(command))(scope, None, None))  # type: ignore[arg-type]
    assert heard == [counts]


def test_it_is_the_image_of_the_runs() -> None:
    """Gateway and runs name one image, and neither asks the registry for what the node has."""
    values = yaml.safe_load((DEPLOY / "kubernetes" / "values.yaml").read_text())
    (runs,) = (each["image"] for each in values["dagster-user-deployments"]["deployments"])
    assert (POD["image"], POD["imagePullPolicy"]) == (f"{runs['repository']}:{runs['tag']}", runs["pullPolicy"])
