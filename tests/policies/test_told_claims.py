from __future__ import annotations

from typing import Any

import pytest

from transcoder.policies.bearer import BadToken
from transcoder.policies.told_claims import ToldClaims


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("ann", "ann"),
        ("", ""),
        ("a b, c", "a b, c"),
        (7, "7"),
        (1.5, "1.5"),
        (True, "true"),
        (False, "false"),
        (["a", 1, True], "a,1,true"),
        ([], ""),
    ],
)
def test_text(claim: Any, value: str) -> None:
    """Texts are told as they are, numbers and truth as in JSON, lists by commas."""
    assert ToldClaims({"c": "x-c"})({"c": claim}) == (("x-c", value),)


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("ann\u00e9", b"ann\xc3\xa9"),
        ("a\r\nb", b"a\r\nb"),
        (["a,b", "\u00e9"], b'["a,b", "\xc3\xa9"]'),
        ({"a": 1}, b'{"a": 1}'),
        (7, b"7"),
    ],
)
def test_bytes(claim: Any, value: bytes) -> None:
    """Under a key in -bin any text is told, and anything else as JSON."""
    assert ToldClaims({"c": "x-c-bin"})({"c": claim}) == (("x-c-bin", value),)


@pytest.mark.parametrize("claims", [{}, {"c": None}, {"d": "a"}])
def test_nothing(claims: dict[str, Any]) -> None:
    """A claim that is not there is not told."""
    assert ToldClaims({"c": "x-c"})(claims) == ()


def test_inside() -> None:
    """A claim inside another is told, and one claim under two keys."""
    told = ToldClaims({("realm", "roles"): "x-roles", "sub": "x-a"})
    assert told({"sub": "ann", "realm": {"roles": ["a", "b"]}}) == (
        ("x-roles", "a,b"),
        ("x-a", "ann"),
    )


@pytest.mark.parametrize(
    "claim",
    [
        "a\r\nx-internal: 1",
        "a\nb",
        "a\0b",
        "a\x7fb",
        "\u00e9",
        "\ud800",
        "a\tb",
        ["a,b"],
        ["a", "b\n"],
        [["a"]],
        [None],
        {"a": 1},
        "a" * 9000,
        ["abc"] * 3000,
    ],
)
def test_untellable(claim: Any) -> None:
    """What metadata cannot carry, or could be read as something else, is refused."""
    with pytest.raises(BadToken, match="untellable"):
        ToldClaims({"c": "x-c"})({"c": claim})


@pytest.mark.parametrize("claim", ["\ud800", "a" * 9000])
def test_untellable_bytes(claim: str) -> None:
    """A text that is no Unicode, and one that is too long, cannot be told as bytes either."""
    with pytest.raises(BadToken, match="untellable"):
        ToldClaims({"c": "x-c-bin"})({"c": claim})
