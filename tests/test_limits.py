from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from transcoder import ConnectionLimits, Gateway, Pace, Server, ServerTls, StreamLimits, Timeouts
from transcoder.doors import Options
from transcoder.policies import ConcurrencyLimit, Decompression, RateLimit, RequestId

DEFAULTS = (
    "limits: HTTP connections: 10 at once, 60 s unread; idle HTTP connection: 75 s; "
    "head of a request: 32768 B, 100 headers, 10 s; gRPC message: 4194304 B; "
    "calls on a gRPC connection: 100 at once; path: 8192 B; "
    "query: 8192 B, 1000 parameters, 32 names in a key; metadata: 8000 B; "
    "body: 1048576 B, 240 B/s after 30 s; JSON: 100000 values, 100 deep; "
    "unary call: 30 s, 300 s if asked for; plain methods: 32 at once; reply: 4194304 B; "
    "streams: 1000 at once, 1048576 B a message, 30 s unread, idle 300 s, life without end"
)


def test_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A server that starts tells the limits in one line, those of policies too."""

    async def started() -> None:
        gateway = Gateway(policies=[RequestId(), RateLimit("5/second")])
        server = Server(
            gateway,
            settle=0,
            connections=ConnectionLimits(total=10),
            on_ready=lambda _: server.stop(),
        )
        await server.serve("127.0.0.1:0", "127.0.0.1:0")

    caplog.set_level(logging.INFO, "transcoder.server")
    asyncio.run(started())
    told = [each for each in caplog.messages if each.startswith("limits: ")]

    assert told == [f"{DEFAULTS}; rate-limit: 5 calls in 1 s and 1 at once, by address"]


@pytest.mark.parametrize(
    ("options", "what", "told"),
    [
        ({"body_limit": 5}, "body", "5 B, 240 B/s after 30 s"),
        ({"pace": Pace(2, 100)}, "body", "1048576 B, 100 B/s after 2 s"),
        ({"timeouts": Timeouts(default=None)}, "unary call", "without end, 300 s if asked for"),
        ({"threads": 3}, "plain methods", "3 at once"),
        (
            {"streams": StreamLimits(count=2, message=9, stall=1, idle=None, life=60)},
            "streams",
            "2 at once, 9 B a message, 1 s unread, idle without end, life 60 s",
        ),
        (
            {"policies": [ConcurrencyLimit(7, queue=1, streams=3)]},
            "concurrency",
            "7 calls at once, 1 more for 0.5 s, 3 streams",
        ),
        ({"policies": [Decompression(limit=9)]}, "decompression", "9 B, 100 times what came"),
        (
            {"policies": [RateLimit("9/hour", by=["all", "method"], name="all")]},
            "all",
            "9 calls in 3600 s and 1 at once, by all and method",
        ),
        (
            {"overrides": {"*": {"rate-limit": RateLimit("2/day")}}},
            "rate-limit of *",
            "2 calls in 86400 s and 1 at once, by address",
        ),
    ],
)
def test_gateway(options: dict[str, Any], what: str, told: str) -> None:
    """An option that is a limit is told as it is given."""
    assert Gateway(**options).limits[what] == told


@pytest.mark.parametrize(
    ("options", "what", "told"),
    [
        ({"max_message": 5}, "gRPC message", "5 B"),
        ({"max_concurrent_streams": 2}, "calls on a gRPC connection", "2 at once"),
        ({"keep_alive": 3}, "idle HTTP connection", "3 s"),
        (
            {"connections": ConnectionLimits(total=9, per_address=4, head=2, stall=1)},
            "HTTP connections",
            "9 at once, 4 from one address, 1 s unread",
        ),
        (
            {"connections": ConnectionLimits(head=2)},
            "head of a request",
            "32768 B, 100 headers, 2 s",
        ),
        (
            {"tls": ServerTls(certificate="a", key="b", handshake_timeout=4)},
            "TLS handshake",
            "4 s",
        ),
        ({"max_connection_age": 60.0}, "age of a connection", "60 s"),
    ],
)
def test_server(options: dict[str, Any], what: str, told: str) -> None:
    """So is one of the server."""
    given = {
        "settle": 5.0,
        "grace": 30.0,
        "stream_grace": 5.0,
        "max_concurrent_streams": 100,
        "max_message": 4 << 20,
        "max_connection_age": None,
        "keep_alive": 75,
        "backlog": 2048,
        "connections": ConnectionLimits(total=10),
        "tls": None,
        "http_tls": None,
        "grpc_tls": None,
    }
    assert Options(**{**given, **options}).limits[what] == told
