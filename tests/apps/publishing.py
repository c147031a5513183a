"""An issuer that publishes its keys over HTTP, well or badly, and counts who asks for them."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from listening import serving
from tokens import jwks

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]

CONFIGURATION = "/.well-known/openid-configuration"
PATH = "/jwks"


class Publisher:
    """The issuer.

    Args:
        keys: what it publishes.
    """

    def __init__(self, *keys: Any) -> None:
        self.asked: Counter[str] = Counter()
        """How often each path was asked for."""
        self.came = asyncio.Event()
        """Set when somebody asks."""
        self.issuer = ""
        self.answers: dict[str, Answer] = {}
        """By path."""
        self.publish(*keys)

    @property
    def url(self) -> str:
        """Where its keys are."""
        return self.issuer + PATH

    @property
    def fetches(self) -> int:
        """How often its keys were asked for."""
        return self.asked[PATH]

    def publish(self, *keys: Any) -> None:
        """Publish these keys from now on."""
        self.answers[PATH] = saying(json.dumps(jwks(*keys)).encode())

    def tell(self, **more: Any) -> None:
        """Say where they are, too."""
        told = {"issuer": self.issuer, "jwks_uri": self.url, **more}
        self.answers[CONFIGURATION] = saying(json.dumps(told).encode())

    def hold(self) -> asyncio.Event:
        """Let those who ask for the keys wait until the event is set."""
        released = asyncio.Event()
        answer = self.answers[PATH]

        async def later(writer: asyncio.StreamWriter) -> None:
            await released.wait()
            await answer(writer)

        self.answers[PATH] = later
        return released

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        head = await reader.readuntil(b"\r\n\r\n")
        path = head.split(b" ")[1].decode()
        self.asked[path] += 1
        self.came.set()
        await self.answers.get(path, saying(b"", 404))(writer)


def saying(body: bytes, status: int = 200, **headers: str) -> Answer:
    """Return an answer with a body; what is a header's name has - for _."""
    told = {"content-length": str(len(body)), "connection": "close"}
    told |= {name.replace("_", "-"): value for name, value in headers.items()}

    async def answer(writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status} x", *(f"{name}: {value}" for name, value in told.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await writer.drain()

    return answer


async def endless(writer: asyncio.StreamWriter) -> None:
    """Answer 100 MB."""
    writer.write(b"HTTP/1.1 200 x\r\ncontent-length: 100000000\r\n\r\n")
    for _ in range(1000):
        writer.write(b" " * 100_000)
        await writer.drain()


async def silent(writer: asyncio.StreamWriter) -> None:
    """Answer nothing."""
    await asyncio.Event().wait()


async def dripping(writer: asyncio.StreamWriter) -> None:
    """Answer a byte now and then."""
    writer.write(b"HTTP/1.1 200 x\r\ncontent-length: 100\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


async def cut(writer: asyncio.StreamWriter) -> None:
    """Answer half, and close."""
    writer.write(b'HTTP/1.1 200 x\r\ncontent-length: 100\r\n\r\n{"keys": [')
    await writer.drain()


@asynccontextmanager
async def publishing(*keys: Any, tls: ssl.SSLContext | None = None) -> AsyncIterator[Publisher]:
    """Run an issuer."""
    publisher = Publisher(*keys)
    async with serving(publisher.serve, tls) as target:
        publisher.issuer = f"{'http' if tls is None else 'https'}://{target}"
        yield publisher
