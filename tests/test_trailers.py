"""Real HTTP trailers, under an ASGI server that carries them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator
from typing import Any

import h2.connection
import h2.events
from hypercorn.asyncio import serve
from hypercorn.config import Config

from services.user.v1.user_service_pb2 import (
    GetUserRequest,
    User,
    WatchUsersRequest,
    WatchUsersResponse,
)
from services.user.v1.user_service_pb2_grpc import (
    UserServiceServicer,
    add_UserServiceServicer_to_server,
)
from transcoder import Gateway, set_http_status


class Users(UserServiceServicer):
    async def GetUser(self, request: GetUserRequest, context: Any) -> User:
        context.set_trailing_metadata([("x-cost", "3"), ("seal-bin", b"\x00"), ("etag", '"1"')])
        set_http_status(context, 201)
        return User(id=request.id)

    async def WatchUsers(
        self, request: WatchUsersRequest, context: Any
    ) -> AsyncGenerator[WatchUsersResponse, None]:
        set_http_status(context, 203)
        yield WatchUsersResponse(sequence=1)
        context.set_trailing_metadata([("x-cost", "4"), ("etag", '"1"')])


async def answer(port: int, path: str, *headers: tuple[str, str]) -> list[Any]:
    """Return the events of one answer over HTTP/2."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    connection = h2.connection.H2Connection()
    connection.initiate_connection()
    pseudo = (":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", path)
    connection.send_headers(1, [*pseudo, *headers], end_stream=True)
    events: list[Any] = []
    while not any(isinstance(event, h2.events.StreamEnded) for event in events):
        writer.write(connection.data_to_send())
        received = await reader.read(65_536)
        assert received, "closed before the answer's end"
        events += connection.receive_data(received)
    writer.close()
    await writer.wait_closed()
    return events


async def served(*headers: tuple[str, str], path: str = "/v1/users/7") -> list[Any]:
    """Return the events of one answer of a server that serves the gateway meanwhile."""
    app: Any = Gateway()
    add_UserServiceServicer_to_server(Users(), app)
    over = asyncio.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = Config()
        config.bind = [f"fd://{listening.fileno()}"]
        config.errorlog = None
        server = asyncio.create_task(serve(app, config, shutdown_trigger=over.wait))
        try:
            return await asyncio.wait_for(answer(listening.getsockname()[1], path, *headers), 10)
        finally:
            over.set()
            await server
            # The server closes the socket under the descriptor that it was given.
            listening.detach()


def of(kind: type[Any], events: list[Any]) -> dict[str, str]:
    """Return the headers of the one event of a kind."""
    (event,) = [event for event in events if isinstance(event, kind)]
    return {_text(name): _text(value) for name, value in event.headers}


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def test_trailers() -> None:
    """Trailing metadata come behind the body, but those that HTTP wants first."""
    events = asyncio.run(served(("te", "trailers")))
    headers = of(h2.events.ResponseReceived, events)

    assert (headers[":status"], headers["etag"]) == ("201", '"1"')
    assert headers["trailer"] == "x-cost, seal-bin"
    assert "x-cost" not in headers
    assert of(h2.events.TrailersReceived, events) == {"x-cost": "3", "seal-bin": "AA=="}


def test_no_trailers() -> None:
    """Who does not ask for trailers gets trailing metadata as headers."""
    events = asyncio.run(served())
    headers = of(h2.events.ResponseReceived, events)

    assert (headers["x-cost"], headers["seal-bin"]) == ("3", "AA==")
    assert not [event for event in events if isinstance(event, h2.events.TrailersReceived)]


def test_trailers_of_a_stream() -> None:
    """A stream's trailing metadata come behind its last message; its status comes first."""
    events = asyncio.run(served(("te", "trailers"), path="/v1/users:watch"))

    assert of(h2.events.ResponseReceived, events)[":status"] == "203"
    assert of(h2.events.TrailersReceived, events) == {"x-cost": "4"}
