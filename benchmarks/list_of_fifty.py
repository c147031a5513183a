"""What a GET of a list of fifty users costs, against the usual way to serve REST beside gRPC.

Two servers run side by side: a Server with the user service in process, and a Starlette
application that calls the same servicer over a grpc.aio channel and prints the reply with
json_format, without indentation, its stub shared by all requests. One client drives both in turns
over kept-alive connections. The figure is CPU time of the server process (for the other way: of
both of its processes), the median of the rounds.

Left out: the client's own cost, connection set-up, the database (a constant stands for it), TLS.

Gate: at least 4 times less.
"""

from __future__ import annotations

import statistics
import sys
from multiprocessing.connection import Connection
from typing import Any

import grpc.aio
from google.protobuf import json_format
from one_user import Driver, sample
from served import run_gateway, run_uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.user.v1 import user_service_pb2, user_service_pb2_grpc
from transcoder import Gateway

GATE = 4.0
ROUNDS = 7
REQUESTS = 800


class Users(user_service_pb2_grpc.UserServiceServicer):
    """The user service's ListUsers over a constant."""

    def __init__(self) -> None:
        self.page = user_service_pb2.ListUsersResponse(users=[sample()] * 50)

    async def ListUsers(
        self, request: user_service_pb2.ListUsersRequest, context: Any
    ) -> user_service_pb2.ListUsersResponse:
        """Return fifty users."""
        return self.page


def serve_gateway(ready: Connection) -> None:
    """Run the whole stack in one process."""
    gateway = Gateway()
    user_service_pb2_grpc.add_UserServiceServicer_to_server(Users(), gateway)  # type: ignore[arg-type]
    run_gateway(gateway, ready)


def serve_by_hand(ready: Connection, target: str) -> None:
    """Run a Starlette application in front of a gRPC server."""
    stubs: list[Any] = []

    async def users(request: Request) -> Response:
        if not stubs:
            channel = grpc.aio.insecure_channel(target)
            stubs.append(user_service_pb2_grpc.UserServiceStub(channel))
        size = int(request.query_params.get("page_size", 0))
        reply = await stubs[0].ListUsers(user_service_pb2.ListUsersRequest(page_size=size))
        text = json_format.MessageToJson(reply, indent=None)
        return Response(text, media_type="application/json")

    run_uvicorn(Starlette(routes=[Route("/v1/users", users)]), ready)


def main() -> int:
    """Measure and print; 1 when the gate is missed."""
    path = "/v1/users?page_size=50"
    ours = Driver(serve_gateway, path=path)
    behind = Driver(serve_gateway, path=path)
    by_hand = Driver(serve_by_hand, f"127.0.0.1:{behind.grpc_port}", path=path)
    pairs = []
    for number in range(ROUNDS + 1):
        low = ours.round(REQUESTS)
        before = behind.cpu()
        high = by_hand.round(REQUESTS) + (behind.cpu() - before) / REQUESTS * 1e6
        if number:
            pairs.append((low, high))
    for driver in (ours, behind, by_hand):
        driver.process.terminate()
    lows, highs = zip(*pairs, strict=True)
    ratio = statistics.median(high / low for low, high in pairs)
    print(f"GET of fifty users, CPU of the server processes, median of {ROUNDS} rounds")
    print(f"  in process                 {statistics.median(lows):8.1f} us")
    print(f"  Starlette, grpc.aio, json_format {statistics.median(highs):8.1f} us")
    print(f"  times less                 {ratio:8.2f}   (gate {GATE})")
    return 0 if ratio >= GATE else 1


if __name__ == "__main__":
    sys.exit(main())
