"""What the reverse proxy costs, in CPU time of its process, against the plainest of its kind.

Three servers run side by side before one backend, each a process of its own:

- the floor: a raw ASGI function that answers a constant of the same size, on uvicorn;
- the plain proxy: a raw ASGI function on uvicorn that sends each request on with an
  `httpx2.AsyncClient`, streaming both ways; it takes no header away and none from anybody else,
  knows no deadline, and looks after no client that goes;
- the gateway: a Server that passes the same path on to an `HttpUpstream`.

One client process drives them in turns over kept-alive connections, with a GET and with a POST of
1 KB, so that the machine's moods hit all alike. The floor is shown for orientation. Each ratio is
the median over the rounds.

Left out: the client's and the backend's own cost, connection set-up, TLS, policies, WebSockets, and
bodies that take more than one piece.

Gate: the gateway costs at most 1.3 times the plain proxy, for either.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from multiprocessing.connection import Connection
from typing import Any

import httpx2
from one_user import Driver, sample_json, serve_floor
from served import run_gateway, run_uvicorn, started

from transcoder import Gateway, HttpUpstream

GATE = 1.3
BODY = b"x" * 1024
PATH = "/v1/users/u-1815"


class Backend(asyncio.Protocol):
    """Answers each request with the same, as soon as it is whole."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._received = b""

    def connection_made(self, transport: Any) -> None:
        """Begin."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Take bytes."""
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        wanted = len(BODY) if head.startswith(b"POST") else 0
        if end and len(body) >= wanted:
            self._received = body[wanted:]
            self._transport.write(self._answer)


def serve_backend(ready: Connection) -> None:
    """Run the backend."""
    body = sample_json()
    head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: "
    answer = f"{head}{len(body)}\r\n\r\n".encode() + body

    async def run() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Backend(answer), "127.0.0.1", 0)
        ready.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


def serve_gateway(ready: Connection, backend: str) -> None:
    """Run the gateway before the backend."""
    gateway = Gateway()
    gateway.forward("/v1/**", HttpUpstream(backend))
    run_gateway(gateway, ready)


def serve_plain(ready: Connection, backend: str) -> None:
    """Run the plain proxy before the backend."""
    clients: list[httpx2.AsyncClient] = []

    async def app(
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[Any], Awaitable[None]],
    ) -> None:
        async def body() -> AsyncIterator[bytes]:
            more = True
            while more:
                event = await receive()
                more = event["more_body"]
                yield event["body"]

        if not clients:
            clients.append(httpx2.AsyncClient())
        url = backend + scope["raw_path"].decode("ascii")
        content = body() if scope["method"] == "POST" else None
        request = clients[0].build_request(
            scope["method"], url, headers=scope["headers"], content=content
        )
        response = await clients[0].send(request, stream=True)
        headers = response.headers.raw
        status = response.status_code
        await send({"type": "http.response.start", "status": status, "headers": headers})
        async for piece in response.aiter_raw():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        await response.aclose()

    run_uvicorn(app, ready)


def measure(target: str, body: bytes, rounds: int, requests: int) -> float:
    """Print what a request costs; return the ratio."""
    drivers = [
        Driver(serve_floor),
        Driver(serve_plain, target, path=PATH, body=body),
        Driver(serve_gateway, target, path=PATH, body=body),
    ]
    for driver in drivers:
        driver.round(requests // 4)
    measured = [[driver.round(requests) for driver in drivers] for _ in range(rounds)]
    for driver in drivers:
        driver.process.terminate()
    floor, plain, gateway = (statistics.median(each) for each in zip(*measured, strict=True))
    ratio = statistics.median(high / low for _, low, high in measured)
    print(f"{'POST of 1 KB' if body else 'GET'}")
    print(f"  uvicorn's floor  {floor:7.1f} us")
    print(f"  the plain proxy  {plain:7.1f} us")
    print(f"  the gateway      {gateway:7.1f} us")
    print(f"  ratio            {ratio:7.2f}   (gate {GATE})")
    return ratio


def main() -> int:
    """Measure and print; 1 when the gate is missed."""
    parser = argparse.ArgumentParser(description="the reverse proxy against a plain one")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--requests", type=int, default=1_600, help="in each round")
    options = parser.parse_args()
    backend, pipe = started(serve_backend)
    target = f"http://127.0.0.1:{pipe.recv()}"
    print("CPU of the process before the backend, median of", end=" ")
    print(f"{options.rounds} rounds of {options.requests} requests")
    ratios = [measure(target, body, options.rounds, options.requests) for body in (b"", BODY)]
    backend.terminate()
    return 0 if max(ratios) <= GATE else 1


if __name__ == "__main__":
    sys.exit(main())
