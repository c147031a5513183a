"""What a GET of one user costs, in CPU time of the server process, against uvicorn's own floor.

Two servers run side by side, each a process of its own: a raw ASGI function that answers a
constant of the same size (the floor), and a Server with the user service over a store in memory.
One client process drives both in turns over kept-alive connections, so that the machine's moods
hit both alike. Each figure is the median of the rounds.

Left out: the client's own cost, connection set-up, the database (a dict stands for it), and TLS.
The gRPC port is open and idle.

Gate: at most 2 times the floor.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from google.protobuf import json_format
from served import run_constant, run_gateway, started

from services.user.v1 import user_service_pb2, user_service_pb2_grpc
from transcoder import Gateway

GATE = 2.0
CONNECTIONS = 8
TICK = os.sysconf("SC_CLK_TCK")


def sample() -> user_service_pb2.User:
    """Return the user of 320 bytes of JSON that every figure speaks of."""
    return json_format.ParseDict(
        {
            "id": "u-1815",
            "name": "Ada Lovelace",
            "email": "ada@example.com",
            "role": "ROLE_ADMIN",
            "state": "STATE_ACTIVE",
            "createTime": "2026-01-31T12:00:00Z",
            "updateTime": "2026-01-31T12:00:00Z",
            "tags": ["math", "engine"],
            "labels": {"team": "analytics"},
            "address": {"city": "London", "postalCode": "SW1Y 4LB", "regionCode": "GB"},
            "etag": "1",
        },
        user_service_pb2.User(),
    )


def sample_json() -> bytes:
    """Return it as the gateway answers it."""
    return json.dumps(json_format.MessageToDict(sample()), separators=(",", ":")).encode()


class Users(user_service_pb2_grpc.UserServiceServicer):
    """The user service's GetUser over a dict."""

    def __init__(self) -> None:
        user = sample()
        self.users = {user.id: user}

    async def GetUser(
        self, request: user_service_pb2.GetUserRequest, context: Any
    ) -> user_service_pb2.User:
        """Return one user."""
        return self.users[request.id]


def serve_gateway(ready: Connection) -> None:
    """Run the whole stack."""
    gateway = Gateway()
    user_service_pb2_grpc.add_UserServiceServicer_to_server(Users(), gateway)  # type: ignore[arg-type]
    run_gateway(gateway, ready)


def serve_floor(ready: Connection) -> None:
    """Run a constant of the same size on uvicorn alone."""
    run_constant(sample_json(), ready)


class Driver:
    """Drives one server over kept-alive connections and reads its CPU clock."""

    def __init__(
        self,
        serve: Callable[..., None],
        *arguments: object,
        path: str = "/v1/users/u-1815",
        body: bytes = b"",
    ) -> None:
        self.process, pipe = started(serve, *arguments)
        port, self.grpc_port = pipe.recv()
        method, length = ("POST", f"content-length: {len(body)}\r\n") if body else ("GET", "")
        head = (
            f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\naccept: */*\r\n"
            f"user-agent: bench\r\n{length}\r\n"
        )
        self.request = head.encode() + body
        self.sockets = [self._connect(port) for _ in range(CONNECTIONS)]
        self.length = self._answer_length()

    def _connect(self, port: int) -> socket.socket:
        deadline = time.monotonic() + 10
        while True:
            try:
                connection = socket.create_connection(("127.0.0.1", port))
            except ConnectionRefusedError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
                continue
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection

    def _answer_length(self) -> int:
        self.sockets[0].sendall(self.request)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self.sockets[0].recv(65536)
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        size = next(
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length")
        )
        while len(body) < size:
            body += self.sockets[0].recv(65536)
        assert b'"ada@example.com"' in body
        return len(head) + 4 + size

    def cpu(self) -> float:
        """Return the CPU seconds that the server has used."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as stat:  # noqa: PTH123
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def round(self, requests: int) -> float:
        """Return the CPU microseconds of one request, over so many."""
        before = self.cpu()
        for _ in range(requests // CONNECTIONS):
            for connection in self.sockets:
                connection.sendall(self.request)
            for connection in self.sockets:
                left = self.length
                while left > 0:
                    piece = connection.recv(left)
                    if not piece:
                        raise EOFError("the server closed a connection that was kept alive")
                    left -= len(piece)
        return (self.cpu() - before) / requests * 1e6


def split() -> dict[str, float]:
    """Return the CPU microseconds of each step of the pure part."""
    gateway = Gateway()
    servicer = Users()
    user_service_pb2_grpc.add_UserServiceServicer_to_server(servicer, gateway)  # type: ignore[arg-type]
    pure = gateway.transcoder
    match = pure.match("GET", "/v1/users/u-1815")
    user = sample()
    steps: dict[str, Callable[[], object]] = {
        "match": lambda: pure.match("GET", "/v1/users/u-1815"),
        "decode": lambda: pure.request(match),
        "encode": lambda: pure.response(match, user),
    }
    return {name: _timed(step) for name, step in steps.items()}


def _timed(step: Callable[[], object], times: int = 20_000) -> float:
    rounds = []
    for _ in range(5):
        before = time.process_time()
        for _ in range(times):
            step()
        rounds.append((time.process_time() - before) / times * 1e6)
    return statistics.median(rounds)


def main() -> int:
    """Measure and print; 1 when the gate is missed."""
    parser = argparse.ArgumentParser(description="GET of one user against uvicorn's floor")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--requests", type=int, default=8_000, help="in each round")
    options = parser.parse_args()
    floor, gateway = Driver(serve_floor), Driver(serve_gateway)
    for driver in (floor, gateway):
        driver.round(options.requests // 4)
    pairs = [
        (floor.round(options.requests), gateway.round(options.requests))
        for _ in range(options.rounds)
    ]
    for driver in (floor, gateway):
        driver.process.terminate()
    lows, highs = zip(*pairs, strict=True)
    ratio = statistics.median(high / low for low, high in pairs)
    size = len(json_format.MessageToJson(sample(), indent=None).encode())
    print(f"GET of one user, {size} bytes of JSON; CPU of the server process, median of", end=" ")
    print(f"{options.rounds} rounds of {options.requests} requests")
    print(f"  uvicorn's floor  {statistics.median(lows):7.1f} us")
    print(f"  the whole stack  {statistics.median(highs):7.1f} us")
    print(f"  ratio            {ratio:7.2f}   (gate {GATE})")
    print("of which the pure part, measured in this process:")
    for name, cost in split().items():
        print(f"  {name:<15}  {cost:7.1f} us")
    return 0 if ratio <= GATE else 1


if __name__ == "__main__":
    sys.exit(main())
