"""An answer that is sent message by message, over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from google.protobuf.message import Message
from starlette.types import Scope, Send

from transcoder.answer import WITHOUT_BODY, with_metadata
from transcoder.asgi import NO_SNIFFING, TRAILERS, carries_trailers, connection, with_told
from transcoder.errors import StatusError
from transcoder.framing import Framing
from transcoder.metadata import HTTP_CODE
from transcoder.outbound import Outbound, split
from transcoder.response import JSON, OCTETS, Payload
from transcoder.status import Code
from transcoder.upstream import Call

PIECE = 65_536
"""Bytes that are handed to the server at once; it holds about as many for a client."""


class StreamedAnswer:
    """An answer that is sent message by message; begun with the first.

    Args:
        scope: of the request.
        send: the ASGI channel.
        framing: how messages are told apart.
        call: whose metadata become headers.
        outbound: how they do.
    """

    def __init__(
        self, scope: Scope, send: Send, framing: Framing, call: Call, outbound: Outbound
    ) -> None:
        self.begun = False
        """Whether the client has been told a status."""
        self.count = 0
        """How many messages were sent."""
        self.waiting_since: float | None = None
        """Since when the client has not read what there is; None while there is nothing."""
        self.last = 0.0
        """When something was sent."""
        self._send = send
        self._framing = framing
        self._call = call
        self._outbound = outbound
        self._connection = connection(scope)
        self._trailers = carries_trailers(scope, call.headers)
        self._loop = asyncio.get_running_loop()
        self._lock = asyncio.Lock()
        self._aside: asyncio.Task[None] | None = None

    @property
    def media_type(self) -> str:
        """What `message` takes: JSON, serialized messages, or nothing for raw bytes."""
        return self._framing.payload

    def open_soon(self) -> None:
        """Tell the client that the call is taken, before there is a message."""
        # The first piece of raw bytes has a header to say.
        if not self.begun and self._aside is None and self._framing.content_type:
            self._aside = self._loop.create_task(self._write_aside(b""))

    def beat(self) -> None:
        """Send something that means nothing, if the framing has such a thing."""
        frame = self._framing.heartbeat
        if frame is not None and (self._aside is None or self._aside.done()):
            self._aside = self._loop.create_task(self._write_aside(frame))

    async def message(self, reply: Message, printed: Payload) -> None:
        """Send one message."""
        if not self.begun and not self._framing.content_type:
            self._framing = self._framing.of(printed.content_type)
        await self._write(self._framing.message(printed.body, reply))
        self.count += 1

    async def end(self) -> None:
        """End the answer well."""
        await self._write(self._framing.end(), last=True)

    async def fail(self, told: Payload, seconds: float) -> None:
        """End the answer with an error; where the framing cannot tell one, cut it off.

        Args:
            told: what the client is told.
            seconds: that it has to take it.
        """
        frame = self._framing.error(told.body)
        if frame is None:
            self.cut()
            return
        try:
            async with asyncio.timeout(seconds):
                await self._write(frame, last=True)
        except TimeoutError:
            self.cut(at_once=True)

    def refused(self, told: Payload) -> Payload:
        """Return the answer to a call that failed before its first message."""
        if told.content_type != JSON:
            return told
        return told._replace(body=self._framing.refusal(told.body))

    def cut(self, *, at_once: bool = False) -> None:
        """End the connection, so that the client sees that the answer is not whole.

        Raises:
            ConnectionAbortedError: only an exception makes this server end the connection.
        """
        if self._connection is not None:
            self._connection.cut(at_once=at_once)
        elif self.begun:
            raise ConnectionAbortedError("the stream failed after its first message")

    def close(self) -> None:
        """Send nothing more."""
        if self._aside is not None:
            self._aside.cancel()

    async def _write_aside(self, data: bytes) -> None:
        # What keeps the answer from beginning will keep the first message from it too.
        with contextlib.suppress(StatusError):
            await self._write(data)

    async def _write(self, data: bytes, *, last: bool = False) -> None:
        async with self._lock:
            self.waiting_since = self._loop.time()
            if not self.begun:
                await self._start()
                data = self._framing.head() + data
            for start in range(0, len(data), PIECE):
                piece = data[start : start + PIECE]
                await self._send({"type": "http.response.body", "body": piece, "more_body": True})
            if self._call.details is not None:
                self._call.details.sent += len(data)
            if last:
                await self._finish()
            self.waiting_since = None
            self.last = self._loop.time()

    async def _start(self) -> None:
        content_type = self._framing.content_type.encode() or OCTETS
        head = Payload(200, content_type, b"", self._framing.headers)
        # Of the trailing metadata that are set by now, the status is all that comes first.
        status = [pair for pair in self._call.trailing_metadata if pair[0] == HTTP_CODE]
        head = with_metadata(head, self._call.initial_metadata, status, self._outbound)
        if head.status in WITHOUT_BODY:
            raise StatusError(Code.INTERNAL, "a stream cannot be told with this status", http=502)
        self.begun = True
        headers = [(b"content-type", content_type), NO_SNIFFING, *head.headers]
        if self._call.details is not None:
            self._call.details.http_status = head.status
            headers = with_told(headers, self._call.details.answer_headers)
        if self._connection is not None:
            self._connection.begin_stream()
        start: dict[str, Any] = {"status": head.status, "headers": headers}
        if self._trailers:
            start["trailers"] = True
        await self._send({"type": "http.response.start", **start})

    async def _finish(self) -> None:
        if self._connection is not None:
            self._connection.end_stream()
        await self._send({"type": "http.response.body", "body": b""})
        if self._trailers:
            _, behind = split(self._call.trailing_metadata)
            trailers = self._outbound.trailers(behind)
            await self._send({"type": TRAILERS, "headers": trailers, "more_trailers": False})
