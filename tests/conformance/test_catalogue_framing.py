"""How requests are told apart on a connection, byte by byte: what could be read in two ways."""

from __future__ import annotations

import socket

import pytest

from wire import Catalogue, Wire, get, request

JSON = "Content-Type: application/json"


def posted(*headers: str, body: bytes = b"") -> bytes:
    """Return the bytes of a POST, whose framing is the headers' to say."""
    return request("POST", "/v1/items", JSON, *headers) + body


def chunked(*pieces: bytes) -> bytes:
    """Return the bytes of a POST in chunks, which are given as they are sent."""
    return posted("Transfer-Encoding: chunked", body=b"".join(pieces))


# What says how long a body is


@pytest.mark.parametrize(
    "headers",
    [
        ("Content-Length: 2", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Content-Length: 2"),
        ("Transfer-Encoding: x, chunked",),
        ("Transfer-Encoding: gzip, chunked",),
        ("Transfer-Encoding: chunked, identity",),
        ("Transfer-Encoding: chunked, chunked",),
        ("Transfer-Encoding: xchunked",),
        ("Transfer-Encoding: identity",),
        ("Transfer-Encoding: chunked;a=b",),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
        ("Transfer-Encoding:",),
        ("Content-Length: 2", "Content-Length: 3"),
        ("Content-Length: 2", "Content-Length: 2"),
        ("Content-Length: 2, 2",),
        ("Content-Length: +2",),
        ("Content-Length: -1",),
        ("Content-Length: 0x2",),
        ("Content-Length: 2 2",),
        ("Content-Length:",),
        ("Content-Length: 1e1",),
        ("Content-Length: 9999999999999999999999",),
        ("Content-Length: 18446744073709551618",),
    ],
)
def test_ambiguous_length(catalogue: Catalogue, headers: tuple[str, ...]) -> None:
    """A body whose length could be read in two ways is refused, and its connection ends."""
    answer = catalogue.refused(posted(*headers, body=b"2\r\n{}\r\n0\r\n\r\n"))

    assert (answer.status in {400, 413, 501}, answer.closed) == (True, True)


def test_chunks_of_http_1_0(catalogue: Catalogue) -> None:
    """HTTP/1.0 has no chunks: who sends them is refused."""
    raw = chunked(b"2\r\n{}\r\n0\r\n\r\n").replace(b"HTTP/1.1", b"HTTP/1.0")
    answer = catalogue.refused(raw)

    assert (answer.status, answer.closed) == (400, True)


@pytest.mark.parametrize(
    "body",
    [
        b"0x2\r\n{}\r\n0\r\n\r\n",
        b"-2\r\n{}\r\n0\r\n\r\n",
        b"+2\r\n{}\r\n0\r\n\r\n",
        b" 2\r\n{}\r\n0\r\n\r\n",
        b"\r\n{}\r\n0\r\n\r\n",
        b"fffffffffffffffff\r\n",
        b"10000000000000000\r\n",
        b"2\n{}\n0\n\n",
        b"2\r\n{}\n0\r\n\r\n",
        b"2\r\n{}xx0\r\n\r\n",
        b"2\r\n{} \r\n0\r\n\r\n",
        b"2;a\nb\r\n{}\r\n0\r\n\r\n",
        b"2;a\rb\r\n{}\r\n0\r\n\r\n",
        b"2;a\x00\r\n{}\r\n0\r\n\r\n",
    ],
)
def test_bad_chunks(catalogue: Catalogue, body: bytes) -> None:
    """Chunks that are not as RFC 9112, section 7.1, has them are refused at once."""
    answer = catalogue.refused(chunked(body))

    assert (answer.status, answer.closed) == (400, True)


def test_long_chunk_extension(catalogue: Catalogue) -> None:
    """What stands between chunks is bounded."""
    answer = catalogue.refused(chunked(b"2;"), endless=b"a" * 10_000)

    assert (answer.status, answer.closed) == (431, True)


def test_chunk_extensions(catalogue: Catalogue) -> None:
    """A short extension means nothing."""
    answer, called = catalogue.send(chunked(b'2;a=b;c="d"\r\n{}\r\n0\r\n\r\n'))

    assert (answer.status, called != "") == (200, True)


@pytest.mark.parametrize("trailer", ["X-Internal: 1", "Authorization: Bearer a", "Host: evil"])
def test_trailers(catalogue: Catalogue, trailer: str) -> None:
    """Trailers are nothing."""
    answer, called = catalogue.send(chunked(b"2\r\n{}\r\n0\r\n", trailer.encode(), b"\r\n\r\n"))

    assert (answer.status, called != "") == (200, True)


def test_long_trailer(catalogue: Catalogue) -> None:
    """What stands behind the last chunk is bounded, as heads are."""
    head = chunked(b"2\r\n{}\r\n0\r\nX-Long: ")
    answer = catalogue.refused(head, endless=b"a" * 10_000)

    assert (answer.status, answer.closed) == (431, True)


def test_length_behind_a_body(catalogue: Catalogue) -> None:
    """One that says a length is refused, for it could be meant for somebody who reads it."""
    answer = catalogue.refused(chunked(b"2\r\n{}\r\n0\r\nContent-Length: 9\r\n\r\n"))

    assert (answer.status, answer.closed) == (400, True)


# Where a request begins and ends


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /v1/a HTTP/1.1\nHost: localhost\n\n",
        b"GET /v1/a HTTP/1.1\r\nHost: localhost\n\r\n",
        b"GET /v1/a HTTP/1.1\r\nHost: localhost\r\n\n",
        b"GET\t/v1/a\tHTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /v1/a HTTP/1.1 \r\nHost: localhost\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ],
)
def test_malformed_requests(catalogue: Catalogue, raw: bytes) -> None:
    """A request whose lines are not as they should be is refused, and its connection ends."""
    answer = catalogue.refused(raw)

    assert (answer.status in {400, 501}, answer.closed) == (True, True)


