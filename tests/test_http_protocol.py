from __future__ import annotations

import pytest
from tests.conftest import Start

from wire import Catalogue, Wire, get, request


@pytest.mark.parametrize(
    "version", ["", " HTTP/0.9", " HTTP/1.2", " HTTP/2.0", " HTTP/9.9", " HTTP/1"]
)
def test_other_versions(catalogue: Catalogue, version: str) -> None:
    """Versions other than 1.1 and 1.0 are refused; a line without one would be HTTP/0.9."""
    raw = f"GET /v1/a{version}\r\nHost: localhost\r\n\r\n".encode()

    assert catalogue.refused(raw).status == 400


def test_version_1_0(catalogue: Catalogue) -> None:
    """HTTP/1.0 is answered, and its connection ends."""
    answer, called = catalogue.send(b"GET /v1/a HTTP/1.0\r\n\r\n")

    assert (answer.status, called, answer.closed) == (200, "Get", True)


@pytest.mark.parametrize("broken", [b"GET /\x01 HTTP/1.1\r\n\r\n", b"\x16\x03\x01\r\n\r\n"])
def test_bytes_behind_a_request(catalogue: Catalogue, broken: bytes) -> None:
    """Requests are answered although none follows them; then the connection ends."""
    wire = catalogue.wire()
    wire.send(get("/v1/a") + get("/v1/b") + broken)
    first, second = wire.answer(), wire.answer()
    wire.close()

    assert (first.json(), first.closed) == ({"stringValue": "a"}, False)
    assert (second.json(), second.closed) == ({"stringValue": "b"}, True)


def test_a_broken_body(catalogue: Catalogue) -> None:
    """A body whose framing breaks is refused, and the method is not called."""
    head = "Transfer-Encoding: chunked"
    body = b"2\r\n{}\r\nzz\r\n"

    assert catalogue.refused(request("POST", "/v1/items", head) + body).status == 400


@pytest.mark.parametrize("protocol", ["h2c", "TLS/1.0", "spam"])
def test_upgrade_to_nothing_we_speak(catalogue: Catalogue, protocol: str) -> None:
    """A request to upgrade is answered as any other, without a word in the log.

    Its connection ends, as nothing is read on.
    """
    lines = len(catalogue.log())
    upgrade = ["Connection: Upgrade", f"Upgrade: {protocol}"]
    answer, called = catalogue.send(request("GET", "/v1/a", *upgrade))

    assert (answer.status, called, answer.closed) == (200, "Get", True)
    assert catalogue.log()[lines:] == []


@pytest.mark.parametrize(
    ("head", "rest"),
    [
        (b"Grpc-Timeout: \t5S \t\r\n", b"\r\n"),
        (b"Grpc-Timeout: 5S ", b"\r\n\r\n"),  # In the next packet its line ends.
        (b"Grpc-Timeout: 5S ", b" \r\n\r\n"),
        (b"X-A: 1 \r\nGrpc-Timeout: 5S \r", b"\n\r\n"),
    ],
)
def test_white_space_around_a_value(catalogue: Catalogue, head: bytes, rest: bytes) -> None:
    """White space around a header's value is no part of it."""
    wire = catalogue.wire()
    wire.send(b"GET /v1/a HTTP/1.1\r\nHost: localhost\r\n" + head)
    assert not wire.is_answered(0.05)
    wire.send(rest)

    assert wire.answer().status == 200
    wire.close()


def test_a_client_that_sends_on(catalogue: Catalogue) -> None:
    """A refused client that goes on sending gets its answer, and what it sends is dropped."""
    wire = catalogue.wire()
    wire.send(b"GET /" + b"a" * (1 << 20))
    wire.send(b"a" * (1 << 20))

    assert wire.answer().status == 414
    wire.close()


def test_answer_in_one_packet(start: Start) -> None:
    """Head and body of a plain answer arrive together, and the connection goes on."""
    served = start()
    wire = Wire(served.http_target)
    for _ in range(2):
        wire.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = wire.answer()
        assert (answer.status, answer.closed) == (200, False)
        assert answer.headers["x-content-type-options"] == "nosniff"
    wire.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")

    assert wire.answer().closed
    wire.close()
