"""Clients that take their time, and too many of them, with others beside them that do not."""

from __future__ import annotations

import http.client
import json
import select
import socket
import statistics
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.conftest import Start

from over_tls import connect
from wire import Catalogue, get, request

SLOW = 200
SERVING = b'{"status":"SERVING"}'
"""An answer for which the server opens no file."""

HEAD = 1.5


@pytest.fixture(scope="module")
def bounded(start_shared: Start) -> Iterator[Catalogue]:
    """A server that does not wait long; it holds nothing of what the tests sent it."""
    limits = {"head": HEAD, "stall": 1.0, "total": 400, "per_address": 0}
    catalogue = Catalogue(start_shared("slow:create", connections=limits))
    yield catalogue
    assert max(catalogue.grown()) <= 2


def opened(catalogue: Catalogue, count: int, sent: bytes = b"") -> list[socket.socket]:
    """Return connections on which so much was sent."""
    clients = [connect(catalogue.served.http_target) for _ in range(count)]
    for client in clients:
        client.sendall(sent)
    return clients


def answers(clients: list[socket.socket], within: float) -> list[bytes]:
    """Read what comes on each until its end; b"" for one that is open still."""
    until = time.monotonic() + within
    found = []
    for client in clients:
        received = b""
        while True:
            left = max(0.0, until - time.monotonic())
            if not select.select([client], [], [], left)[0]:
                received = b""
                break
            try:
                piece = client.recv(65_536)
            except ConnectionError:
                break
            if not piece:
                break
            received += piece
        found.append(received)
        client.close()
    return found


@pytest.mark.parametrize(
    "sent", [b"", b"GET /v1/a HTTP/1.1\r\nHost: loc", b"GET /v1/a HTTP/1.1\r\nHost: a\r\n"]
)
def test_slow_heads(bounded: Catalogue, sent: bytes) -> None:
    """Clients whose head does not come are told so and cut, and others are served meanwhile."""
    lines = len(bounded.log())
    clients = opened(bounded, SLOW, sent)
    took = []
    canary = http.client.HTTPConnection(bounded.served.http_target, timeout=20)
    until = time.monotonic() + HEAD
    while time.monotonic() < until:
        begun = time.monotonic()
        canary.request("GET", "/v1/canary")
        assert canary.getresponse().read() == b'{"stringValue":"canary"}'
        took.append(time.monotonic() - begun)
    told = answers(clients, 20)
    canary.close()

    assert all(answer.startswith(b"HTTP/1.1 408 ") for answer in told)
    status = json.loads(told[0].partition(b"\r\n\r\n")[2])
    assert status["message"] == "the head of the request does not come"
    assert statistics.median(took) < 0.25
    assert len(bounded.log()) == lines + SLOW


def test_slow_second_head(bounded: Catalogue) -> None:
    """So is one whose second request does not come to an end; between two it may be silent."""
    wire = bounded.wire()
    wire.send(get("/v1/a"))
    assert wire.answer().status == 200
    assert not wire.is_answered(HEAD + 1)
    wire.send(b"GET /v1/b HT")
    answer = wire.answer()
    wire.close()

    assert (answer.status, answer.closed) == (408, True)


def test_byte_by_byte(bounded: Catalogue) -> None:
    """A head that comes byte by byte is not given more time for each."""
    wire = bounded.wire()
    begun = time.monotonic()
    for byte in request("GET", "/v1/a", f"X-Long: {'a' * 1000}"):
        if wire.is_answered(0.05):
            break
        wire.send(bytes([byte]))
    answer = wire.answer()
    wire.close()

    assert answer.status == 408
    assert time.monotonic() - begun < 20


def test_too_many(bounded: Catalogue) -> None:
    """More connections than may be are told 503; when others close, there is room again."""
    # Between requests they may stay as long as the server keeps them.
    clients = opened(bounded, 399, get("/v1/a"))
    assert all(client.recv(65_536).startswith(b"HTTP/1.1 200 ") for client in clients)
    bounded.check_alive()
    clients += opened(bounded, 1, get("/v1/a"))
    assert clients[-1].recv(65_536).startswith(b"HTTP/1.1 200 ")
    told = answers(opened(bounded, 5), 20)
    for client in clients:
        client.close()

    assert all(answer.startswith(b"HTTP/1.1 503 ") for answer in told)
    assert all(b"retry-after: 1\r\n" in answer for answer in told)
    until = time.monotonic() + 20
    while bounded.resources()[0] > 100 and time.monotonic() < until:
        time.sleep(0.05)
    bounded.check_alive()


def test_client_that_does_not_read(bounded: Catalogue) -> None:
    """A client that does not read its answer is cut, and its memory is free."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    host, _, port = bounded.served.http_target.rpartition(":")
    client.connect((host, int(port)))
    client.sendall(get("/large"))
    deadline = time.monotonic() + 20
    # Read what the system holds for it, until the end comes, which is no good one.
    client.settimeout(20)
    received = 0
    time.sleep(3)
    try:
        while piece := client.recv(1 << 16):
            received += len(piece)
            assert time.monotonic() < deadline
    except ConnectionError:
        pass
    client.close()

    assert received < 3 << 20


def test_few_files(start: Start) -> None:
    """With few files to open, connections are refused, and an open one is served all the while."""
    served = start(
        "catalogue:create",
        then="import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (120, 120))",
        connections={"total": 40, "per_address": 0, "head": 5.0, "stall": 5.0},
    )
    canary = http.client.HTTPConnection(served.http_target, timeout=20)
    canary.request("GET", "/healthz")
    assert canary.getresponse().read() == SERVING
    clients: list[Any] = [connect(served.http_target) for _ in range(200)]
    for _ in range(20):
        canary.request("GET", "/healthz")
        assert canary.getresponse().read() == SERVING
    told = answers(clients, 30)
    canary.request("GET", "/healthz")
    assert canary.getresponse().read() == SERVING
    canary.close()

    assert served.process.poll() is None
    assert any(answer.startswith(b"HTTP/1.1 503 ") for answer in told)


def test_no_file_left(start: Start) -> None:
    """Without a file for one more connection nothing spins, and when some are free all is well."""
    served = start(
        "slow:create",
        then="import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (80, 80))",
        connections={"total": 400, "head": 60.0},
    )
    catalogue = Catalogue(served)
    canary = http.client.HTTPConnection(served.http_target, timeout=20)
    canary.request("GET", "/healthz")
    assert canary.getresponse().read() == SERVING
    clients = opened(catalogue, 200)
    canary.request("GET", "/healthz")
    assert canary.getresponse().read() == SERVING
    used, begun = catalogue.loop_seconds(), time.monotonic()
    time.sleep(1)
    share = (catalogue.loop_seconds() - used) / (time.monotonic() - begun)
    canary.request("GET", "/healthz")
    assert canary.getresponse().read() == SERVING
    canary.close()
    for client in clients:
        client.close()

    assert share < 0.2
    until = time.monotonic() + 20
    # The server learns a moment later that they have gone.
    while not served_now(served.http_target):
        assert time.monotonic() < until
        time.sleep(0.05)


def served_now(target: str) -> bool:
    """Say whether a new connection is served."""
    canary = http.client.HTTPConnection(target, timeout=20)
    try:
        canary.request("GET", "/healthz")
        return canary.getresponse().read() == SERVING
    except ConnectionError:
        return False
    finally:
        canary.close()
