"""What the headers of a request cost: checked for every call, made metadata only when asked for.

    python benchmarks/call_headers.py

CPU time of one request with the ten headers of an ordinary client, the best of many rounds: what
else the machine does only adds. Exit code 1: a gate was missed. The gates are on what every request
pays.

Left out: parsing, which is the server's, and the call itself.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import NamedTuple

from transcoder.calls import Calls
from transcoder.forwarded import TrustedProxies
from transcoder.head import check_head
from transcoder.inbound import Inbound
from transcoder.profile import GRPC_GATEWAY
from transcoder.timeouts import Timeouts

ROUNDS = 25
SECONDS = 0.02
"""Of a processor, for one round."""

HEADERS = [
    (b"host", b"api.example.com"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    (b"accept", b"application/json"),
    (b"accept-encoding", b"gzip, deflate, br, zstd"),
    (b"accept-language", b"en-GB,en;q=0.7,de;q=0.3"),
    (b"authorization", b"Bearer " + b"a" * 300),
    (b"content-type", b"application/json"),
    (b"content-length", b"33"),
    (b"x-request-id", b"0b9f9f5c2f7b4f0a8d3e6a1c5e7d9b21"),
    (b"x-tenant", b"acme"),
]
PEER = ("192.0.2.1", 4711)


class Case(NamedTuple):
    """What is done with a request's headers, and the microseconds that it may cost, if bounded."""

    what: str
    call: Callable[[], object]
    limit: float | None = None


def cases() -> list[Case]:
    """Return what is measured."""
    inbound, prefixed, timeouts = Inbound(), Inbound(GRPC_GATEWAY), Timeouts()
    calls = Calls(inbound, timeouts)
    proxies = TrustedProxies(["192.0.2.0/24"])
    behind = [*HEADERS, (b"x-forwarded-for", b"198.51.100.7, 192.0.2.9")]
    scope = {"client": PEER, "scheme": "http"}
    return [
        Case("the head, in our own server", lambda: check_head(HEADERS, "1.1", is_long=False), 2),
        Case("look for a timeout", lambda: timeouts.of("a.B.C", HEADERS), 1.5),
        Case("the call with all of that", lambda: calls(scope, HEADERS, "/a.B/C"), 6),
        Case("make metadata, when asked for", lambda: inbound.of(HEADERS, PEER, "http")),
        Case("the same, as grpc-gateway has it", lambda: prefixed(HEADERS)),
        Case("read a trusted proxy's headers", lambda: proxies(behind, PEER, "http")),
    ]


def microseconds(call: Callable[[], object]) -> float:
    """Return the CPU time of one call, in microseconds: the best of many rounds."""
    best, times = float("inf"), 1
    for _ in range(ROUNDS):
        started = time.process_time()
        for _ in range(times):
            call()
        took = time.process_time() - started
        if took >= SECONDS / 2:
            best = min(best, took / times)
        times = max(1, int(times * SECONDS / max(took, 1e-5)))
    return best * 1e6


def main() -> int:
    """Print what each case costs; return the exit code."""
    missed = 0
    for case in cases():
        cost = microseconds(case.call)
        gate = "" if case.limit is None else f"  (gate {case.limit:g})"
        missed += case.limit is not None and cost > case.limit
        print(f"{case.what:36}{cost:7.2f} µs{gate}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
