"""Kept connections to one backend, and what its failures are to the gateway's clients.

The transport of httpx2 is used without its client around it: that one keeps cookies, follows
redirects and decodes bodies, all of which are between the backend and who asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any, Final

from transcoder.errors import InvalidRequest, StatusError
from transcoder.http_upstream.address import Address
from transcoder.http_upstream.retries import RetryBudget
from transcoder.status import Code
from transcoder.upstream.failures import UNAVAILABLE, UNREADABLE
from transcoder.upstream.passing import PASSED
from transcoder.upstream.tls import BackendContext, Tls

try:
    import httpx2
except ImportError as missing:
    raise ImportError(f"{missing.name} is missing: install transcoder[http]") from missing

Headers = list[tuple[bytes, bytes]]

_ROOM: Final = (socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 17)
"""What the system holds of an answer that nobody reads; the event loop may read all of it at once,
into memory, before it hears that there is enough."""

_DISCONNECTED: Final = "Server disconnected without sending a response."
"""How httpx2 tells of a connection that ended before an answer began."""


class Nothing(httpx2.AsyncByteStream):
    """The body of a request without one."""

    def __aiter__(self) -> Nothing:
        """Return itself."""
        return self

    async def __anext__(self) -> bytes:
        """End."""
        raise StopAsyncIteration


NOTHING: Final = Nothing()


class Client:
    """Kept connections to a backend.

    Args:
        address: where it is.
        tls: to it; None to speak in the clear.
        connections: at once; a request beyond waits, and is answered 503 in the end.
        kept: of those, how many may be idle.
        idle: seconds until an idle one is closed.
        connect: seconds to connect.
        retries: whether requests are sent again that may be.
    """

    def __init__(
        self,
        address: Address,
        tls: Tls | None,
        *,
        connections: int,
        kept: int,
        idle: float,
        connect: float,
        retries: bool,
    ) -> None:
        self.address = address
        self.context = BackendContext(tls) if tls is not None else None
        self.server_name = tls.server_name if tls is not None else None
        scheme = "https" if address.secure else "http"
        self._url = httpx2.URL(f"{scheme}://{address.authority}")
        self._connect = connect
        limits = httpx2.Limits(
            max_connections=connections, max_keepalive_connections=kept, keepalive_expiry=idle
        )
        verify = self.context or False
        self._transport = httpx2.AsyncHTTPTransport(
            verify, trust_env=False, limits=limits, socket_options=[_ROOM]
        )
        self._budget = RetryBudget() if retries else None

    async def send(
        self,
        method: str,
        target: bytes,
        headers: Headers,
        body: httpx2.AsyncByteStream,
        timeouts: dict[str, float | None],
        *,
        again: bool,
    ) -> httpx2.Response:
        """Send a request; return the answer once its head is there.

        Args:
            method: as HTTP spells it.
            target: path and query, as they are sent.
            headers: with those of the framing.
            body: is read as the backend takes it; what it raises is let through.
            timeouts: seconds by `connect`, `read`, `write` and `pool`; those of the answer's body
                are what stands here when it is read.
            again: whether the request may be sent a second time, if nothing came of the first.

        Raises:
            StatusError: there is no answer.
        """
        extensions: dict[str, Any] = {"timeout": timeouts, "target": target}
        if self.server_name:
            extensions["sni_hostname"] = self.server_name
        request = httpx2.Request(
            method, self._url, headers=headers, stream=body, extensions=extensions
        )
        budget = self._budget
        if budget is not None:
            budget.sent()
        while True:
            try:
                return await self._transport.handle_async_request(request)
            except httpx2.TransportError as error:
                if again and budget is not None and _is_unanswered(error) and budget.take():
                    again = False
                    continue
                raise self.failure(error) from None

    def timeouts(self, seconds: float | None) -> dict[str, float | None]:
        """Return the timeouts of a request.

        Args:
            seconds: for each read or write; None for as many as it takes.
        """
        connect = self._connect
        return {"connect": connect, "pool": connect, "read": seconds, "write": seconds}

    def failure(self, error: httpx2.TransportError) -> StatusError:
        """Return what the client is told of an answer that does not come, or not whole."""
        told = _told(error)
        told.log = f"{self._url}: {type(error).__name__}: {str(error)[:300]}"
        return told

    async def check(self) -> str:
        """Return why the backend cannot be reached; empty where it can."""
        address = self.address
        try:
            async with asyncio.timeout(self._connect):
                _, writer = await asyncio.open_connection(address.host, address.port)
        except OSError:
            return f"{address.authority} cannot be reached"
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return ""

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.aclose()


def _is_unanswered(error: httpx2.TransportError) -> bool:
    """Say whether nothing came of a request, as of a kept connection that the backend closed."""
    if isinstance(error, httpx2.RemoteProtocolError):
        return str(error) == _DISCONNECTED
    return isinstance(error, httpx2.ConnectError | httpx2.ReadError | httpx2.WriteError)


def _told(error: httpx2.TransportError) -> StatusError:
    match error:
        case httpx2.PoolTimeout():
            # By this code it is no fault of the backend's.
            return StatusError(
                Code.RESOURCE_EXHAUSTED,
                "too much is asked of the backend at once",
                http=503,
                headers=[("retry-after", "1")],
            )
        case httpx2.ReadTimeout() | httpx2.WriteTimeout():
            return StatusError(Code.DEADLINE_EXCEEDED, PASSED)
        case httpx2.LocalProtocolError():
            return InvalidRequest("the request cannot be passed on: a header is malformed")
        case httpx2.RemoteProtocolError() if str(error) != _DISCONNECTED:
            return StatusError(Code.INTERNAL, UNREADABLE, http=502)
        case _:
            return StatusError(Code.UNAVAILABLE, UNAVAILABLE)
