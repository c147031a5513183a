from __future__ import annotations

import http
from typing import Any

import pytest

from transcoder.metadata import checked, from_base64, request_id, set_http_status


@pytest.mark.parametrize(
    "pair",
    [
        ("X-Key", "a"),
        ("x key", "a"),
        ("", "a"),
        ("x-a", "a\r\nb"),
        ("x-a", "é"),
        ("x-a", b"a"),
        ("x-a-bin", "a"),
        ("x-a", "a" * 8001),
    ],
)
def test_metadata_that_cannot_be_sent(pair: tuple[str, str | bytes]) -> None:
    """What gRPC would refuse, or never send, is refused where the servicer says it."""
    with pytest.raises(ValueError, match="metadata"):
        checked([pair])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("AAE=", (b"\x00\x01",)),
        ("AAE", (b"\x00\x01",)),  # padding may be left out
        ("_-8", (b"\xff\xef",)),
        ("/+8=", (b"\xff\xef",)),
        ("", (b"",)),
        ("AA==,AQ==", (b"\x00", b"\x01")),
        ("AA , AQ", (b"\x00", b"\x01")),
    ],
)
def test_base64(text: str, expected: tuple[bytes, ...]) -> None:
    """Base64 is read in both alphabets, padded or not, one value or several."""
    assert expected == from_base64(text)


@pytest.mark.parametrize("text", ["!!", "A", "AA=A", "AA===", "A A=", "AA\x00=", "é"])
def test_no_base64(text: str) -> None:
    """What is not base64 to its last character is refused."""
    with pytest.raises(ValueError, match=r"base64|padding|data|characters|ASCII"):
        from_base64(text)


class Context:
    """The metadata part of a servicer's context."""

    def __init__(self, *metadata: tuple[str, str]) -> None:
        self.metadata: tuple[tuple[str, str], ...] | None = metadata or None

    def trailing_metadata(self) -> Any:
        return self.metadata

    def set_trailing_metadata(self, trailing_metadata: Any) -> None:
        self.metadata = trailing_metadata


@pytest.mark.parametrize("status", [200, 201, 304, 412, 599, http.HTTPStatus.CREATED])
def test_set_http_status(status: int) -> None:
    """The HTTP status is set beside what else was set, in place of an earlier one."""
    context = Context(("x-cost", "3"), ("x-http-code", "204"))
    set_http_status(context, status)

    assert context.metadata == (("x-cost", "3"), ("x-http-code", str(int(status))))


def test_set_http_status_first() -> None:
    """The HTTP status is set where no metadata was."""
    context = Context()
    set_http_status(context, 201)

    assert context.metadata == (("x-http-code", "201"),)


@pytest.mark.parametrize("status", [99, 100, 600, True, "201", None])
def test_set_no_http_status(status: Any) -> None:
    """What is no HTTP status of an answer is refused where the servicer says it."""
    context = Context()

    with pytest.raises(ValueError, match="200 to 599"):
        set_http_status(context, status)


@pytest.mark.parametrize("given", [["a-1"], [b"A.b_c-9"], ["x" * 128]])
def test_request_id_kept(given: list[str | bytes]) -> None:
    """A well-formed id of the client is kept."""
    text = given[0]

    assert request_id(given) == (text.decode() if isinstance(text, bytes) else text)


@pytest.mark.parametrize(
    "given",
    [[], [""], ["x" * 129], ["a b"], [b"\xff"], ["a\r\nb"], ["a", "a"]],
    ids=["none", "empty", "long", "space", "not ASCII", "line break", "two"],
)
def test_request_id_made(given: list[str | bytes]) -> None:
    """Without exactly one well-formed id, a new one is made each time."""
    first, second = request_id(given), request_id(given)

    assert first != second
    assert len(first) == 32
