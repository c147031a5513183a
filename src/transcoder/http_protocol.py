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
import contextvars
import logging
import random
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from transcoder.asgi import CONNECTION, NO_SNIFFING
from transcoder.calls import IDENTITY
from transcoder.connection_limits import (
    DEFAULT_CONNECTION_LIMITS,
    ConnectionLimits,
    Connections,
)
from transcoder.cycle import Answering, Cycle
from transcoder.errors import InvalidRequest, StatusError
from transcoder.head import HEADER_LIMIT, check_head, too_large
from transcoder.matching import SERVER_NAME
from transcoder.metadata import request_id
from transcoder.peer_certificate import identity_behind, name_asked
from transcoder.request_target import origin_form
from transcoder.response import error_payload
from transcoder.status import Code
from transcoder.upstream import NOBODY

_log = logging.getLogger(__name__)

TARGET_LIMIT: Final = 65_535
"""Bytes of a request target; httptools reads no longer one."""

UNREAD_LIMIT: Final = TARGET_LIMIT + 2 * HEADER_LIMIT
"""Bytes on the wire that complete neither a head nor a piece of a body."""

TOO_MANY: Final = StatusError(
    Code.UNAVAILABLE, "too many connections", headers=[("retry-after", "1")]
)
SLOW_HEAD: Final = StatusError(
    Code.DEADLINE_EXCEEDED, "the head of the request does not come", http=408
)

DROP: Final = 1.0
"""Seconds for which a refused client may go on sending."""

_REFUSED = frozenset({b"TRACE", b"CONNECT"})
_TOLD = frozenset({b"retry-after"})
_VERSIONS = frozenset({"1.1", "1.0"})


class State(ServerState):
    """What the connections of a listener share.

    Args:
        limits: of the connections.
        age: seconds, give or take a tenth, after which an answer is a connection's last; None for
            never.
    """

    draining = False

    def __init__(
        self, limits: ConnectionLimits = DEFAULT_CONNECTION_LIMITS, age: float | None = None
    ) -> None:
        super().__init__()
        self.age = age
        self.bounds: Connections[asyncio.Transport] = Connections(limits)


