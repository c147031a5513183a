"""A connection until its TLS handshake is over.

Who does not finish in time, speaks something else or shows no certificate that is wanted is told so
as far as TLS has words for it, and cut: an alert and our FIN first, what arrives for a moment after
that is dropped. It is one line of the log. Who goes away without a word is none: so do the health
checks of load balancers.

A handshake counts as a connection from its acceptance on, and what is one too many is cut before
anything is computed for it.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from transcoder.certificates import Certificates
from transcoder.connection_limits import Connections
from transcoder.http_protocol import DROP, TOO_MANY, Protocol

_log = logging.getLogger(__name__)

_SHUTDOWN: Final = 1.0
"""Seconds that a client has to answer our close_notify; many do not."""

WRITE_BUFFER: Final = 65_536
"""Bytes that wait to be encrypted; without TLS as many wait to be sent."""

_IN_THE_CLEAR = b"this port speaks TLS: use https://\n"
_PLAIN_ANSWER = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n"
    b"connection: close\r\n\r\n%b" % (len(_IN_THE_CLEAR), _IN_THE_CLEAR)
)


class Secured:
    """The transport of a connection within TLS, and what carries that.

    What is written while the connection closes is dropped without a word, as without TLS.
    """

    __slots__ = ("_is_closing", "_transport", "_write", "beneath")

    def __init__(self, transport: asyncio.Transport, beneath: asyncio.Transport) -> None:
        self.beneath = beneath
        self._transport = transport
        self._write = transport.write
        self._is_closing = beneath.is_closing

    def write(self, data: bytes) -> None:
        """Send, if there is somebody to send to."""
        if not self._is_closing() and not self._transport.is_closing():
            self._write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Handshake(asyncio.Protocol):
    """One connection, from its acceptance to the end of its handshake.

    Args:
        certificates: what is shown, as it is when the handshake begins.
        secured: makes what takes the connection then.
        running: the handshakes of the listener that are not over; this one is added and removed.
        bounds: the connections of the listener; this one is among them until it is handed over.
    """

    def __init__(
        self,
        certificates: Certificates,
        secured: Callable[[], Protocol],
        running: set[Handshake],
        bounds: Connections[asyncio.Transport],
    ) -> None:
        self._certificates = certificates
        self._secured = secured
        self._running = running
        self._bounds = bounds
        self._early = b""
        self._refused = False
        self._transport: Any = None
        self._starting: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, unless there are too many connections."""
        self._transport = transport
        peer = transport.get_extra_info("peername")
        address = peer[0] if isinstance(peer, tuple) else ""
        if self._bounds.admit(self._transport, address, asyncio.get_running_loop().time()):
            _log.info("%s: %s", self._peer(), TOO_MANY.status.message)
            self.abort()
            return
        self._running.add(self)
        self._starting = self._start_tls()
        self._go_on()

    def data_received(self, data: bytes) -> None:
        """Keep what comes right behind the handshake."""
        self._early += data

    def abort(self) -> None:
        """End the connection at once."""
        self._transport.abort()

    def _go_on(self, _: object = None) -> None:
        """Take a step, as a task would; but the first at once, or what the client sends is lost."""
        try:
            waited_for = self._starting.send(None)
        except StopIteration as done:
            self._running.discard(self)
            # What takes the connection now counts it anew.
            self._bounds.forget(self._transport)
            if not done.value.is_closing():
                self._hand_over(done.value)
        except OSError as error:
            self._running.discard(self)
            if not self._refused:
                self._bounds.forget(self._transport)
            self._tell(error)
        else:
            waited_for.add_done_callback(self._go_on)

    async def _start_tls(self) -> Any:
        loop = asyncio.get_running_loop()
        context = self._certificates.current.context

        def begin() -> None:
            context.refused = self._refuse

        # asyncio asks the context for a connection at once, uvloop by its next callback.
        begin()
        loop.call_soon(begin)
        return await loop.start_tls(
            self._transport,
            self,
            context,
            server_side=True,
            ssl_handshake_timeout=self._certificates.tls.handshake_timeout,
            ssl_shutdown_timeout=_SHUTDOWN,
        )

    def _hand_over(self, transport: Any) -> None:
        shown = transport.get_extra_info("ssl_object")
        # TLS 1.2 resumes sessions by their ids, and OpenSSL verifies nobody again then.
        if shown.session_reused and _has_expired(shown.getpeercert(), time.time()):
            _log.info("%s: the TLS session is of a certificate that has expired", self._peer())
            transport.abort()
            return
        protocol = self._secured()
        transport.set_write_buffer_limits(high=WRITE_BUFFER)
        transport.set_protocol(protocol)
        secured: Any = Secured(transport, self._transport)
        protocol.connection_made(secured)
        if self._early:
            protocol.data_received(self._early)

    def _refuse(self, error: ssl.SSLError) -> None:
        self._refused = True
        _log.info("%s: the TLS handshake failed: %s", self._peer(), _reason(error))
        loop = asyncio.get_running_loop()
        loop.call_soon(self._end, _PLAIN_ANSWER if error.reason == "HTTP_REQUEST" else b"")
        loop.call_later(DROP, self._drop)

    def _drop(self) -> None:
        self._bounds.forget(self._transport)
        self.abort()

    def _end(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)
            self._transport.write_eof()

    def _tell(self, error: OSError) -> None:
        if isinstance(error, ConnectionAbortedError) and not self._refused:
            limit = self._certificates.tls.handshake_timeout
            _log.info("%s: the TLS handshake was not over in %g s", self._peer(), limit)

    def _peer(self) -> str:
        peer = self._transport.get_extra_info("peername")
        return f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else "a Unix socket"


def _reason(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate verify failed: {error.verify_message}"
    return (error.reason or "unknown").replace("_", " ").lower()


def _has_expired(certificate: Mapping[str, Any] | None, now: float) -> bool:
    """Say whether a client's certificate, if it showed one, may no longer be valid."""
    if certificate is None:
        return False
    return not certificate or ssl.cert_time_to_seconds(certificate["notAfter"]) < now
