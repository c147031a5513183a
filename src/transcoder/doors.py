"""The listeners of a process, which open and close together."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from starlette.types import Receive, Scope, Send

from transcoder.certificates import Certificates
from transcoder.connection_limits import ConnectionLimits
from transcoder.errors import ConfigError
from transcoder.generations import Generations
from transcoder.grpc_listener import GrpcListener
from transcoder.head import HEADER_LIMIT, HEADERS_LIMIT
from transcoder.hosts import Served
from transcoder.http_listener import HttpListener
from transcoder.http_port import HttpClaim
from transcoder.lifespan import App
from transcoder.listeners import Address, Claim, Listening
from transcoder.matching import SERVED
from transcoder.server_tls import ServerTls

_log = logging.getLogger(__name__)

AGE_AT_SEVERAL: Final = 300.0
"""Seconds after which a client of one of several processes is asked to connect anew."""

_LONGEST: Final = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The numbers of a server; `Server` describes them."""

    settle: float
    grace: float
    stream_grace: float
    max_concurrent_streams: int
    max_message: int
    max_connection_age: float | None
    keep_alive: int
    backlog: int
    connections: ConnectionLimits
    tls: ServerTls | None
    http_tls: ServerTls | None
    grpc_tls: ServerTls | None

    def __post_init__(self) -> None:
        """Check the age."""
        age = self.max_connection_age
        if age is not None and not 0 < age <= _LONGEST:
            problem = "seconds above 0 are expected, and a day at most"
            raise ConfigError(f"max_connection_age: {age:g} s: {problem}")

    def age(self, *, one_of_several: bool) -> float | None:
        """Return the seconds for which a client keeps a connection; None for as long as it likes.

        Args:
            one_of_several: whether other processes listen there too.
        """
        if self.max_connection_age is None and one_of_several:
            return AGE_AT_SEVERAL
        return self.max_connection_age

    @property
    def limits(self) -> dict[str, str]:
        """What they bound, in words, by what it bounds."""
        held = self.connections
        each = f", {held.per_address} from one address" if held.per_address else ""
        found = {
            "HTTP connections": f"{held.total} at once{each}, {held.stall:g} s unread",
            "idle HTTP connection": f"{self.keep_alive} s",
            "head of a request": f"{HEADER_LIMIT} B, {HEADERS_LIMIT} headers, {held.head:g} s",
            "gRPC message": f"{self.max_message} B",
            "calls on a gRPC connection": f"{self.max_concurrent_streams} at once",
        }
        if self.max_connection_age is not None:
            found["age of a connection"] = f"{self.max_connection_age:g} s"
        secured = self.http_tls or self.tls
        if secured is not None:
            found["TLS handshake"] = f"{secured.handshake_timeout:g} s"
        return found


class Port(Protocol):
    """A further listener, which is open at least as long as the others."""

    @property
    def address(self) -> Address | None:
        """Where; None for one that nobody reaches."""
        ...

    async def open(self) -> None:
        """Listen, and accept."""
        ...

    def watch(self) -> asyncio.Task[None]:
        """Return a task of its name that is done when it has ended."""
        ...

    async def close(self) -> None:
        """Stop listening."""
        ...


class Doors:
    """The listeners.

    Args:
        generations: of the gateway that is served.
        claims: where, for HTTP, at one port at least, and for gRPC.
        certificates: what TLS shows at each of them; None for a port in the clear.
        options: of the server.
        aside: a further listener.
        one_of_several: whether other processes listen there too.

    Raises:
        ConfigError: the options are not to be had together.
    """

    def __init__(
        self,
        generations: Generations,
        claims: tuple[Sequence[HttpClaim], Claim],
        certificates: tuple[Sequence[Certificates | None], Certificates | None],
        options: Options,
        *,
        aside: Port | None = None,
        one_of_several: bool,
    ) -> None:
        http, grpc = claims
        http_certificates, grpc_certificates = certificates
        self._generations = generations
        self._aside = aside
        admin = None if aside is None else aside.address
        first, *also = (each.claim.address for each in http)
        self._listening = Listening(first, grpc.address, admin, tuple(also))
        age = options.age(one_of_several=one_of_several)
        self._http: list[HttpListener] = []
        for each, shown in zip(http, http_certificates, strict=True):
            listener = HttpListener(
                _answering(generations, each),
                generations.state,
                each.claim,
                keep_alive=options.keep_alive,
                max_connection_age=age,
                backlog=options.backlog,
                max_message=generations.current.streams.message,
                end_streams=generations.end_streams,
                certificates=shown,
                limits=options.connections,
                beside=self._http[0] if self._http else None,
            )
            self._http.append(listener)
        self._grpc = GrpcListener(
            generations,
            grpc,
            reuse_port=one_of_several,
            max_concurrent_streams=options.max_concurrent_streams,
            max_message=options.max_message,
            max_connection_age=age,
            age_grace=options.grace,
            certificates=grpc_certificates,
        )
        names = ("http", *(f"http {address}" for address in also), "grpc")
        listeners: tuple[HttpListener | GrpcListener, ...] = (*self._http, self._grpc)
        self._checks = tuple(
            _Listens(name, each) for name, each in zip(names, listeners, strict=True)
        )
        for opened in listeners:
            generations.listen(opened)

    async def open(self) -> Listening:
        """Open all, or none.

        Raises:
            ConfigError: another process listens there since the addresses were claimed.
        """
        self._generations.draining = False
        async with contextlib.AsyncExitStack() as failed:
            await self._grpc.open()
            failed.push_async_callback(self._grpc.close, 0, 0)
            for listener in self._http:
                await listener.open()
                failed.push_async_callback(listener.close, 0, 0)
            for check in self._checks:
                self._generations.add_check(check)
                failed.callback(self._generations.remove_check, check)
            if self._aside is not None:
                await self._aside.open()
            failed.pop_all()
        return self._listening

    def watch(self) -> tuple[asyncio.Task[None], ...]:
        """Return a task for each listener, of its name, that is done when that has ended."""
        own = tuple(
            asyncio.create_task(check.listener.ended(), name=check.name) for check in self._checks
        )
        return own if self._aside is None else (*own, self._aside.watch())

    async def settle(self, seconds: float) -> None:
        """Go on serving, and tell everybody to look elsewhere."""
        self._generations.draining = True
        for listener in self._http:
            listener.settle()
        await self._grpc.settle()
        await asyncio.sleep(seconds)

    async def close(self, grace: float, stream_grace: float) -> None:
        """Close all, and let requests end within their graces, in seconds."""
        self._generations.draining = True
        for check in self._checks:
            self._generations.remove_check(check)
        ended = await asyncio.gather(
            *(check.listener.close(grace, stream_grace) for check in self._checks)
        )
        if self._aside is not None:
            await self._aside.close()
        if not all(ended):
            _log.warning("requests were cancelled that took more than %g s to end", grace)


def _answering(generations: Generations, http: HttpClaim) -> App:
    """Return what answers at a port: only the hosts that are its own."""
    if not http.port.hosts:
        return generations
    served = Served(http.port.hosts)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        scope[SERVED] = served
        await generations(scope, receive, send)

    return answer


@dataclass(frozen=True, slots=True)
class _Listens:
    """The check of a listener."""

    name: str
    listener: HttpListener | GrpcListener

    async def check(self) -> str:
        return "" if self.listener.is_open else "it does not listen"
