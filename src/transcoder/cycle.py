"""One request and its answer on a connection: uvicorn's cycle, and what ASGI has no word for.

The scope of a request holds its cycle, as the extension `CONNECTION`, and the cycle its scope; the
cycle lets go of the scope when the application has ended, so that no ring waits for the collector.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

_OK: Final = STATUS_LINE[200]
_STATUS: Final = b"HTTP/1."
_RESET: Final = struct.pack("ii", 1, 0)

Headers = Sequence[tuple[bytes, bytes]]


class Answering:
    """The transport, as an answer has it: closing it ends the connection in two steps.

    The head of an answer waits for what is written next, or for the loop to come round: head and
    body in one write cost one system call and one packet.

    Args:
        transport: of the connection.
        loop: of the connection.
        close: ends the connection behind an answer.
    """

    __slots__ = (
        "_close",
        "_default",
        "_default_lines",
        "_head",
        "_loop",
        "is_closing",
        "transport",
        "write_all",
    )

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        close: Callable[[], None],
    ) -> None:
        self.transport = transport
        self.is_closing = transport.is_closing
        self.write_all = transport.write
        self._loop = loop
        self._close = close
        self._head: bytes | None = None
        self._default: Headers = ()
        self._default_lines = b""

    def write(self, data: bytes) -> None:
        """Write, or keep a head for what is written next."""
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
        """Write what was kept."""
        head, self._head = self._head, None
        if head is not None and not self.is_closing():
            self.write_all(head)

    def close(self) -> None:
        """End the connection behind what is written."""
        self.flush()
        self._close()

    def lines(self, default: Headers) -> bytes:
        """Return the lines of the server's own headers, which change once a second."""
        if default is not self._default:
            self._default = default
            self._default_lines = b"".join([b"%b: %b\r\n" % header for header in default])
        return self._default_lines


class Cycle(RequestResponseCycle):
    """One request, with what the application may do with its connection.

    Args:
        protocol: of the connection.
        answering: its transport.
        scope: of the request.
        keep_alive: whether the connection stays open behind the answer.
    """

    # Most requests leave these as they are.
    disconnected = False
    response_started = False
    response_complete = False
    chunked_encoding: bool | None = None
    expected_content_length = 0
    more_body = True
    body: Any = b""
    task: asyncio.Task[None] | None = None
    """What runs the application; the server waits for it when it stops."""
    _event: asyncio.Event | None = None
    _until_close = False

    def __init__(
        self, protocol: Any, answering: Answering, scope: Any, *, keep_alive: bool
    ) -> None:
        # Not uvicorn's: it sets much that hardly any request needs.
        self.scope = scope
        self.keep_alive = keep_alive
        self.transport: Any = answering
        self.flow: FlowControl = protocol.flow
        self.logger = protocol.logger
        self.access_logger = protocol.access_logger
        self.access_log = protocol.access_log
        self.default_headers = protocol.server_state.default_headers
        self.waiting_for_100_continue = protocol.expect_100_continue
        self.on_response = protocol.on_response_complete
        self._tasks: set[asyncio.Task[None]] = protocol.tasks

    @property
    def message_event(self) -> asyncio.Event:  # type: ignore[override]  # uvicorn's is an attribute
        """What is set when there is something to receive; made for who waits for it."""
        event = self._event
        if event is None:
            event = self._event = asyncio.Event()
            if self.body or not self.more_body:
                event.set()
        return event

    def tell(self) -> None:
        """Wake who waits to receive."""
        if self._event is not None:
            self._event.set()

    async def run_asgi(self, app: Any) -> None:
        """Run the application; what it leaves undone is told in its place."""
        try:
            await app(self.scope, self.receive, self.send)
        except BaseException:  # noqa: BLE001  nobody above would tell of it
            await self._fail("Exception in ASGI application", exc_info=True)
        else:
            if not (self.response_complete or self.disconnected):
                await self._fail("the application returned before its answer was complete")
        finally:
            self.on_response = _nothing
            self.scope = _OVER
            if self.task is not None:
                self._tasks.discard(self.task)
                self.task = None

    async def _fail(self, problem: str, *, exc_info: bool = False) -> None:
        self.logger.error(problem, exc_info=exc_info)
        if self.response_started:
            self.transport.close()
        else:
            await self.send_500_response()

    def answer(self, send: Any, head: bytes, body: bytes) -> bool:
        """Send an answer with status 200 at once; False, and nothing sent, where that cannot be.

        It can where `send` is the server's own, with nobody between, and the client reads. What
        the server does at the end of an answer is done here too.

        Args:
            send: the ASGI channel of the request.
            head: the lines of its headers, each with its end.
            body: all of it.
        """
        if getattr(send, "__self__", None) is not self:
            return False
        if self.response_started or self.flow.write_paused or self.access_log:
            return False
        if self.disconnected:
            return True
        transport = self.transport
        last = b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n"
        default = transport.lines(self.default_headers)
        self.waiting_for_100_continue = False
        self.response_started = self.response_complete = True
        transport.write_all(b"".join((_OK, default, head, last, body)))
        if self._event is not None:
            self._event.set()
        if not self.keep_alive:
            transport.close()
        self.on_response()
        return True

    def begin_stream(self) -> None:
        """Prepare for an answer without a length: HTTP/1.0 has no chunks (RFC 9112, 6.1)."""
        if self.scope.get("http_version") == "1.0":
            self._until_close = True
            self.keep_alive = False
            self.chunked_encoding = False
            self.expected_content_length = sys.maxsize

    def end_stream(self) -> None:
        """Prepare for the last, empty piece of such an answer."""
        if self._until_close:
            self.expected_content_length = 0

    def cut(self, *, at_once: bool = False) -> None:
        """End the connection so that the client sees that the answer is not whole.

        Args:
            at_once: drop what is not sent yet, for a client that does not read.
        """
        if self.scope is _OVER:
            return
        transport = self.transport.transport
        self.transport.flush()
        self.disconnected = True
        self.keep_alive = False
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


_OVER: Any = {}
"""The scope of a request whose application has ended."""


def _nothing() -> None:
    pass
