from __future__ import annotations

import json
from typing import Any

import pytest

from transcoder.errors import NotFound, StatusError
from transcoder.graphql_upstream.answer import Answer, Reply
from transcoder.response import Payload

FORBIDDEN = {"message": "no", "extensions": {"code": "FORBIDDEN"}}
JSON = "application/json"


def answer(
    told: Any,
    path: str = "user",
    status: int = 200,
    content_type: str = JSON,
    **options: Any,
) -> Payload:
    """Return the answer to a reply."""
    body = told if isinstance(told, bytes) else json.dumps(told).encode()
    chosen = {"partial": False, "credentials": False, **options}
    return Answer(path=path, backend="a:1", **chosen)(Reply(status, content_type, body))


@pytest.mark.parametrize(
    ("told", "path", "body"),
    [
        ({"data": {"user": {"id": "7"}}}, "user", b'{"id":"7"}'),
        ({"data": {"user": {"id": "7"}}}, "user.id", b'"7"'),
        ({"data": {"user": []}}, "user", b"[]"),
        ({"data": {"user": False}}, "user", b"false"),
        ({"data": {"user": None}}, "", b'{"user":null}'),
        ({"data": {"user": 1}, "errors": []}, "user", b"1"),
        ({"data": {"user": 1}, "errors": None, "extensions": {"cost": 1}}, "user", b"1"),
    ],
)
def test_answer(told: Any, path: str, body: bytes) -> None:
    """The part that is named is the answer, as JSON."""
    assert answer(told, path) == Payload(200, b"application/json", body)


def test_media_types() -> None:
    """GraphQL's own media type is read as well."""
    payload = answer({"data": {"user": 1}}, content_type="application/graphql-response+json")

    assert payload.body == b"1"


@pytest.mark.parametrize("data", [{"user": None}, {}, {"user": {"name": None}}])
def test_null(data: Any) -> None:
    """Nothing at the place of the answer is NOT_FOUND."""
    with pytest.raises(NotFound):
        answer({"data": data}, "user.name")


@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize("data", [{}, {"data": None}, {"data": {"user": 1}}])
def test_errors(data: Any, status: int) -> None:
    """The first error decides, whatever the status, and though there are data."""
    with pytest.raises(StatusError) as raised:
        answer({**data, "errors": [FORBIDDEN, {"message": "second"}]}, status=status)

    assert (raised.value.http, raised.value.status.message) == (403, "no")


def test_partial() -> None:
    """Where a route says so, data that come with errors are the answer."""
    told = {"data": {"user": {"name": None}}, "errors": [FORBIDDEN]}

    assert answer(told, partial=True).body == b'{"name":null}'
    with pytest.raises(StatusError, match=r"^no$"):
        answer({"data": {"user": None}, "errors": [FORBIDDEN]}, partial=True)


@pytest.mark.parametrize(
    ("told", "status", "content_type", "http"),
    [
        (b"<html>", 200, "text/html", 502),
        (b"{}", 200, "", 502),
        (b"{", 200, JSON, 502),
        (b"\xff", 200, JSON, 502),
        (b"[" * 5000, 200, JSON, 502),
        ([], 200, JSON, 502),
        ({"message": "hello"}, 200, JSON, 502),
        ({"errors": {}}, 200, JSON, 502),
        ({"errors": "no"}, 200, JSON, 502),
        ({"errors": ["no"]}, 200, JSON, 502),
        ({"data": {"user": 1}}, 500, JSON, 502),
        ({"data": [1]}, 200, JSON, 502),
        ({"data": {"user": [1]}}, 200, JSON, 502),
        (b'{"data":{"user":{"name":' + b"[" * 500 + b"]" * 500 + b"}}}", 200, JSON, 502),
        ({"data": {"user": 1}}, 302, JSON, 502),
        (b"", 404, "text/plain", 502),
        (b"", 401, "text/plain", 502),
        (b"busy", 503, "text/plain", 503),
        (b"busy", 429, "text/plain", 503),
    ],
)
def test_no_reply(told: Any, status: int, content_type: str, http: int) -> None:
    """What is no reply of GraphQL is the backend's fault, or that of whatever is before it."""
    with pytest.raises(StatusError) as raised:
        answer(told, "user.name", status=status, content_type=content_type)

    assert raised.value.http == http
    assert raised.value.status.message.startswith("the backend")
    assert raised.value.log.startswith(f"GraphQL at a:1: status {status}, ")


@pytest.mark.parametrize(("status", "code"), [(401, "UNAUTHENTICATED"), (403, "PERMISSION_DENIED")])
def test_credentials(status: int, code: str) -> None:
    """A backend that has seen the client's credentials may refuse them by its status."""
    with pytest.raises(StatusError, match=r"^the backend refused the call$") as raised:
        answer(b"", status=status, content_type="text/plain", credentials=True)

    assert raised.value.status.code.name == code
