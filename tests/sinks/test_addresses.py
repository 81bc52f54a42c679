"""An address in a file leads to the public internet, or the destination says that it need not."""

import ipaddress
from dataclasses import replace

import pytest

from models.errors import NeedsPerson
from sinks.addresses import is_public, public
from sinks.destinations import wire_for
from sinks.webhook import WebhookOptions, WebhookSink
from tests.sinks.desk import AT, Desk

PRIVATE = (
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
    "::1", "fe80::1", "fc00::1", "::ffff:10.0.0.1", "2002:0a00:0001::1", "::", "255.255.255.255",
    "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1", "::7f00:1", "fec0::1",
)  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_not_public_is_refused(address: str) -> None:
    """Private, of this machine, of the link, of a cloud's metadata, for many, and in the clothes of IPv6."""
    assert not is_public(ipaddress.ip_address(address))
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(NeedsPerson, match=r"not of the public internet|no such host"):
        public(f"http://{host}:8080/in")


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111", "64:ff9b::808:808"])
def test_what_is_public_is_pinned(address: str) -> None:
    """Requests go to the very address that was looked at."""
    host = f"[{address}]" if ":" in address else address
    assert (public(f"https://{host}/in").address, public(f"https://{host}/in").port) == (address, 443)


@pytest.mark.parametrize("host", ["localhost", "2130706433", "0x7f000001", "127.1", "nowhere.invalid"])
def test_names_and_odd_spellings_are_looked_up(host: str) -> None:
    """Whatever leads to this machine, or nowhere, is refused before anything is claimed."""
    with pytest.raises(NeedsPerson):
        public(f"http://{host}/in")


def test_a_webhook_goes_there_only_if_its_destination_says_so(offline: Desk) -> None:
    """In prod; in dev everything goes to the recorder, whatever the address is."""
    live = replace(offline.settings, target="prod")
    for allowed in (False, True):
        options = WebhookOptions(url="http://127.0.0.1:9/in", allow_private=allowed)
        wire = wire_for(WebhookSink(options, {"signing": "s"}), live, sync="hook/x", as_of=AT, now=lambda: AT)
        if allowed:
            wire.ready()
        else:
            with pytest.raises(NeedsPerson, match="allow_private: true"):
                wire.ready()
