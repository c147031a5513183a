"""A TCP proxy that makes a network fail in the ways networks do."""

from __future__ import annotations

import asyncio
import enum
import socket
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from listening import serving

_RESET = struct.pack("ii", 1, 0)


class Toxic(enum.Enum):
    """What the proxy does."""

    NONE = enum.auto()
    RESET = enum.auto()
    """Connections are reset as they come."""
    CUT = enum.auto()
    """Connections are closed as they come."""
    HALF = enum.auto()
    """Who is sent something hears the end of the other side instead."""
    BLACKHOLE = enum.auto()
    """Nothing passes, either way, on old connections or new ones; they stay open."""
    GARBAGE = enum.auto()
    """Bytes without a meaning come in place of the backend's."""


class ToxicProxy:
    """Passes bytes on to a backend, or not.

    Args:
        backend: its target.
    """

    def __init__(self, backend: str) -> None:
        self.target = ""
        self.toxic = Toxic.NONE
        self.latency = 0.0
        """Seconds that bytes are late, each way."""
        self.accepted: list[float] = []
        """When each connection came, on the clock of `time.monotonic`."""
        host, _, port = backend.rpartition(":")
        self._backend = host, int(port)
        self._pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()

    def kill(self) -> None:
        """Reset all connections, now."""
        for pair in self._pairs:
            for writer in pair:
                _reset(writer)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.accepted.append(time.monotonic())
        if self.toxic is Toxic.RESET:
            _reset(writer)
            return
        if self.toxic is Toxic.CUT:
            return
        far_reader, far_writer = await asyncio.open_connection(*self._backend)
        pair = writer, far_writer
        self._pairs.add(pair)
        try:
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._pass(reader, far_writer, back=False))
                ways.create_task(self._pass(far_reader, writer, back=True))
        except* OSError:
            pass
        finally:
            self._pairs.discard(pair)
            far_writer.transport.abort()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, back: bool
    ) -> None:
        while data := await reader.read(65_536):
            if self.latency:
                await asyncio.sleep(self.latency)
            if self.toxic is Toxic.BLACKHOLE:
                continue
            if self.toxic is Toxic.HALF:
                break
            if self.toxic is Toxic.GARBAGE and back:
                data = b"\xffGARBAGE" * 20
            writer.write(data)
            await writer.drain()
        writer.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    peer = writer.get_extra_info("socket")
    if peer is not None and peer.fileno() >= 0:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


@asynccontextmanager
async def toxic(backend: str) -> AsyncIterator[ToxicProxy]:
    """Run a proxy before a backend."""
    proxy = ToxicProxy(backend)
    async with serving(proxy.serve) as target:
        proxy.target = target
        yield proxy
