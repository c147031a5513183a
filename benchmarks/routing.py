"""What routing by host, header and weight adds to a request, against the same route without.

    python benchmarks/routing.py

CPU time of a GET of one user through the ASGI application in process, whose calls are passed on to
a backend that answers at once: by one route at every host, and by a route at one of three hosts
that chooses between two versions, by a header that the request does not have and then by weights of
95 and 5. Rounds take turns, so that the machine's moods hit all alike; the figure is the median of
the differences. A gate in microseconds is for the core of `yardstick.py`, and allows as much more
as this one takes. Exit code 1: a gate was missed.

The backend looks at the metadata of each call, in all cases, as every one has to that sends them
on; so what is added is the routing alone. Left out: the server, the network, the gRPC door,
policies, and a look at the request itself (path, query, cookie) or the caller's claims, which costs
what the details of a call do: see `policies.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import AsyncGenerator
from typing import Any

from in_process import receive, request, send
from yardstick import Yardstick

from services.user.v1 import user_service_pb2
from services.user.v1.user_service_pb2 import User
from transcoder import Condition, Gateway, Split, Version, VersionMatch
from transcoder.upstream import Call

CALLS = 2000
"""Of a round."""
LIMIT = 6.0
"""Microseconds that host, header and weight may add together."""
SERVICE = user_service_pb2.DESCRIPTOR.services_by_name["UserService"]
HOSTS = ["users.example.com", "*.shop.example.com", "admin.example.com:8443"]
MATCHES = [VersionMatch("v2", [Condition(header="x-experiment", exact="new")])]


class Backend:
    """Answers with one user."""

    user = User(id="1", name="Ada Lovelace", email="ada@example.com")

    def add(self, service: Any) -> None:
        """Know all methods."""

    async def unary(self, call: Call, request: Any) -> Any:
        """Return the user, as one that passes the metadata on."""
        assert call.metadata
        return self.user

    def stream(self, call: Call, request: Any) -> AsyncGenerator[Any, None]:
        """Return nothing; no method with a stream is called."""
        raise NotImplementedError

    async def close(self) -> None:
        """Have nothing to let go of."""


def versions(**options: Any) -> Split:
    """Return two versions of the backend."""
    return Split([Version("v1", Backend(), 95), Version("v2", Backend(), 5)], **options)


def gateways() -> dict[str, Gateway]:
    """Return the applications by what they route by; the first routes by the path alone."""
    made = {
        "path alone": Gateway(),
        "host": Gateway(hosts=HOSTS),
        "weight": Gateway(),
        "header and weight": Gateway(),
        "host, header and weight": Gateway(hosts=HOSTS),
    }
    upstreams: list[Any] = [Backend(), Backend(), versions()]
    upstreams += [versions(matches=MATCHES), versions(matches=MATCHES)]
    for (what, app), upstream in zip(made.items(), upstreams, strict=True):
        app.route(SERVICE, upstream, hosts=HOSTS if "host" in what else ())
        app.compile()
    return made


async def cost(app: Any) -> float:
    """Return the microseconds that one request takes."""
    headers = [(b"authorization", b"Bearer abc")]
    scopes = [request(*headers, host=b"users.example.com") for _ in range(CALLS)]
    begin = time.process_time()
    while scopes:
        await app(scopes.pop(), receive, send)
    return (time.process_time() - begin) / CALLS * 1e6


async def measure(rounds: int, stick: Yardstick) -> dict[str, list[float]]:
    """Return the costs of each application, one for each round."""
    apps = gateways()
    for app in apps.values():
        await cost(app)
    found: dict[str, list[float]] = {what: [] for what in apps}
    for _ in range(rounds):
        for what, app in apps.items():
            stick.measure()
            found[what].append(await cost(app))
    return found


def main() -> int:
    """Print the table; return 1 if the gate was missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=25, help="25 by default")
    rounds = parser.parse_args().rounds
    stick = Yardstick()
    costs = asyncio.run(measure(rounds, stick))
    limit = LIMIT * stick.slowness
    (_, floor), *others = costs.items()
    print(f"A request through the application, CPU time, median of {rounds} rounds of {CALLS}")
    print(f"{'path alone':26} {statistics.median(floor):7.2f} us")
    added = 0.0
    for what, each in others:
        added = statistics.median(one - less for one, less in zip(each, floor, strict=True))
        print(f"{'+ ' + what:26} {added:+7.2f} us")
    missed = added > limit
    print(stick)
    print(f"host, header and weight add {added:.2f} us; {limit:.1f} are allowed", end="")
    print(": MISSED" if missed else "")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
