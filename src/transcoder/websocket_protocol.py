"""One WebSocket: uvicorn's, bounded where it is not, and without a word of what its client sends.

Needs the extra `websocket`. What uvicorn leaves open, and is held here:

- A read of the socket may hold thousands of small messages. They are parsed a few at a time, and no
  further ones while the application has not taken those.
- Who pings and does not read is sent no more pongs than fit (RFC 6455, section 5.5.3).
- A pong may wait behind messages that nobody takes: then its client is not dead.
- A message may come in fragments that hold nothing, without end.
- A client that does not read does not see a close either: the connection ends without it.
- The log would show query strings, which may hold a token, and at DEBUG the headers.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import CloseCode, Frame
from websockets.http11 import Request

from transcoder.asgi import CONNECTION
from transcoder.calls import IDENTITY
from transcoder.errors import InvalidRequest
from transcoder.matching import SERVER_NAME
from transcoder.metadata import request_id
from transcoder.peer_certificate import identity_behind, name_asked
from transcoder.response import error_payload

_log = logging.getLogger(__name__)

_log_of_uvicorn = logging.getLogger(f"{__name__}.uvicorn")
# At INFO it shows query strings; from WARNING on, the application's defects.
_log_of_uvicorn.addFilter(lambda record: record.levelno >= logging.WARNING)

PIECE: Final = 4096
"""Bytes that are parsed at once."""

FRAGMENTS: Final = 1024
"""Fragments of one message."""


class _Hold:
    """What the application may do with the connection that ASGI has no word for."""

    __slots__ = ("_transport",)

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def begin_stream(self) -> None:
        """Do nothing: a WebSocket is a stream."""

    def end_stream(self) -> None:
        """Do nothing: its end is a frame."""

    def cut(self, *, at_once: bool = False) -> None:
        """End the connection without a closing handshake.

        Args:
            at_once: drop what is not sent yet.
        """
        if at_once:
            self._transport.abort()
        else:
            self._transport.close()


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """One WebSocket, from its handshake on."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.logger = self.conn.logger = _log_of_uvicorn
        self.conn.debug = False
        self._held = b""
        self._bounds: Any = getattr(server_state, "bounds", None)

    def connection_lost(self, exc: Exception | None) -> None:
        """End a connection."""
        if self._bounds is not None:
            self._bounds.forget(self.transport)
        super().connection_lost(exc)

    def handle_connect(self, event: Request) -> None:
        """Begin with a handshake."""
        super().handle_connect(event)
        if self.response.status_code == 101:
            scope: Any = self.scope
            scope["extensions"][CONNECTION] = _Hold(self.transport)
            identity = identity_behind(self.transport)
            if identity:
                scope[IDENTITY] = identity
            named = name_asked(self.transport)
            if named is not None:
                scope[SERVER_NAME] = named

    def data_received(self, data: bytes) -> None:
        """Take what the socket holds."""
        if self.handshake_initiated:
            self._held += data
            self._parse()
            return
        super().data_received(data)
        if not self.handshake_initiated:
            self._refuse()

    async def receive(self) -> Any:
        """Return the next event; what follows it is parsed once that is taken."""
        event = await super().receive()
        self._parse()
        return event

    async def send(self, message: Any) -> None:
        """Send; a close ends the connection, whether or not the client takes it."""
        await super().send(message)
        if message["type"] == "websocket.close" and self.close_timer is not None:
            self.close_timer.cancel()
            self.close_timer = self.loop.call_later(self.close_timeout, self.transport.abort)
        elif message["type"] == "websocket.http.response.body" and self.close_sent:
            # An answer completes a handshake too, or it would be logged as missing.
            self.handshake_complete = True

    def send_receive_event_to_app(self) -> None:
        """Hand a message over."""
        if self.curr_msg_data_type == "text" and not _is_utf8(b"".join(self.frames)):
            self._fail(CloseCode.INVALID_DATA, "text that is not UTF-8")
        else:
            super().send_receive_event_to_app()

    def handle_cont(self, event: Frame) -> None:
        """Take a fragment of a message."""
        if len(self.frames) < FRAGMENTS:
            super().handle_cont(event)
        else:
            self._fail(CloseCode.MESSAGE_TOO_BIG, f"over {FRAGMENTS} fragments")

    def handle_ping(self) -> None:
        """Answer a ping, unless the client does not read."""
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()

    def keepalive_timeout(self) -> None:
        """End the connection for a pong that did not come, if all that came was read."""
        if self.read_paused or self._held:
            self.pong_timer = None
            self.schedule_ping()
        else:
            super().keepalive_timeout()

    def _parse(self) -> None:
        while self._held and not self.read_paused and not self.transport.is_closing():
            piece, self._held = self._held[:PIECE], self._held[PIECE:]
            super().data_received(piece)

    def _fail(self, code: CloseCode, reason: str) -> None:
        self.frames = []
        self.conn.fail(code, reason)
        self.handle_parser_exception()

    def _refuse(self) -> None:
        """Refuse what the parser of handshakes does not take, and the one of HTTP did."""
        payload = error_payload(InvalidRequest("the handshake of a WebSocket is malformed"))
        name = request_id(())
        _log.info("%d: a malformed handshake, request id %s", payload.status, name)
        head = [
            b"HTTP/1.1 400 Bad Request\r\ncontent-type: %b\r\n" % payload.content_type,
            b"content-length: %d\r\n" % len(payload.body),
            b"x-request-id: %b\r\nconnection: close\r\n\r\n" % name.encode(),
        ]
        self.close_sent = True
        self.transport.write(b"".join([*head, payload.body]))
        self.transport.close()


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
