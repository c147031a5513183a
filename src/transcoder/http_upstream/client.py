"""Kept connections to one endpoint, and what its failures are to the gateway's clients.

The transport of httpx2 is used without its client around it: that one keeps cookies, follows
redirects and decodes bodies, all of which are between the backend and who asked.
"""

from __future__ import annotations

import asyncio
import contextvars
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol, TypeVar

import httpx2

from transcoder.discovery.source import Endpoint, split_address
from transcoder.errors import InvalidRequest, StatusError
from transcoder.http_upstream.address import Address
from transcoder.status import Code
from transcoder.upstream.failures import UNAVAILABLE, UNREADABLE, Unreached
from transcoder.upstream.member import Standing
from transcoder.upstream.passing import PASSED

Headers = list[tuple[bytes, bytes]]
P = TypeVar("P", bound=asyncio.BaseProtocol)

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


class Unanswered(StatusError):
    """Nothing came of a request, as of one on a kept connection that the backend closed."""

    def __init__(self) -> None:
        super().__init__(Code.UNAVAILABLE, UNAVAILABLE)


class Silent(Unreached):
    """An endpoint took no connection in time: others may, but it will not soon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How connections to a backend are made and kept.

    Args:
        context: of TLS; None to speak in the clear.
        server_name: that its certificate must have; empty without TLS.
        connections: at once; a request beyond waits, and is answered 503 in the end.
        kept: of those, how many may be idle.
        idle: seconds until an idle one is closed.
        connect: seconds to connect.
    """

    context: ssl.SSLContext | None
    server_name: str
    connections: int
    kept: int
    idle: float
    connect: float


class Lasting(Protocol):
    """What uses a connection for longer than one request."""

    def end(self, why: StatusError) -> None:
        """End it, and say why."""
        ...


