"""A server of the test service in the test's own process, and a WebSocket client of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

import streams
from over_tls import trust
from streams import POOL, Streams, Told
from transcoder import Gateway, Listening, Server, ServerTls


@dataclass(frozen=True)
class Ended:
    """What a client saw of one WebSocket."""

    messages: list[str | bytes]
    code: int | None
    reason: str | None


@dataclass(frozen=True)
class Refused:
    """What a client saw of a handshake that was refused."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Door:
    """A server that runs, and what its servicer noted."""

    target: str
    server: Any
    secured: bool = False
    notes: list[str] = field(default_factory=list)
    _came: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, text: str) -> None:
        """Take a note of the servicer."""
        self.notes.append(text)
        self._came.set()

    def open(self, path: str, **options: Any) -> connect:
        """Return a WebSocket to be opened by `async with`."""
        if self.secured:
            options["ssl"] = trust()
        scheme = "wss" if self.secured else "ws"
        return connect(f"{scheme}://{self.target}{path}", proxy=None, open_timeout=20, **options)

    async def exchange(self, path: str, *messages: str | bytes, **options: Any) -> Ended:
        """Send messages, and read all that comes."""
        async with self.open(path, **options) as client:
            # What the client has yet to say may be more than the server waits for.
            with contextlib.suppress(ConnectionClosed):
                for message in messages:
                    await client.send(message)
            return await rest(client)

    async def refused(self, path: str, **options: Any) -> Refused:
        """Return the refusal of a handshake."""
        try:
            async with self.open(path, **options):
                raise AssertionError("the handshake was accepted")
        except InvalidStatus as error:
            answer = error.response
            headers = {name.lower(): value for name, value in answer.headers.raw_items()}
            return Refused(answer.status_code, headers, bytes(answer.body))

    async def noted(self, wanted: Callable[[list[str]], bool]) -> list[str]:
        """Wait until the servicer's notes are as wanted."""
        async with asyncio.timeout(20):
            while not wanted(self.notes):
                self._came.clear()
                await self._came.wait()
        return self.notes


async def rest(client: ClientConnection) -> Ended:
    """Read all that comes until the close."""
    messages: list[str | bytes] = []
    with contextlib.suppress(ConnectionClosed):
        async for message in client:
            messages.append(message)  # noqa: PERF401  what came before a bad close counts too
    return Ended(messages, client.close_code, client.close_reason)


class Telling(Streams):
    """Tells the metadata that it is asked for, by their key."""

    async def Echo(self, requests: AsyncIterator[Any], context: Any) -> AsyncGenerator[Any, None]:
        async for request in requests:
            found = [value for key, value in context.invocation_metadata() if key == request.how]
            yield Told(text=" ".join(found))


@contextlib.asynccontextmanager
async def serving(
    servicer: type[Streams] = Streams,
    *,
    stream_grace: float = 0.1,
    tls: ServerTls | None = None,
    **options: Any,
) -> AsyncIterator[Door]:
    """Serve the test service; at the end nothing of it may be left.

    Args:
        servicer: its servicer.
        stream_grace: of the server.
        tls: of the HTTP port.
        options: of the gateway.
    """
    gateway = Gateway(pool=POOL, **options)
    ready: asyncio.Future[Listening] = asyncio.get_running_loop().create_future()
    server = Server(
        gateway,
        settle=0,
        grace=5,
        stream_grace=stream_grace,
        http_tls=tls,
        on_ready=ready.set_result,
    )
    door = Door("", server, secured=tls is not None)
    streams.register(servicer(door.note), gateway)
    before = asyncio.all_tasks()
    running = asyncio.create_task(server.serve("127.0.0.1:0", "127.0.0.1:0"))
    door.target = (await ready).http.target
    try:
        yield door
    finally:
        server.stop()
        code = await running
    assert code == 0
    assert asyncio.all_tasks() == before


def run(fact: Callable[[Door], Any], **options: Any) -> Any:
    """Return what a coroutine function makes of a server."""

    async def main() -> Any:
        async with serving(**options) as door, asyncio.timeout(30):
            return await fact(door)

    return asyncio.run(main())


def texts(messages: Sequence[str | bytes]) -> list[str]:
    """Return messages that are all text."""
    assert all(isinstance(message, str) for message in messages)
    return [str(message) for message in messages]


class Hold:
    """Notes whether a connection was cut, and how."""

    def __init__(self) -> None:
        self.cuts: list[bool] = []

    def begin_stream(self) -> None:
        """Do nothing."""

    def end_stream(self) -> None:
        """Do nothing."""

    def cut(self, *, at_once: bool = False) -> None:
        """Take note."""
        self.cuts.append(at_once)
