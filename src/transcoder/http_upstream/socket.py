"""A WebSocket between a client and a backend, both ways.

Each message is sent before the next is taken, so who does not read stops the other side. What one
side says at the end, the other hears: a close with its code and reason, or a connection that is
cut. Pings are each side's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from starlette.types import Receive, Scope, Send

from transcoder.asgi import connection, with_told
from transcoder.body import Disconnected
from transcoder.errors import StatusError
from transcoder.forwarding import Terms
from transcoder.http_upstream.answer import headers_of
from transcoder.http_upstream.client import Client, Headers
from transcoder.refusal import refuse
from transcoder.response import Payload
from transcoder.socket_answer import REASON_LIMIT, RESTART, STATUS, WELL
from transcoder.status import Code, shortened
from transcoder.upstream import Call
from transcoder.upstream.failures import UNAVAILABLE, UNREADABLE, Unreached
from transcoder.upstream.member import Standing
from transcoder.upstream.passing import PASSED

try:
    from websockets.asyncio.client import ClientConnection
    from websockets.client import ClientProtocol
    from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
    from websockets.http11 import Request
    from websockets.typing import Subprotocol
    from websockets.uri import WebSocketURI
except ImportError as missing:
    raise ImportError(f"{missing.name} is missing: install transcoder[http]") from missing

PATIENCE: Final = 10.0
"""Seconds that a side has to take a close."""

FAILED: Final = 1011
LATE: Final = STATUS + Code.DEADLINE_EXCEEDED
_UNTOLD: Final = 1005
_CUT: Final = 1006


class Handshake(NamedTuple):
    """What the backend is asked.

    Args:
        client: how it is reached.
        host: the value of the Host header.
        target: path and query.
        offered: subprotocols.
        headers: of the request; those of the client's own handshake are left out.
    """

    client: Client
    host: str
    target: str
    offered: Sequence[str]
    headers: Headers

    async def connect(self, limit: int) -> ClientConnection:
        """Return the connection, of which the handshake is still to come.

        Args:
            limit: bytes of a message.

        Raises:
            Unreached: there is none.
            TimeoutError: it is not there in time.
        """
        address = self.client.address
        path, _, query = self.target.partition("?")
        uri = WebSocketURI(address.secure, address.host, address.port, path, query)
        offered = [Subprotocol(name) for name in self.offered]

        def protocol() -> ClientConnection:
            made = _Protocol(uri, subprotocols=offered or None, max_size=limit)
            made.host = self.host
            # A message may be as large as what is held for who does not read.
            return ClientConnection(made, close_timeout=PATIENCE, max_queue=1)

        try:
            return await self.client.open(protocol)
        except OSError as error:
            if isinstance(error, TimeoutError):
                raise
            self.client.standing = Standing.LOST
            raise _because(Unreached(), error) from None

    def told(self) -> list[tuple[str, str]]:
        """Return the headers beside those of the handshake itself."""
        return [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in self.headers
            if not name.startswith(b"sec-websocket-")
        ]


class _Protocol(ClientProtocol):
    host = ""

    def connect(self) -> Request:
        """Return the request of the handshake."""
        request = super().connect()
        del request.headers["Host"]
        request.headers["Host"] = self.host
        return request


class Bridge:
    """One WebSocket.

    Args:
        scope: of the client's handshake.
        receive: the ASGI channel.
        send: the ASGI channel.
        terms: of the gateway.
        call: says until when there is time.
    """

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, terms: Terms, call: Call
    ) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._terms = terms
        self._call = call
        self._backend: ClientConnection | None = None
        self._running: asyncio.Task[None] | None = None
        self._ended = False

    async def open(self, handshake: Handshake) -> Payload | None:
        """Complete the handshakes; return the backend's answer where it refuses.

        Raises:
            Unreached: the backend cannot be reached.
            StatusError: it does not answer, or what it says cannot be read.
        """
        client = handshake.client
        left, most = self._call.time_remaining(), client.timeouts(None)["connect"]
        try:
            async with asyncio.timeout(most if left is None else min(left, most or left)):
                backend = await handshake.connect(self._terms.streams.message)
                self._backend = backend
                await backend.handshake(handshake.told(), None)
        except TimeoutError:
            raise StatusError(Code.DEADLINE_EXCEEDED, PASSED) from None
        except InvalidStatus as error:
            return self._refusal(error)
        except InvalidHandshake as error:
            raise _because(StatusError(Code.INTERNAL, UNREADABLE, http=502), error) from None
        except (OSError, EOFError, ssl.SSLError) as error:
            raise _because(StatusError(Code.UNAVAILABLE, UNAVAILABLE), error) from None
        await self._accept(backend)
        return None

    async def run(self) -> None:
        """Pass messages on until one side ends.

        Raises:
            Disconnected: the client went away without a close.
        """
        up = asyncio.ensure_future(self._up())
        down = asyncio.ensure_future(self._down())
        try:
            async with asyncio.timeout(self._call.time_remaining()):
                done, _ = await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            await self._close_both(LATE, f"DEADLINE_EXCEEDED: {PASSED}")
            return
        finally:
            for way in (up, down):
                way.cancel()
            await asyncio.gather(up, down, return_exceptions=True)
        for way in done:
            error = way.exception()
            if isinstance(error, Disconnected):
                raise error
            if error is not None:
                # A defect, told of after the handshake.
                refuse(error, self._scope)
                await self._cut()

    def end(self, why: StatusError | Disconnected) -> None:
        """End it, for the server stops."""
        if self._running is None:
            closing = self._close_both(RESTART, str(why))
            self._running = asyncio.ensure_future(closing)

    def close(self) -> None:
        """Let go of the backend."""
        if self._backend is not None:
            self._backend.transport.abort()

    async def _accept(self, backend: ClientConnection) -> None:
        response = backend.response
        raw = [] if response is None else list(response.headers.raw_items())
        told = headers_of(_encoded(raw), self._terms.calls.is_owned)
        headers = [pair for pair in told if not pair[0].startswith(b"sec-websocket-")]
        details = self._call.details
        if details is not None:
            headers = with_told(headers, details.answer_headers)
            details.http_status, details.code = 101, Code.OK
        event = {"type": "websocket.accept", "subprotocol": backend.subprotocol}
        await self._told({**event, "headers": headers})

    def _refusal(self, error: InvalidStatus) -> Payload:
        response = error.response
        if not 300 <= response.status_code < 600:
            raise _because(StatusError(Code.INTERNAL, UNREADABLE, http=502), error) from None
        told = headers_of(_encoded(response.headers.raw_items()), self._terms.calls.is_owned)
        kinds = [value for name, value in told if name == b"content-type"]
        headers = [pair for pair in told if pair[0] not in {b"content-type", b"content-length"}]
        details = self._call.details
        if details is not None:
            details.http_status = response.status_code
        body = bytes(response.body or b"")
        return Payload(response.status_code, kinds[0] if kinds else b"", body, headers)

    async def _up(self) -> None:
        """Pass on what the client sends, until it ends."""
        backend, details = self._backend, self._call.details
        if backend is None:
            return
        while True:
            event = await self._receive()
            if event["type"] == "websocket.disconnect":
                self._ended = True
                code, reason = event.get("code", _UNTOLD), event.get("reason")
                # uvicorn tells of a lost connection as of a close without a code, but for this.
                await self._hang_up(_CUT if code == _UNTOLD and reason is None else code, reason)
                return
            data = event.get("bytes")
            message = event["text"] if data is None else data
            if details is not None:
                details.received_messages += 1
                details.received += len(message)
            try:
                await backend.send(message)
            except ConnectionClosed:
                # The other way tells the client.
                await asyncio.Event().wait()

    async def _hang_up(self, code: int, reason: str | None) -> None:
        backend = self._backend
        if backend is None:
            return
        if code == _CUT:
            backend.transport.abort()
            raise Disconnected
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await backend.close(WELL if code == _UNTOLD else code, reason or "")

    async def _down(self) -> None:
        """Pass on what the backend sends, until it ends."""
        backend, details = self._backend, self._call.details
        if backend is None:
            return
        while True:
            try:
                message = await backend.recv()
            except ConnectionClosed as closed:
                end = closed.rcvd or closed.sent
                if self._ended:
                    return
                if end is None or end.code == _CUT:
                    await self._cut()
                else:
                    code = WELL if end.code == _UNTOLD else end.code
                    await self._close(code, end.reason)
                return
            if details is not None:
                details.sent_messages += 1
                details.sent += len(message)
            key = "text" if isinstance(message, str) else "bytes"
            await self._told({"type": "websocket.send", key: message})

    async def _cut(self) -> None:
        hold = connection(self._scope)
        details = self._call.details
        if details is not None:
            details.code, details.reason = Code.UNAVAILABLE, "cut"
        if hold is None:
            # This server cannot; but what a client hears must not be a good end.
            await self._close(FAILED, "")
        else:
            hold.cut()

    async def _close(self, code: int, reason: str) -> None:
        event = {"type": "websocket.close", "code": code, "reason": reason}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self._told(event)

    async def _close_both(self, code: int, reason: str) -> None:
        told = shortened(reason, REASON_LIMIT)
        backend = self._backend
        with contextlib.suppress(Disconnected):
            await self._close(code, told)
        if backend is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    await backend.close(code, told)

    async def _told(self, event: dict[str, Any]) -> None:
        try:
            await self._send(event)
        except OSError:
            # As ASGI has it since version 2.4 of its HTTP part.
            raise Disconnected from None


def _encoded(headers: Any) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def _because(error: StatusError, cause: Exception) -> StatusError:
    error.log = f"{type(cause).__name__}: {str(cause)[:300]}"
    return error