class Client:
    """Kept connections to one endpoint of a backend.

    Args:
        address: where it is.
        terms: how they are made and kept.
        path: of a Unix socket, which is connected to instead.
    """

    def __init__(self, address: Address, terms: Terms, path: str = "") -> None:
        self.address = address
        self.standing = Standing.UNTRIED
        self.lasting: set[Lasting] = set()
        """What `close` is to end, beside requests."""
        self._terms = terms
        self._path = path
        scheme = "https" if address.secure else "http"
        self._url = httpx2.URL(f"{scheme}://{address.authority}")
        limits = httpx2.Limits(
            max_connections=terms.connections,
            max_keepalive_connections=terms.kept,
            keepalive_expiry=terms.idle,
        )
        self._transport = httpx2.AsyncHTTPTransport(
            terms.context or False,
            trust_env=False,
            limits=limits,
            uds=path or None,
            socket_options=[_ROOM],
        )
        self._seeking: asyncio.Task[None] | None = None
        self._next_try = 0.0

    def at(self, endpoint: Endpoint) -> Client:
        """Return one like this to an endpoint; the certificate must be the same."""
        host, port = split_address(endpoint.address)
        if not port:
            return Client(self.address, self._terms, host.removeprefix("unix:"))
        return Client(replace(self.address, host=host, port=port), self._terms)

    async def open(self, protocol: Callable[[], P]) -> P:
        """Make a connection of its own; return what speaks on it.

        Args:
            protocol: makes it.

        Raises:
            OSError: there is none.
        """
        loop, address, terms = asyncio.get_running_loop(), self.address, self._terms
        tls: dict[str, Any] = {}
        if terms.context is not None:
            tls = {"ssl": terms.context, "server_hostname": terms.server_name}
        if self._path:
            _, made = await loop.create_unix_connection(protocol, self._path, **tls)
        else:
            _, made = await loop.create_connection(protocol, address.host, address.port, **tls)
        return made

    async def send(
        self,
        method: str,
        target: bytes,
        headers: Headers,
        body: httpx2.AsyncByteStream,
        timeouts: dict[str, float | None],
    ) -> httpx2.Response:
        """Send a request; return the answer once its head is there.

        Args:
            method: as HTTP spells it.
            target: path and query, as they are sent.
            headers: with those of the framing.
            body: is read as the backend takes it; what it raises is let through.
            timeouts: seconds by `connect`, `read`, `write` and `pool`; those of the answer's body
                are what stands here when it is read.

        Raises:
            Unreached: there is no connection; nothing was taken of the body.
            Unanswered: it may be sent again, if what it does may be done twice.
            StatusError: there is no answer.
        """
        extensions: dict[str, Any] = {"timeout": timeouts, "target": target}
        if self._terms.server_name:
            extensions["sni_hostname"] = self._terms.server_name
        request = httpx2.Request(
            method, self._url, headers=headers, stream=body, extensions=extensions
        )
        try:
            response = await self._transport.handle_async_request(request)
        except httpx2.TransportError as error:
            told: StatusError
            if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout):
                is_late = isinstance(error, httpx2.ConnectTimeout)
                self.standing, told = Standing.LOST, Silent() if is_late else Unreached()
            else:
                told = Unanswered() if _is_unanswered(error) else _told(error)
            raise self._logged(told, error) from None
        except AttributeError as error:
            if error.name != "setsockopt":
                raise
            # It was reset as soon as it was made: httpx2 finds no socket to set the option of.
            self.standing = Standing.LOST
            raise self._logged(Unreached(), httpx2.ConnectError("reset at once")) from None
        self.standing = Standing.CONNECTED
        return response

    def timeouts(self, seconds: float | None) -> dict[str, float | None]:
        """Return the timeouts of a request.

        Args:
            seconds: for each read or write; None for as many as it takes.
        """
        connect = self._terms.connect
        return {"connect": connect, "pool": connect, "read": seconds, "write": seconds}

    def failure(self, error: httpx2.TransportError) -> StatusError:
        """Return what the client is told of an answer that does not come, or not whole."""
        return self._logged(_told(error), error)

    def seek(self) -> None:
        """Have an endpoint that is not connected tried, beside the requests."""
        if self.standing is Standing.CONNECTED or self._seeking is not None:
            return
        loop, apart = asyncio.get_running_loop(), contextvars.Context()
        if loop.time() >= self._next_try:
            self._next_try = loop.time() + _PAUSE
            self._seeking = loop.create_task(self._seek(), context=apart)

    async def check(self) -> str:
        """Return why the backend cannot be reached; empty where it can."""
        try:
            async with asyncio.timeout(self._terms.connect):
                found = await self.open(_Passing)
                await found.leave()
        except OSError:
            return f"{self.address.authority} cannot be reached"
        return ""

    async def close(self) -> None:
        """Close the connections."""
        if self._seeking is not None:
            self._seeking.cancel()
        for each in tuple(self.lasting):
            each.end(Unanswered())
        await self._transport.aclose()

    async def _seek(self) -> None:
        try:
            problem = await self.check()
            self.standing = Standing.LOST if problem else Standing.CONNECTED
        finally:
            self._seeking = None

    def _logged(self, told: StatusError, error: httpx2.TransportError) -> StatusError:
        where = self._path or self._url
        told.log = f"{where}: {type(error).__name__}: {str(error)[:300]}"
        return told


class _Passing(asyncio.Protocol):
    """A connection that only shows that there can be one."""

    def connection_made(self, transport: Any) -> None:
        self._transport: asyncio.Transport = transport
        self._over = asyncio.Event()

    def connection_lost(self, _: Exception | None) -> None:
        self._over.set()

    async def leave(self) -> None:
        # A goodbye over TLS would wait for the other side's.
        self._transport.abort()
        await self._over.wait()


_PAUSE: Final = 1.0
"""Seconds from one try to reach an endpoint that is lost to the next."""


def _is_unanswered(error: httpx2.TransportError) -> bool:
    """Say whether nothing came of a request, as of a kept connection that the backend closed."""
    if isinstance(error, httpx2.RemoteProtocolError):
        return str(error) == _DISCONNECTED
    return isinstance(error, httpx2.ReadError | httpx2.WriteError)


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
