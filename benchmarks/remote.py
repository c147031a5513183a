"""What a GET costs that a remote backend answers, in CPU time of the gateway's process.

Three servers run side by side before one backend, each a process of its own:

- the floor: a raw ASGI function that answers a constant of the same size, on uvicorn;
- the hop: the same, but for a call to the backend before each answer, through a bare grpc.aio
  channel with a generated stub, metadata and a timeout; its reply is read and dropped;
- the gateway: a Server that routes the user service to the backend.

One client process drives them in turns over kept-alive connections, so that the machine's moods hit
all alike. The floor is shown for orientation; the hop already includes it. Each ratio is the
median over the rounds.

Left out: the client's and the backend's own cost, connection set-up, and TLS.

Gate: the gateway costs at most 1.15 times the hop.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from typing import Any

import grpc.aio
from one_user import Driver, Users, sample_json, serve_floor
from served import answer_of, run_gateway, run_uvicorn, started

from services.user.v1 import user_service_pb2, user_service_pb2_grpc
from transcoder import Channel, Gateway

GATE = 1.15
TIMEOUT = 30


def serve_backend(ready: Connection) -> None:
    """Run the backend: the user service over a dict, on grpc.aio alone."""

    async def run() -> None:
        server = grpc.aio.server()
        user_service_pb2_grpc.add_UserServiceServicer_to_server(Users(), server)
        ready.send(server.add_insecure_port("127.0.0.1:0"))
        await server.start()
        await server.wait_for_termination()

    asyncio.run(run())


def serve_gateway(ready: Connection, backend: str) -> None:
    """Run the gateway before the backend."""
    gateway = Gateway()
    service = user_service_pb2.DESCRIPTOR.services_by_name["UserService"]
    config = {"methodConfig": [{"name": [{}], "timeout": f"{TIMEOUT}s"}]}
    gateway.route(service, Channel(backend, service_config=config))
    run_gateway(gateway, ready)


def serve_hop(ready: Connection, backend: str) -> None:
    """Run a bare hop: uvicorn, one call through a stub, and a constant."""
    start, end = answer_of(sample_json())
    stubs: list[Any] = []

    async def app(
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[Any], Awaitable[None]],
    ) -> None:
        if not stubs:
            channel = grpc.aio.insecure_channel(backend)
            stubs.append(user_service_pb2_grpc.UserServiceStub(channel))
        request = user_service_pb2.GetUserRequest(id="u-1815")
        # What a gateway tells its backend of the client, whoever writes it.
        metadata = (
            ("x-forwarded-for", "127.0.0.1"),
            ("x-forwarded-host", "127.0.0.1:8080"),
            ("x-forwarded-proto", "http"),
            ("accept", "*/*"),
        )
        await stubs[0].GetUser(request, timeout=TIMEOUT, metadata=metadata)
        await send(start)
        await send(end)

    run_uvicorn(app, ready)


def main() -> int:
    """Measure and print; 1 when the gate is missed."""
    parser = argparse.ArgumentParser(description="GET of one remote user against a bare hop")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--requests", type=int, default=2_000, help="in each round")
    options = parser.parse_args()
    backend, pipe = started(serve_backend)
    target = f"127.0.0.1:{pipe.recv()}"
    drivers = [Driver(serve_floor), Driver(serve_hop, target), Driver(serve_gateway, target)]
    for driver in drivers:
        driver.round(options.requests // 4)
    rounds = [[driver.round(options.requests) for driver in drivers] for _ in range(options.rounds)]
    for process in (*(driver.process for driver in drivers), backend):
        process.terminate()
    floor, hop, gateway = (statistics.median(each) for each in zip(*rounds, strict=True))
    ratio = statistics.median(high / low for _, low, high in rounds)
    print("GET of one user that a remote backend has; CPU of the process before it, median of")
    print(f"{options.rounds} rounds of {options.requests} requests")
    print(f"  uvicorn's floor       {floor:7.1f} us")
    print(f"  the floor and a hop   {hop:7.1f} us")
    print(f"  the gateway           {gateway:7.1f} us")
    print(f"  ratio                 {ratio:7.2f}   (gate {GATE})")
    return 0 if ratio <= GATE else 1


if __name__ == "__main__":
    sys.exit(main())