def test_leading_line_ends(catalogue: Catalogue) -> None:
    """Empty lines before a request are passed over (RFC 9112, section 2.2)."""
    answer, called = catalogue.send(b"\r\n\r\n" + get("/v1/a"))

    assert (answer.status, called) == (200, "Get")


def test_body_that_nobody_asks_for(catalogue: Catalogue) -> None:
    """The body of a GET is passed over, and what follows it is the next request."""
    wire = catalogue.wire()
    hidden = get("/v1/hidden")
    wire.send(request("GET", "/v1/a", body=hidden) + get("/v1/b"))
    answers = [wire.answer().json(), wire.answer().json()]
    wire.close()

    assert answers == [{"stringValue": "a"}, {"stringValue": "b"}]


def test_request_within_a_body(catalogue: Catalogue) -> None:
    """What looks like a request within a body is none."""
    inner = request("GET", "/v1/hidden")
    lines = len(catalogue.served.noted())
    answer, _ = catalogue.send(request("POST", "/v1/items", JSON, body=b'"' + inner + b'"'))

    assert answer.status == 400
    assert "Get" not in [name for name in catalogue.served.noted()[lines:] if name == "hidden"]


@pytest.mark.parametrize("count", [3, 1000])
def test_pipeline(catalogue: Catalogue, count: int) -> None:
    """Requests that follow one another are answered in their order, one for each."""
    wire = catalogue.wire()
    for start in range(0, count, 50):
        batch = range(start, min(count, start + 50))
        wire.send(b"".join(get(f"/v1/{index}") for index in batch))
        for index in batch:
            assert wire.answer().json() == {"stringValue": str(index)}
    wire.close()
    catalogue.check_alive()


def test_half_close(catalogue: Catalogue) -> None:
    """A client that sends no more after its request gets its answer."""
    with _connect(catalogue) as client:
        client.sendall(get("/v1/a"))
        client.shutdown(socket.SHUT_WR)
        received = b""
        while piece := client.recv(65_536):
            received += piece

    assert received.startswith(b"HTTP/1.1 200 ")
    assert received.endswith(b'{"stringValue":"a"}')


# Whoever asks before sending


def test_expect(catalogue: Catalogue) -> None:
    """Who asks whether to go on is told to, when the body is wanted."""
    with _connect(catalogue) as client:
        client.sendall(posted("Content-Length: 2", "Expect: 100-continue"))
        assert client.recv(65_536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"{}")
        assert client.recv(65_536).startswith(b"HTTP/1.1 200 ")


def test_expect_too_much(catalogue: Catalogue) -> None:
    """Who would send too much is told so instead."""
    answer = catalogue.refused(posted("Content-Length: 2000000", "Expect: 100-continue"))

    assert (answer.status, answer.closed) == (413, True)


def test_expect_something_else(catalogue: Catalogue) -> None:
    """Who expects something else is told that it does not come (RFC 9110, section 10.1.1)."""
    answer = catalogue.refused(posted("Content-Length: 2", "Expect: the-moon", body=b"{}"))

    assert answer.status == 417


def test_upload_that_ends_early(catalogue: Catalogue) -> None:
    """Who goes away before the end of a body has called nothing."""
    lines = len(catalogue.served.noted())
    for _ in range(50):
        with _connect(catalogue) as client:
            client.sendall(posted("Content-Length: 1000", body=b'{"a":'))
    catalogue.check_alive()

    assert set(catalogue.served.noted()[lines:]) <= {"Get", "canary"}


def test_expect_and_nothing(catalogue: Catalogue) -> None:
    """Who asks, is told to go on and goes away troubles nobody."""
    with _connect(catalogue) as client:
        client.sendall(posted("Content-Length: 2", "Expect: 100-continue"))
        assert client.recv(65_536).startswith(b"HTTP/1.1 100 ")
    catalogue.check_alive()


# Connections that come and go


def test_churn(catalogue: Catalogue) -> None:
    """Connections that come and go leave nothing behind, and disturb nobody."""
    canary = catalogue.wire()
    for index in range(1000):
        with _connect(catalogue) as client:
            if index % 3 == 1:
                client.sendall(b"GET /v1/a HT")
        if index % 100 == 0:
            catalogue._check_canary(canary)
    canary.close()

    assert max(catalogue.grown()) <= 2


def test_many_requests(catalogue: Catalogue) -> None:
    """A connection of many requests holds no more than one of few."""
    wire = catalogue.wire()
    _ask(wire, 300)
    catalogue.forget_peak()
    before = catalogue.peak_memory()
    _ask(wire, 3000)
    wire.close()

    assert catalogue.peak_memory() - before < 5 << 20


def _ask(wire: Wire, count: int) -> None:
    for _ in range(count):
        wire.send(get("/v1/a"))
        assert wire.answer().status == 200


def _connect(catalogue: Catalogue) -> socket.socket:
    host, _, port = catalogue.served.http_target.rpartition(":")
    return socket.create_connection((host, int(port)), 20)
