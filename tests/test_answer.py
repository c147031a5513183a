from __future__ import annotations

import pytest

from transcoder.answer import with_http_status, with_metadata
from transcoder.errors import StatusError
from transcoder.outbound import Outbound
from transcoder.profile import GRPC_GATEWAY
from transcoder.response import JSON, Payload, error_payload
from transcoder.status import Code

REPLY = Payload(200, JSON, b"{}")
ABSENT = StatusError(Code.FAILED_PRECONDITION, "it was changed meanwhile")


def test_without_metadata() -> None:
    """A servicer that says nothing beside its reply changes nothing."""
    assert with_metadata(REPLY, [], []) is REPLY


def test_headers() -> None:
    """Metadata become headers, initial ones first, without a second of what is ours."""
    payload = Payload(200, JSON, b"{}", [(b"x-request-id", b"ours")])
    told = with_metadata(payload, [("x-a", "1"), ("x-request-id", "theirs")], [("x-a", "2")])

    assert told.headers == [(b"x-request-id", b"ours"), (b"x-a", b"1"), (b"x-a", b"2")]
    assert (told.status, told.body) == (200, b"{}")


def test_profile() -> None:
    """The names of headers are the profile's."""
    told = with_metadata(REPLY, [("x-a", "1")], [("x-b", "2")], Outbound(GRPC_GATEWAY))

    assert told.headers == [(b"grpc-metadata-x-a", b"1"), (b"grpc-trailer-x-b", b"2")]


@pytest.mark.parametrize("code", ["200", "201", "202", "206", "303"])
def test_status(code: str) -> None:
    """The servicer sets the HTTP status of its reply; it is no header."""
    created = with_metadata(REPLY, [], [("x-http-code", code), ("location", "/v1/users/1")])

    assert created == Payload(int(code), JSON, b"{}", [(b"location", b"/v1/users/1")])


@pytest.mark.parametrize("code", ["204", "205", "304"])
def test_status_without_body(code: str) -> None:
    """An answer whose status has no body has none."""
    assert with_metadata(REPLY, [("x-http-code", code)], []) == Payload(int(code), b"", b"", [])


@pytest.mark.parametrize(
    "code", ["99", "100", "199", "400", "599", "600", "1000", "-1", "abc", "", " 201", "٢٠١", "2e2"]
)
def test_status_that_cannot_be_sent(code: str) -> None:
    """A status that no reply can have is the servicer's defect, and nothing is sent of it."""
    with pytest.raises(StatusError, match="cannot be sent") as caught:
        with_metadata(REPLY, [("x-http-code", code)], [])

    assert caught.value.http == 502
    assert code not in caught.value.status.message or code == ""
    assert "x-http-code" in str(caught.value.__cause__)


def test_last_status_counts() -> None:
    """Of several statuses the one that was set last counts."""
    assert with_metadata(REPLY, [("x-http-code", "202")], [("x-http-code", "201")]).status == 201


@pytest.mark.parametrize(
    ("code", "expected"), [("412", 412), ("503", 503), ("200", 400), ("99", 400), ("x", 400)]
)
def test_status_of_an_error(code: str, expected: int) -> None:
    """The servicer sets the HTTP status of its error, if it is one of an error."""
    error = with_http_status(ABSENT, [], [("x-http-code", code)])
    payload = with_metadata(error_payload(error), [], [("x-http-code", code)])

    assert (payload.status, payload.headers) == (expected, [])
    assert error.status == ABSENT.status


def test_cause_of_an_error() -> None:
    """An error whose HTTP status is set keeps what it came from, and its headers."""
    error = StatusError(Code.ABORTED, headers=[("retry-after", "1")])
    error.__cause__ = KeyError("x")
    changed = with_http_status(error, [("x-http-code", "503")], [])

    assert changed.__cause__ is error.__cause__
    assert changed.headers == (("retry-after", "1"),)
    assert with_http_status(error, [], []) is error


@pytest.mark.parametrize("name", ["www-authenticate", "retry-after"])
def test_better_headers(name: str) -> None:
    """What a client shall do after an error is better said by the servicer."""
    error = StatusError(Code.UNAUTHENTICATED, headers=[("retry-after", "9")])
    told = with_metadata(error_payload(error), [], [(name, "x")])

    assert [value for key, value in told.headers if key == name.encode()] == [b"x"]
    assert len(told.headers) == 2
