"""A link says who follows it to us alone, and to nobody who altered it."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from models.links import LONGEST_TOKEN, Links, Recipient

KEY, NEXT = "a key of sixteen characters", "another key of sixteen characters"
LINKS = Links("https://t.shop.example", [KEY])
WORDS = st.text(max_size=60)
RECIPIENTS = st.builds(Recipient, WORDS, st.sampled_from(["email", "sms", "push"]), WORDS, WORDS, WORDS)
ADA = Recipient("p_1", "email", "ada@example.com", "marketing", "key_1")


def sealed(token: str) -> bytes:
    return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))


def token_of(seal: bytes) -> str:
    return base64.urlsafe_b64encode(seal).rstrip(b"=").decode()


@given(RECIPIENTS)
def test_a_token_comes_back_as_whom_it_was_made_for(recipient: Recipient) -> None:
    """What was sealed is read, whatever characters it has, and the same recipient has the same token."""
    token = LINKS.token(recipient)
    assert LINKS.read(token) == recipient
    assert LINKS.token(recipient) == token
    assert token.isascii()
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@given(RECIPIENTS, st.data())
def test_a_byte_that_was_altered_makes_a_token_nobodys(recipient: Recipient, data: st.DataObject) -> None:
    """Of a seal with one other byte, with bytes more or with bytes less, nothing is read."""
    seal = sealed(LINKS.token(recipient))
    place = data.draw(st.integers(0, len(seal) - 1))
    other = data.draw(st.integers(1, 255))
    altered = seal[:place] + bytes([seal[place] ^ other]) + seal[place + 1 :]
    for each in (altered, seal[:place], seal + bytes([other]), bytes([other]) + seal):
        assert LINKS.read(token_of(each)) is None


@given(RECIPIENTS, st.data())
def test_a_character_that_was_altered_never_names_another(recipient: Recipient, data: st.DataObject) -> None:
    """A token with one other character is nobody's, or still the same recipient's: its last has bits to spare."""
    token = LINKS.token(recipient)
    place = data.draw(st.integers(0, len(token) - 1))
    altered = token[:place] + data.draw(st.characters()) + token[place + 1 :]
    assert LINKS.read(altered) in {None, recipient}
    if place < len(token) - 1:
        assert altered == token or LINKS.read(altered) is None


@given(st.text(max_size=300) | st.binary(max_size=300).map(token_of) | st.text("AZaz09-_=.", max_size=80))
def test_garbage_is_nobodys(garbage: str) -> None:
    """Whatever somebody puts in the place of a token, nothing is read and nothing fails."""
    assert LINKS.read(garbage) is None


@given(RECIPIENTS, st.text(min_size=16, max_size=40))
def test_a_token_of_a_foreign_key_is_nobodys(recipient: Recipient, key: str) -> None:
    """Only a key of ours makes a token that is believed."""
    assume(key != KEY)
    assert LINKS.read(Links(LINKS.url, [key]).token(recipient)) is None


def test_a_new_key_forgets_no_link() -> None:
    """Old links still work beside a new key, which signs from now on, and go with the key that is taken away."""
    old = LINKS.token(ADA)
    rotated = replace(LINKS, keys=[NEXT, KEY])
    assert rotated.read(old) == ADA
    assert LINKS.read(rotated.token(ADA)) is None
    assert rotated.read(rotated.token(ADA)) == ADA
    assert replace(LINKS, keys=[NEXT]).read(old) is None


@pytest.mark.parametrize("long", ["A" * (LONGEST_TOKEN + 1), LINKS.token(replace(ADA, contact="x" * 2_000))])
def test_what_is_too_long_is_nobodys(long: str) -> None:
    """What is longer than any link we make is not even opened."""
    assert len(long) > LONGEST_TOKEN
    assert LINKS.read(long) is None


def test_a_token_says_nothing_to_others() -> None:
    """No address stands in a link, neither as it is nor in base64."""
    token = LINKS.token(ADA)
    assert ADA.contact.encode() not in sealed(token)
    assert LINKS.unsubscribe(token) == f"https://t.shop.example/u/{token}"
    assert LINKS.preferences(token) == f"https://t.shop.example/preferences/{token}"