class Protocol(HttpToolsProtocol):
    """One connection. While the server drains, or once it is old, an answer is its last."""

    server_state: State
    cycle: Cycle
    _refused = False
    _advanced = False
    _is_idle = False
    _answered = 0.0
    _waiting: Cycle | None = None
    _until: float | None = None
    _unread = 0
    _padded = False
    _answering: Answering
    _bounds: Connections[asyncio.Transport]
    _identity: Mapping[str, Sequence[bytes]] = NOBODY
    _named: str | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin a connection."""
        super().connection_made(transport)
        self._identity = identity_behind(transport)
        self._named = name_asked(transport)
        self._answering = Answering(transport, self.loop, self._close)
        # Under uvicorn's own listener nobody counts connections.
        bounds = getattr(self.server_state, "bounds", None)
        self._bounds = Connections() if bounds is None else bounds
        age = getattr(self.server_state, "age", None)
        if age is not None:
            # As gRPC does: those that came together do not all come again together.
            self._until = self.loop.time() + age * random.uniform(0.9, 1.1)  # noqa: S311  no secret
        address = self.client[0] if self.client else ""
        if self._bounds.admit(transport, address, self.loop.time()):
            self._refuse(TOO_MANY)

    def connection_lost(self, exc: Exception | None) -> None:
        """End a connection."""
        self._bounds.forget(self.transport)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Send no more, for the client does not read."""
        self._bounds.stalled(self.transport, self.loop.time())
        super().pause_writing()

    def resume_writing(self) -> None:
        """Send on."""
        self._bounds.reads(self.transport)
        super().resume_writing()

    def refuse_slow(self) -> None:
        """Refuse a client whose request does not come to the end of its head."""
        if not self._refused:
            self._refuse(SLOW_HEAD)

    def is_busy(self) -> bool:
        """Say whether a request is waiting for its answer."""
        # The annotation of `cycle` leaves out the time before the first request.
        cycle: Any = self.cycle
        return cycle is not None and not cycle.response_complete

    def data_received(self, data: bytes) -> None:
        """Feed the parser."""
        if self._refused:
            return
        self._is_idle = self._advanced = False
        self._unread += len(data)
        if not self._padded:
            self._padded = b" \r" in data or b"\t\r" in data or data[:1] == b"\r"
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
            else:
                self._measure()
        if self._waiting is not None:
            cycle, self._waiting = self._waiting, None
            if not cycle.disconnected:
                self._start_asgi_task(cycle, self.app)

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        """Run the application; with no callback at its end, for the cycle itself takes note."""
        task = cycle.task = self.loop.create_task(
            cycle.run_asgi(app), context=contextvars.Context()
        )
        self.tasks.add(task)

    def _measure(self) -> None:
        """Look how much came that is neither a whole head nor a piece of a body."""
        if self._unread > UNREAD_LIMIT:
            self._refuse_unread()
        elif not self.is_busy():
            self._bounds.head_began(self.transport, self.loop.time())

    def eof_received(self) -> None:
        """Let the request know that its client has gone, however long TLS takes to close."""
        if self.is_busy():
            self.cycle.disconnected = True
            self.cycle.tell()
            self.flow.resume_writing()

    def on_url(self, url: bytes) -> None:
        """Take a part of the request target."""
        self.url += url
        if len(self.url) > TARGET_LIMIT:
            problem = f"the request target is over the limit of {TARGET_LIMIT} bytes"
            raise StatusError(Code.INVALID_ARGUMENT, problem, http=414)

    def on_message_begin(self) -> None:
        """Begin to read a request."""
        self.url = b""
        self.headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Begin a request, as the parser has its headers; it is started behind what came along."""
        parser = self.parser
        method, version = parser.get_method(), parser.get_http_version()
        self._check_line(method, version)
        self._advanced = True
        self._bounds.head_came(self.transport)
        if self._padded:
            # The parser leaves white space behind a value, which is no part of it (RFC 9110, 5.5).
            self.headers = [(name, value.rstrip(b" \t")) for name, value in self.headers]
        headers = self.headers
        self.expect_100_continue = check_head(headers, version, is_long=self._unread > HEADER_LIMIT)
        if self.url[:1] != b"/" or b"#" in self.url:
            hosts = [value for name, value in headers if name == b"host"]
            self.url = origin_form(self.url, hosts)
        scope = self.scope = self._scope(method.decode(), version)
        if parser.should_upgrade() and self._is_handshake():
            self._check_handshake()
            if self._should_upgrade():
                return
        keep_alive = version != "1.0" and parser.should_keep_alive()
        cycle = Cycle(self, self._answering, scope, keep_alive=keep_alive)
        scope["extensions"] = {CONNECTION: cycle}
        if self.is_busy():
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))
        else:
            self._waiting = cycle
        until = self._until
        is_old = until is not None and self.loop.time() >= until
        if is_old or getattr(self.server_state, "draining", False):
            if self.pipeline and not self.cycle.response_started:
                # The last of pipelined requests closes, or those after the first would be lost.
                self.cycle.keep_alive = True
            cycle.keep_alive = False
        self.cycle = cycle

    def _check_line(self, method: bytes, version: str) -> None:
        if method in _REFUSED:
            problem = f"{method.decode()} is not supported"
            raise StatusError(Code.UNIMPLEMENTED, problem, http=501)
        if version not in _VERSIONS:
            raise InvalidRequest("the HTTP version is not 1.1 or 1.0")

    def _scope(self, method: str, version: str) -> Any:
        path, _, query = self.url.partition(b"?")
        text = path.decode("ascii")
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": version,
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "method": method,
            "root_path": self.root_path,
            "path": self.root_path + (urllib.parse.unquote(text) if "%" in text else text),
            "raw_path": self.root_path.encode("ascii") + path if self.root_path else path,
            "query_string": query,
            # A copy: the parser adds trailers to its own list.
            "headers": self.headers[:],
            "state": self.app_state.copy(),
        }
        if self._identity:
            scope[IDENTITY] = self._identity
        if self._named is not None:
            scope[SERVER_NAME] = self._named
        return scope

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

    def on_message_complete(self) -> None:
        """Take the end of the body."""
        cycle: Any = self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.more_body = False
            cycle.tell()

    def on_response_complete(self) -> None:
        """Go on behind an answer."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
        else:
            self._is_idle = True
            self._answered = self.loop.time()
            if self.timeout_keep_alive_task is None:
                self._look_soon(self.timeout_keep_alive)

    def _look_soon(self, seconds: float) -> None:
        """Look after a while how long the connection is idle; a timer for each request is dear."""
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self._look)

    def _look(self) -> None:
        self.timeout_keep_alive_task = None
        if self._is_idle:
            left = self._answered + self.timeout_keep_alive - self.loop.time()
            if left > 0:
                self._look_soon(left)
            else:
                self.timeout_keep_alive_handler()

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
            *[b"%b: %b\r\n" % header for header in payload.headers if header[0] in _TOLD],
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
