from __future__ import annotations

import base64
import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.user.page_token import decode, encode

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=200)
NUMBERS = st.integers(-(1 << 63), (1 << 63) - 1)


def forged(payload: bytes, *query: str) -> str:
    """A token with the right digest, which has no key, around any payload."""
    bound = json.dumps([payload.decode("utf-8", "replace"), *query]).encode()
    digest = hashlib.blake2b(bound, digest_size=8).digest()
    return base64.urlsafe_b64encode(digest + payload).rstrip(b"=").decode()


@given(TEXTS, NUMBERS)
def test_a_token_gives_back_its_position(name: str, time: int) -> None:
    """Any text and any number that a field holds come back."""
    token = encode([name, time], "filter", "order")

    assert decode(token, ["name", "create_time"], "filter", "order") == (name, time)


@pytest.mark.parametrize("query", [("", "id"), ("x", ""), ("", ""), ("id", "x")])
def test_a_token_is_bound_to_its_query(query: tuple[str, str]) -> None:
    """A token of one list is refused for another."""
    token = encode(["ann"], "x", "id")

    with pytest.raises(ValueError, match="filter and order_by must be those"):
        decode(token, ["id"], *query)


def test_no_character_can_be_changed() -> None:
    """A token with any one character changed, dropped or added is refused."""
    token = encode(["ann"], "", "id")
    changed = [token[:at] + "-" + token[at + 1 :] for at in range(len(token)) if token[at] != "-"]
    dropped = [token[:at] + token[at + 1 :] for at in range(len(token))]

    for other in (*changed, *dropped, f"{token}A", f"{token}=", f" {token}"):
        with pytest.raises(ValueError, match=r"page token|of this list"):
            decode(other, ["id"], "", "id")


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"{}",
        b"[]",
        b"[1]",
        b'["ann","bob"]',
        b'["a\\u0000"]',  # PostgreSQL has no such text
        b'["\\ud800"]',  # nor has UTF-8
        b"\xff",
        b"[" * 3000,
    ],
)
def test_a_forged_position_is_refused(payload: bytes) -> None:
    """A digest is no proof: what the database would not take is refused."""
    with pytest.raises(ValueError, match="not a page token"):
        decode(forged(payload), ["id"])


@pytest.mark.parametrize("payload", [b'["1"]', b"[1.0]", b"[true]", b"[9223372036854775808]"])
def test_a_forged_number_is_refused(payload: bytes) -> None:
    """A position of a numeric field is an integer of 64 bits."""
    with pytest.raises(ValueError, match="not a page token"):
        decode(forged(payload), ["quota_bytes"])


@pytest.mark.parametrize("token", ["x", "ü", "%%%", "A" * 5000, "=", "AAAA\n"])
def test_what_is_no_token_is_refused(token: str) -> None:
    """Any text is refused in the same words."""
    with pytest.raises(ValueError, match="not a page token"):
        decode(token, ["id"])
