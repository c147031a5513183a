from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokens import b64
from transcoder.policies.bearer import BadToken
from transcoder.policies.json_web_token import check_times, parsed, read

HEADER = b64(b'{"alg":"RS256","kid":"a"}')

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)


@given(values, st.sampled_from([None, 1]), st.booleans())
def test_parsed(value: Any, indent: int | None, ascii_only: bool) -> None:  # noqa: FBT001  drawn
    """JSON says the same, however it is written."""
    separators = (",", ":") if indent is None else None
    text = json.dumps(value, indent=indent, separators=separators, ensure_ascii=ascii_only)
    assert parsed(text.encode()) == value


@given(st.dictionaries(texts, values, min_size=1, max_size=3), values)
def test_twice(told: dict[str, Any], value: Any) -> None:
    """A name that stands twice is refused, wherever, and whatever it says."""
    name = json.dumps(next(iter(told)), ensure_ascii=False)
    text = json.dumps(told, separators=(",", ":"), ensure_ascii=False)
    more = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    twice = f"{text[:-1]},{name}:{more}}}"
    for each in (twice, f"[{twice}]", f'{{"inside":{twice}}}'):
        with pytest.raises(ValueError, match="twice"):
            parsed(each.encode())


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b" ",
        b"{",
        b"NaN",
        b"-Infinity",
        b"1e400",
        b"[1e999]",
        b"01",
        b"{'a':1}",
        b'"\xff"',
        b"\xef\xbb\xbf{}",
        b"[" * 2000 + b"]" * 2000,
        b"9" * 5000,
    ],
)
def test_no_json(text: bytes) -> None:
    """What is no JSON, or a number without end, is refused."""
    with pytest.raises(ValueError):  # noqa: PT011  the message is the parser's
        parsed(text)


@given(st.binary(max_size=60))
def test_only_one_spelling(data: bytes) -> None:
    """Bytes are written in one way: no other last digit, padding or alphabet reads as the same."""
    good = b64(data)
    found = {
        text
        for text in (good, *(good[:-1] + chr(digit) for digit in range(32, 127)))
        if _signature(text) == data
    }
    assert found == ({good} if data else set())
    for other in (f"{good}=", f"{good} ", good.replace("-", "+"), good.replace("_", "/")):
        assert other == good or _signature(other) is None


def _signature(text: str) -> bytes | None:
    try:
        return read(f"{HEADER}.{b64(b'{}')}.{text}".encode()).signature
    except BadToken:
        return None


def test_signed() -> None:
    """What is signed are the bytes as they came."""
    found = read(f"{HEADER}.{b64(b'{ }')}.AAAA".encode())
    assert found.signed == f"{HEADER}.{b64(b'{ }')}".encode()
    assert found.head == ("RS256", "a", "")


@pytest.mark.parametrize("expires", [math.nan, math.inf, -math.inf, None, "1", True, 10**400, -0.1])
def test_no_date(expires: Any) -> None:
    """What is no date never comes."""
    with pytest.raises(BadToken, match="claim"):
        check_times({"exp": expires}, 0.0, 30.0)
