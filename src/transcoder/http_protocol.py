"""One HTTP connection: uvicorn's, but what is no request is refused in our own words.

The parser is llhttp, through httptools. What it lets pass and RFC 9112, sections 2.3 and 3 do not,
is refused here: other versions than 1.1 and 1.0, a fragment, a target that is neither a path nor a
URL of the same host, a head that is too large or without one Host. TRACE and CONNECT never reach an
application, whatever its routes say. What comes behind the body in chunks (trailers) reaches none
either.

A refusal ends the connection. It ends in two steps, for a client that is still sending when the
socket is closed would lose the answer: the answer and our FIN first, and what arrives for a moment
after that is dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import socket
import struct
import sys
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from transcoder.asgi import CONNECTION, NO_SNIFFING
from transcoder.calls import IDENTITY
from transcoder.errors import InvalidRequest, StatusError
from transcoder.head import HEADER_LIMIT, check_head, too_large
from transcoder.metadata import RawHeaders, request_id
from transcoder.peer_certificate import identity_behind
from transcoder.response import error_payload
from transcoder.status import Code
from transcoder.upstream import NOBODY

_log = logging.getLogger(__name__)

TARGET_LIMIT: Final = 65_535
"""Bytes of a request target; httptools reads no longer one."""

UNREAD_LIMIT: Final = TARGET_LIMIT + 2 * HEADER_LIMIT
"""Bytes on the wire that complete neither a head nor a piece of a body."""

DROP: Final = 1.0
"""Seconds for which a refused client may go on sending."""

_STATUS: Final = b"HTTP/1."

_RESET: Final = struct.pack("ii", 1, 0)

_ABSOLUTE = re.compile(rb"https?://([^/?]*)(.*)", re.IGNORECASE)


class State(ServerState):
    """What the connections of a listener share."""

    draining = False


class _Answering:
    """The transport, as an answer has it: closing it ends the connection in two steps.

    The head of an answer waits for what is written next, or for the loop to come round: head and
    body in one write cost one system call and one packet.
    """

    __slots__ = ("_close", "_head", "_loop", "is_closing", "write_all")

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        close: Callable[[], None],
    ) -> None:
        self.is_closing = transport.is_closing
        self.write_all = transport.write
        self._loop = loop
        self._close = close
        self._head: bytes | None = None

    def write(self, data: bytes) -> None:
        head = self._head
        if head is not None:
            self._head = None
            self.write_all(head + data)
        elif data.startswith(_STATUS):
            self._head = data
            self._loop.call_soon(self.flush)
        else:
            self.write_all(data)

    def flush(self) -> None:
        head, self._head = self._head, None
        if head is not None and not self.is_closing():
            self.write_all(head)

    def close(self) -> None:
        self.flush()
        self._close()


class _Hold:
    """What the application may do with the connection of one request that ASGI has no word for."""

    __slots__ = ("_cycle", "_protocol", "_until_close")

    def __init__(self, protocol: Protocol, cycle: Any) -> None:
        self._protocol = protocol
        # Weak, for the cycle holds the scope that holds this: a ring would wait for the collector.
        self._cycle: Callable[[], Any] = weakref.ref(cycle)
        self._until_close = False

    def cut(self, *, at_once: bool = False) -> None:
        """End the connection so that the client sees that the answer is not whole.

        Args:
            at_once: drop what is not sent yet, for a client that does not read.
        """
        transport, cycle = self._protocol.transport, self._cycle()
        if cycle is None:
            return
        cycle.transport.flush()
        cycle.disconnected = True
        cycle.keep_alive = False
        if self._until_close:
            # Without chunks an answer ends with its connection: only a reset tells them apart, and
            # within TLS that no close_notify comes before it.
            transport = getattr(transport, "beneath", transport)
            raw: Any = transport.get_extra_info("socket")
            with contextlib.suppress(OSError):
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        if at_once:
            transport.abort()
        else:
            transport.close()

    def answer(self, send: Any, lines: Sequence[bytes], body: bytes) -> bool:
        """Send an answer with status 200 at once; False, and nothing sent, where that cannot be.

        It can where `send` is the server's own, with nobody between, and the client reads. What
        the server does at the end of an answer is done here too.

        Args:
            send: the ASGI channel of the request.
            lines: of the head, each with its end.
            body: all of it.
        """
        cycle = self._cycle()
        if cycle is None or getattr(send, "__self__", None) != cycle:
            return False
        if cycle.response_started or cycle.flow.write_paused or cycle.access_log:
            return False
        if cycle.disconnected:
            return True
        head = b"".join(lines)
        if head.count(b"\n") != len(lines) or head.count(b"\r") != len(lines) or b"\0" in head:
            return False
        default = [b"%b: %b\r\n" % header for header in cycle.default_headers]
        last = b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n"
        cycle.waiting_for_100_continue = False
        cycle.response_started = cycle.response_complete = True
        cycle.transport.write_all(b"".join([STATUS_LINE[200], *default, head, last, body]))
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()
        return True

    def begin_stream(self) -> None:
        """Prepare for an answer without a length: HTTP/1.0 has no chunks (RFC 9112, 6.1)."""
        cycle = self._cycle()
        if cycle is not None and cycle.scope["http_version"] == "1.0":
            self._until_close = True
            cycle.keep_alive = False
            cycle.chunked_encoding = False
            cycle.expected_content_length = sys.maxsize

    def end_stream(self) -> None:
        """Prepare for the last, empty piece of such an answer."""
        cycle = self._cycle()
        if self._until_close and cycle is not None:
            cycle.expected_content_length = 0


class Protocol(HttpToolsProtocol):
    """One connection. While the server drains, an answer is the connection's last."""

    server_state: State
    _refused = False
    _advanced = False
    _unread = 0
    _answering: Any
    _identity: Mapping[str, Sequence[bytes]] = NOBODY

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin a connection."""
        super().connection_made(transport)
        self._identity = identity_behind(transport)
        self._answering = _Answering(transport, self.loop, self._close)

    def is_busy(self) -> bool:
        """Say whether a request is waiting for its answer."""
        # The annotation of `cycle` leaves out the time before the first request.
        cycle: Any = self.cycle
        return cycle is not None and not cycle.response_complete

    def data_received(self, data: bytes) -> None:
        """Feed the parser."""
        if self._refused:
            return
        self._unset_keepalive_if_required()
        self._advanced = False
        self._unread += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            if self._should_upgrade():
                self.handle_websocket_upgrade()
            else:
                # The parser reads nothing behind a request to upgrade.
                self.cycle.keep_alive = False
        except httptools.HttpParserError as error:
            self._refuse(_refusal(error))
        else:
            if self._advanced:
                # Some of it may belong to the next head, and a longer one is measured anyway.
                self._unread = min(len(data), HEADER_LIMIT)
            elif self._unread > UNREAD_LIMIT:
                self._refuse_unread()

    def eof_received(self) -> None:
        """Let the request know that its client has gone, however long TLS takes to close."""
        if self.is_busy():
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            self.flow.resume_writing()

    def on_url(self, url: bytes) -> None:
        """Take a part of the request target."""
        super().on_url(url)
        if len(self.url) > TARGET_LIMIT:
            problem = f"the request target is over the limit of {TARGET_LIMIT} bytes"
            raise StatusError(Code.INVALID_ARGUMENT, problem, http=414)

    def on_headers_complete(self) -> None:
        """Begin a request, as the parser has its headers."""
        method = self.parser.get_method()
        if method in {b"TRACE", b"CONNECT"}:
            problem = f"{method.decode()} is not supported"
            raise StatusError(Code.UNIMPLEMENTED, problem, http=501)
        version = self.parser.get_http_version()
        if version not in {"1.1", "1.0"}:
            raise InvalidRequest("the HTTP version is not 1.1 or 1.0")
        self._advanced = True
        check_head(self.headers, version, is_long=self._unread > HEADER_LIMIT)
        # A copy: the parser adds trailers to its own list.
        self.scope["headers"] = [*self.headers]
        if self.url[:1] != b"/" or b"#" in self.url:
            self.url = _origin_form(self.url, self.headers)
        if self.parser.should_upgrade() and self._is_handshake():
            self._check_handshake()
        if self._identity:
            secured: Any = self.scope
            secured[IDENTITY] = self._identity
        earlier = self.cycle
        super().on_headers_complete()
        if self.cycle is not earlier:
            self.cycle.transport = self._answering
            scope: Any = self.scope
            scope["extensions"] = {CONNECTION: _Hold(self, self.cycle)}
        if getattr(self.server_state, "draining", False) and self.cycle is not earlier:
            if self.pipeline and not earlier.response_started:
                # The last of pipelined requests closes, or those after the first would be lost.
                earlier.keep_alive = True
            self.cycle.keep_alive = False

    def _should_upgrade(self) -> bool:
        return super()._should_upgrade() and self._is_handshake()

    def _is_handshake(self) -> bool:
        """Say whether the request begins a WebSocket (RFC 6455, section 4.1); others are as any."""
        if self._get_upgrade() != b"websocket" or self.parser.get_method() != b"GET":
            return False
        names = {name for name, _ in self.headers}
        return (
            self.parser.get_http_version() == "1.1"
            and b"sec-websocket-key" in names
            and not names & {b"content-length", b"transfer-encoding"}
        )

    def _check_handshake(self) -> None:
        if self.ws_protocol_class is None:
            raise StatusError(Code.UNIMPLEMENTED, "this server takes no WebSockets", http=501)
        if self.is_busy():
            raise InvalidRequest("a WebSocket begins when no answer is to come on its connection")

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._advanced = True
        super().on_body(body)

    def _refuse_unread(self) -> None:
        """Refuse what goes on and on without the parser getting on with it."""
        within = self.is_busy() and self.cycle.more_body
        what = "what stands between the pieces of the body is" if within else "the headers are"
        self._refuse(too_large(f"{what} over the limit of {HEADER_LIMIT} bytes"))

    def _refuse(self, error: StatusError) -> None:
        self._refused = True
        name = request_id(())
        _log.info("%d: %s, request id %s", error.http, error.status.message, name)
        if not self.is_busy():
            self._answer(error, name)
        elif not self.cycle.more_body:
            # Answers have an order: those before this one are still to come, this one is left out.
            self.cycle.keep_alive = False
        elif self.cycle.response_started or self.pipeline:
            self.transport.close()
        else:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            self._answer(error, name)

    def _answer(self, error: StatusError, name: str) -> None:
        payload = error_payload(error)
        head = [
            STATUS_LINE[payload.status],
            b"content-type: %b\r\n" % payload.content_type,
            b"content-length: %d\r\n" % len(payload.body),
            b"%b: %b\r\n" % NO_SNIFFING,
            b"x-request-id: %b\r\n" % name.encode(),
            b"connection: close\r\n\r\n",
        ]
        self.transport.write(b"".join([*head, payload.body]))
        self._drop_the_rest()

    def _close(self) -> None:
        if self.cycle.more_body:
            # An answer to a body that was not read to its end.
            self._refused = True
            self.flow.resume_reading()
            self._drop_the_rest()
        else:
            self.transport.close()

    def _drop_the_rest(self) -> None:
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(DROP, self.transport.close)


def _refusal(error: httptools.HttpParserError) -> StatusError:
    """Return what the client is told of a parser's error."""
    cause = error.__context__
    if isinstance(cause, StatusError):
        return cause
    if isinstance(error, httptools.HttpParserInvalidMethodError):
        return StatusError(Code.UNIMPLEMENTED, "no such HTTP method", http=501)
    return InvalidRequest(f"not a valid HTTP request: {error}")


def _origin_form(target: bytes, headers: RawHeaders) -> bytes:
    """Return the path and the query of a request target."""
    if b"#" in target:
        raise InvalidRequest("the request target holds a fragment")
    if target == b"*":
        return target
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        raise InvalidRequest("the request target is neither a path nor a URL")
    authority, rest = absolute.groups()
    if [value.lower() for name, value in headers if name == b"host"] != [authority.lower()]:
        raise InvalidRequest("the request target names another host than the Host header")
    return rest if rest.startswith(b"/") else b"/" + rest
