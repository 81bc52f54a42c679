"""What the gateway is assembled from: purposes, and what can be seen to be wrong before anybody calls."""

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from assets.dbt_project import target_path
from models.errors import ConfigError
from models.settings import Settings, Target
from orchestration import gateway_service

KEY = base64.b64encode(
    ec.derive_private_key(7, ec.SECP256R1()).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
).decode()
SINKS = """sinks:
  offers:
    sink: sendgrid
    secrets: {api_key: API_KEY, verification_key: VERIFICATION_KEY}
    options: {sender: "The Shop <hello@shop.example>"}
  text:
    sink: twilio
    secrets: {auth_token: AUTH_TOKEN}
    options:
      account_sid: AC00000000000000000000000000000000
      sender: "+15005550006"
      callback_url: CALLBACK
  hook:
    sink: webhook
    channel: email
    secrets: {signing: SIGNING, reports: REPORTS}
    options: {url: "https://hooks.example/in"}
  silent:
    sink: webhook
    secrets: {signing: SIGNING}
    options: {url: "https://hooks.example/other"}
"""
RIGHT = {"VERIFICATION_KEY": KEY, "AUTH_TOKEN": "t", "REPORTS": "whsec_c2VjcmV0", "SIGNING": "s", "API_KEY": "k"}
CALLBACK = "https://t.shop.example/webhooks/text"


def settings(root: Path, target: Target = "prod", callback: str = CALLBACK, **environ: str) -> Settings:
    project = root / "project"
    project.mkdir()
    (project / "sinks.yml").write_text(SINKS.replace("CALLBACK", callback))
    (project / "policy.yml").write_text('zone: UTC\nsalt: s\npurposes: {newsletter: "The letter"}\n')
    environ = {**RIGHT, "TAILRACE_LINK_KEY": "0123456789abcdef0123", **environ}
    return Settings(project, root / "home", target, gateway="https://t.shop.example", environ=environ)


def test_who_named_a_secret_is_heard(tmp_path: Path) -> None:
    """Every destination whose secret is there has its route, with the channel of its entry; in dev all have."""
    hooks = gateway_service.gate(settings(tmp_path)).destinations
    assert {name: hook.channel for name, hook in hooks.items()} == {"offers": "email", "text": "sms", "hook": "email"}


@pytest.mark.parametrize(
    ("environ", "callback", "key"),
    [
        ({"VERIFICATION_KEY": "SG.the-api-key-by-mistake"}, CALLBACK, "sinks.offers.secrets.verification_key"),
        ({"REPORTS": "whsec_!!"}, CALLBACK, "sinks.hook.secrets.reports"),
        ({}, "https://elsewhere.example/webhooks/text", "sinks.text.options.callback_url"),
        ({}, "https://t.shop.example/webhooks/sms", "sinks.text.options.callback_url"),
        ({}, "http://t.shop.example/webhooks/text", "sinks.text.options.callback_url"),
    ],
)
def test_what_could_never_be_believed_is_said_at_start(
    tmp_path: Path, environ: dict[str, str], callback: str, key: str
) -> None:
    """A key that is none, and an address that is not the gateway's: file, line and key, and never the secret."""
    with pytest.raises(ConfigError) as said:
        gateway_service.gate(settings(tmp_path, callback=callback, **environ))
    assert (said.value.key, str(said.value.file).rpartition("/")[2]) == (key, "sinks.yml")
    assert said.value.line
    assert not any(value in str(said.value) for value in environ.values())


@pytest.mark.parametrize("callback", [CALLBACK, CALLBACK.replace(".example/", ".example:443/")])
def test_the_gateways_address_is_right_with_its_port_too(tmp_path: Path, callback: str) -> None:
    """Twilio signs either, and both are taken."""
    assert gateway_service.gate(settings(tmp_path, callback=callback)).destinations


def test_in_dev_nothing_has_to_be_right(tmp_path: Path) -> None:
    """The recorder calls, and signs with the secrets of dev."""
    made = settings(tmp_path, "dev", callback="https://elsewhere.example/x", VERIFICATION_KEY="none")
    assert {*gateway_service.gate(made).destinations} == {"offers", "text", "hook", "silent"}


def test_a_purpose_is_one_however_syncs_write_it(tmp_path: Path) -> None:
    """As the list has it: a second box could be cleared, and would be ticked again."""
    made = settings(tmp_path)
    nodes = {"a": {"config": {"meta": {"syncs": [{"purpose": " Newsletter "}, {"purpose": "SURVEYS"}, {}]}}}}
    target_path(made).mkdir(parents=True)
    (target_path(made) / "manifest.json").write_text(json.dumps({"nodes": nodes}))
    purposes = gateway_service.gate(made).purposes
    assert purposes == {"marketing": "Marketing", "newsletter": "The letter", "surveys": "Surveys"}
