"""What clients and servicers do wrong, against a real process, on both ports."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from services.user.v1.user_service_pb2 import CreateUserRequest, GetUserRequest, User

if TYPE_CHECKING:
    from tests.conftest import Served, Start

JSON = "Content-Type: application/json\r\n"
FORM = "Content-Type: application/x-www-form-urlencoded\r\n"
INSIDE = ("secret", "Traceback", "<class", ".py", "Error", "google.protobuf", "services/")


@contextmanager
def connected(served: Served) -> Iterator[socket.socket]:
    """A connection to the HTTP port."""
    host, _, port = served.http_target.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as client:
        yield client


def send(served: Served, text: str, body: bytes = b"") -> tuple[int, dict[str, str], bytes]:
    """Send one request as bytes; return status, headers and body of the answer."""
    with connected(served) as client:
        with suppress(ConnectionError):
            # Refused before all is sent; the answer is there to be read.
            client.sendall(text.encode("latin-1") + body)
        answer = b""
        while b"\r\n\r\n" not in answer:
            received = client.recv(65536)
            assert received, "the connection was closed without an answer"
            answer += received
        head, _, rest = answer.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in lines)
        }
        while len(rest) < int(headers["content-length"]):
            rest += client.recv(65536)
    return int(first.split()[1]), headers, rest


def request(line: str, headers: str = "", body: bytes = b"") -> tuple[str, bytes]:
    """Return a request with its length."""
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"{line} HTTP/1.1\r\nHost: localhost\r\n{headers}{length}\r\n", body


BAD = {
    "malformed JSON": (request("POST /v1/users", JSON, b'{"name": '), 400, 3),
    "a wrong type": (request("POST /v1/users", JSON, b'{"name": 5}'), 400, 3),
    "an unknown field": (request("POST /v1/users", JSON, b'{"nam": ""}'), 400, 3),
    "a body that is not UTF-8": (request("POST /v1/users", JSON, b'{"name": "\xff"}'), 400, 3),
    "a path that is not UTF-8": (request("GET /v1/users/%ff"), 400, 3),
    "an unknown route": (request("GET /v2/users"), 404, 5),
    "a wrong method": (request("PUT /v1/users/1"), 405, 12),
    "a body over the limit": (request("POST /v1/users", JSON, b" " * (2 << 20)), 413, 8),
    "an announced body over the limit": (
        ("POST /v1/users HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n", b""),
        413,
        8,
    ),
    "a form": (request("POST /v1/users", FORM, b'{"name": "Ada"}'), 415, 3),
    "two media types": (request("POST /v1/users", JSON + JSON, b'{"name": "Ada"}'), 400, 3),
    "an unknown parameter": (request("GET /v1/users?size=1"), 400, 3),
    "an exception": (request("GET /v1/users/raises"), 500, 13),
    "an exception in a plain method": (
        request("POST /v1/users", JSON, b'{"name": "raises"}'),
        500,
        13,
    ),
    "an exit": (request("GET /v1/users/exits"), 500, 13),
    "no reply": (request("GET /v1/users/none"), 500, 13),
    "a reply of another type": (request("GET /v1/users/another"), 500, 13),
    "a reply without a JSON form": (request("GET /v1/users/unprintable"), 500, 13),
}


def test_rest(start: Start) -> None:
    """Each gets its status and a small google.rpc.Status, and the next request works."""
    served = start("broken:create")
    for name, ((text, body), status, code) in BAD.items():
        told, headers, answer = send(served, text, body)

        assert (status, code) == (told, json.loads(answer)["code"]), name
        assert set(json.loads(answer)) == {"code", "message", "details"}, name
        assert headers["content-type"] == "application/json", name
        assert len(answer) <= 2048, name
        assert not [word for word in INSIDE if word in json.loads(answer)["message"]], name
        assert send(served, *request("GET /v1/users/7"))[0] == 200, name


def test_form_names_the_header(start: Start) -> None:
    """What `curl -d` sends is answered with the header to send instead."""
    (text, body), _, _ = BAD["a form"]

    _, _, answer = send(start("broken:create"), text, body)

    assert "Content-Type: application/json" in json.loads(answer)["message"]


def refused(stub: Any, message: Any) -> tuple[grpc.StatusCode, str, str]:
    """Call by gRPC; return code, details and request id of the error."""
    with pytest.raises(grpc.RpcError) as caught:
        stub(message, metadata=[("x-request-id", "given-1")], timeout=10)
    error: Any = caught.value
    return error.code(), error.details(), dict(error.trailing_metadata()).get("x-request-id", "")


def test_grpc(start: Start) -> None:
    """An exception in servicer, deserializer or serializer is INTERNAL, a fixed text and an id."""
    served = start("broken:create")
    internal = (grpc.StatusCode.INTERNAL, "internal error", "given-1")
    with served.channel() as channel:

        def method(name: str, serializer: Any) -> Any:
            path = f"/services.user.v1.UserService/{name}"
            return channel.unary_unary(path, serializer, User.FromString)

        get: Any = method("GetUser", GetUserRequest.SerializeToString)
        create: Any = method("CreateUser", CreateUserRequest.SerializeToString)
        raw: Any = method("GetUser", None)

        assert internal == refused(get, GetUserRequest(id="raises"))
        assert internal == refused(get, GetUserRequest(id="exits"))
        assert internal == refused(get, GetUserRequest(id="none"))
        assert internal == refused(get, GetUserRequest(id="another"))
        assert internal == refused(create, CreateUserRequest(user=User(name="raises")))
        assert internal == refused(raw, b"\xff\xff\xff")
        assert get(GetUserRequest(id="7"), timeout=10).id == "7"


def test_log(start: Start) -> None:
    """The log has the traceback of each failure, once, under the id that the client was told."""
    served = start("broken:create")
    line = "GET /v1/users/raises HTTP/1.1\r\nHost: a\r\nX-Request-ID: rest-1\r\n\r\n"
    assert send(served, line)[1]["x-request-id"] == "rest-1"
    with served.channel() as channel:
        stub: Any = channel.unary_unary(
            "/services.user.v1.UserService/GetUser", GetUserRequest.SerializeToString
        )
        refused(stub, GetUserRequest(id="raises"))
    served.signal(2)

    log = served.errors()

    assert log.count("Traceback (most recent call last)") == 2
    assert log.count("RuntimeError: dsn=postgres://user:secret@db") == 2
    assert (log.count("rest-1"), log.count("given-1")) == (1, 1)
