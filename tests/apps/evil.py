"""Backends that break the rules of gRPC, frame by frame, on real sockets.

Each answers calls as a script says; the connection's own frames (SETTINGS, PING, WINDOW_UPDATE) are
those of any server.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded, StreamReset
from h2.exceptions import ProtocolError
from hpack import Encoder

from listening import serving

Headers = Sequence[tuple[bytes, bytes]]

OPENING: Headers = ((b":status", b"200"), (b"content-type", b"application/grpc"))


class Answer:
    """What a script does with one call.

    Args:
        connection: the connection's protocol.
        stream: the call's number on it.
        writer: the connection's socket.
        request: the bytes of the first request message.
    """

    def __init__(
        self,
        connection: H2Connection,
        stream: int,
        writer: asyncio.StreamWriter,
        request: bytes,
    ) -> None:
        self.connection = connection
        self.stream = stream
        self.writer = writer
        self.request = request

    def headers(self, *more: tuple[bytes, bytes], opening: Headers = OPENING) -> None:
        """Send the answer's headers."""
        self.connection.send_headers(self.stream, [*opening, *more])
        self.flush()

    def message(self, data: bytes) -> None:
        """Send one message, in gRPC's frame of a flag and a length."""
        self.data(struct.pack(">BI", 0, len(data)) + data)

    def data(self, data: bytes) -> None:
        """Send bytes of the answer's body."""
        for start in range(0, len(data), 16_384):
            self.connection.send_data(self.stream, data[start : start + 16_384])
        self.flush()

    def trailers(self, *headers: tuple[bytes, bytes]) -> None:
        """End the call."""
        self.connection.send_headers(self.stream, list(headers), end_stream=True)
        self.flush()

    def body(self, status: bytes, body: bytes) -> None:
        """Answer as a web server would."""
        self.headers(opening=((b":status", status), (b"content-type", b"text/html")))
        self.connection.send_data(self.stream, body, end_stream=True)
        self.flush()

    def reset(self, code: int) -> None:
        """Reset the call's stream with an error code of RFC 9113, section 7."""
        self.connection.reset_stream(self.stream, code)
        self.flush()

    def flush(self) -> None:
        """Send what is to be sent."""
        self.writer.write(self.connection.data_to_send())

    def abort(self) -> None:
        """Drop the connection."""
        self.writer.transport.abort()


class Plain(Encoder):
    """Leaves text as it is: Huffman's code of a megabyte takes minutes in Python."""

    def encode(self, headers: Any, huffman: bool = False) -> bytes:  # noqa: FBT001, FBT002  its base's
        return super().encode(headers, huffman=False)


Script = Callable[[Answer], "Awaitable[None] | None"]


class Backend:
    """One evil backend: where it listens, and what it saw of its clients."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.target = ""
        self.calls: list[dict[str, str]] = []
        self._requests: dict[tuple[int, int], bytes] = {}
        self.resets = 0
        self.connections = 0
        self.cancelled = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.connections += 1
        settings = H2Configuration(
            client_side=False,
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
            header_encoding=None,
        )
        connection = H2Connection(settings)
        connection.encoder = Plain()
        connection.initiate_connection()
        writer.write(connection.data_to_send())
        running: set[asyncio.Future[None]] = set()
        try:
            while data := await reader.read(65_536):
                await self._take(connection, data, writer, running)
                writer.write(connection.data_to_send())
        except (ConnectionError, ProtocolError):
            pass
        finally:
            for task in running:
                task.cancel()
            self._requests = {
                key: r for key, r in self._requests.items() if key[0] != id(connection)
            }
            writer.transport.abort()

    async def _take(
        self,
        connection: H2Connection,
        data: bytes,
        writer: asyncio.StreamWriter,
        running: set[asyncio.Future[None]],
    ) -> None:
        for event in connection.receive_data(data):
            if isinstance(event, RequestReceived):
                pairs = event.headers
                self.calls.append({name.decode(): value.decode() for name, value in pairs})
                assert event.stream_id is not None
                self._requests[id(connection), event.stream_id] = b""
            elif isinstance(event, DataReceived):
                self._requests[id(connection), event.stream_id] += event.data
                connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, StreamEnded):
                request = self._requests.pop((id(connection), event.stream_id))[5:]
                told = self.script(Answer(connection, event.stream_id, writer, request))
                if told is not None:
                    running.add(asyncio.ensure_future(_quietly(told)))
            elif isinstance(event, StreamReset):
                self.resets += 1
                self.cancelled.set()


async def _quietly(told: Awaitable[None]) -> None:
    with contextlib.suppress(ConnectionError, ProtocolError):
        await told


@asynccontextmanager
async def evil(script: Script) -> AsyncIterator[Backend]:
    """Run a backend that answers every call as `script` does."""
    backend = Backend(script)
    async with serving(backend.serve) as target:
        backend.target = target
        yield backend
