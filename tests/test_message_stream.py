from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutting import cut, parts
from transcoder.errors import InvalidRequest, StatusError
from transcoder.json_stream import JsonCutter
from transcoder.message_stream import Cutter, DelimitedCutter, NoBody, RawCutter, numbered


def varint(number: int) -> bytes:
    """A length as protobuf writes it."""
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


@given(st.lists(st.binary(max_size=300)), st.lists(st.integers(0, 10_000)))
def test_any_cuts_of_delimited(messages: list[bytes], cuts: list[int]) -> None:
    """Messages behind their lengths are told apart, wherever the parts are cut."""
    data = b"".join(varint(len(message)) + message for message in messages)

    assert messages == cut(DelimitedCutter(), *parts(data, cuts))


@pytest.mark.parametrize("data", [b"\x01a\x02b", b"\x01a\x80", b"\x01a\x01"])
def test_delimited_incomplete(data: bytes) -> None:
    """A body that ends inside a length or a message is refused."""
    with pytest.raises(InvalidRequest, match=r"^\[1\]: the body ends inside of this message$"):
        cut(DelimitedCutter(), data)


@pytest.mark.parametrize("length", [varint(11), b"\xff" * 10, b"\xff\xff\xff\xff\x7f"])
def test_delimited_limit(length: bytes) -> None:
    """A length over the limit is a 413 before any byte of the message is held."""
    assert cut(DelimitedCutter(10), varint(10), b"x" * 10) == [b"x" * 10]
    with pytest.raises(StatusError, match=r"^\[1\]: .* over the limit of 10 bytes$") as error:
        cut(DelimitedCutter(10), varint(0), length)
    assert error.value.http == 413


@given(st.lists(st.binary(max_size=30)))
def test_raw(data: list[bytes]) -> None:
    """Raw bytes come through as they are, in pieces that are not too large."""
    pieces = cut(RawCutter(10), *data)

    assert b"".join(data) == b"".join(pieces)
    assert max(map(len, pieces)) <= 10


def test_raw_empty() -> None:
    """An empty body is one piece, so that the method learns of it."""
    assert cut(RawCutter()) == [b""]
    assert cut(RawCutter(), b"", b"") == [b""]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (InvalidRequest("expected a number", "a.b"), "[7].a.b: expected a number"),
        (InvalidRequest("not JSON"), "[7]: not JSON"),
    ],
)
def test_numbered(error: InvalidRequest, expected: str) -> None:
    """An error in a message names its number before the field."""
    assert numbered(error, 7).status.message == expected


def test_no_body() -> None:
    """Without a body there is one message, whatever bytes come."""
    assert cut(NoBody(), b"x", b"y") == [b""]


@pytest.mark.parametrize(
    ("cutter", "data", "expected"),
    [
        (JsonCutter(), b"", False),
        (JsonCutter(), b" {} ", False),
        (JsonCutter(), b'{"a"', True),
        (JsonCutter(), b"1", True),  # it may go on
        (JsonCutter(), b"[{},", False),  # between messages
        (DelimitedCutter(), b"\x01a", False),
        (DelimitedCutter(), b"\x01a\x01", True),
        (RawCutter(), b"a", True),  # there is always more to come
        (NoBody(), b"a", False),
    ],
)
def test_partial(cutter: Cutter, data: bytes, expected: bool) -> None:  # noqa: FBT001  a row
    """A cutter says whether a message has begun that is not complete."""
    list(cutter.feed(data))

    assert cutter.partial is expected
