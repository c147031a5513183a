"""The replies of a call over WebSocket, and how it ends: `websocket` tells the whole of it."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from google.protobuf.message import Message
from starlette.types import Scope, Send

from transcoder.asgi import connection
from transcoder.body import Disconnected
from transcoder.call_details import CALL, CallDetails
from transcoder.errors import SHUTTING_DOWN, StatusError
from transcoder.marshaler import JSON
from transcoder.marshaler import PROTOBUF as PROTOBUF_TYPES
from transcoder.refusal import POOL
from transcoder.response import Payload
from transcoder.status import shortened

REASON_LIMIT: Final = 123
"""Bytes of the reason in a close frame (RFC 6455, section 5.5)."""

WELL: Final = 1000
TOO_BIG: Final = 1009
RESTART: Final = 1012
POLICY: Final = 1008
STATUS: Final = 4000
"""To this the gRPC code is added; those from 4000 are for applications to use."""


class SocketAnswer:
    """The replies of a call, each a message of the WebSocket.

    Args:
        scope: of the handshake.
        send: the ASGI channel.
        binary: the client asked for serialized replies.

    Raises (whatever sends):
        Disconnected: the client has gone.
    """

    def __init__(self, scope: Scope, send: Send, *, binary: bool) -> None:
        self.count = 0
        self.waiting_since: float | None = None
        self.last = 0.0
        self._send = send
        self._binary = binary
        self._pool = scope.get(POOL)
        self._call: CallDetails | None = scope.get(CALL)
        self._told = [] if self._call is None else self._call.answer_headers
        self._connection = connection(scope)
        self._loop = asyncio.get_running_loop()

    @property
    def media_type(self) -> str:
        """What `message` takes."""
        return PROTOBUF_TYPES[0] if self._binary else JSON

    async def accept(self, selected: str | None) -> None:
        """Complete the handshake."""
        await self._write(
            {"type": "websocket.accept", "subprotocol": selected, "headers": self._told}
        )

    async def message(self, reply: Message, printed: Payload) -> None:
        """Send a reply."""
        if printed.content_type == JSON.encode():
            await self._write({"type": "websocket.send", "text": printed.body.decode()})
        else:
            await self._write({"type": "websocket.send", "bytes": printed.body})
        self.count += 1
        if self._call is not None:
            self._call.sent += len(printed.body)

    def beat(self) -> None:
        """Do nothing: the server sends pings."""

    async def close(self, code: int, reason: str, seconds: float, *events: Any) -> None:
        """End the connection well.

        Args:
            code: of the close frame.
            reason: cut to what it holds.
            seconds: that the client has to take it.
            events: sent before.
        """
        closing = {"type": "websocket.close", "code": code}
        closing["reason"] = shortened(reason, REASON_LIMIT)
        try:
            async with asyncio.timeout(seconds):
                for event in (*events, closing):
                    await self._write(event)
        except TimeoutError:
            self.cut(at_once=True)

    async def fail(self, error: StatusError, seconds: float) -> None:
        """End the connection with an error."""
        status = error.status.to_json(self._pool).decode()
        told = {"type": "websocket.send", "text": f'{{"error":{status}}}'}
        reason = f"{error.status.code.name}: {error.status.message}"
        await self.close(_close_code(error), reason, seconds, told)

    def cut(self, *, at_once: bool = False) -> None:
        """End the connection without a close frame, if the server has a way to."""
        if self._connection is not None:
            self._connection.cut(at_once=at_once)

    async def _write(self, event: Any) -> None:
        self.waiting_since = self._loop.time()
        try:
            await self._send(event)
        except OSError:
            # As ASGI has it since version 2.4 of its HTTP part.
            raise Disconnected from None
        self.waiting_since = None
        self.last = self._loop.time()


def _close_code(error: StatusError) -> int:
    if error.http == 413:
        return TOO_BIG
    if error.status.message == SHUTTING_DOWN:
        return RESTART
    return STATUS + error.status.code
