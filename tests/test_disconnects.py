"""Clients that go away at any moment leave nothing behind."""

from __future__ import annotations

import random
import socket
import struct
import time
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Connection, Served, Start

from chunked import noted
from over_tls import HERE, connect, write
from wire import request

RESET = struct.pack("ii", 1, 0)
CHUNKS = "Transfer-Encoding: chunked"
LINES = "Accept: application/x-ndjson"
EVENTS = "Accept: text/event-stream"
CASES = 200


def chunk(data: bytes) -> bytes:
    """Return a piece of a body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


REQUESTS = {
    "unary": request("GET", "/v1/a/single?pause=0.05"),
    "long unary": request("GET", "/v1/a/single?pause=30"),
    "replies": request("GET", "/v1/a/told?count=1000&pause=0.005", LINES),
    "events": request("GET", "/v1/a/told?count=1000&pause=0.005", EVENTS),
    "fast replies": request("GET", "/v1/a/told?count=1000000&size=100"),
    "an error": request("GET", "/v1/a/told?count=9&pause=0.005&fail_at=5&how=abort", LINES),
    "requests": request("POST", "/v1/a/asks", CHUNKS) + chunk(b"{}") * 20 + chunk(b'{"pause":9}'),
    "both": request("POST", "/v1/a/echo", CHUNKS, LINES) + chunk(b"{}") * 20,
    "a body": request("POST", "/v1/a/told", CHUNKS)
    + chunk(b'{"count":100,')
    + chunk(b'"pause":1}'),
    "download": request("GET", "/v1/a/file?count=100000&size=65536"),
    "upload": request("PUT", "/v1/a/file", CHUNKS) + chunk(b"a" * 30_000) * 5,
}


def go_away(target: str, raw: bytes, chance: random.Random) -> None:
    """Send a request, or a part of it, and go after up to 80 ms, well or rudely."""
    with connect(target) as client:
        client.sendall(raw[: chance.choice([len(raw), chance.randrange(1, len(raw))])])
        time.sleep(chance.choice([0, chance.random() * 0.08]))
        if chance.random() < 0.5:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


def tasks(served: Served) -> int:
    """Return how many tasks the server has, its own and the one that says it."""
    connection = Connection(served.http_target)
    connection.request("GET", "/tasks", headers={"connection": "close"})
    count = int(connection.getresponse().read())
    connection.close()
    return count


def files(served: Served) -> int:
    """Return how many files the server has open."""
    return len(list(Path(f"/proc/{served.process.pid}/fd").iterdir()))


def settled(count: int, served: Served) -> bool:
    """Wait until the server has no more tasks than that."""
    until = time.monotonic() + 5
    while tasks(served) > count:
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture(scope="module", params=["HTTP", "HTTPS"])
def served(
    request: pytest.FixtureRequest, start_shared: Start, tmp_path_factory: pytest.TempPathFactory
) -> Served:
    """The server of all streams."""
    tls: Any = {}
    if request.param == "HTTPS":
        tls = {"tls": write(tmp_path_factory.mktemp("files"), HERE)}
    return start_shared("streams:counted", **tls)


@pytest.mark.parametrize("seed", range(4))
def test_clients_go_away(served: Served, seed: int) -> None:
    """Whenever clients go, no task, no file, no warning and no traceback is left of them."""
    chance = random.Random(seed)
    before, open_before = tasks(served), files(served)
    for _ in range(CASES // 4):
        go_away(served.http_target, chance.choice(list(REQUESTS.values())), chance)

    assert settled(before, served)
    assert files(served) <= open_before + 2
    assert served.ledger.with_name("log").read_text() == ""


@pytest.mark.parametrize("name", ["long unary", "replies", "events", "requests", "both"])
def test_half_close(served: Served, name: str) -> None:
    """A client that only ends its sending has gone: the call is cancelled, the connection ends."""
    before = tasks(served)
    with connect(served.http_target) as client:
        client.sendall(REQUESTS[name])
        time.sleep(0.2)
        client.shutdown(socket.SHUT_WR)
        while client.recv(65_536):
            pass

        assert settled(before, served)


@pytest.mark.parametrize("name", ["replies", "events", "requests", "both"])
def test_servicers_learn_of_it(served: Served, name: str) -> None:
    """A servicer whose client has gone is cancelled within 200 ms, with room for a slow machine."""
    count = len(served.noted())
    with connect(served.http_target) as client:
        client.sendall(REQUESTS[name])
        time.sleep(0.2)
    gone = time.monotonic()

    assert noted(lambda: served.noted()[count:], "cancelled", 5)
    assert time.monotonic() - gone < 2
