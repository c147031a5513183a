import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import grpc
import pytest
from tests.conftest import Served, Start

from backend import GET, SERVICE, Users, backend
from chunked import Chunked, noted
from services.user.v1.user_service_pb2 import GetUserRequest
from transcoder import Channel, Gateway
from transcoder.errors import StatusError
from transcoder.upstream import Call
from wire import request

T = TypeVar("T")
Test = Callable[["Client", Users], Awaitable[T]]


class Client:
    """Asks a gateway over ASGI, and may go away."""

    def __init__(self, gateway: Gateway, channel: Channel) -> None:
        self.gateway = gateway
        self.channel = channel
        self.gone = asyncio.Event()
        self.sent: list[Any] = []
        self.began = asyncio.Event()

    async def get(self, path: str, *headers: tuple[bytes, bytes]) -> tuple[int, bytes]:
        """Return the status and the body of an answer."""
        path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": list(headers),
        }
        await self.gateway(scope, self._receive, self._send)
        body = b"".join(event.get("body", b"") for event in self.sent[1:])
        return self.sent[0]["status"], body

    async def _receive(self) -> Any:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, event: Any) -> None:
        self.sent.append(event)
        if event.get("body"):
            self.began.set()


def run(test: Test[T]) -> T:
    """Run a test with a client of a gateway before a backend."""

    async def running() -> T:
        users = Users()
        async with backend(users) as target, Channel(target) as channel:
            gateway = Gateway()
            gateway.route(SERVICE, channel)
            return await test(Client(gateway, channel), users)

    return asyncio.run(running())


def test_stream() -> None:
    """A backend's stream is told as a servicer's is, metadata and all."""

    async def test(client: Client, users: Users) -> None:
        status, body = await client.get("/v1/users:watch", (b"accept", b"application/x-ndjson"))

        assert status == 200
        assert [json.loads(line) for line in body.splitlines()] == [
            {},
            {"sequence": "1"},
            {"sequence": "2"},
        ]
        assert (b"x-cost", b"3") in client.sent[0]["headers"]

    run(test)


def test_late_failure() -> None:
    """A status of the backend after replies is told in the framing."""

    async def test(client: Client, users: Users) -> None:
        accept = (b"accept", b"application/x-ndjson")
        _, body = await client.get("/v1/users:watch?id=late", accept)

        assert "too late" in body.decode().splitlines()[-1]

    run(test)


@pytest.mark.parametrize("path", ["/v1/users/hang", "/v1/users:watch?id=hang"])
def test_client_goes_away(path: str) -> None:
    """A client that goes away takes the backend's call with it."""

    async def test(client: Client, users: Users) -> None:
        asking = asyncio.ensure_future(client.get(path))
        await users.begun.wait()
        client.gone.set()

        await asyncio.wait_for(users.cancelled.wait(), 5)
        await asyncio.wait({asking})
        assert not asking.cancelled()
        asking.exception()

    run(test)


def test_deadline() -> None:
    """The client's deadline is the backend's."""

    async def test(client: Client, users: Users) -> None:
        status, _ = await client.get("/v1/users/7", (b"grpc-timeout", b"5S"))

        assert status == 200
        assert users.left is not None
        assert 1 < users.left < 5.1

    run(test)


def test_deadline_passes() -> None:
    """At the client's deadline the answer is 504 and the backend's call cancelled."""

    async def test(client: Client, users: Users) -> None:
        status, _ = await client.get("/v1/users/hang", (b"grpc-timeout", b"300m"))

        assert status == 504
        await asyncio.wait_for(users.cancelled.wait(), 5)

    run(test)


def test_end_of_the_application() -> None:
    """When the application stops, its channels are closed and what is called over them ends."""

    async def test(client: Client, users: Users) -> None:
        stop = asyncio.Event()
        said: asyncio.Queue[Any] = asyncio.Queue()
        events = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

        async def receive() -> Any:
            event = next(events)
            if event["type"] == "lifespan.shutdown":
                await stop.wait()
            return event

        living = asyncio.ensure_future(
            client.gateway({"type": "lifespan", "state": {}}, receive, said.put)
        )
        assert (await said.get())["type"] == "lifespan.startup.complete"
        asking = asyncio.ensure_future(client.channel.unary(Call(GET), GetUserRequest(id="hang")))
        await users.begun.wait()
        stop.set()

        assert (await said.get())["type"] == "lifespan.shutdown.complete"
        with pytest.raises(StatusError, match="shutting down"):
            await asking
        assert client.channel.get_state() is grpc.ChannelConnectivity.IDLE
        await living

    run(test)


def test_readers_that_stall(start_shared: Start) -> None:
    """What a client does not read stays with the backend, but for a megabyte or so."""
    behind = start_shared("streams:create")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BACKEND", behind.grpc_target)
        served = start_shared("matrix:before")
    raw = request("GET", "/v1/a/told?count=10000&size=100000", "Accept: application/x-ndjson")
    before, grown = memory(served), -1
    clients = [Chunked(served.http_target, raw, room=4096) for _ in range(20)]
    for client in clients:
        assert client.head() == 200
    while grown < (grown := memory(served) - before):
        time.sleep(0.5)
    for client in clients:
        client.socket.close()

    assert noted(lambda: behind.noted()[19:], "cancelled", 10)
    assert grown < 40 << 20


def memory(served: Served) -> int:
    """Return how many bytes a server holds."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{served.process.pid}/status").read_text())
    assert found
    return int(found[1]) * 1024
