"""A gateway before a backend that speaks HTTP, in the loop of a test, and raw bytes on both sides.

The backend is a function that is handed each request as it came, head and body apart, and the
connection to answer on.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from entrances import open_doors
from listening import serving
from transcoder import Gateway, HttpUpstream
from transcoder.call_details import CallDetails

T = TypeVar("T")

OK = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok"
PATIENCE = 30.0


@dataclass
class Request:
    """A request as the backend got it."""

    line: bytes
    headers: list[tuple[bytes, bytes]]
    reader: asyncio.StreamReader
    body: bytes = b""

    def all(self, name: bytes) -> list[bytes]:
        """Return the values of a header."""
        return [value for key, value in self.headers if key.lower() == name]

    async def read(self) -> bytes:
        """Read the body, to its end."""
        lengths = self.all(b"content-length")
        if lengths:
            self.body = await self.reader.readexactly(int(lengths[0]))
        elif self.all(b"transfer-encoding"):
            while size := int(await self.reader.readuntil(b"\r\n"), 16):
                self.body += (await self.reader.readexactly(size + 2))[:-2]
            await self.reader.readuntil(b"\r\n")
        return self.body


Answer = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Backend:
    """A backend that answers as it is told, and remembers what it was asked."""

    answer: Answer | bytes = OK
    target: str = ""
    asked: list[Request] = field(default_factory=list)
    connections: int = 0
    came: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when it was asked something."""
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a connection to it has ended."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.connections += 1
        try:
            while not writer.is_closing():
                await self._answer(reader, writer)
        except asyncio.IncompleteReadError:
            pass
        finally:
            self.gone.set()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        line, *lines = head[:-4].split(b"\r\n")
        request = Request(line, [_pair(each) for each in lines], reader)
        self.asked.append(request)
        self.came.set()
        if isinstance(self.answer, bytes):
            await request.read()
            writer.write(self.answer)
            await writer.drain()
        else:
            await self.answer(request, writer)


def _pair(line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b": ")
    return name, value


@dataclass
class Front:
    """A gateway before a backend."""

    target: str
    gateway: Gateway
    backend: Backend
    upstream: HttpUpstream

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return a connection to the gateway."""
        host, _, port = self.target.rpartition(":")
        return await asyncio.open_connection(host, int(port))

    async def raw(self, request: bytes) -> bytes:
        """Send bytes; return all that comes until the connection ends."""
        reader, writer = await self.connect()
        writer.write(request)
        try:
            async with asyncio.timeout(PATIENCE):
                return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.transport.abort()

    async def get(self, path: str = "/back/a", *headers: str, method: str = "GET") -> Told:
        """Return the answer to a request without a body."""
        lines = "".join(f"{header}\r\n" for header in headers)
        head = f"{method} {path} HTTP/1.1\r\nhost: edge.example\r\nconnection: close\r\n{lines}\r\n"
        return told(await self.raw(head.encode("latin-1")))


@dataclass(frozen=True)
class Told:
    """An answer."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def all(self, name: bytes) -> list[bytes]:
        """Return the values of a header."""
        return [value for key, value in self.headers if key == name]


def told(raw: bytes) -> Told:
    """Return the answer that bytes are."""
    head, _, body = raw.partition(b"\r\n\r\n")
    line, *lines = head.split(b"\r\n")
    pairs = [_pair(each) for each in lines]
    return Told(int(line.split()[1]), [(name.lower(), value) for name, value in pairs], body)


@asynccontextmanager
async def before(
    backend: Backend,
    *,
    path: str = "/back/**",
    base: str = "",
    strip_prefix: str = "",
    secured: ssl.SSLContext | None = None,
    at: str = "",
    options: dict[str, Any] | None = None,
    **gateway_options: Any,
) -> AsyncIterator[Front]:
    """Run a gateway before a backend.

    Args:
        backend: which.
        path: that is passed on.
        base: of the backend's URL.
        strip_prefix: of the route.
        secured: the backend's TLS.
        at: where the backend is, if it is not run here.
        options: of the upstream.
        gateway_options: of the gateway.
    """
    async with serving(backend.serve, secured) as target:
        backend.target = at or target
        scheme = "http" if secured is None else "https"
        upstream = HttpUpstream(f"{scheme}://{backend.target}{base}", **(options or {}))
        gateway = Gateway(**gateway_options)
        gateway.forward(path, upstream, strip_prefix=strip_prefix)
        async with open_doors(gateway) as listening:
            yield Front(listening.http.target, gateway, backend, upstream)


def run(
    fact: Callable[[Front], Coroutine[Any, Any, T]],
    answer: Answer | bytes = OK,
    **options: Any,
) -> T:
    """Run a test with a gateway before a backend."""

    async def running() -> T:
        async with before(Backend(answer), **options) as front:
            return await fact(front)

    return asyncio.run(running())


def pause(writer: asyncio.StreamWriter) -> None:
    """Read nothing more of a connection."""
    transport: Any = writer.transport
    transport.pause_reading()


def resume(writer: asyncio.StreamWriter) -> None:
    """Read on."""
    transport: Any = writer.transport
    transport.resume_reading()


class Watching:
    """Notes the calls that are over."""

    def __init__(self) -> None:
        self.calls: list[CallDetails] = []
        self.came = asyncio.Event()

    def began(self, call: CallDetails) -> None:
        """Do nothing."""

    def ended(self, call: CallDetails) -> None:
        """Note it."""
        self.calls.append(call)
        self.came.set()
