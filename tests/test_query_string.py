from __future__ import annotations

import pytest

from transcoder.errors import InvalidRequest
from transcoder.query_string import QueryLimits, parameters


def test_source() -> None:
    """Another text of this grammar is called by its own name."""
    with pytest.raises(InvalidRequest, match="the form holds a NUL"):
        parameters(b"a=%00", QueryLimits(), "form")


def test_size_limit() -> None:
    """A query may be exactly as long as its limit."""
    limits = QueryLimits(size=4)

    assert parameters(b"a=bc", limits) == [("a", "=", "bc")]
    with pytest.raises(InvalidRequest, match="over the limit of 4 bytes"):
        parameters(b"a=bcd", limits)


def test_parameter_limit() -> None:
    """Empty parameters do not count."""
    limits = QueryLimits(parameters=2)

    assert len(parameters(b"a&&&&b", limits)) == 2
    with pytest.raises(InvalidRequest, match="over 2 query parameters"):
        parameters(b"a&b&c", limits)


@pytest.mark.parametrize("byte", range(1, 256))
def test_escapes(byte: int) -> None:
    """Every byte comes through an escape of either case, and as it is beside one."""
    text = bytes([byte]).decode("latin-1")
    for sent in (text.encode(), "".join(f"%{each:02X}" for each in text.encode()).encode()):
        for value in (sent, sent.lower() if sent.startswith(b"%") else sent):
            if value not in {b"%", b"&", b"+", b"="}:
                assert parameters(b"k=%41" + value, QueryLimits()) == [("k", "=", f"A{text}")]


@pytest.mark.parametrize("text", ["=", "==", "=41", "=\n", "\r\n ", "_", "\t \n", " ", ".", "=0"])
def test_quoted_printable(text: str) -> None:
    """What means something in quoted-printable means nothing here."""
    assert parameters(f"k=%41{text}".encode(), QueryLimits()) == [("k", "=", f"A{text}")]
