from __future__ import annotations

import json
from typing import Any

import pytest

from transcoder.errors import NotFound, StatusError
from transcoder.response import JSON, Payload, error_payload
from transcoder.status import Code, Status


def test_error() -> None:
    """An error is google.rpc.Status under its own HTTP status."""
    payload = error_payload(NotFound("no such user"))

    assert (payload.status, payload.content_type) == (404, JSON)
    assert json.loads(payload.body) == {"code": 5, "message": "no such user", "details": []}


def test_problem() -> None:
    """Who asks for problems gets them, with the same headers."""
    error = StatusError(Code.UNAUTHENTICATED, "who are you?")
    payload = error_payload(error, "application/problem+json")

    assert (payload.status, payload.content_type) == (401, b"application/problem+json")
    assert json.loads(payload.body)["detail"] == "who are you?"
    assert payload.headers == error_payload(error, "application/json").headers


def test_shape() -> None:
    """A shape of one's own makes the answer, and its headers go before ours."""

    def shape(status: Status, http: int) -> Payload:
        body = f"{status.code.name} {http}: {status.message}".encode()
        return Payload(http, b"text/plain", body, [(b"www-authenticate", b"Basic")])

    error = StatusError(Code.UNAUTHENTICATED, "no", headers=[("x-a", "1")])
    payload = error_payload(error, "application/problem+json", shape)

    assert payload.body == b"UNAUTHENTICATED 401: no"
    assert payload.headers == [(b"www-authenticate", b"Basic"), (b"x-a", b"1")]
    assert error_payload(KeyError("secret"), shape=shape).body == b"INTERNAL 500: internal error"


@pytest.mark.parametrize(
    "told",
    [
        Payload(99, b"text/plain", b""),
        Payload(600, b"text/plain", b""),
        Payload(400, b"text/plain\r\nx: y", b""),
        Payload(400, b"", b""),
        Payload(400, b"text/plain", b"", [(b"x-a", b"a\r\nb: c")]),
        Payload(400, b"text/plain", b"", [(b"x a", b"a")]),
        Payload(400, b"text/plain", "text"),  # type: ignore[arg-type]
        "text",
        None,
        KeyError("secret"),
    ],
)
def test_shape_that_fails(told: Any, caplog: pytest.LogCaptureFixture) -> None:
    """What a shape cannot make, or nobody could send, is told as usual."""

    def shape(_status: Status, _http: int) -> Any:
        if isinstance(told, Exception):
            raise told
        return told

    payload = error_payload(NotFound("no such user"), shape=shape)

    assert payload == error_payload(NotFound("no such user"))
    assert len(caplog.records) == (0 if told is None else 1)
