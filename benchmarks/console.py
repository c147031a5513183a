"""What an open console costs a server of 1,000 requests a second, in CPU time of its process.

    python benchmarks/console.py

Two servers of one application run side by side, each a process of its own with an admin port, and
one client drives both at the same rate, some requests to each in turn, so that the machine's moods
hit both alike. Nine in ten requests get a user, the others go to nine more routes and fail, so
that the tables of routes and of failures are full. First nobody looks at either: what they differ
by then is no console's. Then the console of one of them is asked for as often as it may, until its
lines are as long as they get; and then once a second, as the page asks, while that is measured.
The cost is how much more that server takes, in percent of a core.

Left out: the browser, peers, several workers (whose snapshots are taken whether anybody looks or
not), and routes beyond ten.

Gate: at most 2 % of a core while somebody looks.
"""

from __future__ import annotations

import argparse
import itertools
import socket
import statistics
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection

from one_user import TICK, Users
from served import started

from services.user.v1 import user_service_pb2_grpc
from transcoder import Gateway, Listening, Server
from transcoder.console.history import SAMPLES, SOONEST

GATE = 2.0
RATE = 1_000
AT_ONCE = 10
"""Requests, on a connection each: the system's clock is too coarse to wait for each of them."""

WINDOW = 5.0
"""Seconds of a figure, of which the median is told."""

SLOWEST = 1.1
"""A window that takes so many times as long does not count."""

USER = "GET /v1/users/u-1815"
OTHERS = (
    "GET /v1/users",
    "GET /v1/users:lookup?id=u-1815&x=1",
    "POST /v1/users",
    "PATCH /v1/users/u-1815",
    "DELETE /v1/users/u-1815",
    "POST /v1/users/u-1815:deactivate",
    "POST /v1/users:import",
    "GET /v1/users/u-1815/avatar",
    "GET /nowhere",
)


def serve(ready: Connection) -> None:
    """Run a server, telling its ports through the pipe."""

    def tell(listening: Listening) -> None:
        assert listening.admin is not None
        ready.send((listening.http.port, listening.admin.port))

    gateway = Gateway()
    user_service_pb2_grpc.add_UserServiceServicer_to_server(Users(), gateway)  # type: ignore[arg-type]
    server = Server(gateway, on_ready=tell, admin="127.0.0.1:0")
    server.run(http="127.0.0.1:0", grpc="127.0.0.1:0")


class Driven:
    """A server, and connections to it."""

    def __init__(self) -> None:
        self.process, pipe = started(serve)
        port, self.admin = pipe.recv()
        self._sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(AT_ONCE)]
        for each in self._sockets:
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, requests: Sequence[str]) -> None:
        """Ask on a connection each."""
        for what, each in zip(requests, self._sockets, strict=True):
            head = f"{what} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            length, body = ("", "") if what.startswith("GET") else ("content-length: 2\r\n", "{}")
            each.sendall(f"{head}{length}\r\n{body}".encode())

    def hear(self) -> list[bytes]:
        """Return the status lines of the answers, when all of them are there."""
        return [_answer(each) for each in self._sockets]

    def look(self) -> None:
        """Ask for the console."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/console", timeout=20) as page:
            assert b"GetUser" in page.read()

    def cpu(self) -> float:
        """Return the CPU seconds that the server has used."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as stat:  # noqa: PTH123
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK


def _answer(connection: socket.socket) -> bytes:
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += _piece(connection)
    told, _, rest = answer.partition(b"\r\n\r\n")
    left = int(told.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]) - len(rest)
    while left > 0:
        left -= len(_piece(connection))
    return told.split(b"\r\n")[0]


def _piece(connection: socket.socket) -> bytes:
    piece = connection.recv(65536)
    if not piece:
        raise EOFError("the server closed a connection that was kept alive")
    return piece


def requests() -> Iterator[str]:
    """Yield what is asked for, over and over."""
    for other in itertools.cycle(OTHERS):
        yield from [USER] * 9
        yield other


def driven(servers: list[Driven], asked: Iterator[str], seconds: float) -> float | None:
    """Ask both servers the same at the rate.

    Returns:
        How much more the first takes, in percent of a core; None if the machine is too busy.
    """
    begun, before = time.monotonic(), [each.cpu() for each in servers]
    for step in range(int(seconds * RATE / AT_ONCE)):
        wait = begun + step * AT_ONCE / RATE - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        several = list(itertools.islice(asked, AT_ONCE))
        for server in servers:
            server.ask(several)
        for server in servers:
            server.hear()
    took = time.monotonic() - begun
    first, second = (each.cpu() - cpu for each, cpu in zip(servers, before, strict=True))
    return 100 * (first - second) / took if took < SLOWEST * seconds else None


def measured(servers: list[Driven], asked: Iterator[str], windows: int) -> float:
    """Return the median of so many windows in which the rate was reached."""
    found: list[float] = []
    for _ in range(4 * windows):
        if len(found) < windows and (more := driven(servers, asked, WINDOW)) is not None:
            found.append(more)
    if len(found) < windows:
        raise SystemExit(f"the machine is too busy: {RATE} requests a second are not reached")
    return statistics.median(found)


class Looking(threading.Thread):
    """Looks at a console, again and again."""

    def __init__(self, server: Driven, every: float) -> None:
        super().__init__(daemon=True)
        self._server = server
        self._every = every
        self._over = threading.Event()
        self.looks = 0
        self.start()

    def run(self) -> None:
        """Look until it is over."""
        due = time.monotonic()
        while not self._over.wait(max(0.0, due - time.monotonic())):
            self._server.look()
            self.looks += 1
            due += self._every

    def end(self) -> int:
        """Look no more; return how often it was."""
        self._over.set()
        self.join()
        return self.looks


def main() -> int:
    """Measure and print; 1 when the gate is missed."""
    parser = argparse.ArgumentParser(description="The cost of an open console")
    parser.add_argument("--windows", type=int, default=8, help=f"of {WINDOW:g} s, open and closed")
    options = parser.parse_args()
    servers, asked = [Driven(), Driven()], requests()
    servers[0].ask([USER] * AT_ONCE)
    assert {each[:12] for each in servers[0].hear()} == {b"HTTP/1.1 200"}
    driven(servers, asked, WINDOW)
    closed = measured(servers, asked, options.windows)
    filling = Looking(servers[0], SOONEST)
    driven(servers, asked, SAMPLES * SOONEST)
    filling.end()
    looking = Looking(servers[0], 1.0)
    opened = measured(servers, asked, options.windows)
    looks = looking.end()
    for server in servers:
        server.process.terminate()
    cost = opened - closed
    routes = 1 + len(OTHERS)
    print(f"{RATE} requests/s to {routes} routes; CPU of the server whose console is open,")
    print(f"beyond that of its twin; median of {options.windows} windows of {WINDOW:g} s")
    print(f"  closed both           {closed:7.2f} % of a core")
    print(f"  open at one           {opened:7.2f} % of a core, {looks} looks")
    print(f"  an open console       {cost:7.2f} % of a core   (gate {GATE:g})")
    return 0 if cost <= GATE else 1


if __name__ == "__main__":
    sys.exit(main())
